"""The game of series: every attack is asked about whole groups of records."""

import numpy as np
import pandas as pd
import pytest

import leaq
from leaq.errors import InvalidInput
from leaq.reporting import narrative
from leaq.types import AttackResult, NotComputed

QUICK = {"quantizers": "sign", "replicates": 8, "draws": 20, "attacks": ("threshold", "lira", "combined(sees=outputs)")}
LEARNT = {"hidden": (64,), "epochs": 60, "learning_rate": 0.01, "checkpoints": 1}


@pytest.fixture
def patients(rng):
    """Records of 40 patients, three each, whose labels are noise: they can only be learnt by heart."""
    x = rng.normal(size=(120, 6))
    frame = pd.DataFrame(x, columns=[f"c{i}" for i in range(6)])
    return frame.assign(y=rng.permutation(np.arange(120) % 2), patient=np.repeat(np.arange(40), 3))


def leak(result, attack):
    found = result.rows[0].attacks[attack]
    assert isinstance(found, AttackResult), found
    return found


def test_groups_are_told_better_than_their_records(patients):
    options = {**QUICK, "target": "y", "group": "patient", "training": {**LEARNT, "epochs": 8}}
    single, series = (leaq.audit(patients, game=game, **options) for game in ("pool", "series"))
    for attack in ("lira", "combined(sees=outputs)"):
        assert leak(series, attack).advantage.value > leak(single, attack).advantage.value
        assert leak(series, attack).game == "series"
        assert leak(series, attack).advantage.n == 8 * 40
        assert leak(series, attack).risk is None
    assert "Asked about 40 groups of 3 to 3 records" in leak(series, "lira").flags[-1].text
    assert series.rows[0].metrics == single.rows[0].metrics  # the models are the same
    assert "by asking about each of 40 whole groups of them," in narrative.audited(series)
    assert "forecast" not in series.rows[0].measures


def test_it_needs_groups_and_enough_of_them(patients):
    options = {**QUICK, "target": "y", "game": "series", "training": {"epochs": 1, "checkpoints": 1}}
    with pytest.raises(InvalidInput, match="asks about groups of records. Found none. Name their column with group"):
        leaq.audit(patients.drop(columns="patient"), **options)
    few = leaq.audit(patients.assign(patient=patients.patient % 6), group="patient", **options)
    found = few.rows[0].attacks["lira"]
    assert isinstance(found, NotComputed)
    assert "needs at least 10 groups. Found 6" in found.reason


def test_who_trained_on_nothing_of_it_finds_no_series(patients):
    options = {**QUICK, "target": "y", "group": "patient", "game": "series", "replicates": 16}
    result = leaq.audit(patients, training={"epochs": 1, "learning_rate": 1e-9, "checkpoints": 1}, **options)
    assert leak(result, "lira").advantage.low < 0.02
