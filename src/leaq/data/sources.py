"""Whether a source is there to be read: a known name or a file. Nothing that computes is loaded to tell."""

from pathlib import Path

from leaq.data.catalogue import SHIPPED, TASKS
from leaq.errors import InvalidInput, unknown_name
from leaq.system.files import is_model, nearest

__all__ = ["check_source", "names", "refuse_missing"]


def names() -> tuple[str, ...]:
    """Return every data set known by name.

    Examples
    --------
    >>> "wine" in names()
    True
    """
    return (*TASKS, *SHIPPED)


def check_source(source: str | Path) -> None:
    """Refuse what is neither a data set's name nor an existing file, naming the closest.

    Raises
    ------
    InvalidInput
        If it looks like a file and there is none.
    UnknownName
        If it is no known name either.

    Examples
    --------
    >>> check_source("wine")
    >>> check_source("breastcancer")
    Traceback (most recent call last):
    leaq.errors.UnknownName: Unknown data set 'breastcancer'. Did you mean 'breast_cancer'? Known: ...
    """
    from leaq.data.synthetic import is_synthetic  # brings numpy, and no help needs it

    name, path, known = str(source), Path(source), {**TASKS, **SHIPPED}
    if is_synthetic(name) or name in known:
        return
    if is_model(path):
        refuse_missing(path)
        return
    if not path.suffix and not path.exists():
        raise unknown_name("data set", name, known)
    refuse_missing(path)


def refuse_missing(path: Path) -> None:
    """Refuse a file that does not exist, naming the one of the folder that is nearest in name."""
    if not path.exists():
        raise InvalidInput(f"There is no file {str(path)!r}.{nearest(path)}")
