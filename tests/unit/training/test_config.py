import numpy as np
import pytest

from leaq.errors import InvalidInput
from leaq.training import TrainingConfig


@pytest.mark.parametrize(("records", "batch", "steps"), [(100, 32, 4), (96, 32, 3), (10, 32, 1), (33, 32, 2)])
def test_an_epoch_goes_once_through_all_records(records, batch, steps):
    assert TrainingConfig(epochs=7, batch_size=batch).steps(records) == 7 * steps


def test_a_warm_up_rises_in_a_line_for_two_epochs_and_falls_by_equal_ratios():
    config = TrainingConfig(schedule="warmup", learning_rate=2.0, epochs=10)
    rates = np.array([config.rate(step, 100) for step in range(1, 102)])
    assert rates[0] == pytest.approx(0.2)
    assert rates.argmax() == 20
    assert rates[20] == pytest.approx(2.0)
    np.testing.assert_allclose(np.diff(rates[:21]), 0.09)
    np.testing.assert_allclose(rates[21:] / rates[20:-1], 0.1 ** (1 / 80))
    assert rates[100] == pytest.approx(0.2)


def test_otherwise_every_step_is_alike():
    assert {TrainingConfig(learning_rate=0.3).rate(step, 9) for step in range(1, 10)} == {0.3}


@pytest.mark.parametrize("options", [{"hidden": (0,)}, {"momentum": 1.0}, {"epochs": 0}, {"standardise": "mine"}])
def test_what_cannot_be_trained_with_is_refused(options):
    with pytest.raises(InvalidInput, match=f"{next(iter(options))}"):
        TrainingConfig(**options)
