"""The files of a model that lies in several: named by an index, or by ``NAME-00001-of-00003`` in their own names."""

import json
import re
from pathlib import Path

from leaq.errors import InvalidInput, StoreError, some

_NUMBERED = re.compile(r"^(?P<name>.+)-(?P<at>\d{5})-of-(?P<count>\d{5})(?P<end>\.\w+)$")


def numbered(path: Path) -> list[Path]:
    """Return all files of the set that a file's name says it is one of; the file itself if its name says nothing.

    Raises
    ------
    StoreError
        If one of the set is missing.

    Examples
    --------
    >>> numbered(Path("model.safetensors"))
    [PosixPath('model.safetensors')]
    """
    match = _NUMBERED.match(path.name)
    if match is None or int(match["count"]) > 99_999 or not path.is_file():
        return [path]
    count = int(match["count"])
    names = (f"{match['name']}-{at:05d}-of-{count:05d}{match['end']}" for at in range(1, min(count, 10_000) + 1))
    return _all_there([path.parent / name for name in names], f"{path.name}: by its name it is one of {count} files")


def indexed(index: Path) -> list[Path]:
    """Return the files that an index of safetensors names.

    Raises
    ------
    StoreError
        If it is no index, or a file is missing.
    InvalidInput
        If a file lies outside of its folder.
    """
    try:
        names = sorted(set(json.loads(index.read_text())["weight_map"].values()))
        files = [index.parent / name for name in names]
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as err:
        raise StoreError(f"{index.name}: this is no index of safetensors files ({type(err).__name__}).") from None
    outside = [file.name for file in files if index.parent.resolve() not in file.resolve().parents]
    if outside:
        raise InvalidInput(f"{index.name}: files must lie in the folder of their index. Found {outside[0]}.")
    return _all_there(files, f"{index.name}: a model in several files needs all of them")


def _all_there(files: list[Path], subject: str) -> list[Path]:
    missing = [file.name for file in files if not file.is_file()]
    if missing or not files:
        raise StoreError(f"{subject}. Missing: {some(missing)} of {len(files)}. Copy them beside the others.")
    return files
