"""Commands whose options are the fields of configurations; see `leaq.pipeline.options` for the table.

The configuration of an audit is one of them; what verbs share beside it (where a run is kept, what is printed) are
further ones, the bundles.
"""

import inspect
import types
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar, Union, get_args, get_origin

import typer
from rich.markup import escape

from leaq.cli.completing import COMPLETE
from leaq.config import Config
from leaq.decisions.limits import TITLE as LIMITS
from leaq.errors import InvalidInput
from leaq.pipeline.cell import AuditConfig
from leaq.pipeline.options import VERBS, Option, Verb, config_from, options, split_items

C = TypeVar("C", bound=Config)

PANELS = (
    "What to find", "What to audit", "What is done to it", "How it runs", "What is printed", "Files to write",
    "Whose model it is", "A finished model", "How each model is trained", LIMITS,
)  # fmt: skip
"""Groups of options in the order of the help: what everybody needs comes first, other groups last."""
ALSO = {
    ("Whose model it is", "--model"): "--arch",
    ("Files to write", "--report"): "--html",
    (LIMITS, "--max-advantage"): "--max-leak",
}
"""Other names of an option, by its group: what people call it."""


def configured(
    name: str, *others: type[Config], instead: Callable[["CommandLine"], bool] = lambda _: False
) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Give the command of a verb every option of an audit; it is handed the configuration, built and checked.

    Only what was named is handed to the configuration: whatever was not has the verb's default.

    Parameters
    ----------
    name : of the verb, in `VERBS`.
    others : configurations whose fields are further options; one of each is handed over after the first.
    instead : called with everything that was given; if it says so, it has done the work (of a study, of a file).
    """
    verb = VERBS[name]
    table = {one.flag[2:].replace("-", "_"): one for one in options(AuditConfig, verb)}

    def decorate(command: Callable[..., None]) -> Callable[..., None]:
        def run(ctx: typer.Context, **given: Any) -> None:
            said = {item for item in given if getattr(ctx.get_parameter_source(item), "name", "") != "DEFAULT"}
            named, source = {item: given[item] for item in sorted(said)}, given["source"]
            made = taken_from(others, given)
            flags = {str(one.name): one.opts[0] for one in ctx.command.params}
            if instead(CommandLine(source, named, made, flags)):
                return
            own = {item: value for item, value in given.items() if item not in table}
            asked = {item: one for item, one in table.items() if item in {*said, "source"}}
            config = _built(asked, given, verb)
            command(config, *made, **own)

        parameters = [_parameter(item, one) for item, one in table.items()]
        source, *rest = sorted(parameters, key=lambda one: one.name != "source")
        context = inspect.Parameter("ctx", inspect.Parameter.KEYWORD_ONLY, annotation=typer.Context)
        every = sorted([*_own(command, 1 + len(others)), *rest, *parameters_of(others)], key=_place)
        return _named_like(command, run, [context, source, *every])

    return decorate


def bundled(*kinds: type[Config]) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Give a command the fields of configurations as options; it is handed one of each first, in this order."""

    def decorate(command: Callable[..., None]) -> Callable[..., None]:
        def run(**given: Any) -> None:
            made = taken_from(kinds, given)
            command(*made, **given)

        return _named_like(command, run, sorted([*_own(command, len(kinds)), *parameters_of(kinds)], key=_place))

    return decorate


def parameters_of(kinds: Iterable[type[Config]]) -> list[inspect.Parameter]:
    """Return the fields of configurations as parameters of a command."""
    return [_parameter(one.path[-1], one) for kind in kinds for one in options(kind)]


def taken_from(kinds: Iterable[type[C]], given: dict[str, Any]) -> list[C]:
    """Take the values of each configuration out of what was given, and return one of each."""
    return [
        config_from(kind, {one.path[-1]: _read(one, given.pop(one.path[-1])) for one in options(kind)})
        for kind in kinds
    ]


def _own(command: Callable[..., None], handed: int) -> list[inspect.Parameter]:
    """Return the parameters of a command that no configuration brings: those after what it is handed."""
    own = list(inspect.signature(command).parameters.values())[handed:]
    return [one.replace(kind=inspect.Parameter.KEYWORD_ONLY) for one in own]


def _named_like(
    command: Callable[..., None], run: Callable[..., None], parameters: Iterable[inspect.Parameter]
) -> Callable[..., None]:
    """Make a function look like the command that it stands for, with these parameters."""
    made: Any = run
    made.__signature__ = inspect.Signature(list(parameters))
    made.__name__, made.__doc__ = command.__name__, command.__doc__
    made.__annotations__ = {}
    return run


@dataclass(frozen=True)
class CommandLine:
    """What a command line says: the source, every option that was named, the bundles, and how options are written."""

    source: str
    said: Mapping[str, Any]
    bundles: Sequence[Config]
    flags: Mapping[str, str]

    def bundle(self, kind: type[C]) -> C:
        """Return the bundle of a kind."""
        return next(one for one in self.bundles if isinstance(one, kind))

    def refuse_others(self, taken: Collection[str], why: str) -> None:
        """Refuse options that mean nothing here, all of them in one message."""
        self.refuse_these([item for item in self.said if item not in taken and item != "source"], why)

    def refuse_these(self, lost: Collection[str], why: str) -> None:
        """Refuse these options where they were named."""
        found = [self.flags.get(item, item) for item in self.said if item in lost]
        if found:
            raise InvalidInput(f"{why} Found {', '.join(found)}. Leave {'it' if len(found) == 1 else 'them'} out.")


def _built(table: Mapping[str, Option], given: Mapping[str, Any], defaults: Verb) -> AuditConfig:
    from leaq.data import check_columns, check_source

    check_source(given["source"])  # costs nothing; what follows loads what computes
    values = {".".join(one.path): _read(one, given[item]) for item, one in table.items()}
    config = config_from(AuditConfig, values, verb=defaults)
    named = {
        "--target": [config.target],
        "--smiles": [config.smiles],
        "--group": [config.group],
        "--ignore": config.ignore,
    }
    check_columns(config.source, {option: [one for one in columns if one] for option, columns in named.items()})
    return config


def _read(one: Option, value: Any) -> Any:
    return tuple(item for text in value or () for item in split_items(text)) if one.many else value


def _parameter(name: str, one: Option) -> inspect.Parameter:
    kind = _type(one.kind)
    if one.path == ("source",):
        said: Any = typer.Argument(metavar="WHAT", help=escape(one.help), autocompletion=COMPLETE["source"])
        return inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, annotation=Annotated[kind, said])
    flag = f"{one.flag}/{one.words(False)[0]}" if one.default is True else one.flag
    flags = (flag, *([also] if (also := ALSO.get((one.panel, one.flag))) else []))
    choices = f" One of {', '.join(get_args(kind))}." if get_origin(kind) is Literal else ""
    default, metavar = one.default, "<choice>" if choices else None
    if one.many:
        kind, default, metavar = list[str], [one.text(one.default)] if one.default else [], "<list>"
    finish = COMPLETE.get(one.path[-1])
    words = escape(one.help + choices)
    said = typer.Option(*flags, help=words, metavar=metavar, rich_help_panel=one.panel, autocompletion=finish)
    return inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=Annotated[kind, said])


def _place(parameter: inspect.Parameter) -> int:
    """Return where the group of an option stands in the help."""
    panel = getattr((get_args(parameter.annotation) or (None,))[-1], "rich_help_panel", None)
    return PANELS.index(panel) if panel in PANELS else len(PANELS)


def _type(kind: Any) -> Any:
    """Return the type that parses a word, without what the configuration itself checks."""
    origin = get_origin(kind)
    if origin is Annotated:
        return _type(get_args(kind)[0])
    if origin in (Union, types.UnionType):
        inner = [_type(one) for one in get_args(kind) if one is not type(None)]
        return inner[0] | None
    return kind if kind in (str, int, float, bool, Path) or origin is Literal else str
