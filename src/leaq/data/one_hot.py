"""Targets that stand as one column a class: one target in other words."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

JOINTS = "_-. =:/"
"""What joins the name of a target and that of a class."""


def one_hot(columns: pd.DataFrame) -> "pd.Series[Any] | None":
    """Return which of several columns is 1 in each row, where exactly one is and the others are 0; None elsewhere.

    Examples
    --------
    >>> one_hot(pd.DataFrame({"y_red": [1, 0, 0], "y_blue": [0, 1, 1]})).tolist()
    [0, 1, 1]
    >>> one_hot(pd.DataFrame({"toxic": [1, 0, 1], "soluble": [1, 1, 0]})) is None
    True
    """
    if not all(pd.api.types.is_numeric_dtype(kind) for kind in columns.dtypes):
        return None
    values = columns.to_numpy(dtype=np.float64, na_value=np.nan)
    if not (np.isin(values, (0, 1)).all() and (values.sum(1) == 1).all() and values.any(0).all()):
        return None
    names = list(map(str, columns.columns))
    common = names[0].removesuffix(classes_of(names)[0]).rstrip(JOINTS)
    return pd.Series(values.argmax(1), columns.index, name=common or "target")


def classes_of(columns: Sequence[str]) -> tuple[str, ...]:
    """Return the names of one-hot columns without what they have in common in front.

    Examples
    --------
    >>> classes_of(["y_red", "y_blue"]), classes_of(["task0", "task1"])
    (('red', 'blue'), ('0', '1'))
    >>> classes_of(["benign", "begun"]), classes_of(["y9", "y10"])
    (('benign', 'begun'), ('9', '10'))
    """
    first, last = min(columns), max(columns)
    common = first[: next((at for at, (a, b) in enumerate(zip(first, last, strict=False)) if a != b), len(first))]
    letters = common.rstrip("0123456789")
    numbered = all(name[len(letters) :].isdigit() for name in columns)
    cut = len(letters) if numbered else 1 + max(common.rfind(joint) for joint in JOINTS)
    return tuple(name[cut:] for name in columns) if all(name[cut:] for name in columns) else tuple(columns)
