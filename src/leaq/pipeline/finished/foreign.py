"""Another model in place of the original: run as it is, in its own precision, its outputs in the original's form."""

from collections.abc import Callable
from itertools import islice
from typing import Any

import torch
from torch import Tensor, nn

from leaq.errors import InvalidInput, LeaqError, UnsupportedModel, reason_of
from leaq.evaluation.batches import Batch, mapped
from leaq.evaluation.losses import Loss
from leaq.evaluation.outputs import read_outputs
from leaq.models import ModuleModel, evaluating
from leaq.models.boxes import BlackBox
from leaq.models.calling import call
from leaq.models.programs import Running
from leaq.pipeline.finished.running import each, head, of_tensors, rows_of
from leaq.types import Flag

Run = Callable[[Any], Tensor]
"""Inputs of n records -> outputs (n, ...)."""
ALONE = 16
"""Records of a batch that are run by themselves too, to see whether their outputs change."""
UNLIKE = 0.5
"""Change of outputs with the other records, as a share of how much they vary, that no scaling of activations makes."""
BY_RECORD = Flag(
    "run-by-record",
    "Outputs of this model change with the other records of a batch (activations scaled by the batch), so that every "
    "record was run by itself.",
)


def runner(module: nn.Module, *, name: str) -> tuple[Run, tuple[Flag, ...]]:
    """Return what runs a module as it is, and a word about its precision; every error says whose it is.

    Raises
    ------
    UnsupportedModel
        When run, if it cannot run on the records; the message holds what it said.
    InvalidInput
        When run, if its outputs are not finite or not one row a record.
    """
    other = ModuleModel(module).module
    own = _precision(other)

    def cast(tensor: Tensor) -> Tensor:
        return tensor.to(own) if own is not None and tensor.is_floating_point() else tensor.clone()

    def run(inputs: Any) -> Tensor:
        try:
            with torch.no_grad(), evaluating(other):
                outputs = call(other, {}, mapped(inputs, of_tensors(cast)))
        except LeaqError:
            raise
        except Exception as err:  # whatever other people's kernels raise
            raise UnsupportedModel(
                f"{name}: a shipped model must run on the records as they are. It failed with {reason_of(err)}. Leave "
                "it out, or give it as it runs for you."
            ) from err
        if not torch.isfinite(outputs).all():
            raise InvalidInput(f"{name}: outputs must be finite. Found NaN or infinite ones. Leave it out.")
        return outputs.float() if own in (torch.float16, torch.bfloat16) else outputs

    if own is None:
        return run, ()
    return run, (Flag("own-precision", f"{name} was run in {str(own).removeprefix('torch.')}, as it is."),)


def _precision(module: nn.Module) -> torch.dtype | None:
    """Return the type of a module's numbers, if they are all of one and not of 32 bits."""
    if isinstance(module, BlackBox):
        return None
    module = module.running if isinstance(module, Running) else module
    types = {tensor.dtype for tensor in module.parameters() if tensor.is_floating_point() and tensor.dtype.itemsize > 1}
    found = types.pop() if len(types) == 1 else torch.float32
    return None if found == torch.float32 else found


def in_form_of(run: Run, there: Any, original: Tensor, *, loss: Loss, name: str) -> tuple[Run, tuple[Flag, ...]]:
    """Return what gives outputs in the form of the original's, and a word about it.

    Probabilities beside an original that gives logits are recognised by what they are nearer to.

    Parameters
    ----------
    there : inputs of some records.
    original : the original's outputs on them.

    Raises
    ------
    InvalidInput
        If it has not as many outputs as the original.
    """
    found = rows_of(run(there), len(original))
    if found[0].numel() != original[0].numel():
        raise InvalidInput(
            f"{name}: a shipped model must have as many outputs as its original. Found {found[0].numel()} a record "
            f"beside {original[0].numel()}: it is another model, or returns decisions instead of scores."
        )
    last = {"classes": "Softmax", "soft": "Softmax", "binary": "Sigmoid", "tasks": "Sigmoid"}.get(loss.kind)
    known = any(flag.code == "probabilities" for flag in loss.flags)
    if last is None or known:
        return run, ()
    try:
        convert, flags = read_outputs(loss.kind, found, last)
    except InvalidInput:  # no probabilities either
        return run, ()
    share = (lambda z: z.softmax(1)) if last == "Softmax" else torch.sigmoid
    expected, straight, read = (
        share(each.double().reshape(len(original), -1).to(found.device)) for each in (original, found, convert(found))
    )
    if not flags or float((read - expected).abs().mean()) > float((straight - expected).abs().mean()):
        return run, ()
    return lambda inputs: convert(run(inputs)).reshape(-1, *original.shape[1:]), flags


def depends_on_batch(run: Run, batch: Batch, there: Any, *, name: str) -> bool:
    """Whether outputs for some records of a batch change with the others; False where they cannot be parted.

    Raises
    ------
    UnsupportedModel
        If they change by so much that a record by itself is nothing the model was made for.
    """
    if not isinstance(head(there), type(there)):
        return False
    few = min(batch.n, ALONE)
    together = run(there)[:few].double()
    alone = torch.cat([run(one) for one in islice(each(there), few)]).double()
    off = float((together - alone).norm() / (together - together.mean(0)).norm().clamp_min(1e-12))
    if few > 1 and off > UNLIKE:
        raise UnsupportedModel(
            f"{name}: outputs for a record must be its own. By themselves, records have outputs that are {off:.0%} of "
            f"how much these vary off those in a batch of {batch.n}, as batch normalisation in training mode gives. "
            "Export or script the model after model.eval()."
        )
    return not torch.allclose(together, alone, rtol=1e-3, atol=1e-4 * float(together.abs().max()))
