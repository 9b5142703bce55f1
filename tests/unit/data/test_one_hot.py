import numpy as np
import pandas as pd
import pytest

from leaq.data.loading import load


@pytest.fixture
def codes(rng):
    return rng.permutation(np.arange(60) % 3)


def test_one_hot_targets_are_one_target_in_the_order_of_their_columns(rng, codes, tmp_path):
    x = rng.normal(size=(60, 3))
    hot = pd.get_dummies(pd.Series(np.array(["red", "blue", "a"])[codes]), prefix="y")[["y_red", "y_blue", "y_a"]]
    np.savez(tmp_path / "t.npz", x=x, y=np.eye(3)[codes])
    frame = pd.DataFrame(x, columns=list("abc")).join(hot)
    for source, options, classes in (
        ((x, np.eye(3)[codes]), {}, ("0", "1", "2")),
        ((x, hot), {}, ("red", "blue", "a")),
        (frame, {"target": "y_red,y_blue,y_a"}, ("red", "blue", "a")),
        (tmp_path / "t.npz", {"target": "y"}, ("0", "1", "2")),
    ):
        found = load(source, **options)
        assert (found.task, found.classes, found.inputs.shape) == ("classification", classes, (60, 3))
        assert found.targets.tolist() == codes.tolist()
        assert "one-hot" in [flag.code for flag in found.flags]


def test_other_columns_of_zeros_and_ones_are_several_targets(rng, codes):
    x, both = rng.normal(size=(60, 3)), np.stack([codes == 0, codes != 1], axis=1).astype(float)
    holes = np.eye(3)[codes]
    holes[3] = np.nan, 0, 1
    for y in (both, holes):
        assert load((x, y)).task == "multitask"
    assert load((x, np.eye(3)[codes]), task="regression").task == "multitask"
