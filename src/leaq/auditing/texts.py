"""Texts in whatever form people have them: strings, prompts with their answers, data sets with columns."""

from collections.abc import Mapping, Sequence
from typing import Any

from leaq.errors import InvalidInput
from leaq.models.causal import Told

__all__ = ["told", "texts_of"]

ANSWERS = ("completion", "response", "answer", "output")
"""Names under which data sets hold what a model learnt to say to a "prompt"."""


def texts_of(data: Any, column: str | None, name: str) -> list[Told]:
    """Return texts, or pairs (prompt, answer) of which the answer alone is scored.

    Parameters
    ----------
    data : a list or array of texts, a list of pairs, or of mappings with "prompt" and "completion" (response, answer,
        output); or a data set or frame with such columns, or with a text column.
    column : the text column, by default "text".
    name : "members" or "nonmembers", for messages.

    Examples
    --------
    >>> texts_of([{"prompt": "2 + 2 =", "completion": " 4"}], None, "members")
    [('2 + 2 =', ' 4')]
    """
    if hasattr(data, "columns") and hasattr(data, "to_dict"):
        data = data.to_dict("records")
    elif hasattr(data, "tolist") and getattr(data, "dtype", None) is not None and data.dtype.kind in "UTO":
        data = data.tolist()
    if hasattr(data, "column_names"):
        names = list(data.column_names)
        answer = next((item for item in ANSWERS if item in names), None)
        if column is None and "prompt" in names and answer is not None:
            rows = data[:]
            data = list(zip(rows["prompt"], rows[answer], strict=True))
        elif (column or "text") in names:
            data = list(data[:][column or "text"])
        else:
            raise InvalidInput(f"{name}: name the text column with target=... Columns: {', '.join(names)}.")
    found = (
        [told(item, column) for item in data] if isinstance(data, Sequence) and not isinstance(data, str) else [None]
    )
    if None in found:
        raise InvalidInput(
            f"{name}: a language model needs a list of texts, or of pairs (prompt, answer). Found "
            f"{type(data).__name__}{_odd(data, found)}."
        )
    return [item for item in found if item is not None]


def told(item: Any, column: str | None = None) -> Told | None:
    """Return one text, or a prompt and its answer; None if it is neither."""
    if isinstance(item, str):
        return item
    if isinstance(item, Mapping):
        answer = next((item[key] for key in ANSWERS if key in item), None)
        if column is None and "prompt" in item and answer is not None:
            return str(item["prompt"]), str(answer)
        text = item.get(column or "text")
        return text if isinstance(text, str) else None
    if isinstance(item, tuple | list) and len(item) == 2 and all(isinstance(part, str) for part in item):
        return item[0], item[1]
    return None


def _odd(data: Any, found: list[Any]) -> str:
    """Say what stands among texts, where it is a list."""
    if not isinstance(data, Sequence) or isinstance(data, str) or len(found) != len(data):
        return ""
    at = found.index(None)
    return f" with a {type(data[at]).__name__} at position {at}"
