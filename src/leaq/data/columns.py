"""What a table's columns hold: numbers in any of the forms files keep them in, words, or what is neither.

Numbers are read as numbers (decimals, decimal commas, numbers kept as text); a column that is numbers but for a few
rows is not taken for words, and its odd rows are named. What cannot be used is collected, so that one message names
it all.
"""

import re
import shlex
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from numbers import Real
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from leaq.errors import InvalidInput, first_rows, some
from leaq.types import Bools, Flag, Floats

SHEET_ERRORS = frozenset({"#div/0!", "#value!", "#ref!", "#name?", "#num!", "#null!"})
"""What spreadsheets write where a formula has no value."""
MISSING_WORDS = SHEET_ERRORS | {"", "na", "n/a", "#n/a", "#na", "nan", "-nan", "<na>", "null", "none"}
"""Texts, in any case, that stand for no value in a column of numbers."""
MOST_LEVELS = 20
"""Different numbers up to which a column with words in it may be a code and not a measurement."""
COMMA = re.compile(r"[+-]?(\d{1,3}(\.\d{3})+|\d+),\d+(e[+-]?\d+)?", re.IGNORECASE)
THOUSANDS = re.compile(r"[+-]?[1-9]\d{0,2}(,\d{3})+")
AMERICAN = re.compile(r"[+-]?[1-9]\d{0,2}(,\d{3})+\.\d+")
MILLIONS = re.compile(r"[+-]?[1-9]\d{0,2}(,\d{3}){2,}")
SET_OFF = re.compile(r"[+-]?[1-9]\d{0,2}([' \u00a0\u2009\u202f\u2019]\d{3})+([.,]\d+)?")
"""Numbers whose thousands are set off by an apostrophe or a space."""
DOTTED = re.compile(r"[+-]?[1-9]\d{0,2}(\.\d{3})+")
_INTEGER = re.compile(r"[+-]?\d{16,300}")
EXACT = 2**53
"""Whole numbers up to which a feature, of 64 bits, tells every one from the next."""
BEYOND = f"integers beyond {EXACT:.0e}, whose last digits a feature loses"
LOST = 0.01
"""Largest error of rounding to 32 bits, beside a column's spread."""
MINUS = ("\u2212", "\u2013", "\uff0d")
"""Signs that word processors and spreadsheets print for a minus."""


@dataclass(frozen=True)
class Problem:
    """Why a column cannot be used: its name, what was found, and whether leaving out rows mends it.

    Attributes
    ----------
    rows : (n,) where the fault lies, if only some rows have it.
    """

    column: str
    found: str
    rows: Bools | None = None


@dataclass(frozen=True)
class Settled:
    """A table whose columns are numbers, booleans or words, what was read in another form, and what has neither."""

    frame: pd.DataFrame
    flags: tuple[Flag, ...]
    problems: tuple[Problem, ...]


def refuse_repeated(names: Iterable[object], where: str) -> None:
    """Refuse names of columns of which one stands twice.

    Examples
    --------
    >>> refuse_repeated(["x", "y", "x"], "mine.csv")
    Traceback (most recent call last):
    leaq.errors.InvalidInput: mine.csv: column names must differ. Found twice: x.
    """
    if repeated := sorted(name for name, count in Counter(map(str, names)).items() if count > 1):
        raise InvalidInput(f"{where}: column names must differ. Found twice: {some(repeated, 20)}.")


def is_number(column: "pd.Series[Any]") -> bool:
    """Tell a column of real numbers from words and truth values."""
    kinds = pd.api.types
    plain = kinds.is_numeric_dtype(column) and not kinds.is_bool_dtype(column)
    return plain and not kinds.is_complex_dtype(column)


def commas_in(frame: pd.DataFrame) -> bool:
    """Whether most values of some column of texts are numbers with a decimal comma."""
    for name in frame.columns[~plain_numbers(frame)]:
        texts = frame[name].dropna().astype(str).str.strip()
        if len(texts) and texts.str.fullmatch(COMMA).mean() > 0.5:
            return True
    return False


def points_set_off_thousands(texts: "pd.Series[Any]") -> bool:
    """Whether a column holds whole numbers of which some have points, each setting off thousands: 873, 12.345.678."""
    there = texts.dropna().str.strip()
    grouped = there.str.fullmatch(DOTTED)
    return bool(grouped.any() and (grouped | there.str.fullmatch(r"[+-]?\d+")).all())


def plain_numbers(frame: pd.DataFrame) -> Bools:
    """Tell which columns hold real numbers in numpy's own types and the machine's byte order, (d,).

    They are looked at all at once where a table is wide: one column at a time costs more than the numbers in it.

    Examples
    --------
    >>> plain_numbers(pd.DataFrame({"a": [1, 2], "b": ["x", "y"], "c": [True, False]})).tolist()
    [True, False, False]
    """
    return np.array([isinstance(k, np.dtype) and k.kind in "fiu" and k.isnative for k in frame.dtypes], dtype=bool)


def whole_numbers(values: Floats) -> Bools:
    """Tell which columns of (n, d) hold whole numbers alone, (d,)."""
    return np.asarray((values == np.round(values)).all(0))


def settle(frame: pd.DataFrame) -> Settled:
    """Read every column as numbers, truth values or words; name those that are neither.

    Examples
    --------
    >>> found = settle(pd.DataFrame({"dose": ["0,5", "1,25", "2"], "land": ["NA", "DE", "FR"]}))
    >>> found.frame["dose"].tolist(), found.frame["land"].tolist(), [flag.code for flag in found.flags]
    ([0.5, 1.25, 2.0], ['NA', 'DE', 'FR'], ['decimal-commas'])
    """
    columns: dict[Any, pd.Series[Any]] = {}
    problems, forms = [], dict[str, list[str]]()
    for name in frame.columns[~plain_numbers(frame)]:
        read = _read(frame[name])
        if not isinstance(read, Problem) and is_number(read[0]) and _beyond(frame[name]):
            read = Problem(str(name), BEYOND)
        if isinstance(read, Problem):
            problems.append(read)
            continue
        columns[name] = read[0]
        if form := read[1] or "numbers-among-words" * _decorated(read[0]):
            forms.setdefault(form, []).append(repr(str(name)))
    flags = tuple(Flag(code, SAID[code].format(columns=", ".join(names))) for code, names in forms.items())
    if columns:
        whole = {name: columns.get(name, frame[name]) for name in frame.columns}
        frame = pd.DataFrame(whole, index=frame.index)
    return Settled(frame, flags, tuple(problems))


SAID: Mapping[str, str] = {
    "decimal-commas": "Numbers with a decimal comma were read as numbers: columns {columns}.",
    "thousands": "Numbers with thousands set off, or a printed minus, were read as numbers: columns {columns}.",
    "numbers-as-text": "Numbers kept as text were read as numbers: columns {columns}.",
    "numbers-among-words": "Words that begin with a number (5%, 7 mg, <1, 10-19, dates), or a few numbers with words "
    "among them (?, unknown), are categories without an order: columns {columns}. To use them as numbers, take out "
    "what stands beside them, and empty cells without a value.",
}
DECORATED = re.compile(r"^[<>≤≥~≈=$€£¥(+\-−]{0,2}\s*\d")
"""How a number begins that has something beside it."""


_NUMBER = r"\d+(?:[.,]\d+)*(?:[ed][+-]?\d+)?"
WITH_UNITS = re.compile(
    rf"[<>≤≥~≈=$€£¥(+\-−]{{0,2}}\s*{_NUMBER}(?:\s*[-–/:±T ]\s*{_NUMBER}){{0,6}}[^\d]{{0,10}}", re.IGNORECASE
)
"""A number with a sign or a unit beside it, a range, a date; no code of letters and digits mixed."""
DECORATED_WORDS = "different numbers with something beside them,"
"""What a column of such words holds, too many for categories."""


def with_units(column: "pd.Series[Any]") -> bool:
    """Whether most words of a column are numbers with something beside them: percentages, units, ranges, dates.

    Examples
    --------
    >>> [with_units(pd.Series(words)) for words in (["5 %", "7 mg"], ["2020-01-31", "10-19"], ["07c9a4", "2-butanol"])]
    [True, True, False]
    """
    words = [str(text).strip() for text in pd.unique(column.dropna())]
    return 2 * sum(WITH_UNITS.fullmatch(text) is not None for text in words) > len(words)


def _decorated(column: "pd.Series[Any]") -> bool:
    """Whether most words of a column begin with a number; codes that are digits alone do not count."""
    if is_number(column) or pd.api.types.is_bool_dtype(column):
        return False
    words = [text for text in map(str, pd.unique(column.dropna())) if not text.strip().isdigit()]
    return len(words) > 1 and 2 * sum(bool(DECORATED.match(text.strip())) for text in words) > len(words)


def _read(column: "pd.Series[Any]") -> "tuple[pd.Series[Any], str] | Problem":
    """Return a column as numbers, truth values or words with the form it came in, or why it is none of them."""
    name = str(column.name)
    if pd.api.types.is_complex_dtype(column):
        return Problem(name, "complex numbers (give real and imaginary parts)")
    if pd.api.types.is_datetime64_any_dtype(column) or pd.api.types.is_timedelta64_dtype(column):
        return Problem(name, "dates or times (turn them into numbers)")
    if is_number(column) or pd.api.types.is_bool_dtype(column):
        return _native(column), ""
    return _objects(column)


def _objects(column: "pd.Series[Any]") -> "tuple[pd.Series[Any], str] | Problem":
    """Read a column value by value."""
    values, name = column.astype(object).to_numpy(copy=True), str(column.name)
    there = ~pd.isna(column).to_numpy()
    known = values[there]
    bins = len(known) > 0 and all(isinstance(value, pd.Interval) for value in known)
    if bins or (is_category(column) and not pd.api.types.is_bool_dtype(column.cat.categories)):
        return _words(column, np.array([str(value).strip() for value in values], dtype=object), there), ""
    if len(known) and all(isinstance(value, bytes) for value in known):
        known[:] = [value.decode("utf-8", "replace") for value in known]
        values[there] = known
        column = pd.Series(values, column.index, dtype=object, name=column.name)
    if all(isinstance(value, Real | Decimal | np.bool_) for value in known):
        if len(known) and all(isinstance(value, bool | np.bool_) for value in known):
            return (column, "") if not there.all() else (column.astype(bool), "")
        return pd.Series([_float(v) if ok else np.nan for v, ok in zip(values, there, strict=True)], column.index), ""
    if any(not isinstance(value, str | Real | Decimal) for value in known):
        odd = next(type(value).__name__ for value in known if not isinstance(value, str | Real | Decimal))
        each = " (make a column of each number in them)" if odd in ("ndarray", "list", "tuple") else ""
        return Problem(name, f"values of type {odd}{each}")
    return _texts(column, there)


def is_category(column: "pd.Series[Any]") -> bool:
    """Whether a column says itself that its values are names: categories of pandas, but for an order of many numbers.

    Examples
    --------
    >>> [is_category(pd.Series(pd.Categorical([3, 5, 3], ordered=order))) for order in (False, True)]
    [True, False]
    """
    kind = column.dtype
    if not isinstance(kind, pd.CategoricalDtype) or len(kind.categories) > max(MOST_LEVELS, len(column) // 4):
        return False
    return not (kind.ordered and pd.api.types.is_numeric_dtype(kind.categories))


def _beyond(column: "pd.Series[Any]") -> bool:
    """Whether integers kept as objects or texts are beyond what a float tells apart."""
    if isinstance(column.dtype, np.dtype) and column.dtype.kind != "O":
        return False
    return any(_INTEGER.fullmatch(text) and abs(int(text)) > EXACT for text in column.dropna().astype(str).str.strip())


def _float(value: Any) -> float:
    """Return a number as float, infinite where it is beyond all floats."""
    try:
        return float(value)
    except OverflowError:
        return float("inf") if value > 0 else float("-inf")


def _native(column: "pd.Series[Any]") -> "pd.Series[Any]":
    """Return numbers in numpy's own types and the machine's byte order."""
    if not is_number(column):
        return column
    dtype: Any = column.dtype
    if isinstance(dtype, np.dtype):
        return column if dtype.isnative else column.astype(dtype.newbyteorder("="))
    if not column.isna().any() and pd.api.types.is_integer_dtype(column):
        return column.astype(np.int64)
    return pd.Series(column.to_numpy(dtype=np.float64, na_value=np.nan), column.index)


def _texts(column: "pd.Series[Any]", there: Bools) -> "tuple[pd.Series[Any], str] | Problem":
    """Tell words from numbers that are written as text, and from numbers with a few words among them."""
    texts = np.array([str(value).strip() if ok else "" for value, ok in zip(column, there, strict=True)], dtype=object)
    plainly = _ungrouped(texts)
    hollow = np.array([text.lower() in MISSING_WORDS for text in texts])
    plain = pd.to_numeric(pd.Series(plainly), errors="coerce").to_numpy(dtype=np.float64)
    commas = np.array([COMMA.fullmatch(text) is not None for text in plainly])
    number = (np.isfinite(plain) | commas) & ~hollow
    words = ~number & ~hollow
    if not number.any():
        return _words(column, texts, there), ""
    dotted = np.array(["." in text for text in plainly]) & np.isfinite(plain) & bool(commas.any())
    thousands = np.array([DOTTED.fullmatch(text) is not None for text in plainly]) & dotted
    european = commas | thousands
    turned = (
        text.replace(".", "").replace(",", ".") if ok else "nan" for text, ok in zip(plainly, european, strict=True)
    )
    values = np.where(european, [*map(float, turned)], plain)
    values[hollow] = np.nan
    if not words.any():
        grouped = np.array([THOUSANDS.fullmatch(text) is not None for text in plainly])
        if commas.any() and (grouped[commas].all() or (dotted & ~thousands).any()):
            sample = texts[commas][0]
            return Problem(
                str(column.name), f"numbers such as {sample!r}, whose comma may set off thousands or decimals"
            )
        if not commas.any() and any(re.match(r"0\d", text) for text in texts):
            return _words(column, texts, there), ""  # codes such as 01234 are no numbers
        form = "decimal-commas" if commas.any() else "thousands" if (plainly != texts).any() else "numbers-as-text"
        return pd.Series(values, column.index), form
    distinct = len(np.unique(values[number]))
    if distinct <= MOST_LEVELS and distinct <= max(2, number.sum() // 4):
        others = {text for text in texts[words] if not any(map(str.isdigit, text))}
        return _words(column, texts, there), "numbers-among-words" * (0 < len(others) < distinct)
    if number.sum() < words.sum():
        return _words(column, texts, there), ""
    said = ", ".join(repr(word) for word in dict.fromkeys(texts[words][:200].tolist()))
    said = said if len(said) <= 60 else said[:57] + "..."
    numbers = [int(row) + 1 for row in np.asarray(column.index)[words]]
    return Problem(str(column.name), f"numbers but for {first_rows(numbers)}: {said}", words)


def _ungrouped(texts: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Return numbers' texts with a plain minus and without what sets off their thousands; other texts as they are.

    A comma sets off thousands where a number of the column has a decimal point behind one, or several commas.
    """
    plain = [f"-{text[1:]}" if text.startswith(MINUS) else text for text in texts]
    commas = any(AMERICAN.fullmatch(text) or MILLIONS.fullmatch(text) for text in plain)
    found = []
    for text in plain:
        if commas and (AMERICAN.fullmatch(text) or THOUSANDS.fullmatch(text)):
            found.append(text.replace(",", ""))
        else:
            found.append(re.sub(r"[^\d.,+-]", "", text) if SET_OFF.fullmatch(text) else text)
    return np.array(found, dtype=object)


def _words(column: "pd.Series[Any]", texts: npt.NDArray[Any], there: Bools) -> "pd.Series[Any]":
    values = texts.copy()
    values[~there] = None
    return pd.Series(values, column.index)


def row_numbers(column: "pd.Series[Any]") -> str | None:
    """Return "count" for a column that counts the records, "unique" for whole numbers none of which stands twice.

    Such a column tells every record apart and says nothing about others: a model that sees it learns the order of
    the file. A count may have gaps where it rises with the rows, as one has after rows were left out. "rising" are
    whole numbers that stand several times and never fall from row to row, or that are, in any order, a numbering of
    more than half as many things as there are records: numbers of persons or visits.
    """
    if not is_number(column) or len(column) < MOST_LEVELS:
        return None
    values = column.to_numpy(dtype=np.float64, na_value=np.nan)
    if not np.array_equal(values, np.round(values)):
        return None
    n, rises, distinct = len(values), bool((np.diff(values) >= 0).all()), len(np.unique(values))
    span = values.max() - values.min() + 1
    if distinct < n:
        numbering = span < 1.1 * distinct and 2 * distinct >= n
        return "rising" if (rises or numbering) and distinct > max(MOST_LEVELS, n // 10) else None
    return "count" if span == n or (rises and span < 1.5 * n) else "unique"


def too_exact(column: "pd.Series[Any]") -> bool:
    """Whether integers are too large for a feature to tell them apart: numbers of accounts, hashes, nanoseconds."""
    if not pd.api.types.is_integer_dtype(column):
        return False
    return bool(len(column)) and max(abs(int(column.min())), abs(int(column.max()))) > EXACT


def rounded_away(values: Floats) -> Bools:
    """Tell which columns of (n, d) vary by what 32-bit numbers, which models compute with, round away, (d,).

    Examples
    --------
    >>> rounded_away(np.stack([1e9 + np.arange(9) / 100, 1.7e9 + 86400.0 * np.arange(9)], axis=1)).tolist()
    [True, False]
    """
    with np.errstate(over="ignore", invalid="ignore"):
        error = values.astype(np.float32) - values
        lost = np.abs(error).mean(0) > LOST * np.abs(values - values.mean(0)).mean(0)
        return np.asarray(lost & (np.ptp(values, axis=0) > 0))


TO_NUMBERS = "take out what stands beside the numbers (%, units, signs; of dates make numbers)"
"""What to do with a column of numbers that have something beside them."""


def column_refusal(name: str, problems: list[Problem], *, targets: Sequence[str] = ()) -> InvalidInput:
    """Build the one error that names every column that cannot be used, and what to do; targets cannot be left out."""
    rows = any(problem.rows is not None for problem in problems)
    whole = [problem.column for problem in problems if problem.rows is None and problem.column not in targets]
    remedy = []
    if whole:
        options = " ".join(f"--ignore {shlex.quote(column)}" for column in whole[:5])
        texts = any("different texts" in problem.found for problem in problems)
        molecules = ", or name the one that holds molecules with --smiles" if texts else ""
        bare = f"{TO_NUMBERS}, or "
        numbers = any(DECORATED_WORDS in problem.found for problem in problems)
        remedy.append(f"{bare if numbers else ''}leave columns out with {options}{molecules}")
    if any(problem.rows is None and problem.column in targets for problem in problems):
        remedy.append("make numbers or names of classes of the target (of dates the days since one of them)")
    if rows:
        remedy.append("correct the rows, or drop them with --skip-invalid")
    found = "; ".join(f"{problem.column!r} holds {problem.found}" for problem in problems)
    noun = "column" if len(problems) == 1 else f"{len(problems)} columns"
    done = ", ".join(remedy)
    return InvalidInput(
        f"{name}: columns must be numbers or categories. Found {noun}: {found}. {done[0].upper()}{done[1:]}."
    )
