from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from leaq.errors import InvalidInput
from leaq.pipeline import AuditConfig
from leaq.pipeline.preparing import prepare
from leaq.pipeline.subjects import Given
from leaq.training import TrainingConfig

ROWS = pd.DataFrame({"a": np.arange(60.0) ** 2 / 7, "b": np.tile(["x", "y", "z"], 20), "y": np.arange(60) % 2})


@pytest.fixture
def table(tmp_path):
    ROWS.to_csv(tmp_path / "rows.csv", index=False)
    return str(tmp_path / "rows.csv")


def test_nothing_is_left_to_auto(table):
    samples, resolved = prepare(AuditConfig(source=table, target="y"))
    assert samples.inputs.shape == (60, 4)  # a number and three categories
    assert (resolved.embedder, resolved.task) == ("identity", "classification")


def test_a_frame_is_read_as_its_file_is(table):
    config = AuditConfig(source=table, target="y")
    held, _ = prepare(config, given=Given(data=ROWS))
    np.testing.assert_array_equal(held.inputs, prepare(config)[0].inputs)


def test_public_records_go_the_same_way(table, tmp_path):
    ROWS.iloc[:20].to_csv(tmp_path / "public.csv", index=False)
    samples, _ = prepare(AuditConfig(source=table, target="y", public=str(tmp_path / "public.csv")))
    assert samples.public.inputs.shape == (20, 4)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"model": "nets.py:make", "recipe": "train.py:train"}, "by leaq \\(model\\) or by yourself \\(recipe\\)"),
        ({"dp_sgd": ("1",), "recipe": "train.py:train"}, "DP-SGD trains leaq's own perceptrons"),
        ({"source": "nowhere.csv"}, "nowhere.csv"),
    ],
)
def test_what_does_not_go_together_is_refused_before_anything_is_read(table, options, message):
    here = Path(table).parent
    (here / "train.py").write_text("def train(records, seed):\n    raise AssertionError\n")
    named = {key: f"{here / value}" if str(value).endswith(":train") else value for key, value in options.items()}
    with pytest.raises(InvalidInput, match=message):
        prepare(AuditConfig(**{"source": table, "target": "y", **named}))


def test_options_that_a_training_of_ones_own_does_not_read_are_doubted(table):
    """A recipe was run as before whatever --epochs said."""

    def doubts(**more):
        quick = TrainingConfig(hidden=(4,), epochs=2)
        samples, _ = prepare(AuditConfig(source=table, target="y", training=quick, **more), given=Given(**{
            name: print for name in more
        }))  # fmt: skip
        return [flag.text for flag in samples.flags if flag.code == "unread-options"]

    assert doubts() == []
    assert doubts(recipe="train.py:train") == ["The recipe trains by itself; not used: hidden, epochs."]
    assert doubts(model="nets.py:make") == ["The network is made as it is; not used: hidden."]
