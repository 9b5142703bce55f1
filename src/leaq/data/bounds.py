"""Columns beside a target that say what its numbers are: bounds of what was not measured, or in which unit."""

import pandas as pd

from leaq.types import Flag

BOUNDS = frozenset({"<", ">", "<=", ">=", "≤", "≥", "<<", ">>"})
RELATIONS = BOUNDS | {"=", "==", "~", "≈", ""}
"""Signs that databases of assays keep in a column of their own."""


def bounds_beside(frame: pd.DataFrame) -> tuple[Flag, ...]:
    """Flag columns that mark values as bounds (>, <), and columns of units that differ: the values say neither.

    Examples
    --------
    >>> frame = pd.DataFrame({"relation": ["=", "'>'", "="], "series": ["a", "b", "a"]})
    >>> [flag.text[:51] for flag in bounds_beside(frame)]
    ["1 of 3 values are bounds by column 'relation' (>): "]
    """
    found = []
    for name in frame.columns[[not pd.api.types.is_numeric_dtype(kind) for kind in frame.dtypes]]:
        words = frame[name].dropna().map(str).str.strip(" '\"")  # bytes need not be text
        kinds = set(words.unique())
        signs = ", ".join(sorted(kinds & BOUNDS))
        if signs and kinds <= RELATIONS:
            count = int(words.isin(BOUNDS).sum())
            text = f"{count} of {len(frame)} values are bounds by column {str(name)!r} ({signs}): they are used as"
            found.append(Flag("bounds", f"{text} values. Leave those rows out, unless bounds are meant."))
        elif "unit" in str(name).lower() and 1 < len(kinds) < len(frame) / 2:
            said = ", ".join(sorted(kinds)[:5])
            text = f"Column {str(name)!r} names several units ({said}): the values are used as they stand."
            found.append(Flag("mixed-units", f"{text} Bring them to one unit."))
    return tuple(found)
