"""`Recorder`: two lines in a training loop that stays the user's own.

    recorder = Recorder(model, every=100)     # before the loop
    recorder.step()                           # in it, after optimizer.step()

The last of `recorder.checkpoints` are the weights the model has now: what would be released.

Which step goes when there are too many is decided without knowing how long training will last.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from pydantic import Field, PositiveInt
from torch import Tensor, nn

from leaq.config import Config
from leaq.errors import InvalidInput, NotEnoughEvidence, StoreError, some
from leaq.models import roles_of, unwrap
from leaq.models.roles import tensors_of
from leaq.training.recording.stores import FolderStore, MemoryStore
from leaq.types import Checkpoints

PROBED = 64
"""Numbers of a tensor by which it is told whether it was written."""


class Recorder:
    """Keeps weights along any PyTorch training loop, thinned to a budget of checkpoints and bytes.

    Parameters
    ----------
    model : the module being trained; only read.
    folder : keep checkpoints there instead of in memory; a folder with the same model's checkpoints is gone on with.
    options : of `RecorderConfig`: every, by, keep, max_bytes, spacing, parameters.

    Examples
    --------
    >>> model = nn.Linear(3, 2)
    >>> optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    >>> recorder = Recorder(model, every=2)
    >>> for _ in range(10):
    ...     optimizer.zero_grad()
    ...     model(torch.ones(4, 3)).sum().backward()
    ...     optimizer.step()
    ...     recorder.step()
    >>> recorder.checkpoints.steps
    (2, 4, 6, 8, 10)
    """

    def __init__(self, model: nn.Module, *, folder: str | Path | None = None, **options: Any) -> None:
        self.config = RecorderConfig(**options)
        self._model = unwrap(model)
        self._trainable = self.config.parameters == "trainable"
        self.roles = roles_of(self._model, trainable=self._trainable)
        if not self.roles:
            raise InvalidInput("Recorder: the model must have weights to record. Found none that require a gradient.")
        everything = self._everything()
        self._shapes = {name: tensor.shape for name, tensor in everything.items()}
        weights = {name: everything[name] for name in self.roles}
        size = sum(tensor.nbytes for tensor in weights.values())
        self.keep = min(self.config.keep, self.config.max_bytes // size)
        if self.keep < 2:
            raise InvalidInput(
                f"Recorder: the budget must hold at least 2 checkpoints of {size:,} bytes. Found "
                f"max_bytes={self.config.max_bytes:,}. Raise it, or record trainable parameters only."
            )
        self._stride = self.config.every
        self._kept: list[int] = []
        self._store: MemoryStore | FolderStore = MemoryStore()
        self.steps_done = 0
        self.epochs_done = 0
        self._frozen = {} if folder is not None else self._still(everything)
        self._changes = self._versions()
        if folder is not None:
            self._open(Path(folder), weights)

    def _open(self, folder: Path, weights: Mapping[str, Tensor]) -> None:
        """Go on with the recording in a folder, or start one."""
        about = {
            "weights": {name: [str(tensor.dtype), *tensor.shape] for name, tensor in weights.items()},
            "options": self.config.to_dict(),
        }
        store = FolderStore(folder, about)
        self._store, self._kept = store, store.steps()
        if self._kept:
            done = self._kept[-1]
            self.steps_done, self.epochs_done = (0, done) if self.config.by == "epoch" else (done, 0)
            gaps = [b - a for a, b in zip(self._kept, self._kept[1:], strict=False)]
            if self.config.spacing == "equal" and gaps:
                # A process killed while it thinned leaves both the wider and some of the narrower spacing.
                self._stride = max(self._stride, *gaps)
                for odd in [step for step in self._kept if step % self._stride]:
                    self._forget(odd)
        self._thin()

    def step(self, number: int | None = None) -> None:
        """Say that an optimizer step is done; cheap where nothing is recorded.

        Parameters
        ----------
        number : the step's number, counted from 1, where the loop knows it. One that goes back, as after resuming an
            earlier state of training, drops what was recorded behind it.
        """
        self.steps_done = self.steps_done + 1 if number is None else number
        self._changes = self._versions()
        if self.config.by != "epoch":
            self._maybe(self.steps_done)

    def epoch(self, number: int | None = None) -> None:
        """Say that an epoch is done; records with by="epoch"."""
        self.epochs_done = self.epochs_done + 1 if number is None else number
        self._changes = self._versions()
        if self.config.by == "epoch":
            self._maybe(self.epochs_done)

    def _maybe(self, step: int) -> None:
        if self._kept and step <= self._kept[-1]:
            for late in [kept for kept in self._kept if kept >= step]:
                self._forget(late)
        if is_due(step, self._stride, self.config.by):
            self.flush()
            self._store.put(step, self._weights())
            self._kept.append(step)
            self._thin()

    def flush(self) -> None:
        """Wait until everything recorded is kept; with a folder, until it is on disk.

        Called by whatever reads the checkpoints, and at the end of the interpreter; a long evaluation after the last
        step need not call it.

        Raises
        ------
        StoreError
            If the last checkpoint could not be written; it is then no longer among `steps`.
        """
        try:
            self._store.flush()
        except StoreError:
            self._kept = self._store.steps()
            raise

    def _thin(self) -> None:
        while len(self._kept) > self.keep:
            # Ratios of steps cannot keep an equal spacing; they always thin towards the end.
            spacing = "dense_end" if self.config.by == "log" else self.config.spacing
            dropped, self._stride = surplus(self._kept, spacing, self._stride)
            for late in dropped:
                self._forget(late)

    def _forget(self, step: int) -> None:
        self._store.drop(step)
        self._kept.remove(step)

    def _everything(self) -> dict[str, Tensor]:
        return {name: t.detach() for name, t, _ in tensors_of(self._model)}

    def _still(self, everything: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Return copies of the weights that do not train, if the budget holds them: some may train later."""
        rest = {name: tensor for name, tensor in everything.items() if name not in self.roles}
        if sum(tensor.nbytes for tensor in rest.values()) > self.config.max_bytes:
            return {}
        return {name: tensor.to("cpu", copy=True) for name, tensor in rest.items()}

    def _versions(self) -> tuple[int, list[float]]:
        """Count the writes to the weights; with equal spacing, tells weights that were put back from trained ones.

        What is written through ``.data`` is not counted by torch: a few numbers of each tensor tell.
        """
        if self.config.spacing != "equal":
            return 0, []
        held = [tensor.detach() for _, tensor, _ in tensors_of(self._model)]
        parts = [torch.view_as_real(one) if one.is_complex() else one for one in held]
        few = [one.reshape(-1)[:: max(1, one.numel() // PROBED)].double().sum() for one in parts]
        return sum(tensor._version for tensor in held), torch.stack(few).tolist() if few else []

    def _weights(self) -> dict[str, Tensor]:
        """Return the weights of now: those recorded so far, and those that train since.

        Raises
        ------
        InvalidInput
            If the model became another one, or weights began to train whose earlier values were not kept.
        """
        everything = self._everything()
        shapes = {name: tensor.shape for name, tensor in everything.items()}
        odd = [name for name in everything | self._shapes if self._shapes.get(name) != shapes.get(name)]
        if odd:
            raise InvalidInput(
                f"Recorder: the model must stay the one that the recording began with. At step {self.steps_done} "
                f"{some(odd)} {'is' if len(odd) == 1 else 'are'} new, gone or of "
                "another shape. Make a new Recorder when a layer is replaced."
            )
        training = roles_of(self._model, trainable=True) if self._trainable else {}
        late = [name for name in training if name not in self.roles]
        lost = [name for name in late if name not in self._frozen]
        if lost:
            raise InvalidInput(
                f"Recorder: with parameters='trainable' the same weights must train throughout. {some(lost)} began to "
                f"train by step {self.steps_done}, and what they were before was not kept. Record parameters='all'."
            )
        if late:
            self.roles = {name: role for name, role in roles_of(self._model).items() if name in {*self.roles, *late}}
        return {name: everything[name] for name in self.roles}

    @property
    def steps(self) -> tuple[int, ...]:
        """Recorded steps (epochs with by="epoch"), ascending."""
        return tuple(self._kept)

    @property
    def checkpoints(self) -> Checkpoints:
        """Everything recorded, batch (1, c); the last are the weights the model has now, value by value.

        Weights that were put back after training (the best ones, an average) count as one step more. With equal
        spacing what training did after the last record is left out: r compares candidates of one spacing.

        Raises
        ------
        NotEnoughEvidence
            If nothing was recorded.
        InvalidInput
            If the model became another one.
        """
        self.flush()
        if not self._kept:
            raise NotEnoughEvidence(
                f"Recorder: nothing was recorded in {self.steps_done} steps and {self.epochs_done} epochs with "
                f"every={self.config.every}, by={self.config.by!r}. Call step() after each optimizer step, or epoch()."
            )
        now = {name: tensor.cpu() for name, tensor in self._weights().items()}
        # Weights that trained later only have no earlier records: until then they were what they were at the start.
        rows = [{**self._frozen, **self._store.get(step)} for step in self._kept]
        steps = list(self._kept)
        if not all(torch.equal(rows[-1][name], tensor) for name, tensor in now.items()) and self._released(steps[-1]):
            rows.append(now)
            done = self.epochs_done if self.config.by == "epoch" else self.steps_done
            steps.append(max(done, steps[-1] + 1))
        stacked = {name: torch.stack([row[name] for row in rows]).unsqueeze(0) for name in self.roles}
        return Checkpoints(stacked, self.roles, (1, len(steps)), tuple(steps))

    def _released(self, last: int) -> bool:
        """Whether weights of now that differ from the last record belong to the recording."""
        if self.config.spacing != "equal":
            return True
        done = self.epochs_done if self.config.by == "epoch" else self.steps_done
        return done == last or self._versions() != self._changes


def surplus(steps: Sequence[int], spacing: str, stride: int) -> tuple[tuple[int, ...], int]:
    """Return the steps to drop from a list that is one too long, and the stride from now on.

    Parameters
    ----------
    steps : recorded steps, ascending.
    spacing : "equal" drops every other step and doubles the stride; "dense_end" drops the one step whose absence
        is smallest compared with its distance from the end.
    stride : steps between two records.

    Examples
    --------
    >>> surplus([10, 20, 30, 40, 50], "equal", 10)
    ((10, 30, 50), 20)
    """
    if spacing == "equal":
        return tuple(step for step in steps if step % (2 * stride)), 2 * stride
    at = np.asarray(steps, dtype=float)
    # Without step i a hole of at[i + 1] - at[i - 1] opens; at a distance from the end a larger hole is tolerable.
    # The first and the last step stay.
    hole = at[2:] - at[:-2]
    distance = at[-1] - at[:-2] + stride
    return (int(at[1 + int(np.argmin(hole / distance))]),), stride


def is_due(step: int, every: int, by: str) -> bool:
    """Tell whether a step (counted from 1) is recorded.

    Examples
    --------
    >>> [step for step in range(1, 101) if is_due(step, 3, "log")]
    [1, 3, 5, 10, 22, 47, 100]
    """
    if by != "log":
        return step % every == 0
    # Steps nearest above 10^(j / every): the count of grid points changes between step - 1 and step.
    return step == 1 or np.floor(every * np.log10(step) + 1e-9) > np.floor(every * np.log10(step - 1) + 1e-9)


class RecorderConfig(Config):
    """When weights are recorded, and how many of them are kept.

    Examples
    --------
    >>> RecorderConfig(every=100).by
    'step'
    """

    every: PositiveInt = 1
    """Steps (or epochs) between two records; with by="log", records per factor of ten of steps."""
    by: Literal["step", "epoch", "log"] = "step"
    """Count calls of `step()`, calls of `epoch()`, or steps at equal ratios (dense at the start)."""
    keep: PositiveInt = Field(default=100, ge=2)
    """Most checkpoints kept."""
    max_bytes: PositiveInt = 2**30
    """Most bytes of weights kept; lowers `keep` where the model is large."""
    spacing: Literal["dense_end", "equal"] = "dense_end"
    """What goes when there are too many: keep the end dense (low k decides r), or keep the spacing equal."""
    parameters: Literal["all", "trainable"] = "all"
    """All weights, or those that require a gradient (adapters on a frozen model)."""
