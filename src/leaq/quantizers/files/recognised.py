"""Which quantizer made a shipped file: the one that gives its weights bit for bit from the original's.

Named in an audit that trains shadow models, it quantizes them as the file was: the adaptive attack on a shipped format.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType

import torch
from torch import Tensor, nn

from leaq.errors import LeaqError
from leaq.models import checkpoints_of
from leaq.models.formats.placing import Folded
from leaq.models.roles import tensors_of
from leaq.quantizers.applying import quantized
from leaq.quantizers.backends.gguf import Gguf
from leaq.quantizers.backends.k_quants import K_TYPES
from leaq.quantizers.files.makers import named_by, schemes_of
from leaq.quantizers.mixed_precision import spelled
from leaq.quantizers.observing import Ranges
from leaq.quantizers.registry import build, name_of
from leaq.quantizers.scheme import Scheme, quantizable
from leaq.types import Activations, Checkpoints, Flag

MOST_ACTIVATIONS = 16
"""Bits up to which quantizers round activations."""
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
    calibrated : whether the codes were chosen on records that the file does not hold, so that the quantizer is the one
        of its kind, and gives other codes.
    ranges : how the producer of this form observes static ranges of activations.
    activations : how the file rounds activations when it runs, and so the quantizer does; None for none.
    """

    spec: str
    share: float = 1.0
    again: bool = False
    calibrated: bool = False
    ranges: Ranges = "minmax"
    activations: Activations | None = None

    def with_activations(self, how: Activations | None) -> "Recipe":
        """Return the recipe of a file that also rounds activations when it runs; static ranges are to be observed."""
        if how is None or not 2 <= how.bits <= MOST_ACTIVATIONS:
            return self
        static = {"ranges": self.ranges, "outputs": how.outputs} if how.static else {}
        options = {"activations": how.bits, "zero_point": how.zero_point, **static}
        return replace(self, spec=build(self.spec).model_copy(update=options).spec(), activations=how)

    @property
    def doubt(self) -> str:
        """What is less than certain, to stand behind the specification."""
        if self.share == 1:
            return ""
        if self.again and self.share < ALIKE:
            return " by what the file says of itself"
        why = "which rounding once more moves" if self.again else "as of another build of the same encoder"
        return f" but for {1 - self.share:.2%}, {why}"


_OBSERVED: Mapping[str, Ranges] = {"OpenVINO": "mean", "LiteRT": "moving"}
"""How NNCF and AI Edge Quantizer observe ranges by default; onnxruntime takes the extremes."""
_CHOSEN = re.compile(r"(GPTQ|AWQ) (?P<bits>\d)-bit(, groups of (?P<group>\d+))?(, inputs reordered)?(, symmetric)?$")
"""Forms in which producers write codes that they chose on calibration records."""


def recipe_of(
    read: nn.Module,
    original: nn.Module | None,
    stored: Mapping[str, str],
    folded: Mapping[str, Folded] = MappingProxyType({}),
) -> Recipe | None:
    """Return the quantizer that gives every weight read from a file, layers that go another way included.

    Parameters
    ----------
    read : the original's layers with the weights of the file.
    original : None where there is none; a quantizer that leaves the file's weights as they are is then taken.
    stored : the form in which each quantized weight is stored, by name; floating-point numbers have none.
    folded : weights that were quantized with the batch normalisation after their layer in them.

    Returns
    -------
    None if none of the known quantizers made it, or nothing was quantized. Of codes that were chosen on records (GPTQ,
    AWQ) the quantizer of that kind, marked `calibrated`.
    """
    source = read if original is None else original
    weights = {name: tensor.detach().cpu() for name, tensor, _ in tensors_of(read) if tensor.ndim > 1}
    released = checkpoints_of(source, copied=False)
    if folded:
        weights |= {name: one.value for name, one in folded.items()}
        params = {name: released.params[name] * one.factor for name, one in folded.items()}
        released = replace(released, params={**released.params, **params})
    return _Maker(released, weights, stored, again=original is None).recipe()


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
        found = [self._completed(scheme) for scheme in schemes_of(main) if self._fits(scheme, first)]
        whole = [recipe for recipe in found if recipe is not None]
        told = name_of(named_by(main)) if self.again else ""  # chance may leave a file as it is under other rules
        best = min(whole, key=lambda one: (name_of(one.spec) != told != "", one.share < 1, len(one.spec)), default=None)
        recipe = best or self._calibrated(main)
        if recipe is None:
            return None
        chosen = recipe.calibrated or build(recipe.spec).needs.calibration
        return replace(recipe, calibrated=chosen, ranges=_OBSERVED.get(main.partition(" ")[0], "minmax"))

    def _calibrated(self, main: str) -> Recipe | None:
        """Return the quantizer of a form whose codes are chosen on records, where the other weights' ways are known."""
        if (match := _CHOSEN.match(main)) is None:
            return None
        group = f", per=group, group={match['group']}" if match["group"] else ""
        scheme = build(f"gptq(bits={match['bits']}{group}{'' if main.endswith('symmetric') else ', symmetric=False'})")
        plan, others = scheme.plan(self.released), {}
        for name in self.found:
            if self.stored.get(name) == main and name in plan:
                continue
            ways: list[Scheme | None] = [None, *schemes_of(self.stored.get(name, ""))]
            found = [way for way in ways if self._fits(way, name)]
            if not found:
                return None
            others[name] = "full" if found[0] is None else found[0].spec()
        others = {name: way for name, way in others.items() if way != "full" or name in plan}
        return Recipe(self._named(scheme, others).spec(), again=self.again, calibrated=True)

    def _completed(self, scheme: Scheme) -> Recipe | None:
        """Return a quantizer with the ways of the weights that it does not give; None if nothing gives one of them."""
        plan, others = scheme.plan(self.released), {}
        equal, exact = 0.0, True
        for name, tensor in self.found.items():
            share = self._share(plan.get(name), name)
            if share < self._least(plan.get(name), name):
                ways: list[Scheme | None] = [None, *schemes_of(self.stored.get(name, ""))]
                fitting = [way for way in ways if self._fits(way, name)]
                way = max(fitting, key=lambda way: self._share(way, name), default=scheme)
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
        return self._share(way, name) >= self._least(way, name)

    def _least(self, way: Scheme | None, name: str) -> float:
        """Return the share of a weight's numbers that must come out, if a way made it.

        Where the file alone is there, rounding it once more may move all: what it says of itself is then taken.
        """
        if self.again and way is not None and way.spec() == named_by(self.stored.get(name, "")):
            return 0.0 if self.released.roles[name] in way.roles else 1.0
        if not isinstance(way, Gguf):
            return 1.0
        return ALIKE if way.type in K_TYPES else 1.0

    def _share(self, way: Scheme | None, name: str) -> float:
        """Return the share of a weight's numbers that a way gives bit for bit."""
        form, tensor = self.stored.get(name, ""), self.found[name]
        if way is None:
            return float(not form and self._kept(name))
        if way.needs.calibration:  # on records that the file does not hold
            return 0.0
        one = Checkpoints({name: self.released.params[name]}, {name: self.released.roles[name]}, (1,))
        try:
            given = quantized(way.plan(one)[name], one).params[name][0]
        except (LeaqError, KeyError):  # not for weights of this kind or shape
            return 0.0
        return float((given.to(tensor.dtype).cpu() == tensor).double().mean())


def recipe_flag(recipe: Recipe) -> Flag:
    """Say which quantizer made a file, and what that is good for."""
    if recipe.calibrated:
        text = (
            "The codes of this file were chosen on calibration records that it does not hold, so that no quantizer "
            f"gives them again. {recipe.spec} is the nearest of its kind: named as a quantizer of leaq audit, it "
            "quantizes shadow models alike, calibrated on their own members or, with calibrated=elsewhere, on the "
            "records that public names."
        )
        return Flag("recipe-calibrated", text)
    text = (
        f"The weights of this file are {recipe.spec} of the original's, bit for bit{recipe.doubt}: named as a "
        "quantizer of leaq audit, it quantizes shadow models as this file was."
    )
    if recipe.activations is not None:
        text += f" Activations are rounded to {recipe.activations.bits} bits in both, " + (
            "by static ranges: in shadow models those observed on calibration records."
            if recipe.activations.static
            else "by the range of what comes, which is one record where each is run alone."
        )
    return Flag("recipe", text)
