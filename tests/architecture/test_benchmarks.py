"""Benchmarks are run by hand and rarely: each must import, and call functions of leaq as they are now."""

import ast
import importlib
import inspect
import pkgutil

import benchmarks
import pytest

MODULES = sorted(found.name for found in pkgutil.walk_packages(benchmarks.__path__, "benchmarks."))


def calls(module):
    """Every call, by its plain name, of a function of leaq with arguments that are written out."""
    for node in ast.walk(ast.parse(inspect.getsource(module))):
        if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Name):
            continue
        called = getattr(module, node.func.id, None)
        spread = any(isinstance(one, ast.Starred) for one in node.args) or any(one.arg is None for one in node.keywords)
        if inspect.isfunction(called) and called.__module__.startswith("leaq.") and not spread:
            yield called, len(node.args), [one.arg for one in node.keywords]


def misfits(found):
    for called, positional, named in found:
        try:
            inspect.signature(called).bind(*[None] * positional, **dict.fromkeys(named))
        except TypeError as err:
            yield f"{called.__qualname__}: {err}"


@pytest.mark.parametrize("module", MODULES)
def test_imports_and_calls_what_is_there(module):
    assert list(misfits(calls(importlib.import_module(module)))) == []


def test_calls_are_seen_and_misfits_told():
    from benchmarks import strongest

    from leaq.pipeline import collect

    assert any(called is collect for called, *_ in calls(strongest))
    assert list(misfits([(collect, 2, ["progress"])])) == ["collect: missing a required argument: 'subject'"]


def test_none_is_left_out():
    assert {"benchmarks.strongest", "benchmarks.references", "benchmarks.fidelity.coverage"} <= set(MODULES)
