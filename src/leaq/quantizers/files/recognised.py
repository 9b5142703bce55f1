"""Which quantizer made a shipped file: the one that gives its weights bit for bit from the original's.

Named in an audit that trains shadow models, it quantizes them as the file was: the adaptive attack on a shipped format.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from leaq.errors import LeaqError, installed
from leaq.models import checkpoints_of
from leaq.models.roles import tensors_of
from leaq.quantizers.applying import quantized
from leaq.quantizers.backends.gguf import Gguf
from leaq.quantizers.backends.k_quants import K_TYPES
from leaq.quantizers.others import spelled
from leaq.quantizers.registry import build
from leaq.quantizers.scheme import Scheme, quantizable
from leaq.types import Checkpoints, Flag

__all__ = ["Recipe", "recipe_flag", "recipe_of"]

GROUPS = (128, 32, 64)
HALVES = ("float16", "bfloat16")
ALIKE = 0.9
"""Share of a k-quant's weights that must come out.

Builds of ggml that fuse operations differ in 1 % of blocks; rounding once more moves 0 to 2 % of numbers, of Q3_K
more.
"""


@dataclass(frozen=True)
class Recipe:
    """A quantizer that gives a file's weights from the original's.

    Attributes
    ----------
    spec : its specification.
    share : of the weights that come out bit for bit.
    again : whether there was no original, so that the file's own weights went through it once more.
    """

    spec: str
    share: float = 1.0
    again: bool = False

    @property
    def doubt(self) -> str:
        """What is less than certain, to stand behind the specification."""
        if self.share == 1:
            return ""
        why = "which rounding once more moves" if self.again else "as of another build of the same encoder"
        return f" but for {1 - self.share:.2%}, {why}"


def _candidates(form: str) -> Iterator[str]:
    """Yield the specifications that may have made weights of a form, the commonest first."""
    family, _, rest = form.partition(" ")
    if family == "GGUF":
        yield f"gguf(type={rest})"
        yield from (f"gguf(type={rest}, through={half})" for half in HALVES)
    elif family == "compressed-tensors":
        bits = rest.partition("-")[0]
        for more in ("", ", symmetric=False"):
            yield from (f"compressed_tensors(bits={bits}, group={group}{more})" for group in GROUPS)
            yield f"compressed_tensors(bits={bits}, per=channel{more})"
    elif family == "ONNX":
        yield from ("uniform(bits=8, per=tensor)", "uniform(bits=8)", "uniform(bits=8, per=tensor, symmetric=False)")
    elif family == "bitsandbytes":
        yield {"NF4": "bitsandbytes.nf4", "FP4": "bitsandbytes.fp4"}.get(rest, "bitsandbytes.int8")
    elif family == "torchao":
        yield from ("torchao.int8_weight_only", "torchao.float8_weight_only(format=e4m3)")
    elif family == "int8":
        yield from (
            "compressed_tensors(bits=8, per=channel)",
            "compressed_tensors(bits=8, per=channel, symmetric=False)",
        )
    elif not form:
        yield from HALVES


def recipe_of(read: nn.Module, original: nn.Module | None, stored: Mapping[str, str]) -> Recipe | None:
    """Return the quantizer that gives every weight read from a file, layers that go another way included.

    Parameters
    ----------
    read : the original's layers with the weights of the file.
    original : None where there is none; a quantizer that leaves the file's weights as they are is then taken.
    stored : the form in which each quantized weight is stored, by name; floating-point numbers have none.

    Returns
    -------
    None if none of the known quantizers made it, or nothing was quantized.
    """
    source = read if original is None else original
    maker = _Maker(checkpoints_of(source), _weights(read), stored, again=original is None)
    return maker.recipe()


def _weights(module: nn.Module) -> dict[str, Tensor]:
    return {name: tensor.detach().cpu() for name, tensor, _ in tensors_of(module) if tensor.ndim > 1}


@dataclass(frozen=True)
class _Maker:
    """What may have made weights, `found` by name, from `released` ones."""

    released: Checkpoints
    found: Mapping[str, Tensor]
    stored: Mapping[str, str]
    again: bool

    def recipe(self) -> Recipe | None:
        """Return the quantizer of the form most numbers are stored in, with what the other weights go through."""
        changed = [name for name in self.found if self.stored.get(name) or not self._kept(name)]
        if not changed or any(name not in self.released.params for name in self.found):
            return None
        sizes: dict[str, int] = {}
        for name in changed:
            form = self.stored.get(name, "")
            sizes[form] = sizes.get(form, 0) + self.found[name].numel()
        main = max(sizes, key=lambda form: sizes[form])
        first = next(name for name in changed if self.stored.get(name, "") == main)
        found = [self._completed(scheme) for scheme in _schemes(main) if self._fits(scheme, first)]
        return min((recipe for recipe in found if recipe is not None), key=lambda one: len(one.spec), default=None)

    def _completed(self, scheme: Scheme) -> Recipe | None:
        """Return a quantizer with the ways of the weights that it does not give; None if nothing gives one of them."""
        plan, others = scheme.plan(self.released), {}
        equal, exact = 0.0, True
        for name, tensor in self.found.items():
            share = self._share(plan.get(name), name)
            if share < _least(plan.get(name)):
                ways: list[Scheme | None] = [None, *_schemes(self.stored.get(name, ""))]
                way = next((way for way in ways if self._fits(way, name)), scheme)
                if way is scheme:
                    return None
                others[name] = "full" if way is None else way.spec()
                share = self._share(way, name)
            equal, exact = equal + share * tensor.numel(), exact and share == 1
        share = 1.0 if exact else equal / sum(tensor.numel() for tensor in self.found.values())
        return Recipe(self._named(scheme, others).spec(), share, self.again)

    def _named(self, scheme: Scheme, others: Mapping[str, str]) -> Scheme:
        """Return a quantizer with its exceptions, those of the ends by their own options."""
        weights = quantizable(self.released)
        ends = {"first": weights[0], "last": weights[-1]}
        at_ends = {end: "full" for end, name in ends.items() if others.get(name) == "full"}
        rest = {name: way for name, way in others.items() if name not in {ends[end] for end in at_ends}}
        return scheme.model_copy(update={**at_ends, "others": spelled(rest)})

    def _kept(self, name: str) -> bool:
        return torch.equal(self.released.params[name][0].cpu().to(self.found[name].dtype), self.found[name])

    def _fits(self, way: Scheme | None, name: str) -> bool:
        return self._share(way, name) >= _least(way)

    def _share(self, way: Scheme | None, name: str) -> float:
        """Return the share of a weight's numbers that a way gives bit for bit."""
        form, tensor = self.stored.get(name, ""), self.found[name]
        if way is None:
            return float(not form and self._kept(name))
        one = Checkpoints({name: self.released.params[name]}, {name: self.released.roles[name]}, (1,))
        try:
            given = quantized(way.plan(one)[name], one).params[name][0]
        except (LeaqError, KeyError):  # not for weights of this kind or shape
            return 0.0
        return float((given.to(tensor.dtype).cpu() == tensor).double().mean())


def _schemes(form: str) -> Iterator[Scheme]:
    """Yield the quantizers that may have made weights of a form, as far as they run here."""
    for spec in _candidates(form):
        try:
            scheme = build(spec)
        except LeaqError:  # a form that is not encoded here
            continue
        if installed(scheme.needs.extra):
            yield scheme


def _least(way: Scheme | None) -> float:
    return ALIKE if isinstance(way, Gguf) and way.type in K_TYPES else 1.0


def recipe_flag(recipe: Recipe) -> Flag:
    """Say which quantizer made a file, and what that is good for."""
    text = (
        f"The weights of this file are {recipe.spec} of the original's, bit for bit{recipe.doubt}: named as a "
        "quantizer of leaq audit, it quantizes shadow models as this file was."
    )
    return Flag("recipe", text)
