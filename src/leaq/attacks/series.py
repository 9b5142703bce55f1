"""Was this series in the training data? Evidence on single records added up over groups of them.

Who wants to know whether a competitor worked on a series (a scaffold, a patient, a batch) need not name one record: a
small lead on each adds up. The unit of this game is a group: a model's members hold all of it or nothing of it, as
grouped splits draw them. A group's score is the sum of its records' scores, which for the log-likelihood ratios of LiRA
is the likelihood ratio of the whole group if its records' signals were independent given membership; they are not, so
the threshold is learnt on other models' groups, by number of records alike for all.

Sources: Maini, Yaghini, Papernot, "Dataset Inference" (arXiv 2104.10706v1); Kandpal et al., "User Inference Attacks on
Large Language Models" (arXiv 2310.09266v2), where it is the mean over a user's records.
"""

from dataclasses import replace

import numpy as np

from leaq.attacks.base import Context, MembershipAttack
from leaq.attacks.lira import Lira
from leaq.attacks.scoring import Attack, attack_result
from leaq.errors import NotEnoughEvidence
from leaq.types import AttackResult, Bools, Flag, Floats, Ints, LossTable, NotComputed, computed

FEWEST_GROUPS = 10
"""Groups below which nothing is said."""


def series_inference(context: Context, groups: Ints, *, attack: MembershipAttack | None = None) -> AttackResult:
    """Tell groups that a model trained on from groups it did not, by an attack on their records.

    Direction: smaller is safer. Range: advantage in [-1, 1]; a lower bound on what the game of groups gives away, whose
    unit is a group. Do not trust when there are few groups, or where a model holds parts of groups: groups that a model
    holds in part are refused.

    Parameters
    ----------
    context : models under one quantizer, every group of records wholly in or out of each model.
    groups : (n,) which group each record belongs to.
    attack : scores the records, LiRA by default.

    Returns
    -------
    The result over groups: its `n` counts group-model pairs. No risk of single groups is given.

    Raises
    ------
    NotEnoughEvidence
        If there are fewer than 10 groups, a model holds part of one, or an ingredient of the attack is missing.

    Examples
    --------
    >>> import numpy as np
    >>> rng = np.random.default_rng(0)
    >>> groups = np.repeat(np.arange(40), 5)
    >>> half = np.stack([rng.permutation(np.arange(40) % 2) == 0 for _ in range(6)])
    >>> members = np.concatenate([half, ~half])[:, groups]
    >>> scores = rng.normal(size=members.shape) + 0.6 * members
    >>> table = LossTable(-scores[:, None], members, "classification", "pool", 100, scores=scores)
    >>> one, all_five = Lira()(table), series_inference(Context(table), groups)
    >>> all_five.advantage.value > one.advantage.value + 0.2
    True
    """
    attack = attack or Lira()
    attack.require(context)
    table, targets = context.table, list(attack.attacked(context))
    named, code = np.unique(groups, return_inverse=True)
    if len(named) < FEWEST_GROUPS:
        raise NotEnoughEvidence(
            f"Series inference needs at least {FEWEST_GROUPS} groups. Found {len(named)}. Name a column that groups "
            "records with --group, or use --split scaffold."
        )
    whole = _by_group(table, code, len(named))
    scores = _summed(attack.scores(context, targets), code, len(named))
    everyone = set(range(len(table.members)))

    def again(chosen: list[int], shadows: list[int]) -> Floats:
        return _summed(attack.scores(context, chosen, sorted(everyone - set(shadows))), code, len(named))

    sizes = np.bincount(code)
    text = (
        f"Asked about {len(named)} groups of {sizes.min()} to {sizes.max()} records (median {int(np.median(sizes))}), "
        "not about single records."
    )
    found = Attack(
        f"series({attack.spec()})",
        f"{attack.knows(context)}; asks about whole groups of records",
        flags=(*attack.flags(context), Flag("groups-asked", text)),
        told=attack.tells == "scores",
        labelled=attack.tells == "threshold",
        jackknife=attack.jackknife,
        scores_from=again if attack.tells != "scores" else None,  # type: ignore[arg-type]
    )
    result = attack_result(found, whole, scores, targets=targets, resampling=context.resampling)
    area, advantage = (replace(number, unit="group-model pairs") for number in (result.auc, result.advantage))
    return replace(result, auc=area, advantage=advantage)


def run_series(context: Context, attack: MembershipAttack) -> AttackResult | NotComputed:
    """Ask an attack about the groups of the table (`LossTable.groups`), or say what is missing.

    Its name stays: in the game of series every attack is about groups.
    """
    found = computed(lambda: series_inference(context, context.table.groups, attack=attack))
    return replace(found, attack=attack.spec()) if isinstance(found, AttackResult) else found


def _by_group(table: LossTable, code: Ints, n: int) -> LossTable:
    """Return the table whose records are groups: mean losses, and who holds which."""
    inside = _summed(table.members.astype(np.float64), code, n)
    sizes = np.bincount(code, minlength=n)
    members: Bools = inside == sizes
    if (~members & (inside > 0)).any():
        model, group = np.argwhere(~members & (inside > 0))[0]
        raise NotEnoughEvidence(
            f"Series inference needs models that hold all of a group or nothing of it. Model {model} holds "
            f"{int(inside[model, group])} of the {sizes[group]} records of one. Group the records before models are "
            "trained, with --group or --split scaffold."
        )
    losses = np.stack([_summed(part, code, n) for part in table.losses]) / sizes
    return replace(
        table,
        game="series",
        losses=losses,
        members=members,
        scores=None,
        outputs=None,
        targets=None,
        whitebox=None,
        numbers=None,
        by_task={},
        ids=np.arange(n),
        groups=np.arange(n),
    )


def _summed(values: Floats, code: Ints, n: int) -> Floats:
    """Add up columns (t, records) by group -> (t, n)."""
    found = np.zeros((len(values), n))
    np.add.at(found.T, code, values.T)
    return found
