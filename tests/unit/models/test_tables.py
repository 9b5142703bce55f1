import numpy as np
import torch

from leaq.models.tables import Judge, spreads
from leaq.types import LossTable, Samples
from leaq.types.tasks import TaskSpec
from tests.helpers import ROUNDING

TASKS = (TaskSpec("toxic", "classification", ("no", "yes")), TaskSpec("logS", "regression"))


def records(n=30):
    rng = np.random.default_rng(0)
    targets = np.stack([(np.arange(n) % 2).astype(float), 3 * rng.normal(size=n)], axis=1)
    targets[: n // 3, 1] = np.nan
    targets[-3:, 0] = np.nan
    return Samples(np.zeros((n, 2)), targets, "multitask", ids=np.arange(n) + 5, tasks=TASKS)


def test_a_record_has_the_mean_loss_of_its_labels_and_each_task_a_table_of_its_own():
    samples, rng = records(), np.random.default_rng(1)
    members = rng.random((4, 30)) < 0.5
    outputs = torch.tensor(rng.normal(size=(4, 30, 2)))
    table = Judge(samples).table(outputs, members, game="pool", quantizer="sign")
    toxic, logs = table.by_task["toxic"], table.by_task["logS"]
    assert (toxic.task, logs.task) == ("classification", "regression")
    assert table.rows_of("logS").tolist() == list(range(10, 30))
    assert toxic.losses.shape == (4, 1, 27)
    np.testing.assert_array_equal(logs.members, members[:, 10:])
    np.testing.assert_allclose(
        logs.released, ((samples.targets[10:, 1] - outputs.numpy()[:, 10:, 1]) / spreads(samples)[1]) ** 2, **ROUNDING
    )
    np.testing.assert_allclose(table.released[:, :10], toxic.released[:, :10], **ROUNDING)
    np.testing.assert_allclose(
        table.released[:, 10:27], (toxic.released[:, 10:] + logs.released[:, :17]) / 2, **ROUNDING
    )
    np.testing.assert_allclose(table.released[:, 27:], logs.released[:, 17:], **ROUNDING)


def test_tables_of_several_targets_are_cut_and_joined_with_those_of_each():
    samples, rng = records(), np.random.default_rng(1)
    members, outputs = rng.random((4, 30)) < 0.5, torch.tensor(rng.normal(size=(4, 30, 2)))
    table = Judge(samples).table(outputs, members, game="pool")
    joined = LossTable.stack([table.of([0, 1]), table.of([2, 3])])
    for name in TASKS:
        np.testing.assert_array_equal(joined.by_task[name.name].scores, table.by_task[name.name].scores)
