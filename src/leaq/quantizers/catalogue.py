"""What there is to choose from: one entry per registered quantizer."""

from dataclasses import dataclass
from typing import Any, Literal, get_args, get_origin

from leaq.errors import InvalidInput, installed
from leaq.quantizers.registry import QUANTIZERS, build, families, name_of
from leaq.quantizers.scheme import Needs, Scheme


@dataclass(frozen=True)
class QuantizerOption:
    """One option of a quantizer: name, what it may be, and what it is when left out ("required")."""

    name: str
    kind: str
    default: str


@dataclass(frozen=True)
class QuantizerEntry:
    """One registered quantizer.

    Attributes
    ----------
    name, example : the registered name, and a specification to start from.
    bits : bits of one packed code, scales left out.
    levels : how many values a weight can take, or "continuous".
    what : one sentence.
    weights : the kinds of weights it quantizes.
    needs : what must be given or installed.
    here : whether what it needs is installed.
    source : paper or library.
    families : the families it is in.
    options : its own options; `Scheme` documents those every quantizer has.
    """

    name: str
    example: str
    bits: float
    levels: str
    what: str
    weights: str
    needs: Needs
    here: bool
    source: str
    families: tuple[str, ...]
    options: tuple[QuantizerOption, ...]


def entries() -> tuple[QuantizerEntry, ...]:
    """Return every registered quantizer, full precision first, those of libraries last.

    Examples
    --------
    >>> [found.name for found in entries()][:3]
    ['none', 'adaround', 'bfloat16']
    """
    return tuple(entry(name) for name in QUANTIZERS)


def entry(name: str) -> QuantizerEntry:
    """Return what is known about one quantizer, by name or specification; raises `UnknownName`.

    Examples
    --------
    >>> entry("ternary").needs.calibration, entry("ternary").families
    (False, ('study', 'protect', 'all'))
    """
    name = QUANTIZERS.spelled(name)
    maker = QUANTIZERS.get(name) if "(" not in name else None
    if maker is not None and not (isinstance(maker, type) and issubclass(maker, Scheme) and maker.examples):
        raise InvalidInput(f"{name}: must be a Scheme with an example to be described. Give its specification.")
    scheme = build(name if maker is None else maker.examples[0])
    weights = "all weights" if len(scheme.roles) > 1 else "Linear weights"
    return QuantizerEntry(
        name=scheme.name,
        example=scheme.spec(),
        bits=32.0 if scheme.codebook() == "continuous" else scheme.code_bits,
        levels=str(scheme.codebook()),
        what=scheme.describe(),
        weights="nothing" if scheme.codebook() == "continuous" else weights,
        needs=scheme.needs,
        here=installed(scheme.needs.extra),
        source=scheme.source,
        families=tuple(key for key, specs in families().items() if scheme.name in map(name_of, specs)),
        options=tuple(
            QuantizerOption(option, _kind(info.annotation), "required" if info.is_required() else str(info.default))
            for option, info in type(scheme).model_fields.items()
            if option not in Scheme.model_fields  # which every quantizer has
        ),
    )


def _kind(annotation: Any) -> str:
    """Say what an option may be: the words it knows, or a type."""
    words = [str(word) for word in get_args(annotation)]
    if get_origin(annotation) is not Literal:
        return str(getattr(annotation, "__name__", annotation))
    return f"{', '.join(words[:-1])} or {words[-1]}" if words[1:] else f"always {words[0]}"
