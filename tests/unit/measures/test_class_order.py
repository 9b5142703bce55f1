from dataclasses import replace

import numpy as np
import pytest

from leaq.measures.class_order import class_order_doubt
from leaq.measures.condensed import condensed
from leaq.types import LossTable


def table_of(outputs, labels):
    """A finished model's table: the first half of the records are members."""
    n = len(labels)
    members = (np.arange(n) < n // 2)[None]
    return LossTable(
        np.zeros((1, 1, n)), members, "classification", "iid", n // 2, outputs=outputs[None], targets=labels
    )


def skilled(k, n=240, seed=0):
    """Logits that are right four times in five, and labels, of which one class is rare."""
    rng = np.random.default_rng(seed)
    labels = np.where(rng.random(n) < 0.7, rng.integers(0, k, n), 0)
    guess = np.where(rng.random(n) < 0.8, labels, rng.integers(0, k, n))
    return rng.normal(size=(n, k)) * 0.1 + np.eye(k)[guess], labels


@pytest.mark.parametrize("k", [2, 3, 10])
def test_permuted_and_negated_outputs_are_told(k):
    outputs, labels = skilled(k)
    order = np.roll(np.arange(k), 1)
    assert class_order_doubt(table_of(outputs, labels)) == ()
    (flag,) = class_order_doubt(table_of(outputs[:, order], labels))
    assert flag.code == "other-order"
    assert f"label 0 with output {np.flatnonzero(order == 0)[0]}" in flag.text
    (flag,) = class_order_doubt(table_of(-outputs, labels))
    assert ("by the smallest" if k > 2 else "label 0 with output 1") in flag.text


@pytest.mark.parametrize(
    "how", [lambda outputs: outputs[:, [2, 0, 1]], lambda outputs: -outputs, lambda outputs: outputs]
)
def test_where_outputs_are_not_kept_the_same_is_told(how):
    outputs, labels = skilled(3)
    whole = table_of(how(outputs), labels)
    small = condensed(whole)
    assert small.outputs is None
    assert class_order_doubt(small) == class_order_doubt(whole)


def test_two_classes_of_many_that_changed_places_are_told():
    outputs, labels = skilled(20, n=4000)
    order = np.r_[1, 0, 2:20]
    (flag,) = class_order_doubt(table_of(outputs[:, order], labels))
    assert "(label 0 with output 1, label 1 with output 0; counted from 0)" in flag.text


@pytest.mark.parametrize("k", [2, 5, 50])
def test_models_without_skill_and_of_one_answer_are_in_order(k):
    for seed in range(20):
        rng = np.random.default_rng(seed)
        labels = np.minimum(rng.integers(0, 2 * k, 100), k - 1)
        assert class_order_doubt(table_of(rng.normal(size=(100, k)), labels)) == ()
        assert class_order_doubt(table_of(np.tile(np.arange(k, 0.0, -1), (100, 1)), labels)) == ()


def test_what_is_no_classification_or_keeps_no_outputs_is_in_order():
    outputs, labels = skilled(2)
    facts = table_of(outputs[:, ::-1], labels)
    for change in (
        {"outputs": None},
        {"task": "regression", "outputs": facts.outputs[..., :1], "score_kind": "residual"},
    ):
        assert class_order_doubt(replace(facts, **change)) == ()
