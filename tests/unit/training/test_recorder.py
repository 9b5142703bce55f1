import pytest
import torch

from leaq.training.recorder import StackRecorder


@pytest.mark.parametrize(("total", "keep", "steps"), [(10, 5, (2, 4, 6, 8, 10)), (7, 3, (3, 5, 7)), (2, 9, (1, 2))])
def test_steps_are_equally_spaced_and_end_with_the_last(total, keep, steps):
    recorder = StackRecorder({"w": "linear"}, total=total, keep=keep)
    assert recorder.steps == steps
    assert [step in recorder for step in (0, total)] == [False, True]


def test_weights_are_copied_as_they_were_after_the_chosen_steps():
    recorder = StackRecorder({"w": "linear", "b": "bias"}, total=4, keep=2)
    weights = {"w": torch.zeros(3, 2, 2), "b": torch.zeros(3, 2), "unrecorded": torch.zeros(1)}
    for step in range(1, 5):
        for tensor in weights.values():
            tensor.add_(1)
        recorder.record(step, weights)
    found = recorder.checkpoints()
    assert (found.batch, found.steps, set(found.params)) == ((3, 2), (2, 4), {"w", "b"})
    assert found.params["w"][:, 0].unique().tolist() == [2]
    assert found.last().params["b"].unique().tolist() == [4]
