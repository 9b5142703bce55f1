import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from leaq.quantizers import blocks
from leaq.quantizers.blocks import (
    axes,
    extremes,
    into_blocks,
    normal,
    order_statistic,
    percentiles,
    positive,
    tiles,
    whole,
)

SHAPES = st.lists(st.integers(1, 6), min_size=1, max_size=4).map(tuple)


PER = st.sampled_from(["tensor", "channel", "group"])


@given(shape=SHAPES, models=st.integers(1, 3), per=PER, group=st.integers(2, 5))
def test_blocks_are_put_together_again_as_they_were(shape, models, per, group):
    weight = torch.arange(models * torch.Size(shape).numel(), dtype=torch.float32).reshape(models, *shape)
    blocks = into_blocks(weight, per, group)
    assert (blocks.ndim, len(blocks)) == (3, models)
    assert torch.equal(whole(blocks, per, weight.shape), weight)


def test_a_block_is_a_tensor_an_output_or_a_run_of_inputs():
    weight = torch.arange(12.0).reshape(1, 2, 6)
    assert into_blocks(weight, "tensor", 4).shape == (1, 1, 12)
    assert into_blocks(weight, "channel", 4)[0, 1].tolist() == [6, 7, 8, 9, 10, 11]
    assert into_blocks(weight, "group", 4)[0].tolist() == [[0, 1, 2, 3], [4, 5, 5, 5], [6, 7, 8, 9], [10, 11, 11, 11]]


def test_a_scale_is_shared_by_all_but_the_models_or_all_but_their_outputs():
    weight = torch.zeros(2, 3, 4, 5)
    assert (axes(weight, "tensor"), axes(weight, "channel")) == ((1, 2, 3), (2, 3))
    assert axes(torch.zeros(2, 3), "channel") == (1,)  # a bias has no inputs


def test_a_step_of_zero_becomes_one_and_nan_stays():
    assert positive(torch.tensor([0.0, 0.5])).tolist() == [1.0, 0.5]
    assert torch.isnan(positive(torch.tensor([torch.nan]))).all()


def test_numbers_that_have_lost_digits_are_seen():
    tiny = torch.finfo(torch.float32).tiny
    assert normal(torch.tensor([tiny, 1.0]))
    assert not normal(torch.tensor([tiny / 2, 1.0]))


def test_extremes_and_percentiles_of_each_block():
    blocks = torch.arange(1001.0).flip(0).reshape(1, 1, -1)
    assert [float(one) for one in extremes(blocks)] == [0, 1000]
    assert [float(one) for one in percentiles(blocks)] == [1, 999]


@pytest.mark.parametrize("repeat", [1, 3])
@given(sets=st.integers(1, 5), each=st.integers(1, 50), most=st.integers(1, 120))
def test_runs_cover_a_stack_once_and_never_cross_two_sets(repeat, sets, each, most):
    models = sets * repeat
    runs = list(tiles(models, each, repeat=repeat, most=most))
    assert [i for run, _ in runs for i in range(run.start, run.stop)] == list(range(models))
    for run, own in runs:
        assert run.stop - run.start == 1 or (run.stop - run.start) * each <= most
        owners = {i // repeat for i in range(run.start, run.stop)}
        assert owners == set(range(own.start, own.stop)) if repeat == 1 else owners == {own.start}


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
def test_the_number_at_a_place_is_that_of_the_sorted_row_however_long(dtype, monkeypatch):
    rows = torch.randn(3, 50, generator=torch.Generator().manual_seed(0)).to(dtype)
    expected = rows.sort(dim=1).values[:, 20:21]
    assert torch.equal(order_statistic(rows, 20), expected)
    monkeypatch.setattr(blocks, "TILE", 10)
    assert torch.equal(order_statistic(rows, 20), expected)
