"""Configurations on the command line: every field is an option, its docstring the help.

One table serves three ends: the command line parses with it and shows it as help, and a report writes the command that
gives its numbers again with it. A new field of a configuration appears in all three by itself.
"""

import re
import shlex
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Any, TypeVar, get_origin

from leaq.config import Config, ConfigError, split_specs
from leaq.errors import InvalidInput
from leaq.pipeline.cell import IN_MEMORY, AuditConfig, usual_options

C = TypeVar("C", bound=Config)


@dataclass(frozen=True)
class Option:
    """One field of a configuration as an option.

    Attributes
    ----------
    path : of the field, e.g. ("training", "epochs").
    flag : on the command line, e.g. ``--learning-rate``.
    help : the docstring of the field.
    kind : its type.
    default : its value where the option is not given.
    panel : the title of the configuration it belongs to.
    """

    path: tuple[str, ...]
    flag: str
    help: str
    kind: Any
    default: Any
    panel: str

    @property
    def many(self) -> bool:
        """Whether it takes several values: separated by commas, or the option repeated."""
        return get_origin(self.kind) is tuple

    def text(self, value: Any) -> str:
        """Write a value as the command line reads it."""
        return join_items([str(item) for item in value]) if self.many else str(value)

    def words(self, value: Any) -> list[str]:
        """Return the option and a value as words of a command line."""
        if self.kind is bool:
            return [self.flag if value else self.flag.replace("--", "--no-", 1)]
        return [self.flag, self.text(value)]


@dataclass(frozen=True)
class Verb:
    """A way to start from a configuration: its own defaults by dotted path, and the options it does not take."""

    defaults: Mapping[str, Any] = field(default_factory=dict)
    without: frozenset[str] = frozenset()


VERBS: Mapping[str, Verb] = {
    "audit": Verb(),
    "protect": Verb(
        {"quantizers": ("protect",), "attacks": ("combined(sees=outputs)", "combined(codes=True)")},
        without=frozenset({"effort", "attacks", "together", "game", "references", "dp_sgd"}),
    ),
}


def options(config: type[Config], verb: Verb | None = None) -> tuple[Option, ...]:
    """Return every field of a configuration as an option, those of nested configurations included.

    A nested field whose name is taken carries the name of its configuration before it.

    Examples
    --------
    >>> [one.flag for one in options(AuditConfig) if one.path[0] == "training"][:3]
    ['--hidden', '--epochs', '--batch-size']
    """
    verb = verb or Verb()
    taken = set(config.model_fields)
    found = []
    for path, owner in _paths(config):
        dotted, item = ".".join(path), owner.model_fields[path[-1]]
        if dotted in verb.without:
            continue
        name = "_".join(path) if len(path) > 1 and path[-1] in taken else path[-1]
        default = verb.defaults.get(dotted, item.get_default(call_default_factory=True))
        flag = "--" + name.strip("_").replace("_", "-")  # lambda_, with_: words of Python otherwise
        # The docstring in one line, other fields by the names of their options.
        words = " ".join((item.description or "").split())
        words = re.sub(r"`(\w+)`", lambda name: "--" + name[1].replace("_", "-"), words)
        words = re.sub(r"(?<=[.:;] )(\w+) : ", r"\1: ", words)
        bringing = next(cls for cls in reversed(owner.__mro__) if path[-1] in vars(cls).get("__annotations__", {}))
        panel = str(getattr(bringing, "model_config", {}).get("title", "Options"))
        found.append(Option(path, flag, words, item.annotation, default, panel))
    return tuple(found)


def _paths(config: type[Config], before: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], type[Config]]]:
    for name, item in config.model_fields.items():
        kind = item.annotation
        if isinstance(kind, type) and issubclass(kind, Config):
            yield from _paths(kind, (*before, name))
        else:
            yield (*before, name), config


def config_from(config: type[C], given: Mapping[str, Any], *, verb: Verb | None = None) -> C:
    """Build a configuration from the values of options, by dotted path; what is not given has the verb's default.

    Raises
    ------
    InvalidInput
        With every problem at once, each under the name of its option.
    """
    tree: dict[str, Any] = {}
    for dotted, value in {**(verb or Verb()).defaults, **given}.items():
        *above, name = dotted.split(".")
        place = tree
        for part in above:
            place = place.setdefault(part, {})
        place[name] = value
    flags = {".".join(one.path): one.flag for one in options(config)}
    try:
        return config.from_dict(tree)
    except ConfigError as err:
        raise InvalidInput(" ".join(_told(where, text, flags) for where, text in err.problems)) from None


def _told(where: str, text: str, flags: Mapping[str, str]) -> str:
    """Put the name of the option before what is wrong with it."""
    path = next((path for path in _heads(where) if path in flags), "")
    inner = where.removeprefix(path).lstrip(".")  # an option of what the option names, such as a quantizer's bits
    named = [flags.get(path, ""), "" if inner.isdigit() else inner]
    return ": ".join([*filter(None, named), text])


def _heads(where: str) -> Iterator[str]:
    """Yield a dotted path and all that lie above it, longest first."""
    while where:
        yield where
        where = where.rpartition(".")[0]


def command(config: Mapping[str, Any], *, verb: str = "audit") -> str:
    """Return the command that gives the numbers of a configuration again (the call, for a finished model in memory).

    It names every field that differs from the default of the verb.

    Examples
    --------
    >>> command({"source": "my data.csv", "target": "y", "quantizers": ["sign"], "replicates": 8, "seed": 1})
    "leaq audit 'my data.csv' --target y --quantizers sign --replicates 8 --seed 1"
    >>> command({"kind": "model", "source": "Linear in memory", "members": "a.npz", "quantizers": ["sign"], "seed": 1})
    "leaq.audit(model, members='a.npz', nonmembers=..., quantizers=['sign'], seed=1)"
    """
    source = str(config.get("source", "data"))
    if config.get("kind") == "model" and (source.endswith(IN_MEMORY) or "source" not in config):
        return _call(config)
    source = "TABLE.csv" if source.endswith(IN_MEMORY) else source  # a data frame: to be saved first
    words = _differing(config, verb)
    subject = [source, *words] if not source.startswith("-") else [*words, "--", source]
    return " ".join(["leaq", verb, *map(shlex.quote, subject)])


def _call(config: Mapping[str, Any]) -> str:
    """Return the call that audits a finished model in memory; what was in memory is left to be filled in."""
    plain, words = usual_options(), ["model"]
    for name in dict.fromkeys(("members", "nonmembers", "quantizers", *plain)):
        value = config.get(name, plain[name])
        if name == "source" or (value == plain[name] and name not in ("members", "nonmembers", "quantizers")):
            continue
        texts = value if isinstance(value, list | tuple) else (value,)
        held = not value or any(isinstance(text, str) and text.endswith(IN_MEMORY) for text in texts)
        words.append(f"{name}=..." if held else f"{name}={value!r}")
    return f"leaq.audit({', '.join(words)})"


@cache
def _usual(verb: str) -> dict[str, Any]:
    """Return what a verb runs when nothing is given."""
    return config_from(AuditConfig, {"source": "data"}, verb=VERBS[verb]).to_dict()


def _differing(config: Mapping[str, Any], verb: str) -> list[str]:
    """Return the options that turn a verb's defaults into a configuration, those it takes."""
    base, plain = _usual(verb), usual_options()
    words: list[str] = []
    for one in options(AuditConfig, VERBS[verb]):
        usual = _at(base, one.path)
        value = _at(config, one.path, _at(plain, one.path))
        if one.path == ("source",) or value == usual or (one.many and tuple(value) == tuple(usual)):
            continue
        words += one.words(value)
    return words


def _at(tree: Mapping[str, Any], path: Sequence[str], missing: Any = None) -> Any:
    found: Any = tree
    for name in path:
        if not isinstance(found, Mapping) or name not in found:
            return missing
        found = found[name]
    return found


def join_items(items: Sequence[str]) -> str:
    """Write a list as one text that `split_items` reads; nothing in it is ``none``.

    Examples
    --------
    >>> join_items(["sign", "uniform(bits=4, per=group)", "conc, mM"])
    'sign,uniform(bits=4, per=group),"conc, mM"'
    """
    return ",".join(map(_quoted, items)) or "none"


def _quoted(item: str) -> str:
    plain = split_items(item + ",x") == (item, "x") and '"' not in item and item.lower() != "none"
    return item if plain else '"' + item.replace('"', '""') + '"'


def split_items(text: str) -> tuple[str, ...]:
    """Split at commas that stand outside parentheses and double quotes; ``none`` is an empty list.

    Examples
    --------
    >>> split_items('sign, uniform(bits=4, per=group)'), split_items("none")
    (('sign', 'uniform(bits=4, per=group)'), ())
    """
    if text.strip().lower() == "none":
        return ()
    return tuple(map(_bare, split_specs(text)))


def _bare(item: str) -> str:
    quoted = len(item) > 1 and item[0] == item[-1] == '"'
    return item[1:-1].replace('""', '"') if quoted else item
