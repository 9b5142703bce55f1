import hashlib
import re
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from leaq.errors import InvalidInput, UnknownName
from leaq.reporting.form import PROFILES, QUESTIONS, Auditor, fill_form
from leaq.types import Flag
from tests.results import cell, row

NOW = datetime(2026, 11, 26, 12, 0, tzinfo=UTC)


def identified(result, **counts):
    return replace(result, private={**result.private, "identified": {q: list(range(n)) for q, n in counts.items()}})


def answers(result=None, profile="edpb", **options):
    form = fill_form(result or cell(), profile, now=NOW, **options)
    return {one.key: one for one in form.answers}


@pytest.mark.parametrize("profile", PROFILES)
def test_every_profile_asks_every_question_once(profile):
    form = fill_form(cell(), profile, now=NOW)
    assert sorted(one.key for one in form.answers) == sorted(QUESTIONS)
    assert form.issued == "2026-11-26T12:00:00+00:00"


def test_the_form_is_about_what_is_released():
    assert fill_form(cell(), "tre", now=NOW).quantizer == "uniform(bits=8)", "what the chooser names"
    assert fill_form(cell(), "tre", quantizer="3-BIT", now=NOW).quantizer == "uniform(bits=3)"
    with pytest.raises(UnknownName, match="Unknown quantizer in this run 'tern'"):
        fill_form(cell(), "tre", quantizer="tern", now=NOW)
    with pytest.raises(UnknownName, match="Unknown profile 'gdpr'"):
        fill_form(cell(), "gdpr", now=NOW)


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


def test_records_that_were_merged_before_count_as_repeated():
    """The question is whether repeated records were found, and "0 records" was no answer where 11 had been merged."""
    merged = replace(cell(), flags=(Flag("merged-duplicates", "11 records repeated a molecule: merged."),))
    assert "Before that: 11 records repeated a molecule: merged." in answers(merged)["unit"].answer
    assert "Before that" not in answers(cell())["unit"].answer
