import numpy as np
import pytest
import torch

from leaq.errors import InvalidInput
from leaq.types import Checkpoints, LossTable
from leaq.types.tasks import TaskSpec
from tests.unit.types.cases import samples, table


def test_ids_and_groups_default_to_row_numbers():
    one = samples()
    assert one.ids.tolist() == list(range(1, 31))
    assert one.groups.tolist() == list(range(30))


def test_take_keeps_rows_together():
    part = samples().take([3, 5])
    assert part.ids.tolist() == [4, 6]
    assert part.inputs[:, 0].tolist() == [6.0, 10.0]
    assert len(part) == 2


def test_kind_tells_numbers_from_molecules():
    assert samples().kind == "table"
    smiles = np.array(["C"] * 30)
    assert samples(inputs=smiles).kind == "smiles"


def test_each_target_comes_with_what_it_is():
    tasks = (TaskSpec("toxic", "classification", ("no", "yes")), TaskSpec("logS", "regression", unit="mol/L"))
    several = samples(targets=np.tile([1.0, np.nan], (30, 1)), task="multitask", tasks=tasks, classes=())
    assert [(task, np.isnan(values).all()) for values, task in several.each_target] == [
        (tasks[0], False),
        (tasks[1], True),
    ]
    [(values, task)] = samples().each_target
    assert values.tolist() == samples().targets.tolist()
    assert (task.kind, task.classes) == (samples().task, samples().classes)


def test_released_and_held_out():
    losses = np.arange(24.0).reshape(2, 3, 4)
    one = table(losses)
    assert one.released.tolist() == losses[:, 2].tolist()
    assert one.held_out(0).tolist() == losses[0][:, 2:].tolist()


def test_stacked_tables_join_along_models():
    joined = LossTable.stack([table(scores=np.zeros((2, 4))), table(scores=np.ones((2, 4)))])
    assert joined.losses.shape == (4, 3, 4)
    assert joined.scores.sum() == 8
    assert joined.n_train == 2


def checkpoints(batch=(2, 3)):
    return Checkpoints({"w": torch.arange(2 * 3 * 4.0).reshape(*batch, 4)}, {"w": "linear"}, batch, steps=(1, 2, 3))


def test_last_is_the_final_checkpoint_of_every_model():
    last = checkpoints().last()
    assert last.batch == (2,)
    assert last.steps == ()
    assert torch.equal(last.params["w"], checkpoints().params["w"][:, -1])


def test_a_slice_of_checkpoints_keeps_its_steps():
    part = checkpoints().at((slice(None), slice(1, None)))
    assert (part.batch, part.steps) == ((2, 2), (2, 3))


def test_checkpoints_need_a_role_for_each_parameter_and_the_batch_axes():
    with pytest.raises(InvalidInput, match="every parameter needs one role. Unmatched: v"):
        Checkpoints({"w": torch.ones(2, 3)}, {"w": "linear", "v": "bias"}, (2,))
    with pytest.raises(InvalidInput, match=r"'w' must start with the batch axes \(3,\)"):
        Checkpoints({"w": torch.ones(2, 3)}, {"w": "linear"}, (3,))


def test_numbers_of_the_file_join_and_belong_to_every_model():
    joined = LossTable.stack([table(numbers={"bias": np.zeros((2, 3))}), table(numbers={"bias": np.ones((2, 3))})])
    assert joined.numbers["bias"].mean(1).tolist() == [0, 0, 1, 1]
    assert LossTable.stack([table(numbers={"bias": np.zeros((2, 3))}), table()]).numbers is None
    with pytest.raises(InvalidInput, match=r"numbers\['bias'\] must have shape \(2, any\). Found \(3, 2\)"):
        table(numbers={"bias": np.zeros((3, 2))})


@pytest.mark.parametrize(
    ("inside", "outside", "message"),
    [
        ([0.1, np.nan], [0.3], r"from_losses: members must be finite. Found 1 \(nan at \[1\]\)"),
        ([0.1], ["high"], "from_losses: nonmembers must be real numbers. Found <U4"),
        ([True, False], [0.3], "members must be real numbers. Found bool"),
    ],
)
def test_lists_of_losses_are_numbers(inside, outside, message):
    with pytest.raises(InvalidInput, match=message):
        LossTable.from_losses(inside, outside)


def test_copies_among_listed_losses_share_a_group():
    assert LossTable.from_losses([0.1, 0.1], [0.3], groups=[7, 7, 9]).groups.tolist() == [7, 7, 9]
    with pytest.raises(InvalidInput, match="groups must have shape"):
        LossTable.from_losses([0.1, 0.1], [0.3], groups=[7, 7])
