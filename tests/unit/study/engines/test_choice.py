import sys

import pytest

from leaq.errors import InvalidInput, MissingExtra, UnknownName
from leaq.study.engines import make_engine


def test_what_is_wrong_with_an_engine_is_named():
    with pytest.raises(UnknownName, match=r"Unknown engine 'proceses'.*Did you mean 'processes'\?"):
        make_engine("proceses")
    with pytest.raises(InvalidInput, match="workers must be at least 1. Found 0"):
        make_engine("processes", workers=0)


def test_without_ray_the_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(MissingExtra, match=r"pip install 'leaq\[ray\]'"):
        make_engine("ray")
