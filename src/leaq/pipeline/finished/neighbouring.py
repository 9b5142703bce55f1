"""Losses of a finished model's neighbours on the non-members, the records that r looks at, and never by its copies.

Of a small model every neighbour is run, those of one layer as one program. Of a large one that would cost as many
passes over the records as there are neighbours: there, what a single code does follows from the released model's
gradients, to first order. A few neighbours are run as well; where one of them differs by more than `TOLERANCE`, each is
compared on a few records, and those that differ by more are run on all.
"""

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch
from torch import Tensor

from leaq.evaluation.batches import Batch, cut, move
from leaq.models.first_order import Steps, first_order, kept_bytes, slopes
from leaq.models.later import Later
from leaq.pipeline.finished.evaluating import ModelEvaluator, make_room
from leaq.pipeline.finished.running import device_of, weighs_much
from leaq.quantizers.neighbours import Moves, moved
from leaq.types import Checkpoints, Flag, Floats, LossTable
from leaq.types.later import at_hand, is_later

STACKED = 2**26
"""Bytes of one layer's copies that are held at once."""
TRIED, RECORDS = 8, 16
"""Neighbours, and non-members, on which first order is compared with running."""
TOLERANCE = 0.1
"""Difference between the two, in units of what a neighbour changes, from which on a neighbour is run.

A neighbour's own r is then off by up to a fifth, where the interval of r, of one training run, spans factors.
"""
SEEN = 1e-3
"""Share of a loss by which a tried neighbour is made to change it: smaller changes drown in rounding."""
KEPT = 2**24
"""Bytes kept between the runs forwards and backwards; at least an eighth of the weights."""


def neighbour_table(
    evaluator: ModelEvaluator, quantized: Checkpoints, moves: Moves, released: Floats, *, quantizer: str
) -> tuple[LossTable, tuple[Flag, ...]]:
    """Return the losses of the moved models on the non-members, the unmoved one last, and how they came about.

    Parameters
    ----------
    quantized : the released model, batch (1,); one weight of it is exchanged at a time, and put back.
    released : (n,) its losses on the non-members.
    """
    outside, everything = evaluator.outside, np.arange(len(moves))
    changes, flags = np.full((len(moves), len(released)), np.nan), tuple[Flag, ...]()
    if not weighs_much(evaluator.model.module):
        changes = _stacked(outside, quantized, moves, quantizer)
    else:
        found = _by_first_order(outside, quantized, moves)
        if found is not None:
            changes, flags = found
        for k in everything[np.isnan(changes).any(1)]:
            with _moved_by(quantized, moves, k) as there:
                changes[k] = outside.table(there, quantizer=quantizer).losses[0, 0] - released
    table = outside.table_like(released[None] + np.vstack([changes, np.zeros_like(released)]), quantizer, "neighbours")
    return table, flags


def _stacked(outside: ModelEvaluator, quantized: Checkpoints, moves: Moves, quantizer: str) -> Floats:
    """Run all moves, those of one parameter beside each other and beside the unmoved model."""
    changes = np.empty((len(moves), len(outside.mask)))
    for name, which in moves.by_parameter():
        together = max(1, STACKED // quantized.params[name].nbytes)
        for start in range(0, len(which), together):
            part = which[start : start + together]
            losses = outside.table(moved(quantized, [moves.some(part)]), quantizer=quantizer).losses[0]
            changes[part] = losses[:-1] - losses[-1]
    return changes


@contextmanager
def _moved_by(quantized: Checkpoints, moves: Moves, k: int, times: float = 1.0) -> Iterator[Checkpoints]:
    """Lend the weights with one exchanged while the context lasts, `times` as far as the move goes: in place."""
    name, at = moves.name[k], int(moves.position[k])
    whole = quantized.params[name]

    def put(flat: Tensor) -> float:
        before = float(flat[at])
        flat[at] = before + times * (float(moves.value[k]) - before) if times != 1 else float(moves.value[k])
        return before

    def worked_out() -> Tensor:
        fresh: Tensor = at_hand(whole).clone()
        put(fresh.view(-1))
        return fresh

    if is_later(whole):
        yield quantized.replace({name: Later(tuple(whole.shape), worked_out)})
        return
    flat = whole.view(-1)
    before = put(flat)
    try:
        yield quantized
    finally:
        flat[at] = before


def _by_first_order(
    outside: ModelEvaluator, quantized: Checkpoints, moves: Moves
) -> tuple[Floats, tuple[Flag, ...]] | None:
    """Return what each move adds to each loss, NaN where that has to be tried; None where all have to be."""
    if quantized.activations is not None:  # rounded inputs have no slope
        return None
    params = {name: tensor[0] for name, tensor in quantized.params.items()}
    now = np.empty(len(moves))
    for name, which in moves.by_parameter():
        now[which] = at_hand(params[name]).reshape(-1)[torch.as_tensor(moves.position[which])].double().cpu().numpy()
    steps, device = Steps(moves.name, moves.position, moves.value - now), device_of(outside.model.module)
    batches = [move(batch, device) for batch in outside.nonmembers.batches]
    one, few = cut(batches[0], 1)[0], cut(batches[0], RECORDS)[0]
    if one.n != 1:  # its records cannot be told apart
        return None

    def told(batch: Batch) -> tuple[Tensor, Tensor]:
        return first_order(outside.model, params, batch.inputs, judge=outside.judge_of(batch), steps=steps)

    try:
        judge = outside.judge_of(one)
        kept = kept_bytes(outside.model, params, one.inputs, judge=judge, steps=steps)
        weights = sum(tensor.nbytes for tensor in params.values() if not is_later(tensor))
        rows = max(1, max(KEPT, weights // 8) // max(1, kept))
        exact = slopes(outside.model, params, one.inputs, judge=judge, steps=steps)
        make_room(outside.model.module)
        losses, some = (torch.cat(parts, -1) for parts in zip(*map(told, cut(few, rows)), strict=True))
        # Moves of which a record's change is not what the gradient of the whole weight says.
        close = np.abs(some[:, 0].cpu().numpy() - exact) <= 0.01 * np.abs(exact) + 1e-4 * np.abs(exact).max()
        wrong = ~close
        known = some.where(~torch.as_tensor(wrong, device=some.device)[:, None], torch.nan)
        errors = _errors(outside, (quantized, moves), few, (losses, known))
        wrong |= errors > TOLERANCE
        if (errors > TOLERANCE).any() and wrong[errors >= 0].all():
            return None
        off = max(0.0, errors[~wrong].max(initial=0.0))
        changes = torch.cat([told(part)[1] for batch in batches for part in cut(batch, rows)], 1).cpu().numpy()
    except Exception:  # whatever cannot be differentiated can be run, or running raises the true error
        return None
    changes[wrong] = np.nan
    count = int((~np.isnan(changes).any(1)).sum())
    text = (
        f"What {count} of {len(moves)} candidates change follows from the released model's gradients, to first order; "
        f"of {int((errors[~wrong] >= 0).sum())} of them that were run too it differed by at most {off:.1%}, what a "
        "candidate changes being 100 %."
    )
    return changes, (Flag("first-order", text),) if count else ()


def _errors(
    outside: ModelEvaluator, released: tuple[Checkpoints, Moves], few: Batch, told: tuple[Tensor, Tensor]
) -> Floats:
    """Return the difference between first order and running, relative to what a move changes, (k,); -1 if not run.

    The largest moves of parameters all over the network are run; all that change anything, where one of these differs
    too much. What first order leaves out grows with the square of the move. Where a move changes less than rounding
    does, a longer one is run, and the difference taken back to the move's own length.
    """
    (quantized, moves), (losses, changes) = released, told
    sizes = changes.square().mean(1).sqrt().cpu().numpy()
    largest = {name: which[np.argmax(np.nan_to_num(sizes[which]))] for name, which in moves.by_parameter()}
    tried = [k for k in largest.values() if np.nan_to_num(sizes[k]) > 0]
    picked = [tried[at] for at in np.unique(np.linspace(0, len(tried) - 1, min(TRIED, len(tried))).astype(int))]
    level = float(losses.square().mean().sqrt())
    run, errors = outside.model, np.full(len(moves), -1.0)

    def lost(weights: Checkpoints) -> Tensor:
        return outside.judge_of(few)(run.forward(weights.params, few.inputs)[0]).detach().double()

    before, everything = lost(quantized), np.flatnonzero(np.nan_to_num(sizes) > 0)
    for place, k in enumerate((*picked, *everything)):
        if place == len(picked) and errors.max() <= TOLERANCE:
            break
        times = max(1.0, SEEN * level / float(sizes[k]))
        with _moved_by(quantized, moves, int(k), times) as there:
            rest = (lost(there) - before) / times - changes[k]
        errors[k] = float(rest.square().mean().sqrt()) / float(sizes[k]) / times
    return errors
