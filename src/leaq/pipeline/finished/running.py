"""Running a model on records: what its outputs must be, and that running changes neither it nor the records.

The first run is made with copies of weights and inputs; what it writes into them is refused by name.
"""

import re
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from leaq.errors import InvalidInput, LeaqError, UnsupportedModel, first_rows, reason_of
from leaq.evaluation.batches import Batch, cut, leaves, mapped, move, shapes_of
from leaq.models import ModuleModel, checkpoints_of, evaluating
from leaq.models.calling import call, full_precision
from leaq.models.formats.packed import has_packed_layers
from leaq.models.roles import refuse_sparse, tensors_of
from leaq.pipeline.finished.records import Records
from leaq.types import Flag
from leaq.types.later import is_later

LARGE = 2**20
"""Numbers of a model from which on it, and what a run of it keeps, decide how much memory an audit takes."""


def is_weightless(module: nn.Module) -> bool:
    """Whether the model shows no weights that could be quantized: a black box, or one with packed integers."""
    return next(tensors_of(module), None) is None or has_packed_layers(module)


def weighs_much(module: nn.Module) -> bool:
    """Whether a model is so large that copies of it, and runs on many records at once, are avoided."""
    return sum(tensor.numel() for tensor in module.parameters()) >= LARGE


def run_first(
    model: ModuleModel, members: Records, nonmembers: Records, *, rows: int | None = None, lent: bool = False
) -> tuple[Records, Records, Tensor]:
    """Return the records in numbers the model takes, and its outputs (n, ...) on the first of them.

    Parameters
    ----------
    rows : most records it runs on; left out, the first batch.
    lent : whether the model is nobody's (read from a file for this audit) and runs without a copy of its weights.

    Numbers stay as they are if the model runs on them; else they get the type of its weights (64-bit or whole numbers
    for a 32-bit model).

    Raises
    ------
    InvalidInput
        With the model's own error, if it runs on neither; if outputs are not finite or not one row a record.
    UnsupportedModel
        If running it changes its weights or its inputs.
    """

    def first_of(records: Records) -> Batch:
        return records.batches[0] if rows is None else cut(records.batches[0], rows)[0]

    refuse_sparse(model.module)
    first = first_of(members)
    try:
        outputs = _run_copies(model, first, lent=lent)
    except LeaqError:
        raise
    except Exception as err:  # whatever the user's code raises
        dtype = next((t.dtype for t in model.module.parameters() if t.is_floating_point()), torch.float32)
        dtype = torch.float64 if dtype == torch.float64 else torch.float32
        cast = of_tensors(lambda tensor: tensor.to(dtype))
        members, nonmembers = (records.changed(inputs=cast) for records in (members, nonmembers))
        try:
            outputs = _run_copies(model, first_of(members), lent=lent)
        except LeaqError:
            raise
        except Exception as second:  # of numbers whose type was the first thing wrong, this says what else is
            numbers = (part for part in leaves(first.inputs) if isinstance(part, Tensor))
            told = second if all(part.is_floating_point() for part in numbers) else err
            parts = first.inputs if isinstance(first.inputs, tuple) else ()
            absent = (
                " Some inputs are None: a network that reads extra descriptors (V_d and X_d of chemprop's batches) "
                "needs records that hold them."
            )
            raise InvalidInput(
                f"The model must run on the records given. On the first {first.n} members ({shapes_of(first.inputs)}) "
                f"it raised {reason_of(told)}. Give inputs as its forward method takes them."
                f"{absent * any(part is None for part in parts)}"
            ) from told
    if (alike := _types_of(first_of(members))) is not None:
        members, nonmembers = (records.changed(inputs=alike) for records in (members, nonmembers))
    outputs = rows_of(outputs, first.n)
    bad = (~torch.isfinite(outputs)).reshape(first.n, -1).any(1).nonzero().flatten().tolist()
    if bad:
        raise InvalidInput(
            f"The model's outputs must be finite. They are NaN or infinite for {first_rows(bad)}, counted from 0, of "
            "the members. Look for a division by zero, a logarithm of zero or an overflow in its forward method."
        )
    return members, nonmembers, outputs


def _types_of(batch: Batch) -> Callable[[Any], Any] | None:
    """Return what gives numbers the type that the model ran on, where the batch has one type: of either file's."""
    kinds = {part.dtype for part in leaves(batch.inputs) if isinstance(part, Tensor)}
    floats = [kind for kind in kinds if kind.is_floating_point]
    if len(floats) != 1:
        return None
    return of_tensors(lambda tensor: tensor.to(floats[0]) if len(kinds) == 1 or tensor.is_floating_point() else tensor)


def _run_copies(model: ModuleModel, batch: Batch, *, lent: bool = False) -> Tensor:
    """Run a module on copies of its weights, unless these are lent, and of a batch, and see what became of them."""
    module = model.module
    given = full_precision(move(batch, device_of(module)).inputs)
    taken = mapped(given, of_tensors(torch.clone))
    held = {} if lent or is_weightless(module) else dict(checkpoints_of(module).at(0).params)
    marks = checksums_of(_writable(module)) if lent else {}
    try:
        with torch.no_grad(), evaluating(module):
            outputs = call(module, model.own | held, taken)
    except TypeError as err:
        if put := _ASSIGNED.search(str(err)):
            raise _writes(put[1]) from None
        raise
    written = [
        name for name, own in _writable(module) if name in held and not torch.equal(full_precision(own), held[name])
    ]
    if written:
        raise _writes(written[0])
    refuse_written(_writable(module), marks)
    pairs = [pair for pair in zip(leaves(given), leaves(taken), strict=True) if isinstance(pair[0], Tensor)]
    if not all(torch.equal(*pair) for pair in pairs):
        raise UnsupportedModel(
            "The model must leave its inputs as they are. Its forward method changes them in place (x -= ..., x.mul_): "
            "a second run would see others. Write x = x - ..., or begin with x = x.clone()."
        )
    return outputs


_ASSIGNED = re.compile(r"cannot assign .* as parameter '(\w+)'")
"""What torch says to ``self.bias += 1``: a parameter that is lent is no attribute to put anything into."""


def _writes(name: str) -> UnsupportedModel:
    return UnsupportedModel(
        f"The model must not change its own weights when it runs. Its forward method writes {name!r} (a copy: your "
        "model was left as it was). Do that in training alone, or keep such numbers as buffers."
    )


def _writable(module: nn.Module) -> list[tuple[str, Tensor]]:
    """Return the parameters that a forward pass should not write but could.

    Scripted programs cannot; embeddings with `max_norm` rescale theirs, which are lent as copies in every run.
    """
    if isinstance(module, torch.jit.ScriptModule):
        return []
    rescaled = {id(part.weight) for part in module.modules() if getattr(part, "max_norm", None) is not None}
    return [(name, tensor.detach()) for name, tensor in module.named_parameters() if id(tensor) not in rescaled]


def checksums_of(named: Iterable[tuple[str, Tensor]]) -> dict[str, int]:
    """Return a checksum of the bytes of every tensor, by name.

    Torch counts no write through ``.data``, a view or an array over the same memory; values tell. Weights that are
    worked out when they are needed refuse writes themselves.
    """
    found: dict[str, int] = {}
    for name, tensor in named:
        if is_later(tensor):
            continue
        flat: Any = tensor.detach().cpu().contiguous().reshape(-1)  # no copy, where they lie side by side on the CPU
        found[name] = zlib.crc32(flat.view(torch.uint8).numpy() if flat.layout == torch.strided else b"")
    return found


def refuse_written(named: Iterable[tuple[str, Tensor]], marks: Mapping[str, int]) -> None:
    """Refuse a model whose weights are others than those whose checksums were taken.

    Raises
    ------
    UnsupportedModel
        With the first that is.
    """
    now = checksums_of((name, tensor) for name, tensor in named if name in marks)
    for name, mark in marks.items():
        if now.get(name) != mark:
            raise _writes(name)


def run_plain(model: ModuleModel, batch: Batch, *, grad: bool = False) -> Tensor:
    """Return the outputs (n, ...) of the module as it is, in evaluation mode and at least 32 bits."""
    module = model.module
    inputs = full_precision(move(batch, device_of(module)).inputs)
    if grad:  # copies that ask for gradients, so that frozen models show what they compute, too
        inputs = mapped(inputs, of_tensors(lambda t: t.clone().requires_grad_() if t.is_floating_point() else t))
    with torch.set_grad_enabled(grad), evaluating(module):
        return call(module, model.own, inputs)


def run_alone(model: ModuleModel, batch: Batch, one: Batch) -> Tensor:
    """Return the outputs of the first record of a batch by itself: (1, ...), or () where it has one.

    Raises
    ------
    UnsupportedModel
        If the model runs on the batch alone, or gives no row for a record by itself.
    """
    try:
        outputs = run_plain(model, one)
        return outputs if outputs.numel() == 1 else rows_of(outputs, 1)
    except LeaqError:
        raise
    except Exception as err:  # whatever the user's code raises
        raise UnsupportedModel(
            f"A record's loss must not depend on the others in its batch. The model ran on {batch.n} records, and on "
            f"one by itself it raised {reason_of(err)}. Let batch normalisation follow eval(), and squeeze no axis of "
            "records."
        ) from err


def first_of_several(run: Callable[[], Any], module: nn.Module) -> tuple[Flag, ...]:
    """Say of which results a model returns, in a run on one record, the first alone is read."""
    seen: list[Any] = []
    if isinstance(module, torch.jit.ScriptModule):
        return ()
    hook = module.register_forward_hook(lambda _part, _args, outputs: seen.append(outputs))
    try:
        run()
    finally:
        hook.remove()
    found = seen[-1] if seen else None
    if not isinstance(found, tuple | list) or isinstance(getattr(found, "logits", None), Tensor):
        return ()
    shapes = [tuple(one.shape[1:]) for one in found if isinstance(one, Tensor) and one.ndim and len(one) == 1]
    if len(shapes) < 2:
        return ()
    text = (
        f"The model returns {len(shapes)} results a record, of shapes {', '.join(map(str, shapes[:4]))}: the first is "
        "read. If another one is meant, return that alone."
    )
    return (Flag("first-of-several", text),)


def widest(run: Callable[[], Any], module: nn.Module) -> int:
    """Return the most numbers that a part of a module gives at once in a run: what a batch takes grows with it."""
    most = [1]

    def look(_part: nn.Module, _args: Any, outputs: Any) -> None:
        most.extend(part.numel() for part in leaves(outputs) if isinstance(part, Tensor))

    parts = [part for part in module.modules() if not isinstance(part, torch.jit.ScriptModule)]  # those take no hooks
    if not parts:
        return 1
    hooks = [part.register_forward_hook(look) for part in parts]
    try:
        run()
    finally:
        for hook in hooks:
            hook.remove()
    return max(most)


def rows_of(outputs: Tensor, n: int) -> Tensor:
    """Return outputs that have one row for each of n records.

    Raises
    ------
    InvalidInput
        If they have not.
    """
    if outputs.ndim == 0 or len(outputs) != n:
        raise InvalidInput(
            f"The model must return one row of outputs a record. For {n} records it returned shape "
            f"{tuple(outputs.shape)}. Put records first (transpose), and average or drop none of them."
        )
    return outputs


def device_of(module: nn.Module) -> torch.device:
    """Return where a module lies."""
    return next((tensor.device for tensor in module.parameters()), torch.device("cpu"))


def of_tensors(change: Callable[[Tensor], Tensor]) -> Callable[[Any], Any]:
    """Return what changes tensors and leaves everything else as it is, for `mapped`."""
    return lambda value: change(value) if isinstance(value, Tensor) else value


def head(inputs: Any) -> Any:
    """Return the inputs of the first record."""
    return mapped(inputs, of_tensors(lambda tensor: tensor[:1]))


def each(inputs: Any) -> Iterator[Any]:
    """Yield the inputs of one record after the other."""
    if isinstance(inputs, Mapping):
        columns = [list(each(value)) for value in inputs.values()]
        yield from (dict(zip(inputs, row, strict=True)) for row in zip(*columns, strict=True))
    elif isinstance(inputs, tuple):
        yield from zip(*(list(each(value)) for value in inputs), strict=True)
    else:
        yield from (inputs[i : i + 1] for i in range(len(inputs)))
