"""A table without its wide outputs gives every number that the whole one gives, however it is cut and joined."""

from dataclasses import replace

import numpy as np
import pytest

from leaq.measures.condensed import condensed
from leaq.measures.distortion import correlation, distortion
from leaq.measures.performance import drop, performance
from leaq.pipeline.rows import How, Released, row
from leaq.results import Size
from leaq.study.chunks import ChunkStore
from leaq.types import LossTable, NotComputed

S, N, K = 6, 90, 4
OPTIONS = {"level": 0.9, "seed": 3, "draws": 60}


def tables(rng, *, k=K):
    targets, members = np.arange(N) % k, rng.random((S, N)) < 0.5
    before = rng.normal(size=(S, N, k)) + 2 * np.eye(k)[targets]
    after = before + 0.3 * rng.normal(size=before.shape)
    before[1] = 1.0  # a model that gives one output for all records
    made = [
        LossTable(
            rng.exponential(size=(S, 1, N)), members, "classification", "pool", N // 2, outputs=outputs,
            scores=rng.normal(size=(S, N)), targets=targets, groups=np.arange(N) // 2, quantizer=name,
        )
        for name, outputs in (("none", before), ("sign", after))
    ]  # fmt: skip
    return made


def small(table, reference=None):
    return condensed(table, reference, seed=OPTIONS["seed"], draws=OPTIONS["draws"])


def test_every_number_is_that_of_the_whole_table(rng):
    full, quantized = tables(rng)
    brief = small(quantized, full)
    assert brief.outputs is None
    assert performance(brief, **OPTIONS) == performance(quantized, **OPTIONS)
    assert drop(brief, small(full), **OPTIONS) == drop(quantized, full, **OPTIONS)
    for indicator in (distortion, correlation):
        assert indicator(brief, small(full), **OPTIONS) == indicator(quantized, full, **OPTIONS)


def test_chunks_that_were_condensed_apart_join_to_the_whole(rng):
    full, quantized = tables(rng)
    parts = [small(quantized.of(part), full.of(part)) for part in (range(2), range(2, S))]
    joined = LossTable.stack(parts)
    assert performance(joined, **OPTIONS) == performance(quantized, **OPTIONS)
    assert correlation(joined, full, **OPTIONS) == correlation(quantized, full, **OPTIONS)
    some = [0, 3, 4]
    assert performance(joined.of(some), **OPTIONS) == performance(quantized.of(some), **OPTIONS)


def test_a_row_of_an_audit_is_the_same(rng):
    full, quantized = tables(rng)
    how = How(OPTIONS)
    whole, brief = (
        row(Released(("sign", "sign"), one, Size(1.0, 1.0, 1, 1.0), reference=other), how)
        for one, other in ((quantized, full), (small(quantized, full), small(full)))
    )
    assert brief.metrics == whole.metrics
    assert brief.drops == whole.drops
    assert brief.measures == whole.measures
    assert not isinstance(brief.measures["distortion"], NotComputed)


def test_outputs_of_two_classes_are_kept(rng):
    _, quantized = tables(rng, k=2)
    assert small(quantized) is quantized


def test_each_of_several_targets_is_condensed(rng):
    full, quantized = tables(rng)
    joint, before = (replace(one, by_task={"a": one}, task="multitask", targets=None) for one in (quantized, full))
    brief = small(joint, before)
    assert brief.outputs is None
    assert brief.by_task["a"].outputs is None
    assert performance(brief, **OPTIONS) == performance(joint, **OPTIONS)
    assert performance(brief.by_task["a"], **OPTIONS) == performance(quantized, **OPTIONS)


def test_stored_chunks_keep_what_outputs_told(rng, tmp_path):
    full, quantized = tables(rng)
    brief = small(quantized, full)
    chunks = ChunkStore(tmp_path)
    chunks.put("models-0-6", {"sign": (brief, Size(1.0, 1.0, 1, 1.0))})
    found = chunks.get("models-0-6")
    assert found is not None
    assert performance(found["sign"][0], **OPTIONS) == performance(quantized, **OPTIONS)


@pytest.mark.parametrize("draws", [59, 61])
def test_other_draws_than_those_it_was_condensed_with_are_refused(rng, draws):
    full, quantized = tables(rng)
    with pytest.raises(Exception, match=f"60 draws of the records. Asked for {draws}"):
        performance(small(quantized, full), **{**OPTIONS, "draws": draws})
