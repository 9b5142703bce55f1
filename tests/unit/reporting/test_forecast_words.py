from dataclasses import replace

from leaq.attacks.audit_forecasts import FORECAST
from leaq.reporting.forecast_words import about_forecast
from leaq.reporting.narrative import reading
from leaq.reporting.tables import ranking
from leaq.types import Flag, NotComputed
from tests.results import cell, estimate
from tests.unit.reporting.test_forecasts import audited

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
