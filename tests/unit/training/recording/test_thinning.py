import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from leaq.training.recording.thinning import is_due, surplus


def kept_after(total, keep, spacing, every=1):
    steps, stride = [], every
    for step in range(1, total + 1):
        if step % stride:
            continue
        steps.append(step)
        if len(steps) > keep:
            dropped, stride = surplus(steps, spacing, stride)
            steps = [kept for kept in steps if kept not in dropped]
    return steps


@settings(max_examples=40)
@given(total=st.integers(3, 600), keep=st.integers(2, 30), every=st.integers(1, 5))
def test_equal_spacing_stays_equal_within_its_budget(total, keep, every):
    steps = kept_after(total, keep, "equal", every)
    assert len(steps) <= keep
    assert len(set(np.diff([0, *steps]))) <= 1
    if total // every >= keep:
        assert len(steps) >= keep // 2


@settings(max_examples=40)
@given(total=st.integers(20, 800), keep=st.integers(6, 30))
def test_the_end_stays_dense_and_the_last_step_is_there(total, keep):
    steps = kept_after(total, keep, "dense_end")
    assert len(steps) == min(keep, total)
    assert steps[-1] == total
    assert steps[0] == 1
    gaps = np.diff(steps)
    if total > 4 * keep:
        assert gaps[-3:].max() <= gaps[:3].max()
        late = np.sum(np.array(steps) > total / 2)
        assert late > len(steps) / 2


def test_the_comparison_catches_thinning_that_forgets_the_end():
    def first_goes_last(steps, spacing, stride):
        return (steps[-1],), stride

    steps, stride = [], 1
    for step in range(1, 200):
        steps.append(step)
        if len(steps) > 10:
            dropped, stride = first_goes_last(steps, "dense_end", stride)
            steps.remove(dropped[0])
    assert steps[-1] != 199


@pytest.mark.parametrize("every", [1, 3, 10])
def test_log_spacing_has_equal_ratios(every):
    due = [step for step in range(1, 10001) if is_due(step, every, "log")]
    late = np.array([step for step in due if step >= 100])
    np.testing.assert_allclose(late[1:] / late[:-1], 10 ** (1 / every), rtol=0.02)
