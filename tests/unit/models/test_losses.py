import numpy as np
import torch

from leaq.models.losses import margin, per_record, residual
from tests.helpers import ROUNDING


def test_cross_entropy_record_by_record(rng):
    logits, y = rng.normal(size=(2, 5, 3)), rng.integers(3, size=5)
    found = per_record(torch.tensor(logits), torch.tensor(y), "classification")
    for s in range(2):
        for i in range(5):
            p = np.exp(logits[s, i]) / np.exp(logits[s, i]).sum()
            np.testing.assert_allclose(found[s, i], -np.log(p[y[i]]), **ROUNDING)


def test_margin_is_the_log_odds_of_the_true_class(rng):
    logits, y = rng.normal(size=(4, 3)), rng.integers(3, size=4)
    found = margin(torch.tensor(logits), torch.tensor(y))
    p = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    true = p[np.arange(4), y]
    np.testing.assert_allclose(found, np.log(true) - np.log1p(-true), rtol=1e-9)


def test_margin_does_not_saturate_where_the_probability_rounds_to_one():
    found = margin(torch.tensor([[500.0, 0.0], [900.0, 0.0]]), torch.tensor([0, 0]))
    assert found.tolist() == [500.0, 900.0]


def test_binary_margin_is_the_difference_of_logits(rng):
    logits = rng.normal(size=(6, 2))
    np.testing.assert_allclose(margin(torch.tensor(logits), torch.ones(6)), logits[:, 1] - logits[:, 0], **ROUNDING)


def test_squared_error_is_the_squared_residual_in_units_of_the_scale(rng):
    out, y = torch.tensor(rng.normal(size=(2, 4, 1))), torch.tensor(rng.normal(size=4))
    signed = residual(out, y, scale=2.0)
    np.testing.assert_allclose(signed, (y - out[..., 0]) / 2, **ROUNDING)
    np.testing.assert_allclose(per_record(out, y, "regression", scale=2.0), signed**2, **ROUNDING)


def test_float32_outputs_are_summed_in_float64():
    assert per_record(torch.zeros(1, 2), torch.tensor([0]), "classification").dtype == torch.float64
