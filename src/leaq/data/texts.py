"""Texts in whatever form people have them: strings, prompts with their answers, data sets with columns."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from leaq.errors import InvalidInput, StoreError, counted
from leaq.types import Flag, Samples

Told = str | tuple[str, str]
"""A text, or a prompt and its answer."""

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
    plain = isinstance(data, Sequence) and not isinstance(data, str)
    found = [told(item, column) for item in data] if plain else [None]
    if None not in found:
        return [item for item in found if item is not None]
    odd = ""
    if plain:  # say what stands among texts
        at = found.index(None)
        odd = f" with a {type(data[at]).__name__} at position {at}{_why_not(data[at])}"
    raise InvalidInput(
        f"{name}: a language model needs a list of texts, or of pairs (prompt, answer). Found "
        f"{type(data).__name__}{odd}."
    )


def told(item: Any, column: str | None = None) -> Told | None:
    """Return one text, or a prompt and its answer; None if it is neither."""
    if isinstance(item, str):
        return item
    if isinstance(item, Mapping):
        answer = next((item[key] for key in ANSWERS if key in item), None)
        if column is None and "prompt" in item and answer is not None:
            return (str(item["prompt"]), str(answer)) if _sayable(item["prompt"]) and _sayable(answer) else None
        text = item.get(column or "text")
        return text if isinstance(text, str) else None
    if isinstance(item, tuple | list) and len(item) == 2 and all(isinstance(part, str) for part in item):
        return item[0], item[1]
    return None


def _sayable(part: Any) -> bool:
    """Whether what stands in a column is a text, or a number that reads as one; a conversation or a hole is not."""
    return isinstance(part, str) or (isinstance(part, int | float) and not np.isnan(part))


def _converses(item: Any) -> bool:
    """Whether a row holds messages of a conversation."""
    parts = [part for part in item.values() if isinstance(part, list) and part] if isinstance(item, Mapping) else []
    return any(isinstance(part[0], Mapping) and "role" in part[0] for part in parts)


def _why_not(item: Any) -> str:
    """Say what stands among texts, and how it becomes one."""
    if not isinstance(item, Mapping):
        return ""
    keys = ", ".join(map(str, item))
    if _converses(item):
        way = "conversations are read as texts: tokenizer.apply_chat_template(messages, tokenize=False)"
    elif "prompt" in item and any(key in item for key in ANSWERS):
        way = "its prompt or its answer is no text; leave it out"
    else:
        way = 'name the texts "text", or "prompt" and "completion", or say target=...'
    return f" of {keys} ({way})"


def texts_in(source: Any) -> list[Told] | None:
    """Return the texts of a list, a file (text, one a line; JSON lines) or a data frame; None if it holds none.

    Examples
    --------
    >>> texts_in(["a b", "c d", "e f"]), texts_in(([[1.0]], [0])), texts_in("wine")
    (['a b', 'c d', 'e f'], None, None)
    """
    if isinstance(source, str | Path):
        path = Path(source)
        lines = path.suffix.lower() == ".jsonl" and path.is_file() and _tells(path)
        return read_texts(path) if lines or (path.suffix.lower() == ".txt" and path.is_file()) else None
    if hasattr(source, "columns") and hasattr(source, "to_dict"):
        rows: list[Any] = source.to_dict("records")
    elif isinstance(source, list) and len(source) > 2:
        rows = source
    else:
        return None
    found = [told(row) for row in rows]
    if found and found[0] is None and _converses(rows[0]):
        raise InvalidInput(f"A source of texts must hold texts. Found rows{_why_not(rows[0])}.")
    return None if None in found or not found else [text for text in found if text is not None]


def _tells(path: Path) -> bool:
    """Whether the first record of a file of JSON lines is a text, or a conversation, which must become one."""
    with path.open(encoding="utf-8-sig", errors="replace") as file:
        try:
            first = json.loads(next((line for line in file if line.strip()), "0"))
            return told(first) is not None or _converses(first)
        except ValueError:
            return False


def read_texts(path: Path) -> list[Told]:
    """Return the texts of a file: one a line, or the "text" (or "prompt" and "completion") of every JSON line."""
    try:
        text = path.read_text(encoding="utf-8-sig")  # universal newlines; other ends of lines belong to the texts
        lines = [line for line in text.split("\n") if line.strip()]
    except (OSError, UnicodeDecodeError) as err:
        raise StoreError(f"{path.name!r} must be a readable text file ({type(err).__name__}).") from None
    if path.suffix != ".jsonl":
        return list[Told](lines)
    try:
        rows = [json.loads(line) for line in lines]
    except ValueError:
        rows = [None]
    found = [told(row) for row in rows]
    if None in found:
        odd = rows[found.index(None)]
        raise InvalidInput(
            f'{path.name}: every line must be JSON with "text", or with "prompt" and "completion". Found another'
            f"{_why_not(odd)}, in record {found.index(None) + 1}."
        )
    return [text for text in found if text is not None]


def as_frame(texts: Sequence[Told]) -> pd.DataFrame:
    """Return texts as a table: what was asked (empty for a text by itself), and what a model learns to say."""
    pairs = [("", text) if isinstance(text, str) else text for text in texts]
    return pd.DataFrame(pairs, columns=["prompt", "text"], dtype=object)


def from_texts(frame: pd.DataFrame, *, name: str, flags: tuple[Flag, ...] = ()) -> Samples:
    """Return texts as records of a language model; equal ones stay on one side of every split.

    Examples
    --------
    >>> samples = from_texts(as_frame(["a b", ("c", "d"), "a b"]), name="said")
    >>> samples.inputs.tolist(), samples.groups.tolist(), samples.kind
    (['a b', ('c', 'd'), 'a b'], [0, 1, 0], 'text')
    """
    inputs = np.empty(len(frame), dtype=object)
    for row, (prompt, text) in enumerate(zip(frame["prompt"], frame["text"], strict=True)):
        inputs[row] = (prompt, text) if prompt else text
    groups = pd.factorize(frame["prompt"].str.cat(frame["text"], sep="\0"))[0].astype(np.int64)
    repeated = len(frame) - len(np.unique(groups))
    if repeated:
        text = f"{counted(repeated, 'text', 'repeat')} another one; equal texts stay on one side."
        flags = (*flags, Flag("duplicates", text))
    return Samples(inputs, np.zeros(len(frame)), "regression", name=name, groups=groups, flags=flags, text=True)
