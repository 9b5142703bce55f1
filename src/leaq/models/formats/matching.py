"""Which weight of a file belongs to which of the original's parameters, and the original filled with them."""

import copy
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor, nn

from leaq.errors import InvalidInput, some
from leaq.models.calling import exchange
from leaq.models.formats.reading import FileWeights
from leaq.models.formats.weight import LazyWeight, misshapen, nearest_reading, uneven
from leaq.models.later import Later
from leaq.models.roles import shared_names, tensors_of
from leaq.types import Flag
from leaq.types.later import is_later

MOST_PREFIXES = 64
ADAPTER = re.compile(r"lora_|ia3_|loha_|hada_|lokr_|oft_|vera_|boft_|prompt_embeddings|adapter")
"""What the names of an adapter's tensors hold."""
WRAPPERS = frozenset({"_orig_mod", "module", "_fsdp_wrapped_module", "_checkpoint_wrapped_module"})
"""Names that torch.compile, data parallelism and sharding put into the names of weights."""


@dataclass(frozen=True)
class Filled:
    """A copy of the original with a file's weights, the form in which each quantized one was stored, and doubts."""

    module: nn.Module
    stored: Mapping[str, str]
    flags: tuple[Flag, ...]


def matched(names: Iterable[str], original: nn.Module) -> dict[str, str]:
    """Return the file's name of each of the original's parameters, as far as there is one.

    Prefixes that wrappers and frameworks add ("module.", "_orig_mod.", "model.") or leave out are seen through: the one
    under which most parameters are found counts.

    Examples
    --------
    >>> matched(["model.0.weight", "model.0.bias"], nn.Sequential(nn.Linear(2, 2)))
    {'0.weight': 'model.0.weight', '0.bias': 'model.0.bias'}
    """
    own = _names(original)
    given_names = set(names)
    straight = {name: [alias for alias in aliases if alias in given_names] for name, aliases in own.items()}
    if all(straight.values()):
        return {name: aliases[0] for name, aliases in straight.items()}
    plain = {_unwrapped(name): name for name in given_names}
    tails = {_unwrapped(alias): name for name, aliases in own.items() for alias in aliases}
    best: dict[str, str] = {}
    for prefix in sorted(_prefixes(plain, tails), key=lambda text: (len(text), text)):
        found: dict[str, str] = {}
        for wanted, name in tails.items():
            given = wanted.removeprefix(prefix[1:]) if prefix.startswith("-") else prefix + wanted
            if given in plain:
                found.setdefault(name, plain[given])
        if len(found) > len(best):
            best = found
    return {name: best[name] for name in own if name in best}


def _prefixes(plain: Iterable[str], tails: Iterable[str]) -> set[str]:
    """Return the prefixes by which names of the file are longer than the original's; "-" marks shorter ones."""
    found = {""}
    for given in plain:
        for wanted in tails:
            if given.endswith(f".{wanted}"):
                found.add(given[: -len(wanted)])
            elif wanted.endswith(f".{given}"):
                found.add("-" + wanted[: -len(given)])
        if len(found) > MOST_PREFIXES:
            break
    return found


def _names(original: nn.Module) -> dict[str, list[str]]:
    """Return every name of each parameter: its own, those of tied ones, those of layers under two names."""
    places: dict[int, list[str]] = {}
    every = (*original.named_parameters(remove_duplicate=False), *original.named_buffers(remove_duplicate=False))
    for name, tensor in every:
        places.setdefault(id(tensor), []).append(name)
    return {name: list(dict.fromkeys([name, *places.get(id(tensor), [])])) for name, tensor, _ in tensors_of(original)}


def _unwrapped(name: str) -> str:
    return ".".join(part for part in name.split(".") if part not in WRAPPERS)


def fill(
    reading: FileWeights,
    original: nn.Module,
    *,
    subject: str,
    compare: bool = True,
    copied: bool = True,
    mapped: bool = False,
) -> Filled:
    """Return a copy of the original in 32 bits with the weights of a file, each compared with the original's.

    Names and shapes are compared first, by the file's header: nothing is read of a file that does not fit.

    Parameters
    ----------
    compare : False where the module is no original but an architecture without its weights; conventions are then as
        the file names them.
    copied : False fills the module itself, so that a large one is not in memory twice.
    mapped : leave weights of two axes and more in the file: each is read, or decoded, by every operation that needs it.

    Raises
    ------
    InvalidInput
        If weights are missing, of other shapes, or not near the original's; the message names the first.
    """
    weights, found = reading.weights, fitting(reading, original, subject=subject)
    own = {name: tensor for name, tensor, _ in tensors_of(original)}
    module = (copy.deepcopy(original) if copied else original).float().eval()
    places = {name: tensor for name, tensor, _ in tensors_of(module)}
    stored: dict[str, str] = {}
    decided, scaled, doubted, unchanged = [], [], [], True
    for name, tensor in own.items():
        lazy, left = weights[found[name]], mapped and _is_weight(tensor)
        if left and (there := lazy.mapped()) is not None:
            exchange(module, name, Later(tuple(tensor.shape), partial(_same, there)))
            continue
        first = lazy()
        weight, by_input = nearest_reading(
            first, tensor if compare else None, name=name, subject=subject, shape=tensor.shape
        )
        unchanged = unchanged and compare and torch.equal(weight.value, tensor.detach().cpu().to(weight.value.dtype))
        decided += [name] if weight.convention != first.convention else []
        scaled += [name] if by_input else []
        doubted += [name] if compare and not by_input and uneven(weight, tensor) else []
        if weight.form and weight.value.ndim > 1:
            stored[name] = weight.form
        if left:
            exchange(module, name, Later(tuple(tensor.shape), _reading(lazy, weight.convention, tensor.shape)))
        elif tensor.is_meta or is_later(tensor):
            exchange(module, name, weight.value)
        else:
            with torch.no_grad():
                places[name].copy_(weight.value)
        del first, weight  # before the next is read: one may be a large part of memory
    _refuse_empty(module, subject)
    doubts = (*_warnings(subject, decided, scaled, unchanged=unchanged), *_uneven(subject, doubted))
    return Filled(module, stored, (*doubts, *_further(subject, found, weights, original)))


def fitting(reading: FileWeights, original: nn.Module, *, subject: str) -> dict[str, str]:
    """Return the file's name of each of the original's parameters, once names and shapes were compared.

    Raises
    ------
    InvalidInput
        If weights are missing or of other shapes, as far as the file's header says; the message names the first.
    """
    found = matched(reading.weights, original)
    refuse_others(found, reading.weights, original, subject=subject, kind=reading.kind)
    for name, tensor, _ in tensors_of(original):
        shapes = reading.weights[found[name]].shapes
        if shapes and tuple(tensor.shape) not in shapes:
            raise misshapen(shapes[:1], tensor.shape, name=name, subject=subject)
    return found


def _same(tensor: Tensor) -> Tensor:
    return tensor


def _is_weight(tensor: Tensor) -> bool:
    return isinstance(tensor, nn.Parameter) and tensor.ndim > 1 and not tensor.is_complex()


def _reading(lazy: LazyWeight, convention: str, shape: torch.Size) -> Callable[[], Tensor]:
    """Return what reads a weight again by the convention that was found."""
    return lambda: next(one.value for one in lazy().readings() if one.convention == convention).reshape(shape)


def _refuse_empty(module: nn.Module, subject: str) -> None:
    """Refuse what a network of the meta device lacks and no file holds; counters begin at 0."""
    for owner in module.modules():
        for name, buffer in owner._buffers.items():
            if buffer is not None and buffer.is_meta:
                if name != "num_batches_tracked":
                    raise InvalidInput(
                        f"{subject}: the buffer {name!r} of a {type(owner).__name__} has no values, since the network "
                        "was built on the meta device and the file does not hold it. Build the network on the CPU."
                    )
                owner._buffers[name] = torch.zeros_like(buffer, device="cpu")


def _warnings(subject: str, decided: list[str], scaled: list[str], *, unchanged: bool) -> Iterable[Flag]:
    if unchanged:
        yield Flag("not-quantized", f"The weights of {subject} equal the original's: nothing was quantized.")
    if decided:
        text = (
            f"{subject}: {len(decided)} weights ({some(decided, 2)}) are nearer to "
            "the original by another convention than the one their file names; they are read by it."
        )
        yield Flag("convention-decided", text)
    if scaled:
        text = (
            f"{subject}: {len(scaled)} weights ({some(scaled, 2)}) carry a factor "
            "for each input that another layer takes back (AWQ, SmoothQuant); that it does was not checked."
        )
        yield Flag("rescaled-inputs", text)


def _uneven(subject: str, doubted: list[str]) -> tuple[Flag, ...]:
    if not doubted:
        return ()
    text = (
        f"{subject}: errors of {len(doubted)} weights ({some(doubted, 2)}) grow with their codes, as if scales "
        "belonged to other inputs (a missing g_idx, another group size): this row may be wrong."
    )
    return (Flag("uneven-scales", text),)


def refuse_others(
    found: Mapping[str, str], weights: Mapping[str, LazyWeight], original: nn.Module, *, subject: str, kind: str
) -> None:
    """Refuse files that lack weights of the original, or hold some that it does not have."""
    own = [name for name, _, _ in tensors_of(original)]
    allowed = _allowed(found, original)
    missing = [name for name in own if name not in found]
    surplus = [name for name in _unplaced(weights, allowed) if not _is_inner(name, allowed)]
    problems = [f"{word}: {some(names)}" for word, names in (("missing", missing), ("unexpected", surplus)) if names]
    if not problems:
        return
    if surplus and all(ADAPTER.search(name) for name in weights):
        raise InvalidInput(
            f"{subject}: a shipped model must be whole. Found an adapter (LoRA or its kin) without its base. Merge it "
            "into the base (merge_and_unload) and save that, or give the running model."
        )
    if any(ADAPTER.search(name) for name in surplus):
        raise InvalidInput(
            f"{subject}: a shipped model must be whole. Found an adapter (LoRA or its kin) that is not merged into its "
            "base. Merge it (merge_and_unload) and save that, or give the running model."
        )
    copies = {name[: -len(tail)] for name in weights for tail in own if name.endswith(f".{tail}")}
    if not missing and any(_is_inner(name, own) for name in surplus):
        raise InvalidInput(
            f"{subject}: a file must hold one model. Found copies of its weights under "
            f"{', '.join(sorted(copies)[:4])}. Save the one that is released, without the others."
        )
    if not missing and not (surplus := _within(surplus, found)):
        return
    raise InvalidInput(
        f"{subject}: the weights must belong to the same architecture as the model. Found "
        f"{f'{kind}; ' * (kind != 'safetensors')}{'; '.join(problems)}. {_way_out(surplus)}"
    )


def _within(surplus: list[str], found: Mapping[str, str]) -> list[str]:
    """Return the names that stand under the prefix of the network's own ("model."), where all of these have one.

    What stands beside it is the training's: a criterion's weights, an optimizer's state, counters of an average.
    """
    prefixes = {given.removesuffix(name) if given.endswith(name) else "" for name, given in found.items()}
    prefix = prefixes.pop() if len(prefixes) == 1 else ""
    return [name for name in surplus if name.startswith(prefix)]


def _allowed(found: Mapping[str, str], original: nn.Module) -> set[str]:
    """Return the file's names of what the original has: its weights, names of tied ones, counters."""
    counters = {name for name, tensor in original.named_buffers() if not tensor.is_floating_point()}
    return {*found.values(), *shared_names(original), *counters}


def _unplaced(weights: Iterable[str], allowed: Iterable[str]) -> list[str]:
    known = set(allowed)
    return [name for name in weights if name not in known and _unwrapped(name) not in known]


def _is_inner(name: str, known: Iterable[str]) -> bool:
    """Whether a name is a known one inside something else: "ema.0.weight" of "0.weight"."""
    return any(name.endswith(f".{one}") for one in known)


def _further(
    subject: str, found: Mapping[str, str], weights: Mapping[str, LazyWeight], original: nn.Module
) -> Iterable[Flag]:
    """Say what else a file holds: averages or copies of the weights that were saved with them."""
    tied = {f".{second}" for second in shared_names(original)}
    further = [name for name in _unplaced(weights, _allowed(found, original)) if not name.endswith(tuple(tied))]
    if further:
        text = (
            f"{subject} holds {len(further)} tensors that are not the model's ({some(further, 2)}), "
            "perhaps an average, a copy of its weights or what its training kept: they were not audited, and its size "
            "counts them."
        )
        yield Flag("further-weights", text)


def _way_out(surplus: list[str]) -> str:
    parts = sorted({name.rpartition(".")[2] for name in surplus if name.rpartition(".")[2] not in ("weight", "bias")})
    if parts:
        return f"Parts named {some(parts, 4)} belong to no layout that is read: give the running model instead."
    return "Build the model with the options it was trained with."
