import warnings

import pytest
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from leaq.training.recording.callbacks import huggingface_callback, lightning_callback
from tests.helpers import require


def test_lightning_counts_optimizer_steps(tmp_path):
    require("lightning")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Lightning's own advice about workers and loggers
        import lightning

        class Module(lightning.LightningModule):
            def __init__(self):
                super().__init__()
                self.net = nn.Linear(3, 2)

            def training_step(self, batch, index):
                x, y = batch
                return nn.functional.cross_entropy(self.net(x), y)

            def configure_optimizers(self):
                return torch.optim.SGD(self.parameters(), lr=0.1)

        module = Module()
        loader = DataLoader(TensorDataset(torch.randn(24, 3), torch.randint(2, (24,))), batch_size=4)
        callback = lightning_callback(every=2)
        trainer = lightning.Trainer(
            max_epochs=2, accumulate_grad_batches=2, callbacks=[callback], logger=False, enable_checkpointing=False,
            enable_progress_bar=False, enable_model_summary=False, accelerator="cpu", default_root_dir=tmp_path,
        )  # fmt: skip
        trainer.fit(module, loader)
    found = callback.recorder.checkpoints
    assert found.steps == (2, 4, 6)  # 6 batches an epoch, 2 a step, 2 epochs
    assert torch.equal(found.params["net.weight"][0, -1], module.net.weight.detach())


@pytest.mark.parametrize(("options", "steps"), [({"every": 2}, (2, 4, 6)), ({"by": "epoch"}, (1, 2))])
def test_the_hugging_face_trainer_counts_steps_and_epochs(tmp_path, options, steps):
    require("transformers")
    require("accelerate")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import transformers

        class Net(nn.Module):
            def __init__(self):
                super().__init__()
                self.layer = nn.Linear(3, 2)

            def forward(self, x, labels=None):
                logits = self.layer(x)
                return {"loss": nn.functional.cross_entropy(logits, labels), "logits": logits}

        net = Net()
        rows = [{"x": torch.randn(3), "labels": i % 2} for i in range(12)]
        callback = huggingface_callback(**options)
        arguments = transformers.TrainingArguments(
            output_dir=str(tmp_path), num_train_epochs=2, per_device_train_batch_size=4, report_to=[], use_cpu=True,
            save_strategy="no", logging_strategy="no", disable_tqdm=True,
        )  # fmt: skip
        transformers.Trainer(net, arguments, train_dataset=rows, callbacks=[callback]).train()
    found = callback.recorder.checkpoints
    assert found.steps == steps
    assert torch.equal(found.params["layer.weight"][0, -1], net.layer.weight.detach())
