"""Commands whose options are the fields of configurations; see `leaq.options` for the table."""

import inspect
import types
from collections.abc import Callable, Mapping
from dataclasses import fields
from typing import Annotated, Any, Literal, Union, get_args, get_origin

import typer
from rich.markup import escape

from leaq.cell import AuditConfig
from leaq.cli.completing import COMPLETE
from leaq.config import Config
from leaq.options import VERBS, Option, build, options, split_items

__all__ = ["configured"]

ALSO = {"--model": ("--arch",)}
"""Other names of an option: what people call it."""


def configured(name: str, *others: type[Any]) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Give the command of a verb every option of an audit; it is handed the configuration, built and checked.

    Parameters
    ----------
    name : of the verb, in `VERBS`.
    others : dataclasses whose fields are further options; one of each is handed over after the configuration.
    """
    verb = VERBS[name]
    table = {one.flag[2:].replace("-", "_"): one for one in options(AuditConfig, verb)}
    bundles = {kind: [item.name for item in fields(kind)] for kind in others}

    def decorate(command: Callable[..., None]) -> Callable[..., None]:
        def run(**given: Any) -> None:
            config = _built(AuditConfig, table, given, name)
            made = [kind(**{item: given.pop(item) for item in names}) for kind, names in bundles.items()]
            command(config, *made, **{item: value for item, value in given.items() if item not in table})

        own = list(inspect.signature(command).parameters.values())[1 + len(others) :]
        parameters = [_parameter(item, one) for item, one in table.items()]
        parameters.sort(key=lambda one: one.name != "source")
        parameters += [one.replace(kind=inspect.Parameter.KEYWORD_ONLY) for one in own]
        parameters += [
            inspect.Parameter(item.name, inspect.Parameter.KEYWORD_ONLY, default=item.default, annotation=item.type)
            for kind in others
            for item in fields(kind)
        ]
        run.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
        run.__name__, run.__doc__ = command.__name__, command.__doc__
        run.__annotations__ = {}
        return run

    return decorate


def _built(config: type[Config], table: Mapping[str, Option], given: Mapping[str, Any], name: str) -> Config:
    from leaq.data import check_source

    check_source(given["source"])  # costs nothing; what follows loads what computes
    values = {".".join(one.path): _read(one, given[item]) for item, one in table.items()}
    return build(config, values, verb=VERBS[name])


def _read(one: Option, value: Any) -> Any:
    return tuple(item for text in value or () for item in split_items(text)) if one.many else value


def _parameter(name: str, one: Option) -> inspect.Parameter:
    kind = _type(one.kind)
    if one.path == ("source",):
        said: Any = typer.Argument(help=escape(one.help), autocompletion=COMPLETE["source"])
        return inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, annotation=Annotated[kind, said])
    flag = f"{one.flag}/{one.words(False)[0]}" if one.default is True else one.flag
    flags = (flag, *ALSO.get(one.flag, ()))
    choices = f" One of {', '.join(get_args(kind))}." if get_origin(kind) is Literal else ""
    default, metavar = one.default, "<choice>" if choices else None
    if one.many:
        kind, default, metavar = list[str], [one.text(one.default)] if one.default else [], "<list>"
    finish = COMPLETE.get(one.path[-1])
    words = escape(one.help + choices)
    said = typer.Option(*flags, help=words, metavar=metavar, rich_help_panel=one.panel, autocompletion=finish)
    return inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=Annotated[kind, said])


def _type(kind: Any) -> Any:
    """Return the type that parses a word, without what the configuration itself checks."""
    origin = get_origin(kind)
    if origin is Annotated:
        return _type(get_args(kind)[0])
    if origin in (Union, types.UnionType):
        inner = [_type(one) for one in get_args(kind) if one is not type(None)]
        return inner[0] | None
    return kind if kind in (str, int, float, bool) or origin is Literal else str
