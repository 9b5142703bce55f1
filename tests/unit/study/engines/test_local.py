import pytest

from leaq.errors import InvalidInput
from leaq.study import Store, run_study
from leaq.study.engines.local import Local
from leaq.study.runner import Rules, Runner
from tests.unit.study.small import small


def test_a_gpu_that_is_not_there_is_named_before_anything_is_computed(tmp_path, monkeypatch):
    monkeypatch.setattr(Local, "has_cuda", False)
    with pytest.raises(InvalidInput, match="needs a CUDA GPU where tasks run. The engine finds none"):
        run_study(small(device="cuda"), tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_on_failure_raise_lets_the_error_out(tmp_path):
    study = small(data=({"source": str(tmp_path / "none.csv"), "target": "y"},))
    store = Store.open(tmp_path / "run", study)
    with pytest.raises(ValueError, match="There is no file"):
        Runner(store, study.cells(), Local(), rules=Rules(on_failure="raise")).run()
