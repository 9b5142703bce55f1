import sys

import pytest

from leaq.errors import InvalidInput, MissingExtra, UnknownName
from leaq.study import Store, run_study
from leaq.study.engines import make_engine
from leaq.study.engines.base import Local
from leaq.study.runner import Rules, Runner
from tests.unit.study.small import small


def test_a_gpu_that_is_not_there_is_named_before_anything_is_computed(tmp_path, monkeypatch):
    monkeypatch.setattr(Local, "has_cuda", False)
    with pytest.raises(InvalidInput, match="needs a CUDA GPU where models run. Found none"):
        run_study(small(device="cuda"), tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_on_failure_raise_lets_the_error_out(tmp_path):
    study = small(data=({"source": str(tmp_path / "none.csv"), "target": "y"},))
    store = Store.open(tmp_path / "run", study)
    with pytest.raises(ValueError, match="There is no file"):
        Runner(store, study.cells(), Local(), rules=Rules(on_failure="raise")).run()


def test_what_is_wrong_with_an_engine_is_named():
    with pytest.raises(UnknownName, match=r"Unknown engine 'proceses'.*Did you mean 'processes'\?"):
        make_engine("proceses")
    with pytest.raises(InvalidInput, match="workers must be at least 1. Found 0"):
        make_engine("processes", workers=0)


def test_without_ray_the_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(MissingExtra, match=r"pip install 'leaq\[ray\]'"):
        make_engine("ray")
