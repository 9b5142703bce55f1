"""Names of quantizers and of families of them."""

from leaq.config import Registry
from leaq.errors import InvalidInput
from leaq.quantizers.scheme import Scheme
from leaq.quantizers.schemes import Identity, Sign, Ternary, Uniform

__all__ = ["QUANTIZERS", "build", "families", "parse_list"]

QUANTIZERS: Registry[Scheme] = Registry("quantizer")
for _scheme in (Identity, Sign, Ternary, Uniform):
    QUANTIZERS.add(_scheme.name)(_scheme)

_STUDY = (
    "sign",
    *(f"ternary(sparsity={s})" for s in (0.33, 0.5, 0.75, 0.9)),
    *(f"uniform(bits={b})" for b in (2, 3, 4)),
)
_FAMILIES = {
    "study": _STUDY,
    "shipped": ("uniform(bits=4, per=group)", "uniform(bits=4)", "uniform(bits=8)"),
    "all": (*_STUDY, "uniform(bits=8)"),
}


def families() -> dict[str, tuple[str, ...]]:
    """Return the named families and the specifications in each."""
    return dict(_FAMILIES)


def build(spec: str) -> Scheme:
    """Build a quantizer from its specification.

    Examples
    --------
    >>> build("ternary(sparsity=0.9)").label()
    'ternary 90% sparse'
    """
    return QUANTIZERS.build(spec)


def parse_list(text: str) -> tuple[Scheme, ...]:
    """Build the quantizers of a comma-separated list of specifications and family names, each once.

    Examples
    --------
    >>> [quantizer.spec() for quantizer in parse_list("sign, uniform(bits=3, per=tensor)")]
    ['sign', 'uniform(bits=3, per=tensor)']
    """
    specs: list[str] = []
    for item in _split(text):
        specs += _FAMILIES.get(item, (item,))
    if not specs:
        raise InvalidInput("The list of quantizers must name at least one. Found nothing. Try 'study' or 'sign'.")
    built = [build(spec) for spec in specs]
    return tuple(dict.fromkeys(built))


def _split(text: str) -> list[str]:
    """Split at commas that stand outside parentheses."""
    items, depth = [""], 0
    for char in text:
        depth += (char == "(") - (char == ")")
        if char == "," and depth == 0:
            items.append("")
        else:
            items[-1] += char
    return [item.strip() for item in items if item.strip()]
