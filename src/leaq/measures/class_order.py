"""Do a classifier's outputs stand in the order of the labels? Otherwise every loss is that of another class."""

import numpy as np

from leaq.types import Bools, Flag, Floats, Ints, LossTable

SURE = 4.0
"""Standard errors by which another order must be better on records that did not choose it."""
CLEAR = 0.25
"""By how much it must be better, averaged over the classes that it moves."""


def class_order_doubt(table: LossTable) -> tuple[Flag, ...]:
    """Flag outputs that tell the labels far better in another order, or by the smallest, than as they are read.

    Every label counts alike, so that a model that gives one answer to everything is in order. The order is chosen on
    one half of the records and judged on the other: of many classes that a model knows nothing of, some order always
    looks better.

    Parameters
    ----------
    table : of a classification, with outputs (s, n, k) and class codes (n,); anything else is in order.

    Examples
    --------
    >>> labels = np.arange(90) % 3
    >>> facts = {"task": "classification", "game": "iid", "n_train": 45, "targets": labels}
    >>> losses, members = np.zeros((1, 1, 90)), (np.arange(90) < 45)[None]
    >>> class_order_doubt(LossTable(losses, members, outputs=np.eye(3)[labels][None], **facts))
    ()
    >>> turned = np.eye(3)[(labels + 1) % 3][None]
    >>> class_order_doubt(LossTable(losses, members, outputs=turned, **facts))[0].text[:54]
    'Outputs go with labels in another order (label 0 with '
    """
    if table.task != "classification" or table.outputs is None or table.targets is None:
        return ()
    k, models = table.outputs.shape[-1], len(table.outputs)
    labels = np.tile(np.asarray(table.targets).astype(np.int64), models)
    judging = np.tile(np.arange(len(table.targets)) // 2 % 2 == 1, models)
    largest, smallest = (pick(table.outputs, axis=-1).reshape(-1) for pick in (np.argmax, np.argmin))
    order = _best(_shares(largest[~judging], labels[~judging], k))
    moved = order != np.arange(k)
    found = _better(largest == order[labels], largest == labels, labels, judging & moved[labels])
    turned = _better(smallest == labels, largest == labels, labels, judging) if k > 2 else None
    if turned is not None and (found is None or turned[0] > found[0]):
        return _said("by the smallest, as distances and losses do", turned)
    if found is None:
        return ()
    pairs = ", ".join(f"label {label} with output {order[label]}" for label in np.flatnonzero(moved)[:3])
    more = ", ..." if moved.sum() > 3 else ""
    return _said(f"in another order ({pairs}{more}; counted from 0)", found)


def _said(how: str, found: tuple[float, float]) -> tuple[Flag, ...]:
    text = (
        f"Outputs go with labels {how}: {found[0]:.0%} of these labels would be told right so, {found[1]:.0%} are as "
        "outputs are read. Losses, and the leak that they show, are those of other classes. Give class codes in the "
        "order of the model's outputs (classes of a table stand in the order of their names), or outputs in theirs."
    )
    return (Flag("other-order", text),)


def _shares(given: Ints, labels: Ints, k: int) -> Floats:
    """Return by label how often each output is the largest, (k, k); 0 where no record has the label."""
    counts = np.bincount(labels * k + given, minlength=k * k).reshape(k, k)
    return np.asarray(counts / np.maximum(counts.sum(1, keepdims=True), 1))


def _best(shares: Floats) -> Ints:
    """Return by label the output of the one-to-one order that tells most labels right."""
    if bool((shares.diagonal() >= shares.max(1)).all()):
        return np.arange(len(shares))
    from scipy.optimize import linear_sum_assignment

    return np.asarray(linear_sum_assignment(shares + 1e-9 * np.eye(len(shares)), maximize=True)[1])


def _better(other: Bools, now: Bools, labels: Ints, judged: Bools) -> tuple[float, float] | None:
    """Return the shares told right in another order and now, every label alike, where that is clearly more."""
    if not judged.any():
        return None
    counts = np.bincount(labels[judged])
    weights = 1 / counts[labels[judged]] / np.count_nonzero(counts)
    right, before = (float(weights @ one[judged]) for one in (other, now))
    error = float(np.linalg.norm(weights * (other[judged].astype(float) - now[judged])))
    return (right, before) if right - before > max(CLEAR, SURE * error) else None
