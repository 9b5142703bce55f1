"""Errors that say what the caller can do. Every message reads: subject - requirement - found - remedy.

The class names the remedy: fix the argument (`InvalidInput`, `UnknownName`), bring more data
(`NotEnoughEvidence`), replace a part of the model (`UnsupportedModel`), look at the file (`StoreError`),
install something (`MissingExtra`). Nothing in leaq asserts on what a user gave.
"""

import difflib
import importlib
import re
from collections.abc import Iterable, Mapping, Sequence
from importlib.util import find_spec
from types import ModuleType
from typing import Any

LONGEST = 4000
"""Characters of a message; what quotes more of somebody's input has its middle left out."""
COMPARED = 100
"""Characters of a name that is compared with known ones."""


class LeaqError(Exception):
    """Anything leaq refuses to do. Catch this to catch them all."""

    def __init__(self, *args: object) -> None:
        super().__init__(*(_shortened(arg) if isinstance(arg, str) else arg for arg in args))


def _shortened(text: str) -> str:
    left_out = len(text) - LONGEST
    half = LONGEST // 2
    return text if left_out <= 0 else f"{text[:half]} ... ({left_out:,} characters left out) ... {text[-half:]}"


class InvalidInput(LeaqError, ValueError):
    """An argument, option or file content is wrong; correct it and call again."""


class UnknownName(InvalidInput):
    """A name is not registered; the message lists the known ones and the closest."""


class NotEnoughEvidence(LeaqError):
    """The data cannot support the number asked for; bring more records, models or checkpoints."""


class UnsupportedModel(LeaqError):
    """A part of the model cannot be handled; the message names the part and what to put in its place."""


class StoreError(LeaqError):
    """A run folder or file cannot be read or written; nothing in it was changed."""


class MissingExtra(LeaqError, ImportError):
    """An optional dependency is not installed; the message names the extra that brings it."""


def closest(name: str, known: Iterable[str]) -> str:
    """Return `` Did you mean 'x'?`` for the known name nearest to `name`, or an empty string.

    A name that begins like it comes before one that is spelled nearly like it.

    Examples
    --------
    >>> closest("ternery", ["sign", "ternary"]), closest("adar", ["radar", "adaround"])
    (" Did you mean 'ternary'?", " Did you mean 'adaround'?")
    """
    asked = str(name)[:COMPARED]
    names = sorted((str(each) for each in known), key=len)
    begun = [one for one in names if len(asked) > 1 and one.lower().startswith(asked.lower())]
    match = begun or difflib.get_close_matches(asked, names, n=1, cutoff=0.6)
    return f" Did you mean '{match[0]}'?" if match else ""


def unknown_name(kind: str, name: str, known: Iterable[str]) -> UnknownName:
    """Build the error for a name nobody registered: the closest one, and all that are known.

    Examples
    --------
    >>> str(unknown_name("quantizer", "sgn", ["sign", "ternary"]))
    "Unknown quantizer 'sgn'. Did you mean 'sign'? Known: sign, ternary."
    """
    names = sorted(known)
    return UnknownName(f"Unknown {kind} {name!r}.{closest(name, names)} Known: {', '.join(names) or 'none'}.")


def first_rows(rows: Sequence[int]) -> str:
    """Name a few row numbers and how many there are: ``3 rows (4, 9, 12)``.

    Examples
    --------
    >>> first_rows([4, 9, 12, 20, 31, 40, 41])
    '7 rows (4, 9, 12, 20, 31, ...)'
    """
    shown = ", ".join(str(int(row)) for row in rows[:5])
    more = ", ..." if len(rows) > 5 else ""
    noun = "row" if len(rows) == 1 else "rows"
    return f"{len(rows)} {noun} ({shown}{more})"


def some(names: Sequence[str], most: int = 3) -> str:
    """Name a few of what may be many, and say how many more there are.

    Examples
    --------
    >>> some(["a", "b"]), some(["a", "b", "c", "d", "e"])
    ('a, b', 'a, b, c and 2 more')
    """
    return ", ".join(names[:most]) + (f" and {len(names) - most} more" if len(names) > most else "")


def listed_names(names: Sequence[str]) -> str:
    """Join names as a sentence does.

    Examples
    --------
    >>> listed_names(["sign", "2-bit", "4-bit"])
    'sign, 2-bit and 4-bit'
    """
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}" if names else ""


SINGULAR = {"are": "is", "were": "was", "have": "has", "lie": "lies", "repeat": "repeats"}


def counted(number: int, noun: str, verb: str = "") -> str:
    """Write how many there are of something, and the verb, given in the plural, as that asks for.

    Examples
    --------
    >>> counted(1, "cell"), counted(2, "cell"), counted(1, "record", "were")
    ('1 cell', '2 cells', '1 record was')
    """
    return f"{number} {noun}{'s' if number != 1 else ''}" + (f" {agreeing(number, verb)}" if verb else "")


def agreeing(number: int, verb: str) -> str:
    """Return a verb, given in the plural, as so many subjects ask for: 1 of 9 records is.

    Examples
    --------
    >>> agreeing(1, "are"), agreeing(2, "are"), agreeing(1, "had")
    ('is', 'are', 'had')
    """
    return SINGULAR.get(verb, verb) if number == 1 else verb


def differing(one: Mapping[str, Any], other: Mapping[str, Any]) -> list[str]:
    """Return the names under which two mappings hold other values, sorted; a missing one counts as None.

    Examples
    --------
    >>> differing({"a": 1, "b": 2}, {"a": 1, "b": 3, "c": 4})
    ['b', 'c']
    """
    return sorted(name for name in one.keys() | other.keys() if one.get(name) != other.get(name))


def unnested(nested: Mapping[str, Any], lead: str = "") -> dict[str, Any]:
    """Return what mappings in a mapping hold, by one name each.

    Examples
    --------
    >>> unnested({"seed": 0, "training": {"epochs": 8, "hidden": [64]}})
    {'seed': 0, 'training.epochs': 8, 'training.hidden': [64]}
    """
    found: dict[str, Any] = {}
    for name, value in nested.items():
        found |= unnested(value, f"{lead}{name}.") if isinstance(value, Mapping) and value else {f"{lead}{name}": value}
    return found


def reason_of(err: BaseException) -> str:
    """Return what other people's code raised: its name, and the first line of what it said, cut to a length.

    Examples
    --------
    >>> reason_of(ValueError("odd")), reason_of(ValueError())
    ('ValueError: odd', 'ValueError: no message')
    """
    return f"{type(err).__name__}: {(str(err).strip().splitlines() or ['no message'])[0][:200]}"


def visible(text: str) -> str:
    r"""Return text with control characters spelled out: a name may move a terminal's cursor, or stop a drawing.

    Line ends and tabs stay; marks that turn the direction of reading are spelled out too.

    Examples
    --------
    >>> visible("a\x1b[2Jb")
    'a\\x1b[2Jb'
    """
    if text.isprintable():
        return text
    return _HIDDEN.sub(lambda found: ascii(found[0])[1:-1], text)


_HIDDEN = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069\ufeff\ud800-\udfff]")


def out_of_memory(err: BaseException) -> bool:
    """Tell whether memory ran out: Python says MemoryError, torch a RuntimeError in words.

    Examples
    --------
    >>> out_of_memory(RuntimeError("DefaultCPUAllocator: not enough memory: you tried to allocate 8 bytes."))
    True
    """
    words = ("not enough memory", "out of memory", "can't allocate memory", "Cannot allocate memory")
    return isinstance(err, MemoryError) or (isinstance(err, RuntimeError) and any(word in str(err) for word in words))


def installed(extra: str | None) -> bool:
    """Whether the library behind an extra can be imported, None being no extra; looks without importing."""
    return extra is None or find_spec(extra) is not None


def need(module: str, *, extra: str, purpose: str) -> ModuleType:
    """Import an optional `module`, or say which extra brings it.

    Raises
    ------
    MissingExtra
        If the module cannot be imported; the message holds the install command.

    Examples
    --------
    >>> need("math", extra="report", purpose="drawing").pi > 3
    True
    """
    try:
        return importlib.import_module(module)
    except ImportError as err:
        raise MissingExtra(
            f"{purpose} needs the package {module.split('.', maxsplit=1)[0]!r}, which cannot be imported ({err}). "
            f"Install the extra that brings it: pip install 'leaq[{extra}]' "
            f"(in a checkout: pip install -c constraints.txt -e '.[{extra}]')."
        ) from err
