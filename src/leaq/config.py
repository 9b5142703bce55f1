"""Small frozen configurations, and the registries that give them names.

A `Config` is validated when it is built, reports every problem at once, refuses unknown options (naming the
closest known one), and survives a round trip through a dictionary, TOML or JSON unchanged. Its `digest` is the
same in every process and version, and keys stored results. A `Registry` maps names to configurations, so that the text
``ternary(sparsity=0.9)`` means the same on the command line, in TOML and in Python. It looks for them in a folder: who
adds a file there adds a name.
"""

import ast
import hashlib
import json
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from importlib import import_module
from pkgutil import iter_modules
from types import ModuleType
from typing import Any, ClassVar, Generic, Self, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from leaq.errors import InvalidInput, LeaqError, UnknownName, closest, unknown_name

T = TypeVar("T")
LONGEST = 10_000
"""Characters of a specification; Python's parser takes seconds and gigabytes for millions of brackets."""
UNREADABLE = (SyntaxError, ValueError, RecursionError, MemoryError, OverflowError)
"""What Python's parser says to text that is no expression, holds a zero byte, or nests too deeply."""
Maker = TypeVar("Maker", bound=Callable[..., Any])


REPEATED = 80
"""Letters of a value that are repeated in a message."""


def _in_a_line(value: object) -> str:
    """Write a value as it was given, in one line of some length: a table is named by its type."""
    text = repr(value)
    return text if len(text) <= REPEATED and "\n" not in text else f"a {type(value).__name__}"


class ConfigError(InvalidInput):
    """Options are wrong; `problems` holds each one with the dotted path of its field, empty for the whole."""

    def __init__(self, name: str, problems: Sequence[tuple[str, str]]) -> None:
        super().__init__(f"{name}: " + " ".join(f"{where}: {text}" if where else text for where, text in problems))
        self.problems = tuple(problems)


class Config(BaseModel):
    """Base of every configuration: frozen, strict about names, comparable, hashable, serialisable.

    A docstring under a field says what it is; the command line shows it as the help of its option.

    Examples
    --------
    >>> class Mixing(Config):
    ...     speed: int = 3
    >>> Mixing(speed=4).to_dict()
    {'speed': 4}
    >>> Mixing.from_dict({"sped": 4})
    Traceback (most recent call last):
    leaq.config.ConfigError: Mixing: unknown option 'sped'. Did you mean 'speed'?
    """

    model_config: ClassVar[ConfigDict] = ConfigDict(
        frozen=True, extra="forbid", validate_default=True, use_attribute_docstrings=True
    )

    def __init__(self, /, **options: Any) -> None:  # an option may be called self
        try:
            super().__init__(**options)
        except ValidationError as err:
            raise ConfigError(type(self).__name__, tuple(self._explained(err))) from None

    @classmethod
    def _explained(cls, err: ValidationError) -> Iterator[tuple[str, str]]:
        for problem in err.errors():
            where = ".".join(str(part) for part in problem["loc"])
            inner = problem.get("ctx", {}).get("error")
            if isinstance(inner, ConfigError):  # of a configuration within this one
                yield from ((f"{where}.{path}".rstrip("."), text) for path, text in inner.problems)
            elif problem["type"] == "extra_forbidden":
                yield "", f"unknown option '{where}'.{closest(where, cls.model_fields)}"
            elif problem["type"] == "missing":
                yield "", f"option '{where}' is required."
            else:
                text = problem["msg"].removeprefix("Value error, ").rstrip(".")
                found = "" if problem["type"] == "value_error" else f" (found {_in_a_line(problem['input'])})"
                yield where, f"{text}{found}" + ("" if text.endswith("?") else ".")

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON-compatible values; `from_dict` turns them back into an equal configuration."""
        return self.model_dump(mode="json")

    @classmethod
    def from_dict(cls, options: dict[str, Any]) -> Self:
        """Build from plain values; raises `InvalidInput` with every problem at once."""
        return cls(**options)

    def but(self, **changes: Any) -> Self:
        """Return the same configuration with some options changed."""
        return self.from_dict({**self.to_dict(), **changes})

    def asked(self) -> dict[str, Any]:
        """Return plain values of the options that are not at their default, nested ones too.

        What is stored is keyed by these: an option that a later version adds leaves the keys of what asks for nothing
        of it. A default that changes is guarded by `tests/golden`.

        Examples
        --------
        >>> class Mixing(Config):
        ...     speed: int = 3
        ...     mode: str = "fast"
        >>> Mixing(speed=4).asked()
        {'speed': 4}
        """
        return self.model_dump(mode="json", exclude_defaults=True)

    def digest(self) -> str:
        """Return 16 hexadecimal digits that are equal exactly when the configurations are; see `asked`."""
        text = json.dumps([type(self).__name__, self.asked()], sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(text.encode()).hexdigest()[:16]


class Named(Config):
    """A configuration with a registered name; its `spec` is the text that builds it again.

    Examples
    --------
    >>> class Blur(Named):
    ...     name: ClassVar[str] = "blur"
    ...     radius: int = 3
    >>> Blur().spec(), Blur(radius=5).spec()
    ('blur', 'blur(radius=5)')
    """

    # No help shows these options, and reading each class's source is most of what defining it costs.
    model_config: ClassVar[ConfigDict] = ConfigDict(use_attribute_docstrings=False)

    name: ClassVar[str] = ""
    """The registered name; a class that gives none is no piece but what several share."""
    place: ClassVar[int] = 0
    """Where it stands among its kind: lists are in this order, pieces of one place by name."""
    always_named: ClassVar[frozenset[str]] = frozenset()
    """Options that a specification names even at their default, because readers ask for them."""

    def spec(self) -> str:
        """Return the text that builds this configuration again; options at their default are left out."""
        options = [
            f"{key}={_spelled(getattr(self, key))}"
            for key in self.spec_order()
            if key in self.always_named or not self.at_default(key)
        ]
        return f"{self.name}({', '.join(options)})" if options else self.name

    @classmethod
    def spec_order(cls) -> list[str]:
        """Return the options in the order a specification names them."""
        return list(cls.model_fields)

    def at_default(self, key: str) -> bool:
        """Tell whether an option is at its default."""
        return bool(getattr(self, key) == type(self).model_fields[key].default)


def _spelled(value: Any) -> str:
    """Return an option's value as a specification names it: words bare, other texts in quotes."""
    return repr(value) if isinstance(value, str) and not value.isidentifier() else str(value)


def split_specs(text: str) -> list[str]:
    """Split a list of specifications at the commas that stand outside parentheses and double quotes.

    Examples
    --------
    >>> split_specs("sign, uniform(bits=3, per=tensor)")
    ['sign', 'uniform(bits=3, per=tensor)']
    """
    items, depth, start, quoted = [], 0, 0, False
    for at, char in enumerate(text):
        quoted ^= char == '"'
        if not quoted:
            depth = max(0, depth + (char == "(") - (char == ")"))
        if char == "," and not quoted and depth == 0:
            items.append(text[start:at])
            start = at + 1
    return [item.strip() for item in (*items, text[start:]) if item.strip()]


def parse_spec(text: str) -> tuple[str, dict[str, Any]]:
    """Read ``name`` or ``name(option=value, ...)``; values are Python literals or bare words.

    Examples
    --------
    >>> parse_spec("uniform(bits=4, per=channel)")
    ('uniform', {'bits': 4, 'per': 'channel'})
    >>> parse_spec("torchao.int8_weight_only")
    ('torchao.int8_weight_only', {})
    """
    refusal = f"{text!r} must read name or name(option=value, ...), for example ternary(sparsity=0.9)."
    try:
        if len(text) > LONGEST:
            raise ValueError("too long")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", SyntaxWarning)  # "is" with a literal, "\\d"; it is no code of ours
            warnings.simplefilter("ignore", DeprecationWarning)
            node = ast.parse(text.strip(), mode="eval").body
    except UNREADABLE:
        raise InvalidInput(refusal) from None
    if isinstance(node, ast.Call):
        if node.args or any(keyword.arg is None for keyword in node.keywords):
            raise InvalidInput(refusal)
        options = {str(keyword.arg): _literal(keyword.value, refusal) for keyword in node.keywords}
        return _dotted(node.func, refusal), options
    return _dotted(node, refusal), {}


def _dotted(node: ast.expr, refusal: str) -> str:
    if isinstance(node, ast.Name):
        return node.id
    if isinstance(node, ast.Attribute):
        return f"{_dotted(node.value, refusal)}.{node.attr}"
    raise InvalidInput(refusal)


def _literal(node: ast.expr, refusal: str) -> Any:
    if isinstance(node, ast.Name):
        return {"true": True, "false": False, "none": None}.get(node.id, node.id)
    try:
        return ast.literal_eval(node)
    except (TypeError, *UNREADABLE):
        raise InvalidInput(refusal) from None


def modules_in(folder: str) -> list[ModuleType]:
    """Import the modules that stand in a package's folder, in the order of their names; folders within are left out."""
    names = sorted(found.name for found in iter_modules(import_module(folder).__path__) if not found.ispkg)
    return [import_module(f"{folder}.{name}") for name in names]


def _pieces(folder: str) -> Iterator[Any]:
    """Yield the classes of a folder that have a name of their own, and what its files list as ENTRIES."""
    for module in modules_in(folder):
        for found in vars(module).values():
            if isinstance(found, type) and issubclass(found, Named) and found.__module__ == module.__name__:
                yield from [found] if "name" in vars(found) else []
        yield from getattr(module, "ENTRIES", ())


def _order(piece: Any) -> tuple[int, str]:
    by_name = isinstance(piece, type)  # cards stand in the order their file gives them
    return int(piece.place), str(piece.name) if by_name else ""


class Registry(Generic[T]):
    """Named constructors of one kind, e.g. all quantizers: those in its folders, found when first asked for.

    Parameters
    ----------
    folders : packages; registered is every class with a name in a module of theirs, and what a module lists as ENTRIES:
        callables with a `name` and a `place`, where one class goes by several names.

    Examples
    --------
    >>> shapes = Registry[tuple[int, int]]("shape")
    >>> _ = shapes.add("square")(lambda side=1: (side, side))
    >>> shapes.build("square(side=3)")
    (3, 3)
    """

    def __init__(self, kind: str, *folders: str) -> None:
        self.kind = kind
        self._folders = folders
        self._added: dict[str, Callable[..., T]] = {}
        self._aliases: dict[str, str] = {}

    def add(self, name: str) -> Callable[[Maker], Maker]:
        """Register a class or function under `name`; a name can be taken once."""

        def register(maker: Maker) -> Maker:
            if name in self._makers:
                raise self._taken(name)
            self._added[name] = maker
            return maker

        return register

    @property
    def _makers(self) -> dict[str, Callable[..., T]]:
        if self._folders:
            found: dict[str, Any] = {}
            pieces = [piece for folder in self._folders for piece in _pieces(folder)]
            for piece in sorted(pieces, key=_order):
                if piece.name in found:
                    raise self._taken(piece.name)
                found[piece.name] = piece
            self._added, self._folders = found | self._added, ()
        return self._added

    def _taken(self, name: str) -> InvalidInput:
        return InvalidInput(f"The {self.kind} name {name!r} is already registered. Choose another name.")

    def alias(self, **specs: str) -> None:
        """Let names that people type stand for specifications.

        Examples
        --------
        >>> sizes = Registry[int]("size")
        >>> _ = sizes.add("wide")(lambda by=1: 10 * by)
        >>> sizes.alias(huge="wide(by=9)")
        >>> sizes.build("huge")
        90
        """
        self._aliases |= specs

    def spelled(self, spec: str) -> str:
        """Return what an alias stands for, with the options that follow it; any other text as it is."""
        name, bracket, options = spec.strip().partition("(")
        known = self._aliases.get(name.strip())
        if known is None:
            return spec
        if not bracket:
            return known
        return f"{known[:-1]}, {options}" if known.endswith(")") else f"{known}({options}"

    def get(self, name: str) -> Callable[..., T]:
        """Return what was registered under `name`; raises `UnknownName`."""
        if name not in self._makers:
            raise self.unknown(name)
        return self._makers[name]

    def unknown(self, name: str, *, also: Iterable[str] = ()) -> UnknownName:
        """Build the error for a name that is not registered; `also` holds names that are known besides."""
        return unknown_name(self.kind, name, [*self._makers, *self._aliases, *also])

    def build(self, spec: str) -> T:
        """Build from text such as ``ternary(sparsity=0.9)``, or an alias of such a text."""
        name, options = parse_spec(self.spelled(spec))
        maker = self.get(name)
        try:
            return maker(**options)
        except LeaqError:
            raise
        except (TypeError, ValueError, OverflowError, RecursionError) as err:
            raise InvalidInput(f"{spec!r}: {err}.") from None

    def __iter__(self) -> Iterator[str]:
        return iter(self._makers)

    def __contains__(self, name: object) -> bool:
        return name in self._makers

    def __len__(self) -> int:
        return len(self._makers)
