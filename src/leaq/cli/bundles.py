"""Options that several verbs share, as fields of dataclasses."""

import inspect
from collections.abc import Callable, Iterable
from dataclasses import fields
from typing import Any


def parameters_of(kinds: Iterable[type[Any]]) -> list[inspect.Parameter]:
    """Return the fields of dataclasses as parameters of a command."""
    return [
        inspect.Parameter(item.name, inspect.Parameter.KEYWORD_ONLY, default=item.default, annotation=item.type)
        for kind in kinds
        for item in fields(kind)
    ]


def taken_from(kinds: Iterable[type[Any]], given: dict[str, Any]) -> list[Any]:
    """Take the values of each dataclass out of what was given, and return one of each."""
    return [kind(**{item.name: given.pop(item.name) for item in fields(kind)}) for kind in kinds]


def bundled(*kinds: type[Any]) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Give a command the fields of dataclasses as options; it is handed one of each first, in this order."""

    def decorate(command: Callable[..., None]) -> Callable[..., None]:
        def run(**given: Any) -> None:
            made = taken_from(kinds, given)
            command(*made, **given)

        own = list(inspect.signature(command).parameters.values())[len(kinds) :]
        with_signature(run, command, [*own, *parameters_of(kinds)])
        return run

    return decorate


def with_signature(run: Any, command: Callable[..., None], parameters: Iterable[inspect.Parameter]) -> None:
    """Make a function look like the command that it stands for, with these parameters."""
    run.__signature__ = inspect.Signature(list(parameters))
    run.__name__, run.__doc__ = command.__name__, command.__doc__
    run.__annotations__ = {}
