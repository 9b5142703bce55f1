"""The lines of a delimited text: its encoding, comments, separator and header, with a word about every guess."""

import csv
import io
import re
from collections import Counter

from leaq.data.columns import refuse_repeated
from leaq.types import Flag

SEPARATORS = (",", ";", "\t", "|")
BLANKS = r"\s+"
"""Runs of blanks and tabs as a separator."""
COMMENTS = ("#", "%", "//")
"""How lines of comments begin."""
COMMENTED = re.compile(r"(?:^|\n)(?:#|%|//)")
STATED = re.compile(r"sep=(.)\r?\n", re.IGNORECASE)


def laid_out(content: bytes, *, usual: str, where: str) -> tuple[str, str, list[Flag]]:
    r"""Return a text that begins with its header, its separator, and what had to be guessed.

    Parameters
    ----------
    usual : the separator that counts where it fits.
    where : what the file is called in messages.

    Raises
    ------
    InvalidInput
        If a column is named twice.
    ValueError
        In words, if it is no text, or does not begin with a line that names every column.

    Examples
    --------
    >>> text, separator, flags = laid_out(b"# made by hand\na;b\n1;2\n", usual=",", where="mine.csv")
    >>> text, separator, [flag.code for flag in flags]
    ('a;b\n1;2\n', ';', ['comments', 'separator'])
    """
    text, flags = decoded_text(content)
    stated = STATED.match(text)  # a line that spreadsheets write for each other
    text = text[stated.end() :] if stated else text
    text = _without_comments(text, flags)
    separator = stated[1] if stated else _separator(text, usual)
    _refuse_titles(text, separator)
    if separator != usual:
        names = {"\t": "tab", ",": "comma", ";": "semicolon", "|": "bar", BLANKS: "blanks"}
        name = names.get(separator, repr(separator))
        name = name if separator == BLANKS else f"the {name}"
        flags.append(Flag("separator", f"Columns are separated by {name}, which was recognised from the header."))
    header = _header(text, separator)
    refuse_repeated(filter(None, map(str.strip, header)), where)  # pandas would rename the second without a word
    _refuse_numbers(header)
    return text, separator, flags


def decoded_text(content: bytes) -> tuple[str, list[Flag]]:
    """Return the text of a file in UTF-8, UTF-16 with its mark, or else the Windows code page of Western Europe."""
    if content[:2] in (b"\xff\xfe", b"\xfe\xff"):
        text = content.decode("utf-16")
        if "\0" in text[:4096]:
            raise ValueError("it is in UTF-32 or holds binary data; save it in UTF-8")
        return text, [Flag("encoding", "The file is in UTF-16.")]
    if b"\0" in content[:4096]:
        raise ValueError("it holds binary data; text must be in UTF-8, or in UTF-16 with its mark")
    try:
        return content.decode("utf-8-sig"), []
    except UnicodeDecodeError:
        try:
            text = content.decode("cp1252")
        except UnicodeDecodeError:
            text = content.decode("latin-1")
        said = "The file is not in UTF-8; it was read in the code page of Western Europe (Windows-1252)."
        return text, [Flag("encoding", f"{said} Check names with other letters.")]


def _separator(text: str, usual: str) -> str:
    """Return the separator under which header and records have equally many fields, most of them."""
    lines = [line for line in text[:65536].splitlines()[:50] if line.strip()]
    lines = lines[:-1] if len(text) > 65536 and len(lines) > 2 else lines

    def fields(separator: str) -> int:
        """Columns in which header and most records agree (a record may have one more), 1 if they do not."""
        counts = [len(row) for row in csv.reader(lines, delimiter=separator, skipinitialspace=True) if row]
        agree = sum(count in (counts[0], counts[0] + 1) for count in counts)
        return counts[0] if counts and agree >= 0.9 * len(counts) else 1

    found = {separator: fields(separator) for separator in (usual, *SEPARATORS)}
    if found[usual] > 1:
        return usual
    best = max(found, key=lambda separator: found[separator])
    if found[best] > 1:
        return best
    counts = [len(line.split()) for line in lines]
    blanks = counts and counts[0] > 1 and sum(count == counts[0] for count in counts) >= 0.9 * len(counts)
    return BLANKS if blanks else usual


def _without_comments(text: str, flags: list[Flag]) -> str:
    """Leave out lines of comments, above the header or among the rows; a header written as one is the header."""
    if COMMENTED.search(text) is None:
        return text
    lines = [f"{line}\n" for line in text.split("\n")]
    at = next((i for i, line in enumerate(lines) if line.strip() and not line.startswith(COMMENTS)), len(lines))
    above = [i for i in range(at) if lines[i].strip()]
    begin = [i for i in range(at, len(lines)) if lines[i].startswith(COMMENTS)]
    rest = [i for i in begin if not any(separator in lines[i] for separator in SEPARATORS)]
    among = [] if '"' in text else rest  # a quoted text may go on in a line of its own
    if not above and not among:
        return text
    named = above[-1] if above and at < len(lines) and _is_header(lines[above[-1]], lines[at]) else None
    if named is not None:
        above.remove(named)
        lines[named] = lines[named].lstrip("#%/ ")
    gone = {*above, *among}
    said = f"{len(gone)} lines of comments were left out" if gone else "No line of comments was left out"
    said += "; the last of those on top, which names the columns, is the header." if named is not None else "."
    flags.append(Flag("comments", said))
    return "".join(line for i, line in enumerate(lines) if i not in gone).removesuffix("\n")


def _is_header(comment: str, row: str) -> bool:
    """Whether a line of comments names as many columns as the row below it has numbers and words, and holds no number.

    numpy writes headers so.
    """
    for separator in (*SEPARATORS, None):
        names, cells = comment.lstrip("#%/ ").strip().split(separator), row.strip().split(separator)
        if len(names) == len(cells) > 1 and not any(map(_is_numeral, names)) and any(map(_is_numeral, cells)):
            return True
    return False


def _is_numeral(cell: str) -> bool:
    try:
        float(cell.strip().strip('"').replace(",", "."))
    except ValueError:
        return False
    return True


def _refuse_titles(text: str, separator: str) -> None:
    """Refuse lines above the header: their fields are fewer than those of most lines."""
    lines = [line for line in text[:65536].splitlines()[:50] if line.strip()]
    if separator == BLANKS or not lines:
        return
    header, *rows = list(csv.reader(lines[:6], delimiter=separator))
    filled = [sum(bool(cell.strip()) for cell in row) for row in (header, *rows)]
    names = filled[0] + (not header[0].strip())  # a saved index has none
    second = len(rows) > 1 and filled[1] == len(header) and not any(map(_is_numeral, rows[0]))
    if len(header) > 1 and max(filled) > names and (second or 2 * names <= len(header)):
        found = f"it names {filled[0]} of {len(header)}. Remove the lines above the header"
        raise ValueError(f"its first line must name the columns; {found}")
    if len(header) > 1:
        return
    for one in SEPARATORS if len(lines) > 3 else ():
        counts = [len(row) for row in csv.reader(lines, delimiter=one, skipinitialspace=True) if row]
        common, often = Counter(counts).most_common(1)[0]
        if common > 1 and counts[0] == 1 and often >= 0.8 * (len(counts) - 1):
            raise ValueError(
                f"its first line must name the columns; it has one field and most lines have {common}. Remove the "
                "lines above the header"
            )


def _refuse_numbers(header: list[str]) -> None:
    """Refuse a header of numbers alone, with decimals: it is the first record. Whole numbers may be pandas' names."""
    if len(header) > 1 and all(map(_is_numeral, header)) and any("." in name for name in header):
        raise ValueError(
            f"its first line must name the columns; it holds the numbers {', '.join(header[:3])}. Add a line of names "
            "on top"
        )


def _header(text: str, separator: str) -> list[str]:
    if separator == BLANKS:
        return next((line.split() for line in text.splitlines() if line.strip()), [])
    rows = csv.reader(io.StringIO(text, newline=None), delimiter=separator, skipinitialspace=True)
    return next((row for row in rows if row), [])
