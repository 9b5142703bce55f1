"""The recorder as a callback of PyTorch Lightning and of the Hugging Face Trainer (optional extras)."""

from pathlib import Path
from typing import Any

from leaq.errors import need
from leaq.training.recording.recorder import Recorder


def lightning_callback(*, folder: str | Path | None = None, **options: Any) -> Any:
    """Return a Lightning callback that records during fit; its `recorder` then holds the checkpoints.

    Parameters
    ----------
    options : those of `Recorder`. Steps are optimizer steps (`trainer.global_step`), epochs training epochs.

    Examples
    --------
    ``trainer = lightning.Trainer(callbacks=[callback := lightning_callback(every=10)])``
    """
    lightning = need("lightning.pytorch", extra="lightning", purpose="Recording in PyTorch Lightning")

    class LightningRecorder(lightning.Callback):  # type: ignore[misc, name-defined]
        recorder: Recorder | None = None

        def on_fit_start(self, trainer: Any, pl_module: Any) -> None:
            self.recorder = Recorder(pl_module, folder=folder, **options)

        def on_train_batch_end(self, trainer: Any, *_: Any) -> None:
            # With gradient accumulation several batches make one optimizer step.
            if self.recorder is not None and trainer.global_step > self.recorder.steps_done:
                self.recorder.step(trainer.global_step)

        def on_train_epoch_end(self, trainer: Any, *_: Any) -> None:
            if self.recorder is not None:
                self.recorder.epoch(trainer.current_epoch + 1)

        def on_fit_end(self, trainer: Any, pl_module: Any) -> None:
            if self.recorder is not None:
                self.recorder.flush()

    return LightningRecorder()


def huggingface_callback(*, folder: str | Path | None = None, **options: Any) -> Any:
    """Return a Hugging Face Trainer callback that records during train; its `recorder` then holds the checkpoints.

    Examples
    --------
    ``trainer = transformers.Trainer(..., callbacks=[callback := huggingface_callback(every=10)])``
    """
    transformers = need("transformers", extra="huggingface", purpose="Recording in the Hugging Face Trainer")

    class HuggingFaceRecorder(transformers.TrainerCallback):  # type: ignore[misc, name-defined]
        recorder: Recorder | None = None

        def on_train_begin(self, args: Any, state: Any, control: Any, model: Any = None, **_: Any) -> None:
            self.recorder = Recorder(model, folder=folder, **options)

        def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
            if self.recorder is not None:
                self.recorder.step(state.global_step)

        def on_epoch_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
            if self.recorder is not None:
                self.recorder.epoch(round(state.epoch))

        def on_train_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
            if self.recorder is not None:
                self.recorder.flush()

    return HuggingFaceRecorder()
