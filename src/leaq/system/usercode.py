"""The user's own functions, named as ``file.py:function`` or ``module:function``: networks, recipes, losses.

To name one is to run it: nothing here protects from code that its owner does not trust.
"""

import ast
import hashlib
import importlib
import importlib.util
import sys
import traceback
from collections.abc import Callable, Iterator
from contextlib import suppress
from inspect import Parameter, signature
from pathlib import Path
from types import ModuleType
from typing import Any

from leaq.errors import InvalidInput, closest, reason_of
from leaq.system.files import no_file

Function = Callable[..., Any]


def is_code(spec: str) -> bool:
    """Whether a text names a function of the user's, or tries to; a name of something of leaq's has neither mark.

    Examples
    --------
    >>> is_code("nets.py:make"), is_code("dmpnn(hidden=64)"), is_code("")
    (True, False, False)
    """
    return ":" in spec or spec.endswith(".py")


def user_function(spec: str, *, what: str, folder: Path | None = None) -> Function:
    """Import the function that ``nets.py:make`` or ``nets:make`` names. This runs the user's code.

    Parameters
    ----------
    what : the option it was given to, for messages.
    folder : where files and modules are looked for first; the current folder by default.

    Raises
    ------
    InvalidInput
        If there is no such file, module or function, or the file cannot be run; the message says why.
    """
    place, _, name = spec.rpartition(":")
    if not place or not name.isidentifier():
        raise InvalidInput(f"{what} must read file.py:function or module:function, e.g. nets.py:make. Found {spec!r}.")
    folder = (folder or Path.cwd()).resolve()
    sys.path.insert(0, str(folder))
    try:
        module = _of_file(folder / place, spec) if place.endswith(".py") else _of_module(place, folder)
    except InvalidInput:
        raise
    except ImportError as err:
        raise InvalidInput(f"{what} {spec!r}: {place!r} cannot be imported from here ({err}).") from err
    except Exception as err:  # whatever the user's file raises while it is run
        raise InvalidInput(f"{what} {spec!r}: running {place!r} failed with {type(err).__name__}: {err}.") from err
    finally:
        sys.path.remove(str(folder))
        if str(folder) not in sys.path:  # last, for what the function imports when it is called: it shadows nothing
            sys.path.append(str(folder))
    function = getattr(module, name, None)
    if not callable(function):
        names = [key for key, value in vars(module).items() if callable(value) and not key.startswith("_")]
        raise InvalidInput(f"{what} {spec!r}: {place} has no function {name!r}.{closest(name, names)}")
    return function  # type: ignore[no-any-return]


def _of_module(name: str, folder: Path) -> ModuleType:
    """Import a module; one that lies in the folder is that one, whatever of its name was imported from elsewhere."""
    path = folder / (name.replace(".", "/") + ".py")
    if path.is_file() and "." not in name:
        return _of_file(path, name)
    module = importlib.import_module(name)
    if path.is_file() and Path(module.__file__ or "").resolve() != path.resolve():
        raise ImportError(f"another {name} was imported before, from {module.__file__}; name the file, {path.name}")
    return module


def _of_file(path: Path, spec: str) -> ModuleType:
    if not path.is_file():
        raise no_file(path, remedy=f"{spec!r} names a function of it.")
    name = f"leaq_user_{path.stem}_{hashlib.sha256(str(path).encode() + path.read_bytes()).hexdigest()[:12]}"
    if name in sys.modules:  # the same classes wherever they are met in this process, until the file changes
        return sys.modules[name]
    found = importlib.util.spec_from_file_location(name, path)
    if found is None or found.loader is None:
        raise ImportError("no Python file")
    module = importlib.util.module_from_spec(found)
    sys.modules[name] = module
    try:
        found.loader.exec_module(module)
    except BaseException:
        del sys.modules[name]
        raise
    return module


def code_of(spec: str, *, folder: Path | None = None) -> str:
    """Return a digest of the file that holds a function, so that results of changed code are not taken for its own.

    Of what that file imports, files of the folder count too, and those that they import; nothing that is installed.

    Examples
    --------
    >>> len(code_of("leaq.system.usercode:code_of")), code_of("")
    (64, '')
    """
    place = spec.rpartition(":")[0]
    if not place:
        return ""
    folder = folder or Path.cwd()
    paths = [folder / place, folder / (place.replace(".", "/") + ".py")]
    path = next((path for path in paths if path.is_file()), None)
    if path is None:
        found = importlib.util.find_spec(place)
        path = Path(found.origin) if found and found.origin else None
    if path is None:
        return hashlib.sha256(place.encode()).hexdigest()
    own, *others = (hashlib.sha256(one.read_bytes()).hexdigest() for one in _with_imported(path, folder))
    return hashlib.sha256("".join([own, *sorted(others)]).encode()).hexdigest() if others else own


def _with_imported(path: Path, folder: Path) -> list[Path]:
    """Return a file and the files of the folder that it imports, those they import included."""
    found = [path.resolve()]
    for one in found:  # grows meanwhile
        with suppress(SyntaxError, ValueError):  # it is said where the file is run
            for place in _imported(one, folder.resolve()):
                files = (place.with_suffix(".py"), place / "__init__.py")
                found += [file for file in files if file.is_file() and file not in found]
    return found


def _imported(path: Path, folder: Path) -> Iterator[Path]:
    """Yield where modules that a file imports would lie in the folder, without an ending; packages above them too."""
    for node in ast.walk(ast.parse(path.read_bytes())):
        names, base = [], folder
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = path.parents[node.level - 1] if 0 < node.level <= len(path.parents) else folder
            before = f"{node.module}." if node.module else ""
            names = [before + alias.name for alias in node.names if alias.name != "*"] + [node.module or ""]
        for name in names:
            parts = name.split(".") if name else []
            yield from (base.joinpath(*parts[:end]) for end in range(1, len(parts) + 1))


def raised(err: Exception, function: Function) -> str:
    """Return what a user's function raised, and the last line of its own file that led there.

    Examples
    --------
    >>> raised(ValueError("no such luck"), print)
    'ValueError: no such luck'
    """
    said = reason_of(err).rstrip(".")
    file = getattr(getattr(function, "__code__", None), "co_filename", None)
    lines = [frame for frame in traceback.extract_tb(err.__traceback__) if frame.filename == file]
    return f"{said} ({Path(lines[-1].filename).name}, line {lines[-1].lineno})" if lines else said


def accepted(function: Function, given: dict[str, Any]) -> dict[str, Any]:
    """Return those of the arguments that a function names among its own; all, if it takes any keyword.

    Examples
    --------
    >>> accepted(lambda features, wide=3: None, {"features": 8, "outputs": 2})
    {'features': 8}
    """
    try:
        known = signature(function).parameters
    except (TypeError, ValueError):  # written in C, or otherwise without one
        return {}
    if any(one.kind is Parameter.VAR_KEYWORD for one in known.values()):
        return given
    named = {name for name, one in known.items() if one.kind is not Parameter.POSITIONAL_ONLY}
    return {name: value for name, value in given.items() if name in named}
