import json

import numpy as np
import pandas as pd
import pytest

from leaq.reporting.form import fill_form
from leaq.reporting.form_files import signer, write_form
from leaq.reporting.recheck import recheck
from tests.results import cell
from tests.unit.reporting.test_form import NOW


def test_a_signed_card_is_told_from_a_forged_one(keys, tmp_path):
    form = fill_form(cell(), "edpb", now=NOW)
    html, plain, _ = write_form(form, tmp_path / "card", key_file=keys[0])
    for place in (html, plain):
        assert recheck(place, key_file=keys[1], rerun=False).signed == "valid"
    card = json.loads(plain.read_text())
    assert signer(card) is not None
    card["answers"][0]["answer"] += " "
    plain.write_text(json.dumps(card))
    found = recheck(plain, rerun=False)
    assert (found.signed, found.whole) == ("invalid", False)


def test_another_key_and_no_key_are_said(keys, tmp_path):
    form = fill_form(cell(), "edpb", now=NOW)
    plain = write_form(form, tmp_path / "card")[1]
    assert recheck(plain, rerun=False).signed == "none"
    assert recheck(plain, key_file=keys[1], rerun=False).signed == "other key"
    assert not recheck(plain, key_file=keys[1], rerun=False).whole


@pytest.fixture(scope="module")
def audited():
    from leaq.pipeline import audit
    from leaq.pipeline.cell import AuditConfig
    from leaq.training import TrainingConfig

    quick = TrainingConfig(hidden=(8,), epochs=2, checkpoints=2)
    return audit(AuditConfig(source="wine", quantizers=("sign", "uniform(bits=4)"), replicates=8, training=quick))


def test_a_true_card_comes_out_again_and_an_invented_one_does_not(audited, tmp_path):
    form = fill_form(audited, "tre", quantizer="sign", now=NOW)
    plain = write_form(form, tmp_path / "card")[1]
    found = recheck(plain)
    assert found.compared
    assert found.whole
    card = json.loads(plain.read_text())
    for one in card["answers"]:
        for number in [*one["numbers"].get("tried", {}).values(), one["numbers"].get("value")]:
            if number:
                number |= {"value": 5.0, "low": 4.9, "high": 5.1}
    plain.write_text(json.dumps(card))
    assert not recheck(plain).whole


def test_other_records_of_the_same_name_are_told(tmp_path):
    """Intervals of few models are wide: the numbers of other records lay in them."""
    from leaq.pipeline import audit
    from leaq.pipeline.cell import AuditConfig
    from leaq.training import TrainingConfig

    rng = np.random.default_rng(0)
    table = pd.DataFrame({"a": rng.normal(size=60), "b": rng.normal(size=60), "y": rng.integers(0, 2, 60)})
    table.to_csv(tmp_path / "my.csv", index=False)
    quick = TrainingConfig(hidden=(4,), epochs=2, checkpoints=2)
    options = {"quantizers": ("sign",), "attacks": ("threshold",), "replicates": 4, "training": quick, "draws": 20}
    result = audit(AuditConfig(source=str(tmp_path / "my.csv"), target="y", **options))
    plain = write_form(fill_form(result, "tre", quantizer="sign", now=NOW), tmp_path / "card")[1]
    assert recheck(plain, source=str(tmp_path / "my.csv")).whole
    table.head(50).to_csv(tmp_path / "my.csv", index=False)
    found = recheck(plain, source=str(tmp_path / "my.csv"))
    assert not found.whole
    assert not any(one.same_records for one in found.compared)
