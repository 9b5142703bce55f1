"""What is said of a quantizer: its label, its description, and the doubts its numbers carry."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from leaq.errors import InvalidInput, some
from leaq.quantizers.mixed_precision import others_of
from leaq.types import Checkpoints, Flag

if TYPE_CHECKING:
    from leaq.quantizers.scheme import Scheme

ASIDE = "records set aside that train no model"
"""Whose records calibrate a quantizer with ``calibrated=elsewhere`` in an audit."""
STOPPED = (
    "Released after {share:.0%} of training: r compares the checkpoints up to there, fewer than in rows of full "
    "training."
)
REFITTED = {
    "last": "the scale and bias of each output are",
    "layers": "layer after layer, one scale an output channel and the biases are",
    "outputs": "one scale an output channel and the biases of all layers are",
}
STATIC = " by static ranges"
SPANS = {
    "record": "{bits} bits, record by record",
    "minmax": "{bits} bits, in the range of all calibration records",
    "mean": "{bits} bits, in the mean of the ranges of the calibration records",
    "moving": "{bits} bits, in the moving average of the ranges of the calibration records",
}
LEVELS = {
    "sign": "lie around 0, and from 0 up where nothing is negative",
    "free": "go from the lowest to the highest number",
}
PARAMETRISED = (
    " Weights that a parametrisation computes (weight_norm) are released once they are baked in: "
    "torch.nn.utils.parametrize.remove_parametrizations(layer, 'weight')."
)
ENDS = {"int8": "is rounded to 8 bits per channel", "full": "stays in full precision"}


def nothing_left(scheme: "Scheme", checkpoints: Checkpoints, weights: Sequence[str]) -> InvalidInput:
    """Return why a quantizer has nothing to quantize in a model, with the way out."""
    text = (
        f"{scheme.spec()}: the model must have a {', '.join(sorted(scheme.roles))} weight to quantize. Found "
        f"{len(weights)} weights in all, none left after first={scheme.first}, last={scheme.last}."
    )
    axes = len(checkpoints.batch) + 2
    bare = [
        name for name, role in checkpoints.roles.items() if role == "other" and checkpoints.params[name].ndim >= axes
    ]
    if any(".parametrizations." in name for name in checkpoints.roles):
        text += PARAMETRISED
    elif bare and not weights:
        text += (
            f" {some(bare)}, of no layer that is known, are left as they are: put each into an nn.Linear or the like."
        )
    return InvalidInput(text)


def warnings_of(scheme: "Scheme", source: str) -> tuple[Flag, ...]:
    """Return the doubts that numbers measured under a quantizer carry, calibrated on the records of `source`."""
    early = (Flag("stopped-early", STOPPED.format(share=scheme.stop)),) if scheme.stop < 1 else ()
    if not scheme.needs.calibration:
        return early
    if source == "members" and scheme.calibrated == "elsewhere":
        source = ASIDE
    if source != "members":
        text = (
            f"Calibrated on {source}, not on each model's own training records: what calibrating on members would "
            "leak is not in these numbers."
        )
        return (*early, Flag("calibrated-elsewhere", text))
    text = (
        "Calibrated on members: the quantizer saw each model's own training records, a second way to leak them "
        "(every shadow model is calibrated on its own)."
    )
    return (*early, Flag("calibrated-on-members", text))


def label_of(scheme: "Scheme") -> str:
    """Return a quantizer's title and what its options change."""
    parts = [scheme.title()]
    for where, choice in (("first", scheme.first), ("last", scheme.last)):
        parts += [] if choice == "same" else [f"{where} layer {'8-bit' if choice == 'int8' else 'full'}"]
    parts += [] if scheme.at_default("bias") else [f"bias {scheme.bias}"]
    parts += [f"{scheme.activations}-bit activations{STATIC if scheme.ranges != 'record' else ''}"] * bool(
        scheme.activations
    )
    parts += {"off": [], "last": ["last layer refitted"], "layers": ["layers refitted"]}.get(scheme.refit, ["refitted"])
    parts += [] if scheme.at_default("calibrated") else ["calibrated elsewhere"]
    parts += [] if scheme.stop == 1 else [f"stopped at {scheme.stop:.0%}"]
    parts += [f"mean of the last {scheme.average:.0%}"] if scheme.average else []
    parts += [] if scheme.at_default("others") else [others_label(scheme.others)]
    return ", ".join(parts)


def others_label(text: str) -> str:
    """Name the ways that others go, each once."""
    ways = dict.fromkeys("full" if other is None else other.title() for _, other in others_of(text))
    return f"others {', '.join(ways)}"


def described(scheme: "Scheme") -> str:
    """Say in sentences what is quantized, and how."""
    sentences = [scheme.explain()]
    for where, choice in (("first", scheme.first), ("last", scheme.last)):
        sentences += [] if choice == "same" else [f"The {where} layer {ENDS[choice]}."]
    if scheme.bias == "corrected":
        sentences.append("Biases are shifted so that each output keeps its mean over the calibration records.")
    elif scheme.bias != "full":
        sentences.append(f"Biases become {scheme.bias}.")
    if scheme.activations:
        span = SPANS[scheme.ranges].format(bits=scheme.activations)
        what = {"none": "is", "last": "and the network's outputs are", "all": "and what it gives are"}[scheme.outputs]
        sentences.append(f"Each layer's input {what} rounded to {span}.")
        sentences += [f"Levels {LEVELS[scheme.zero_point]}."] if scheme.zero_point != "middle" else []
    if scheme.refit != "off":
        said = f"Then {REFITTED[scheme.refit]} refitted to imitate full precision on the calibration records"
        sentences.append(f"{said}, codes unchanged.")
    if scheme.calibrated == "elsewhere":
        sentences.append("The calibration records train no model.")
    for pattern, other in others_of(scheme.others):
        sentences.append(f"{pattern} {'stays in full precision' if other is None else f'goes through {other.spec()}'}.")
    if scheme.stop < 1:
        sentences.append(f"Training stops after {scheme.stop:.0%} of its steps.")
    if scheme.average:
        sentences.append(f"The weights are the mean of those recorded in the last {scheme.average:.0%} of it.")
    return " ".join(sentences)
