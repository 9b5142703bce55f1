"""Names of quantizers and of families of them."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from leaq.config import Registry, split_specs
from leaq.errors import InvalidInput, installed

if TYPE_CHECKING:
    from leaq.quantizers.scheme import Scheme

QUANTIZERS: "Registry[Scheme]" = Registry("quantizer", "leaq.quantizers", "leaq.quantizers.backends")
"""Each quantizer is a file in a folder of this room, `backends` for those of libraries, and found there."""
QUANTIZERS.alias(
    binary="sign", int8="uniform(bits=8)", int4="uniform(bits=4)", int3="uniform(bits=3)", int2="uniform(bits=2)",
    fp16="float16", bf16="bfloat16", fp8="float8(format=e4m3)", identity="none",
)  # fmt: skip

_STUDY = (
    "sign",
    *(f"ternary(sparsity={s})" for s in (0.33, 0.5, 0.75, 0.9)),
    *(f"uniform(bits={b})" for b in (2, 3, 4)),
)
_SHIPPED = (
    *("float16", "bfloat16", "float8(format=e4m3)"),
    *("uniform(bits=8)", "uniform(bits=4, per=group)", "uniform(bits=4, per=group, group=128)"),
    *("nf4", "fp4", "gptq(bits=4)"),
)
_SHIPPED_LIBRARIES = ("torchao.int8_weight_only", "torchao.intx_weight_only(bits=4)", "bitsandbytes.nf4")
_OTHERS = (
    *("twn", "sign(per=channel)", "uniform(bits=4, scale=mse)", "power_of_two(bits=4)", "kmeans(bits=4)"),
    *("stochastic(bits=4)", "dithered(bits=4)", "adaround(bits=4)", "bias_correction(bits=4)", "equalised(bits=4)"),
    *("uniform(bits=4, last=int8)", "uniform(bits=8, activations=8)", "float8(format=e5m2)"),
    *("pruned(sparsity=0.9)", "gaussian(sd=0.5)", "sparse_refit(sparsity=0.9)", "distilled"),
)
_PROTECT = (
    *(
        f"sparse_refit(sparsity={sparsity}, calibrated=elsewhere{stop})"
        for stop in ("", ", stop=0.25")
        for sparsity in (0.7, 0.8, 0.85, 0.9, 0.95)
    ),
    *(f"ternary(sparsity={s}, refit=outputs, calibrated=elsewhere)" for s in (0.8, 0.9, 0.95)),
    *("sign", "uniform(bits=2)", "uniform(bits=3)", "sign(stop=0.1)", "uniform(bits=2, stop=0.1)"),
    *("none(stop=0.25)", "none(stop=0.1)", "distilled(calibrated=elsewhere)"),
)


def families() -> dict[str, tuple[str, ...]]:
    """Return the named families and the specifications in each; libraries count where they are installed.

    ``study`` is the family of the study that introduced r, ``shipped`` what people release, ``all`` everything that
    runs here: both, every other quantizer once, and every installed library. ``protect`` is what `leaq.protect` chooses
    from.
    """
    kinds: dict[str, Any] = {name: QUANTIZERS.get(name) for name in QUANTIZERS}
    here = {name: kind for name, kind in kinds.items() if installed(kind.wants.extra)}
    shipped = (*_SHIPPED, *(spec for spec in _SHIPPED_LIBRARIES if name_of(spec) in here))
    chosen = (*_STUDY, *shipped, *_OTHERS)
    named = {"none", *map(name_of, chosen)}
    rest = [kind.examples[0] for name, kind in here.items() if name not in named]
    everything = tuple(dict.fromkeys((*chosen, *rest)))
    return {"study": _STUDY, "shipped": shipped, "protect": _PROTECT, "all": everything}


def name_of(spec: str) -> str:
    """Return the name that a specification begins with."""
    return spec.split("(", maxsplit=1)[0]


def build(spec: str) -> "Scheme":
    """Build a quantizer from its specification.

    Examples
    --------
    >>> build("ternary(sparsity=0.9)").label()
    'ternary 90% sparse'
    """
    return QUANTIZERS.build(spec)


def parse_list(text: str | Sequence[str]) -> "tuple[Scheme, ...]":
    """Build the quantizers of specifications and family names, several or a text with commas between, each once.

    Examples
    --------
    >>> [quantizer.spec() for quantizer in parse_list("sign, uniform(bits=3, per=tensor)")]
    ['sign', 'uniform(bits=3, per=tensor)']
    """
    specs: list[str] = []
    known = families()
    for item in split_specs(text if isinstance(text, str) else ",".join(text)):
        if item.isidentifier() and item not in known and QUANTIZERS.spelled(item) == item and item not in QUANTIZERS:
            raise QUANTIZERS.unknown(item, also=known)
        specs += known.get(item, (item,))
    if not specs:
        raise InvalidInput("The list of quantizers must name at least one. Found nothing. Try 'study' or 'sign'.")
    built = [build(spec) for spec in specs]
    return tuple(dict.fromkeys(built))
