"""Records of mostly zeros: the same numbers as by dense products, however the models scale them."""

import numpy as np
import pytest
import torch

from leaq.data.splits import halves
from leaq.data.tables import from_arrays
from leaq.evaluation import evaluate_checkpoints, with_whitebox
from leaq.training import MLP
from leaq.training import sparse as module
from leaq.training.sparse import Sparse, without_zeros
from leaq.types import Activations, Checkpoints

N, D, MODELS = 90, 200, 3


@pytest.fixture
def bits():
    rng = np.random.default_rng(0)
    found = (rng.random((N, D)) < 0.02).astype(np.float64) * rng.integers(1, 4, (N, D))
    found[:, 0] = 3.0  # a column that never varies, and one that is in every record
    found[:, 1] = 1.0 + rng.random(N)
    found[5] = 0.0  # a record of which nothing is left
    return found


def test_only_what_is_nearly_all_zeros_is_thinned(bits):
    x = torch.tensor(bits)
    assert without_zeros(x).is_sparse
    assert torch.equal(without_zeros(x).to_dense(), x)
    for dense in (torch.ones(N, D), x[: module.FEWEST - 1], x[None]):
        assert without_zeros(dense) is dense


def test_products_and_squares_are_those_of_standardised_records(bits):
    x, mean, scale = torch.tensor(bits), torch.rand(D).double(), 0.5 + torch.rand(D).double()
    standard = (x - mean) / scale
    weight, delta = torch.randn(MODELS, 7, D).double(), torch.randn(MODELS, N, 7).double()
    found = Sparse(x.to_sparse(), mean, scale)
    assert torch.allclose(found.times(weight), standard @ weight.transpose(1, 2))
    assert torch.allclose(found.against(delta), delta.transpose(1, 2) @ standard)
    assert torch.allclose(found.squares(), standard.square().sum(1))


@pytest.mark.parametrize("alike", [True, False])
@pytest.mark.parametrize("task", ["classification", "regression"])
def test_a_table_is_the_same_as_by_dense_products(bits, task, alike, monkeypatch):
    rng = np.random.default_rng(1)
    targets = rng.normal(size=N) if task == "regression" else (rng.random(N) < 0.5).astype(int)
    records = from_arrays(bits, targets)
    assert records.task == task
    model = MLP(d=D, k=1 if task == "regression" else 2, hidden=(9, 4), task=task)
    params = model.init(seed=0, models=range(MODELS), dtype=torch.float64)
    generator = torch.Generator().manual_seed(0)
    rows = 1 if alike else MODELS
    params["input.mean"] = torch.rand(rows, D, generator=generator).double().expand(MODELS, D).contiguous()
    params["input.scale"] = 0.5 + torch.rand(rows, D, generator=generator).double().expand(MODELS, D).contiguous()
    checkpoints, members = Checkpoints(params, model.roles, (MODELS,)), halves(records, MODELS + 1, seed=1)[:MODELS]

    def table():
        plain = evaluate_checkpoints(model, checkpoints, records, members)
        rounded = evaluate_checkpoints(
            model, Checkpoints(params, model.roles, (MODELS,), activations=Activations(8)), records, members
        )
        return (
            *with_whitebox(plain, model, checkpoints, records).whitebox,
            plain.losses,
            plain.outputs,
            rounded.losses,
        )

    used, times = [], Sparse.times
    monkeypatch.setattr(module.Sparse, "times", lambda *given: used.append(given) or times(*given))
    found = table()
    assert used
    used.clear()
    monkeypatch.setattr(module, "SHARE", 0.0)
    for sparse, dense in zip(found, table(), strict=True):
        assert np.allclose(sparse, dense, rtol=1e-9, atol=1e-9)
    assert not used
