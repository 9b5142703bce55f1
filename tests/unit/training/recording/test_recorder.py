import copy
import json

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from leaq.errors import InvalidInput, NotEnoughEvidence, StoreError
from leaq.training.recording import Recorder, RecorderConfig
from leaq.training.recording.recorder import is_due, surplus
from tests.unit.training.recording.cases import zero


def step(module, amount=1.0):
    with torch.no_grad():
        for parameter in module.parameters():
            if parameter.requires_grad:
                parameter.add_(amount)


def record(recorder, module, steps):
    for _ in range(steps):
        step(module)
        recorder.step()


def test_weights_are_those_of_their_step():
    module = zero()
    recorder = Recorder(module, every=3)
    record(recorder, module, 10)
    found = recorder.checkpoints
    assert found.steps == (3, 6, 9, 10)  # the released weights come last
    assert found.params["weight"][0, :, 0, 0].tolist() == [3, 6, 9, 10]
    assert found.roles == {"weight": "linear"}


@pytest.mark.parametrize("where", ["memory", "disk"])
@pytest.mark.parametrize("spacing", ["dense_end", "equal"])
def test_thinning_keeps_the_weights_of_the_steps_it_names(tmp_path, where, spacing):
    module = zero()
    recorder = Recorder(module, keep=6, spacing=spacing, folder=tmp_path / "r" if where == "disk" else None)
    record(recorder, module, 50)
    found = recorder.checkpoints
    assert len(found.steps) <= 6
    assert found.params["weight"][0, :, 0, 0].tolist() == list(found.steps)
    if spacing == "equal":
        assert len(set(np.diff(found.steps))) == 1
    else:
        assert found.steps[-1] == 50
    if where == "disk":
        assert len(list((tmp_path / "r").glob("*.safetensors"))) == len(recorder.steps)


def test_a_budget_of_bytes_lowers_the_number():
    module = zero(100)
    recorder = Recorder(module, max_bytes=400 * 3 + 10)
    record(recorder, module, 20)
    assert recorder.keep == 3
    assert len(recorder.steps) == 3
    with pytest.raises(InvalidInput, match="at least 2 checkpoints of 400 bytes. Found max_bytes=500"):
        Recorder(module, max_bytes=500)


def test_epochs_and_logarithms():
    module = zero()
    recorder = Recorder(module, by="epoch", every=2)
    for _ in range(5):
        record(recorder, module, 3)
        recorder.epoch()
    assert recorder.steps == (2, 4)
    assert recorder.checkpoints.steps == (2, 4, 5)
    recorder = Recorder(module, by="log", every=1)
    record(recorder, module, 120)
    assert recorder.steps == (1, 10, 100)


def test_only_adapters_are_recorded():
    module = nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 1))
    module[0].requires_grad_(False)
    recorder = Recorder(module, parameters="trainable")
    record(recorder, module, 2)
    assert set(recorder.checkpoints.params) == {"1.weight", "1.bias"}
    module[1].requires_grad_(False)
    with pytest.raises(InvalidInput, match="Found none that require a gradient"):
        Recorder(module, parameters="trainable")


def test_a_recording_goes_on_where_it_was_interrupted(tmp_path):
    whole, parts = zero(), zero()
    straight = Recorder(whole, keep=5, spacing="equal")
    record(straight, whole, 37)
    first = Recorder(parts, keep=5, spacing="equal", folder=tmp_path)
    record(first, parts, 20)
    saved, at = copy.deepcopy(parts), first.steps_done
    second = Recorder(saved, keep=5, spacing="equal", folder=tmp_path)
    for number in range(at + 1, 38):
        step(saved)
        second.step(number)
    assert second.checkpoints.steps == straight.checkpoints.steps
    assert torch.equal(second.checkpoints.params["weight"], straight.checkpoints.params["weight"])


def test_steps_behind_an_earlier_state_are_dropped(tmp_path):
    module = zero()
    recorder = Recorder(module, every=2, folder=tmp_path)
    record(recorder, module, 10)
    with torch.no_grad():
        module.weight.fill_(-1)
    recorder.step(5)  # her own checkpoint was of step 4
    recorder.step(6)
    assert recorder.steps == (2, 4, 6)
    assert recorder.checkpoints.params["weight"][0, -1, 0, 0] == -1
    recorder.flush()
    assert len(list(tmp_path.glob("*.safetensors"))) == 3


def test_files_are_private_and_half_written_ones_are_not_taken(tmp_path):
    module = zero()
    recorder = Recorder(module, folder=tmp_path / "r")
    record(recorder, module, 2)
    recorder.flush()
    assert {path.stat().st_mode & 0o777 for path in (tmp_path / "r").iterdir()} == {0o600}
    (tmp_path / "r" / ".step-000000000003.safetensors-0123abcd").write_bytes(b"half")
    assert Recorder(module, folder=tmp_path / "r").steps == (1, 2)
    assert not list((tmp_path / "r").glob(".*"))


def test_folders_of_other_models_and_options_are_refused(tmp_path):
    Recorder(zero(), folder=tmp_path / "a").step()
    with pytest.raises(StoreError, match="must hold checkpoints of this architecture. Others are: weight"):
        Recorder(zero(3), folder=tmp_path / "a")
    with pytest.raises(StoreError, match=r"recorded with other options \(every\)"):
        Recorder(zero(), every=2, folder=tmp_path / "a")
    (tmp_path / "a" / "recording.json").write_text("{")
    with pytest.raises(StoreError, match=r"recording.json in .* is damaged"):
        Recorder(zero(), folder=tmp_path / "a")
    (tmp_path / "a" / "recording.json").unlink()
    with pytest.raises(StoreError, match=r"must hold recording.json beside its checkpoints"):
        Recorder(zero(), folder=tmp_path / "a")


def test_a_damaged_checkpoint_is_named(tmp_path):
    module = zero()
    recorder = Recorder(module, folder=tmp_path)
    record(recorder, module, 3)
    (tmp_path / "step-000000000002.safetensors").write_bytes(b"damaged")
    with pytest.raises(StoreError, match=r"step-000000000002.safetensors' is damaged, or is no checkpoint of step 2"):
        _ = recorder.checkpoints


def test_nothing_recorded_says_what_to_call():
    recorder = Recorder(zero(), every=100)
    recorder.step()
    with pytest.raises(NotEnoughEvidence, match=r"nothing was recorded in 1 steps and 0 epochs with every=100"):
        _ = recorder.checkpoints


def test_recorded_weights_do_not_change_with_the_model():
    module = zero()
    recorder = Recorder(module)
    record(recorder, module, 3)
    found = recorder.checkpoints.params["weight"].clone()
    step(module, 100)
    assert torch.equal(recorder.checkpoints.params["weight"][:, :3], found)


def test_changed_weights_and_other_steps_and_recordings_are_refused(tmp_path, rng):
    module, files = zero(), {}
    for name in ("a", "b"):
        recorder = Recorder(module, folder=tmp_path / name)
        record(recorder, module, 3)
        recorder.flush()
        files[name] = [tmp_path / name / f"step-{step:012d}.safetensors" for step in (1, 2, 3)]
    first, second, _ = files["a"]
    content = first.read_bytes()
    for _ in range(40):
        damaged = bytearray(content)
        damaged[int(rng.integers(len(content)))] ^= 1 << int(rng.integers(8))
        first.write_bytes(damaged)
        with pytest.raises(StoreError, match="is damaged, or is no checkpoint of step 1 of this recording"):
            _ = Recorder(module, folder=tmp_path / "a").checkpoints
    for other in (second, files["b"][0]):
        first.write_bytes(other.read_bytes())
        with pytest.raises(StoreError, match="is damaged, or is no checkpoint of step 1 of this recording"):
            _ = Recorder(module, folder=tmp_path / "a").checkpoints
    first.write_bytes(content)
    assert Recorder(module, folder=tmp_path / "a").checkpoints.steps[:3] == (1, 2, 3)  # and the weights of now


@pytest.mark.parametrize("spacing", ["dense_end", "equal"])
@pytest.mark.parametrize("every", [1, 3, 7])
def test_weights_put_back_after_training_come_last(every, spacing):
    module = zero()
    recorder = Recorder(module, every=every, spacing=spacing)
    record(recorder, module, 20)
    module.load_state_dict({"weight": torch.full((1, 2), 5.0)})
    found = recorder.checkpoints
    assert found.params["weight"][0, -1].tolist() == [[5.0, 5.0]]
    assert list(found.steps) == sorted(set(found.steps))
    assert found.steps[-1] == (21 if 20 % every == 0 else 20)


def test_with_equal_spacing_what_was_trained_after_the_last_record_is_left_out():
    module = zero()
    recorder = Recorder(module, every=3, spacing="equal")
    record(recorder, module, 10)
    assert recorder.checkpoints.steps == (3, 6, 9)


def body_and_head():
    module = nn.Sequential(nn.Linear(3, 4), nn.Linear(4, 2))
    module[0].requires_grad_(False)
    return module


def test_weights_that_train_later_are_recorded_with_what_they_were_before():
    module = body_and_head()
    recorder = Recorder(module, every=2, parameters="trainable")
    by_hand = []
    for i in range(8):
        if i == 5:
            module[0].requires_grad_(True)
        record(recorder, module, 1)
        if i % 2:
            by_hand.append(copy.deepcopy(module.state_dict()))
    found = recorder.checkpoints
    assert list(found.params) == ["0.weight", "0.bias", "1.weight", "1.bias"]
    for name, tensor in found.params.items():
        assert torch.equal(tensor[0], torch.stack([state[name] for state in by_hand])), name


def test_weights_that_stop_training_are_recorded_on():
    module = body_and_head().requires_grad_(True)
    recorder = Recorder(module, every=2, parameters="trainable")
    record(recorder, module, 4)
    module[0].requires_grad_(False)
    record(recorder, module, 4)
    found = recorder.checkpoints.params["0.weight"]
    assert torch.equal(found[0, 1], found[0, 3])
    assert not torch.equal(found[0, 0], found[0, 1])


def test_weights_that_train_later_are_refused_where_their_past_was_not_kept(tmp_path):
    module = body_and_head()
    recorder = Recorder(module, parameters="trainable", folder=tmp_path / "r")
    record(recorder, module, 2)
    module[0].requires_grad_(True)
    with pytest.raises(InvalidInput, match="0.weight, 0.bias began to train by step 3.*Record parameters='all'"):
        record(recorder, module, 1)


@pytest.mark.parametrize("outputs", [1, 3])
def test_a_replaced_layer_is_another_model(outputs):
    module = nn.Sequential(nn.Linear(3, 4), nn.Linear(4, 2))
    recorder = Recorder(module)
    record(recorder, module, 2)
    module[1] = nn.Linear(4, outputs)
    with pytest.raises(InvalidInput, match="must stay the one that the recording began with. At step 3 1.weight, 1.b"):
        record(recorder, module, 1)
    recorder = Recorder(module)
    record(recorder, module, 1)
    module.append(nn.Linear(outputs, 2))
    with pytest.raises(InvalidInput, match=r"2.weight, 2.bias are new, gone or of another shape"):
        _ = recorder.checkpoints


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


def test_unknown_options_are_named_and_configurations_survive_a_round_trip():
    with pytest.raises(InvalidInput, match="unknown option 'evry'. Did you mean 'every'"):
        Recorder(zero(), evry=3)
    config = RecorderConfig(every=3, by="log", spacing="equal")
    assert RecorderConfig.from_dict(json.loads(json.dumps(config.to_dict()))) == config
