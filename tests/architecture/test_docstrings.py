"""Every public method says what it does, or keeps a contract that does: what is inherited is not repeated."""

import inspect
import pkgutil
from importlib import import_module

import pytest

import leaq

ROOMS = (
    "attacks",
    "embedders",
    "quantizers",
)  # a contract each, and many pieces that keep it; ruff looks at the others


def methods(module):
    """The public methods that a module's classes define, with the class."""
    for kind in vars(module).values():
        if inspect.isclass(kind) and kind.__module__ == module.__name__ and not kind.__name__.startswith("_"):
            for name, member in vars(kind).items():
                plain = getattr(member, "__func__", getattr(member, "fget", None) or member)
                if inspect.isfunction(plain) and not name.startswith("_"):
                    yield kind, name


def bare(module):
    return [
        f"{kind.__name__}.{name}"
        for kind, name in methods(module)
        if not any(getattr(vars(base).get(name), "__doc__", None) for base in kind.__mro__)
    ]


@pytest.mark.parametrize("room", ROOMS)
def test_every_method_says_what_it_does_or_keeps_a_contract_that_does(room):
    package = import_module(f"leaq.{room}")
    found = [import_module(one.name) for one in pkgutil.walk_packages(package.__path__, f"{package.__name__}.")
             if not one.name.endswith("worker")]  # fmt: skip
    assert {module.__name__: names for module in found if (names := bare(module))} == {}
    assert sum(len(list(methods(module))) for module in found) > 30


def test_a_method_without_a_word_is_caught():
    class Loud:
        def speak(self): ...

        def say(self):
            """Say it."""

    class Louder(Loud):
        def say(self): ...

    Loud.__module__ = Louder.__module__ = "somewhere"
    module = type(leaq)("somewhere")
    vars(module).update(Loud=Loud, Louder=Louder)
    assert bare(module) == ["Loud.speak"]
