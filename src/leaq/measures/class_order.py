"""Do a classifier's outputs stand in the order of the labels? Otherwise every loss is that of another class."""

from collections.abc import Iterator

import numpy as np

from leaq.types import Flag, Floats, Ints, LossTable

ORDER = "order"
"""What `picked` gives, where outputs themselves are not kept."""

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
    table : of a classification, with outputs (s, n, k), or what they told, and class codes (n,); anything else is in
        order.

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
    kept = (table.told or {}).get(ORDER)
    counts = sum(picked(table) if kept is None else kept)
    if isinstance(counts, int):
        return ()
    k = counts.shape[-1]
    choosing, judging, smallest = counts[:k], counts[k:-1], counts[-1]
    order = _best(choosing / np.maximum(choosing.sum(1, keepdims=True), 1))
    moved, own = order != np.arange(k), judging.diagonal()
    found = _better(judging[np.arange(k), order], own, np.where(moved, judging.sum(1), 0))
    turned = _better(smallest, own, judging.sum(1)) if k > 2 else None
    if turned is not None and (found is None or turned[0] > found[0]):
        return _said("by the smallest, as distances and losses do", turned)
    if found is None:
        return ()
    pairs = ", ".join(f"label {label} with output {order[label]}" for label in np.flatnonzero(moved)[:3])
    more = ", ..." if moved.sum() > 3 else ""
    return _said(f"in another order ({pairs}{more}; counted from 0)", found)


def picked(table: LossTable) -> Iterator[Ints]:
    """Yield how often each output is the largest, by label, and the smallest, model by model: (2 k + 1, k).

    First the records that choose an order, (k labels, k outputs), then those that judge it; the last row is how often
    each of these labels has the smallest output. Nothing of tables that are no classification or keep no outputs.
    """
    if table.task != "classification" or table.outputs is None or table.targets is None:
        return
    k, labels = table.outputs.shape[-1], np.asarray(table.targets).astype(np.int64)
    judging = np.arange(len(labels)) // 2 % 2
    for one in table.outputs:
        largest = np.bincount((judging * k + labels) * k + one.argmax(-1), minlength=2 * k * k).reshape(2 * k, k)
        smallest = np.bincount(labels[(judging == 1) & (one.argmin(-1) == labels)], minlength=k)
        yield np.concatenate([largest, smallest[None]])


def _said(how: str, found: tuple[float, float]) -> tuple[Flag, ...]:
    text = (
        f"Outputs go with labels {how}: {found[0]:.0%} of these labels would be told right so, {found[1]:.0%} are as "
        "outputs are read. Losses, and the leak that they show, are those of other classes. Give class codes in the "
        "order of the model's outputs (classes of a table stand in the order of their names), or outputs in theirs."
    )
    return (Flag("other-order", text),)


def _best(shares: Floats) -> Ints:
    """Return by label the output of the one-to-one order that tells most labels right."""
    if bool((shares.diagonal() >= shares.max(1)).all()):
        return np.arange(len(shares))
    from scipy.optimize import linear_sum_assignment

    return np.asarray(linear_sum_assignment(shares + 1e-9 * np.eye(len(shares)), maximize=True)[1])


def _better(other: Floats, now: Floats, judged: Floats) -> tuple[float, float] | None:
    """Return the shares told right in another order and now, every label alike, where that is clearly more.

    Parameters
    ----------
    other, now, judged : by label how many records are told right by each, and how many there are; 0 of labels that do
        not count.
    """
    there = judged > 0
    if not there.any():
        return None
    weights = 1 / judged[there] / np.count_nonzero(there)
    right, before = (float(weights @ one[there]) for one in (other, now))
    error = float(np.sqrt(weights**2 @ (other + now)[there]))  # no record is told right by both
    return (right, before) if right - before > max(CLEAR, SURE * error) else None
