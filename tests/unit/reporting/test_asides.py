from dataclasses import replace

from leaq.attacks.forecast import FORECAST
from leaq.decisions.choosing import recommend
from leaq.decisions.gating import Limits, gate
from leaq.decisions.standing import front, not_told_apart
from leaq.reporting.asides import about_forecast, about_tasks
from leaq.reporting.narrative import reading, verdict
from leaq.reporting.pages import audit_page
from leaq.reporting.records import riskiest_records
from leaq.reporting.tables import ranking
from leaq.results import CellResult, QuantizerRow, Size
from leaq.results.redaction import shareable
from leaq.stats.digits import format_estimate
from leaq.types import Flag, NotComputed
from tests.results import attack, cell, estimate, row
from tests.unit.reporting.test_forecasts import audited
from tests.unit.reporting.test_tables import several

DOUBT = Flag("unsure", "Do not trust this forecast: it misses.")


def test_the_reading_names_what_is_expected_and_how_much_more_that_is():
    text = about_forecast(audited(gap=0.08))
    assert "0.400 [0.380, 0.420] in full precision and least under sign: 0.100 [0.080, 0.120]" in text
    assert "On average over 3 rows that is +0.080 against what it found with the models trained here." in text
    assert about_forecast(audited(gap=0.08)) in reading(audited(gap=0.08))
    few = [replace(one, attacks={FORECAST: NotComputed("Needs 8 models.")}) for one in audited().rows]
    assert "with it here (Needs 8 models);" in about_forecast(replace(audited(), rows=tuple(few)))
    none = [replace(one, attacks={}) for one in audited().rows]
    assert "Nothing was attacked with it here; docs/fidelity.md" in about_forecast(replace(audited(), rows=tuple(none)))


def test_it_says_when_it_cannot_be_trusted():
    assert "Do not trust the forecast under full precision" in about_forecast(audited(flags=(DOUBT,)))
    every = cell(*(replace(one, measures={"forecast": estimate(0.2, flags=(DOUBT,))}) for one in audited().rows))
    assert "Do not trust any of these forecasts" in about_forecast(every)
    assert any("it misses" in note.text for note in ranking(every).footnotes)


def test_it_is_said_which_task_gives_most_away_and_how_surely():
    said = about_tasks(several())
    assert "toxic gives away most under full precision (0.40" in said
    assert "logS least (0.10" in said
    assert "overlap" not in said


SPEC, LABEL = "sign + uniform(bits=3)", "sign + 3-bit"


def joint(value=0.001, more=0.04, half=0.02):
    return QuantizerRow(
        SPEC,
        LABEL,
        Size(9.0, 8.0, 14_000, 3.5),
        measures={"leak_vs_single": estimate(more, half)},
        attacks={"lira": attack("lira", value), "threshold": NotComputed("threshold attacks one release.")},
        flags=(Flag("together", "Several releases of one model."),),
    )


def test_a_set_stands_below_the_ranking_and_has_no_place_in_it():
    table = ranking(replace(cell(), together=(joint(),)))
    assert table.keys[-1] == SPEC
    assert table.unranked == 1
    cells = dict(zip((column.title for column in table.columns), table.rows[-1], strict=True))
    assert (cells["Quantizer"], cells["Bits"], cells["ROC-AUC"], cells["Change"]) == (LABEL, "9", "–", "–")
    assert cells["Size"] == "14 kB"
    assert "Below them: releases attacked together." in table.order
    assert "Several releases of one model." in [note.text for note in table.footnotes]
    assert "Below them" not in ranking(cell()).order


def test_a_set_that_leaks_least_is_never_chosen():
    plain = cell()
    result = replace(plain, together=(joint(-0.5),))
    assert result.ranked() == plain.ranked()
    assert front(result) == front(plain)
    assert not_told_apart(result, result.rows[3]) == not_told_apart(plain, plain.rows[3])
    assert [one.chosen for one in recommend([result], 0.02)] == [one.chosen for one in recommend([plain], 0.02)]
    page = audit_page(result, prefix="a", internal=False)
    assert SPEC not in [one["key"] for one in page["chooser"]["rows"]]
    assert page["ranking"].keys[-1] == SPEC


def test_a_gate_judges_the_advantage_of_a_set_and_no_metric():
    low, high = (replace(cell(), together=(joint(value),)) for value in (0.1, 0.9))
    limits = Limits(max_advantage=0.5, min_metric=0.1, require=("lira",))
    assert gate([low], limits).passed
    assert not gate([high], limits).passed
    assert gate([high], limits).failing == (gate([high], limits, quantizers=[SPEC]).failing)


def test_a_set_survives_storage_and_redaction():
    result = replace(cell(), together=(joint(),))
    again = CellResult.from_json(result.to_json())
    assert again.together[0].attacks["lira"].advantage == joint().attacks["lira"].advantage
    assert again.to_json() == result.to_json()
    assert shareable(result).together[0].attacks["lira"].risk is None
    old = result.to_json().replace('"together"', '"unknown"', 1)
    assert CellResult.from_json(replace(cell(), together=()).to_json()).together == ()
    assert CellResult.from_json(old).rows[0].quantizer == "none"


def test_sentences_name_what_a_set_adds_and_what_members_cost():
    alone, more = (format_estimate(estimate(value), sign=sign) for value, sign in ((0.24, False), (0.04, True)))
    assert (
        f"Whoever holds sign + 3-bit together has an advantage of {alone}, {more} against the most revealing of them "
        "alone."
    ) in reading(replace(cell(), together=(joint(0.24),)))
    unsure = reading(replace(cell(), together=(joint(0.24, 0.01),)))
    assert "against the most revealing of them alone; not told apart from it." in unsure
    member = row("gptq(bits=2)", "2-bit GPTQ", 0.2)
    for price, doubt in ((0.1, ""), (0.01, "; not told apart")):
        priced = replace(member, measures={"leak_vs_elsewhere": estimate(price)})
        found = format_estimate(estimate(price), sign=True)
        assert (
            f"2-bit GPTQ leaks {found} calibrated on members, against records that train no model{doubt}."
        ) in reading(cell(row("none", "full precision", 0.3), priced))


def test_the_game_of_calibration_is_told_in_its_own_words():
    known = row("gptq(bits=2)", "2-bit GPTQ", 0.2)
    full = replace(row("none", "full precision", 0.3), attacks={"lira": NotComputed("Looks at none.")})
    result = cell(full, known)
    result = replace(result, data={**result.data, "game": "calibration", "n": 88, "n_train": 44})
    assert "gives away least" not in verdict(result)
    assert (
        "toy (classification): 88 records that trained no model were set aside, and the quantizers calibrated 16 "
        "times, each time on 44 of them; the attacker tells which."
    ) in reading(result)
    table = riskiest_records(result)
    assert table is not None
    assert table.title.endswith("most exposed under 2-bit GPTQ")
