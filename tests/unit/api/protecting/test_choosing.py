import json

import pytest

import leaq
from leaq.api.protecting import choosing
from leaq.errors import InvalidInput
from leaq.results import CellResult
from tests.unit.api.protecting.cases import OPTIONS, TRIED


def test_the_smallest_advantage_within_the_budget_is_chosen(protected):
    tried = {one.quantizer: one for one in protected.tried}
    assert set(tried) == {"none", *TRIED[:2], "sparse_refit(sparsity=0.6, calibrated=elsewhere)"}
    attacked = [one for one in tried.values() if one.advantage is not None]
    assert all(one.drop is None or one.drop.value >= -0.05 for one in attacked)
    assert all(one.drop.value < -0.05 for one in tried.values() if one.advantage is None)
    best = min(attacked, key=lambda one: one.advantage.value)
    assert protected.quantizer == best.quantizer


def test_an_interrupted_search_goes_on(protected, tmp_path, monkeypatch):
    class Stopped(Exception):
        pass

    def stop(what, done, _total):
        if (what, done) == ("choosing", 2):
            raise Stopped

    with pytest.raises(Stopped):
        leaq.protect("breast_cancer", max_drop=0.05, out=tmp_path, progress=stop, **OPTIONS)
    kept = tmp_path / "choice.json"
    assert len(json.loads(kept.read_text())["tried"]) == 2
    measured = []
    whole = choosing._Trained.tried
    monkeypatch.setattr(choosing._Trained, "tried", lambda self, q, d: measured.append(q) or whole(self, q, d))
    found = leaq.protect("breast_cancer", max_drop=0.05, out=tmp_path, **OPTIONS)
    assert len(measured) == len(protected.tried) - 2
    assert found.tried == protected.tried
    assert found.audit.rows[0].metrics == protected.audit.rows[0].metrics
    assert isinstance(CellResult.from_json(found.audit.to_json()), CellResult)
    key = json.loads(kept.read_text())["key"]
    assert choosing._kept(tmp_path, key) == {one.quantizer: one for one in protected.tried}
    with pytest.raises(InvalidInput, match="must belong to the same options"):
        choosing._kept(tmp_path, "another")
    kept.write_text(kept.read_text().replace("refused", "refuse"))
    assert choosing._kept(tmp_path, key) == {}
