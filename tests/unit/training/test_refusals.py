"""What training refuses before it starts: classes that some model would never see, and members that do not fit."""

import numpy as np
import pytest
import torch
from typer.testing import CliRunner

from leaq.cli.main import app
from leaq.data.splits import halves
from leaq.data.tables import from_arrays
from leaq.errors import InvalidInput, NotEnoughEvidence
from leaq.training import TrainingConfig, train, train_modules

QUICK = TrainingConfig(hidden=(4,), epochs=1, checkpoints=1)


@pytest.fixture
def rare(rng):
    """40 records, of which a single one is of class 2: half of all models cannot see it."""
    labels = np.r_[np.arange(39) % 2, 2, 2]
    samples = from_arrays(rng.normal(size=(41, 3)), labels).take(np.arange(40))  # a reader would refuse a single one
    return samples, halves(samples, 4, seed=0)


ABSENT = r"every class must occur among a model's members\. Class '2' is absent from model \d"


def test_a_class_absent_from_a_models_members_is_named(rare):
    samples, members = rare
    with pytest.raises(InvalidInput, match=ABSENT):
        train(samples, members, QUICK, seed=0)
    with pytest.raises(InvalidInput, match=ABSENT):
        train_modules(lambda: torch.nn.Linear(3, 3), samples, members, QUICK, seed=0)


def test_the_model_that_lacks_the_class_is_named_and_a_table_where_none_does_is_trained(rare):
    samples, members = rare
    without = int(np.flatnonzero(~members[:, -1])[0])
    with pytest.raises(InvalidInput, match=f"from model {without}"):
        train(samples, members, QUICK, seed=0)
    train(samples, members[members[:, -1]], QUICK, seed=0)


def test_the_command_refuses_a_rare_class_before_it_trains(rng, tmp_path):
    labels = np.r_[np.arange(39) % 2, 2]
    rows = "\n".join(f"{a:.3f},{b:.3f},{y}" for a, b, y in zip(*rng.normal(size=(2, 40)), labels, strict=True))
    path = tmp_path / "rare.csv"
    path.write_text(f"a,b,y\n{rows}\n")
    found = CliRunner().invoke(app, ["attack", str(path), "--target", "y", "--task", "classification", "--quiet"])
    assert found.exit_code == 2
    assert "Class '2' has 1" in " ".join(found.stderr.split())


def test_members_of_other_records_and_single_members_are_refused(rare):
    samples, members = rare
    with pytest.raises(InvalidInput, match=r"one column a record. Found \(4, 39\)"):
        train(samples, members[:, :-1], QUICK, seed=0)
    few = np.zeros_like(members)
    few[:, 0] = True
    with pytest.raises(NotEnoughEvidence, match="at least 2 members. Found 1"):
        train(samples, few, QUICK, seed=0)
