"""Every benchmark can be imported: none holds a name that the package no longer has."""

import importlib
import pkgutil

import benchmarks
import pytest

MODULES = sorted(found.name for found in pkgutil.walk_packages(benchmarks.__path__, "benchmarks."))


@pytest.mark.parametrize("module", MODULES)
def test_imports(module):
    importlib.import_module(module)


def test_none_is_left_out():
    assert {"benchmarks.strongest", "benchmarks.references", "benchmarks.fidelity.coverage"} <= set(MODULES)
