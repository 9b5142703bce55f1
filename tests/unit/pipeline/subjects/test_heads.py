import numpy as np
import torch

from leaq.data.splits import halves
from leaq.data.tables import from_arrays
from leaq.pipeline.subjects import Heads
from leaq.training import TrainingConfig
from leaq.types import silent


def test_a_perceptron_is_the_same_in_whatever_part_it_is_asked_for(rng):
    samples = from_arrays(rng.normal(size=(40, 3)), np.arange(40) % 2)
    members = halves(samples, 4, seed=0)
    heads = Heads(TrainingConfig(hidden=(4,), epochs=2, checkpoints=2, dtype="float64"), seed=3)
    whole = heads.train(samples, members, which=slice(0, 4), progress=silent).checkpoints
    part = heads.train(samples, members[2:], which=slice(2, 4), progress=silent).checkpoints
    for name, tensor in part.params.items():
        torch.testing.assert_close(tensor, whole.params[name][2:])


def test_it_reads_rows_and_its_parts_cover_all_models(rng):
    samples = from_arrays(rng.normal(size=(40, 3)), rng.normal(size=40))
    heads = Heads(TrainingConfig(hidden=(4,), chunk=3), seed=0)
    assert heads.reads == {"rows"}
    assert [i for part in heads.parts(samples, 8) for i in range(part.start, part.stop)] == list(range(8))
    assert max(part.stop - part.start for part in heads.parts(samples, 8)) == 3
    assert heads.network(samples).hidden == (4,)
