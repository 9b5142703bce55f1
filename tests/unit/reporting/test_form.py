import hashlib
import json
import re
from dataclasses import replace
from datetime import UTC, datetime

import pytest
import yaml

from leaq.errors import InvalidInput, UnknownName
from leaq.reporting.form import PROFILES, QUESTIONS, Auditor, fill
from leaq.reporting.form_files import read_card, signer, write_form
from leaq.reporting.recheck import recheck
from leaq.types import Flag
from tests.results import NASTY, cell, nasty, row
from tests.unit.system.test_signing import keys

__all__ = ["keys"]
NOW = datetime(2026, 11, 26, 12, 0, tzinfo=UTC)


def identified(result, **counts):
    return replace(result, private={**result.private, "identified": {q: list(range(n)) for q, n in counts.items()}})


def answers(result=None, profile="edpb", **options):
    form = fill(result or cell(), profile, now=NOW, **options)
    return {one.key: one for one in form.answers}


@pytest.mark.parametrize("profile", PROFILES)
def test_every_profile_asks_every_question_once(profile):
    form = fill(cell(), profile, now=NOW)
    assert sorted(one.key for one in form.answers) == sorted(QUESTIONS)
    assert form.issued == "2026-11-26T12:00:00+00:00"


def test_the_form_is_about_what_is_released():
    assert fill(cell(), "tre", now=NOW).quantizer == "uniform(bits=8)", "what the chooser names"
    assert fill(cell(), "tre", quantizer="3-BIT", now=NOW).quantizer == "uniform(bits=3)"
    with pytest.raises(UnknownName, match="Unknown quantizer in this run 'tern'"):
        fill(cell(), "tre", quantizer="tern", now=NOW)
    with pytest.raises(UnknownName, match="Unknown profile 'gdpr'"):
        fill(cell(), "gdpr", now=NOW)


def test_worst_records_are_counted_and_never_named():
    result = identified(cell(), sign=9)
    found = answers(result, quantizer="sign")["worst"]
    assert "9 of 30 records (30.0%) are identified" in found.answer
    assert found.numbers["largest_risk"] == 2.9
    assert not any(isinstance(value, list) for value in found.numbers.values()), "row numbers stay out"
    assert found.status == "measured"


def test_without_the_private_part_the_question_stays_open():
    bare = replace(cell(), private={}, rows=tuple(stripped(one) for one in cell().rows))
    found = answers(bare, quantizer="sign")["worst"]
    assert found.status == "open" or set(found.numbers) <= {"tpr_at_0.01"}
    assert "not measured; the private part of the run is not at hand" in found.answer


def stripped(one):
    return replace(one, attacks={name: replace(a, risk=None) for name, a in one.attacks.items()})


def test_the_threshold_is_judged_at_the_worst_upper_end_of_all_attacks():
    kept = answers(quantizer="sign", auditor=Auditor(max_leak=0.07, reason="policy 7"))["threshold"]
    assert kept.numbers["kept"]
    assert kept.answer.startswith("Yes")
    assert "policy 7" in kept.answer
    assert kept.numbers["advantage"]["high"] == pytest.approx(0.07)
    above = answers(quantizer="sign", auditor=Auditor(max_leak=0.069))["threshold"]
    assert not above.numbers["kept"]
    assert "No reason for the threshold was stated" in above.answer
    assert answers()["threshold"].status == "open"


def test_attacks_tried_not_tried_and_out_of_scope_are_told():
    found = answers()["attacks"]
    assert set(found.numbers["tried"]) == {"lira", "threshold", "lira(shadows=full_precision)"}
    assert any("RMIA" in title or "rmia" in title.lower() for title in found.numbers["not_tried"])
    assert "attribute inference" in found.answer
    assert re.search(r"as of \w+ 20\d\d", found.answer)


def test_the_hash_of_the_released_file_is_that_of_its_bytes(tmp_path):
    file = tmp_path / "model.gguf"
    file.write_bytes(b"weights")
    found = answers(auditor=Auditor(artefact=file))["artefact"]
    assert found.numbers["sha256"] == hashlib.sha256(b"weights").hexdigest()
    assert str(tmp_path) not in found.answer
    with pytest.raises(InvalidInput, match="There is no file"):
        answers(auditor=Auditor(artefact=tmp_path / "absent"))


def test_a_blind_baseline_is_quoted_where_it_was_measured():
    measured = replace(cell(), data={**cell().data, "shift_auc": {"value": 0.5, "low": 0.45, "high": 0.55}})
    assert "0.50 [0.45, 0.55]" in answers(measured)["shift"].answer
    pool = replace(cell(), data={**cell().data, "game": "pool"})
    assert answers(pool)["shift"].status == "stated"
    assert answers()["shift"].status == "open"


def test_several_releases_are_quoted_or_left_open():
    assert answers(quantizer="sign")["releases"].status == "open"
    joint = replace(cell(), together=(row("sign + uniform(bits=3)", "sign + 3-bit", 0.4),))
    assert "sign + 3-bit: 0.400" in answers(joint, quantizer="sign")["releases"].answer


def test_calibration_is_told():
    flag = Flag("calibrated-on-members", "Calibrated on members.")
    made = row("gptq(bits=2)", "2-bit GPTQ", 0.2, flags=(flag,))
    result = cell(row("none", "full precision", 0.3), made)
    assert "Calibrated on members." in answers(result, quantizer="2-bit gptq")["artefact"].answer


@pytest.fixture
def written(tmp_path):
    form = fill(nasty(), "edpb", quantizer="sign", auditor=Auditor(NASTY, 0.1, NASTY), now=NOW)
    return form, write_form(form, tmp_path / "card.html")


def test_the_page_escapes_what_the_yaml_and_json_keep(written):
    _, (html, plain, meta) = written
    assert "<script>alert" not in html.read_text()
    assert read_card(html) == read_card(plain)
    found = yaml.safe_load(meta.read_text().strip("-\n"))["membership_privacy"]
    assert found["threshold"]["threshold"] == 0.1
    assert found["quantizer"] == "sign"
    assert "secret" not in html.read_text() + plain.read_text() + meta.read_text()


def test_a_signed_card_is_told_from_a_forged_one(keys, tmp_path):
    form = fill(cell(), "edpb", now=NOW)
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
    form = fill(cell(), "edpb", now=NOW)
    plain = write_form(form, tmp_path / "card")[1]
    assert recheck(plain, rerun=False).signed == "none"
    assert recheck(plain, key_file=keys[1], rerun=False).signed == "other key"
    assert not recheck(plain, key_file=keys[1], rerun=False).whole


def test_what_is_no_card_is_refused(tmp_path):
    (tmp_path / "x.json").write_text("[1]")
    with pytest.raises(InvalidInput, match="must be a card"):
        read_card(tmp_path / "x.json")
    (tmp_path / "y.json").write_text('{"leaq_card": 99}')
    with pytest.raises(InvalidInput, match="written by a newer leaq"):
        read_card(tmp_path / "y.json")


@pytest.fixture(scope="module")
def audited():
    from leaq.pipeline import audit
    from leaq.pipeline.cell import AuditConfig
    from leaq.training import TrainingConfig

    quick = TrainingConfig(hidden=(8,), epochs=2, checkpoints=2)
    return audit(AuditConfig(source="wine", quantizers=("sign", "uniform(bits=4)"), replicates=8, training=quick))


def test_a_true_card_comes_out_again_and_an_invented_one_does_not(audited, tmp_path):
    form = fill(audited, "tre", quantizer="sign", now=NOW)
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
