"""Small frozen configurations, and the registries that give them names.

A `Config` is validated when it is built, reports every problem at once, refuses unknown options (naming the
closest known one), and survives a round trip through a dictionary, TOML or JSON unchanged. Its `digest` is the
same in every process and keys stored results. A `Registry` maps names to configurations, so that the text
``ternary(sparsity=0.9)`` means the same on the command line, in TOML and in Python.
"""

import ast
import hashlib
import json
import warnings
from collections.abc import Callable, Iterator
from typing import Any, ClassVar, Generic, Self, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from leaq.errors import InvalidInput, LeaqError, closest, unknown_name

__all__ = ["Config", "Registry", "parse_spec"]

T = TypeVar("T")
LONGEST = 10_000
"""Characters of a specification; Python's parser takes seconds and gigabytes for millions of brackets."""
UNREADABLE = (SyntaxError, ValueError, RecursionError, MemoryError, OverflowError)
"""What Python's parser says to text that is no expression, holds a zero byte, or nests too deeply."""
Maker = TypeVar("Maker", bound=Callable[..., Any])


class Config(BaseModel):
    """Base of every configuration: frozen, strict about names, comparable, hashable, serialisable.

    Examples
    --------
    >>> class Mixing(Config):
    ...     speed: int = 3
    >>> Mixing(speed=4).to_dict()
    {'speed': 4}
    >>> Mixing.from_dict({"sped": 4})
    Traceback (most recent call last):
    leaq.errors.InvalidInput: Mixing: unknown option 'sped'. Did you mean 'speed'?
    """

    model_config: ClassVar[ConfigDict] = ConfigDict(frozen=True, extra="forbid", validate_default=True)

    def __init__(self, /, **options: Any) -> None:  # an option may be called self
        try:
            super().__init__(**options)
        except ValidationError as err:
            raise InvalidInput(self._explain(err)) from None

    @classmethod
    def _explain(cls, err: ValidationError) -> str:
        problems = []
        for problem in err.errors():
            where = ".".join(str(part) for part in problem["loc"])
            if problem["type"] == "extra_forbidden":
                problems.append(f"unknown option '{where}'.{closest(where, cls.model_fields)}")
            elif problem["type"] == "missing":
                problems.append(f"option '{where}' is required.")
            else:
                text = problem["msg"].removeprefix("Value error, ").rstrip(".")
                found = "" if problem["type"] == "value_error" else f" (found {problem['input']!r})"
                problems.append(f"{where + ': ' if where else ''}{text}{found}" + ("" if text.endswith("?") else "."))
        return f"{cls.__name__}: " + " ".join(problems)

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON-compatible values; `from_dict` turns them back into an equal configuration."""
        return self.model_dump(mode="json")

    @classmethod
    def from_dict(cls, options: dict[str, Any]) -> Self:
        """Build from plain values; raises `InvalidInput` with every problem at once."""
        return cls(**options)

    def digest(self) -> str:
        """Return 16 hexadecimal digits that are equal exactly when the configurations are."""
        text = json.dumps([type(self).__name__, self.to_dict()], sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(text.encode()).hexdigest()[:16]


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


class Registry(Generic[T]):
    """Named constructors of one kind, e.g. all quantizers.

    Examples
    --------
    >>> shapes = Registry[tuple[int, int]]("shape")
    >>> _ = shapes.add("square")(lambda side=1: (side, side))
    >>> shapes.build("square(side=3)")
    (3, 3)
    """

    def __init__(self, kind: str) -> None:
        self.kind = kind
        self._makers: dict[str, Callable[..., T]] = {}

    def add(self, name: str) -> Callable[[Maker], Maker]:
        """Register a class or function under `name`; a name can be taken once."""

        def register(maker: Maker) -> Maker:
            if name in self._makers:
                raise InvalidInput(f"The {self.kind} name {name!r} is already registered. Choose another name.")
            self._makers[name] = maker
            return maker

        return register

    def get(self, name: str) -> Callable[..., T]:
        """Return what was registered under `name`; raises `UnknownName`."""
        if name not in self._makers:
            raise unknown_name(self.kind, name, self._makers)
        return self._makers[name]

    def build(self, spec: str) -> T:
        """Build from text such as ``ternary(sparsity=0.9)``."""
        name, options = parse_spec(spec)
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
