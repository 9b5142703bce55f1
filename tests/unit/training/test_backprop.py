import pytest
import torch
from torch.overrides import TorchFunctionMode

from leaq.models.losses import margin, per_record, residual
from leaq.training import MLP
from leaq.training.backprop import Backprop
from leaq.types import Activations
from tests.unit.training.cases import TASKS


class OneDevice(TorchFunctionMode):
    """Refuse every call whose operands lie on two devices; numbers without axes may, as on a GPU."""

    def __torch_function__(self, func, types, args=(), kwargs=None):
        kwargs = kwargs or {}
        flat = torch.utils._pytree.tree_leaves((args, kwargs))
        devices = {item.device.type for item in flat if isinstance(item, torch.Tensor) and item.ndim}
        if len(devices) > 1:
            raise RuntimeError(f"{func} got operands on {sorted(devices)}")
        return func(*args, **kwargs)


def on_meta(task):
    """Weights, inputs (m, b, d), targets and record weights (m, b) of two models, and the model."""
    mlp = MLP(d=4, k=3 if task == "classification" else 1, hidden=(6, 5), task=task)
    params = {name: tensor.to("meta") for name, tensor in mlp.init(0, [0, 1]).items()}
    x, w = torch.empty(2, 7, 4, device="meta"), torch.empty(2, 7, device="meta")
    y = torch.empty(2, 7, dtype=torch.int64 if task == "classification" else torch.float32, device="meta")
    return mlp, params, x, y, w


@pytest.mark.parametrize("task", TASKS)
def test_the_arithmetic_of_a_step_stays_where_its_operands_are(task):
    mlp, params, x, y, w = on_meta(task)
    with OneDevice():
        step = Backprop(mlp, params)
        step(x, y, w)
        outputs = mlp.forward(step.params, x[0])
        found = [step.flat.grad, outputs, mlp.forward(step.params, x), mlp.gradient_signals(step.params, x[0], y[0])]
        found.append(mlp.forward(step.params, x[0], activations=Activations(8)))
        found.append(per_record(outputs, y[0], task))
        found.append(margin(outputs, y[0]) if task == "classification" else residual(outputs, y[0]))
    assert {tensor.device.type for tensor in found} == {"meta"}


@pytest.mark.parametrize("task", TASKS)
def test_an_operand_left_on_the_cpu_is_refused(task):
    mlp, params, x, y, _ = on_meta(task)
    with OneDevice(), pytest.raises(RuntimeError, match="operands on"):
        Backprop(mlp, params)(x, y, torch.ones(2, 7))
