"""A trained module of unknown make as the stacked model that evaluation wants: logits, or values."""

import copy
from collections.abc import Callable, Sequence
from functools import partial

import torch
from torch import Tensor, nn

from leaq.errors import InvalidInput, LeaqError, UnsupportedModel
from leaq.evaluation.outputs import last_operation, logits_of, read_outputs
from leaq.evaluation.repeating import refuse_random
from leaq.models.calling import call, evaluating
from leaq.models.roles import refuse_sparse
from leaq.training.modules import StackedModule, embeds
from leaq.types import Samples
from leaq.types.tasks import Layout, TaskSpec

PROBED = 256
"""Records whose outputs tell logits from probabilities."""


def as_stacked_model(module: nn.Module, samples: Samples) -> StackedModule:
    """Return the architecture of a trained module, its outputs read as logits (n, k) or values (n, 1).

    Raises
    ------
    InvalidInput
        If it cannot run on the records, or its outputs do not fit the targets.
    """
    reads = _reading(module, samples)
    make, probe = partial(copy.deepcopy, module), probe_of(module, samples)[:2]
    model = StackedModule(make, samples.task, probe, tasks=samples.tasks)
    model.reads = logits_of(reads)
    return model


def refuse_unfit(module: nn.Module, samples: Samples) -> None:
    """Refuse a network that cannot be trained on the records by cross-entropy or squared error.

    Raises
    ------
    InvalidInput
        If it cannot run, returns another number of outputs than there are classes, or probabilities.
    """
    reads = _reading(module, samples)
    if logits_of(reads) is not reads:
        raise InvalidInput(
            "A network that is trained by cross-entropy must return logits. Found probabilities. Leave out its last "
            "activation."
        )


def probe_of(module: nn.Module, samples: Samples) -> Tensor:
    """Return the first records, in the type of the module's weights."""
    dtype = next((t.dtype for t in module.parameters() if t.is_floating_point()), torch.float32)
    return torch.tensor(samples.inputs[:PROBED], dtype=dtype)


def _reading(module: nn.Module, samples: Samples) -> Callable[[Tensor], Tensor]:
    """Return what turns the module's outputs into logits; nothing, where they are."""
    probe, outputs = _ran(module, samples)
    outputs = outputs.reshape(len(outputs), -1)
    k, classes = outputs.shape[1], len(samples.classes)
    if len(outputs) != len(probe):
        raise InvalidInput(f"The model must return one row a record. Found {len(outputs)} for {len(probe)} records.")
    if samples.tasks:
        return _of_several(samples.tasks, outputs, last_operation(lambda: call(module, {}, probe[:2])))
    if samples.task == "regression":
        if k != 1:
            raise InvalidInput(
                f"A model of one value a record must return one output. Found {k}. Return the prediction alone, such "
                "as the mean of a mean with its variance, or the median of quantiles."
            )
        return read_outputs("values", outputs, "")[0]
    if k != classes and not (k == 1 and classes == 2):
        raise InvalidInput(f"A classifier must return one output a class, {classes}. Found {k}.")
    last = last_operation(lambda: call(module, {}, probe[:2]))
    return read_outputs("binary" if k == 1 else "classes", outputs, last)[0]


def _ran(module: nn.Module, samples: Samples) -> tuple[Tensor, Tensor]:
    """Return the first records and a module's outputs on them, which are finite, the same twice and each record's own.

    Raises
    ------
    InvalidInput, UnsupportedModel
        If they are not.
    """
    refuse_sparse(module)
    probe = probe_of(module, samples)
    probe = probe.long() if embeds(module) else probe

    def run(records: Tensor) -> Tensor:
        with torch.no_grad(), evaluating(module):
            return call(module, {}, records)

    try:
        outputs = run(probe)
        alone = run(probe[:1])
    except LeaqError:
        raise
    except Exception as err:
        raise InvalidInput(
            f"The model must run on the records, shape {tuple(probe.shape)}, and on one by itself. It failed with "
            f"{type(err).__name__}: {' '.join(str(err).split())[:200]}."
        ) from err
    if not torch.isfinite(outputs).all():
        raise InvalidInput(
            "The model's outputs must be finite. Found NaN or infinite ones. Look for a logarithm of 0, an overflow or "
            "a training that diverged."
        )
    refuse_random(lambda: run(probe), outputs)
    if not torch.allclose(alone.flatten(), outputs[:1].flatten(), rtol=1e-3, atol=1e-4 * float(outputs.abs().max())):
        raise UnsupportedModel(
            "A record's outputs must not depend on the others in its batch. The first record's are "
            f"{float((alone - outputs[:1]).abs().max()):.3g} off by itself. Let batch normalisation follow eval(), and "
            "take no means over records in forward."
        )
    return probe, outputs


def _of_several(tasks: Sequence[TaskSpec], outputs: Tensor, last: str) -> Callable[[Tensor], Tensor]:
    """Return what turns the outputs of several tasks into logits and values: of classes alone they may be shares."""
    layout = Layout(tuple(tasks))
    if outputs.shape[1] != layout.outputs:
        raise InvalidInput(
            f"A model of {len(tasks)} targets must return {layout.outputs} outputs: a logit of two classes, one a "
            f"class of more, a value. Found {outputs.shape[1]}."
        )
    if layout.values or layout.several:
        return read_outputs("values", outputs, "")[0]
    return read_outputs("tasks", outputs, last)[0]
