"""Which records are exposed most, and at which quantizer each stops being identifiable.

Over the models of a table every record was a member of some and not of others. The further its signals in the two
kinds of models lie apart, the better an attacker who knows how such models behave can tell which kind a model is.

Source of the effect size: the per-example hardness of Carlini et al. (arXiv 2112.03570v2), section V. Source of the
selection: Benjamini and Hochberg (1995), Journal of the Royal Statistical Society B 57:289.
"""

from typing import Literal

import numpy as np

from leaq.attacks.signals import normalised
from leaq.errors import NotEnoughEvidence
from leaq.lazy import special
from leaq.types import Bools, Floats, Ints, LossTable

Side = Literal["greater", "two-sided"]
RATE = 0.05
"""Expected share of wrongly identified records among the identified ones."""


def effect_size(signals: Floats, members: Bools) -> Floats:
    """Return |mean_in - mean_out| over the pooled standard deviation of each record's signal, (s, n) -> (n,)."""
    inside, outside = members.sum(0).clip(1), (~members).sum(0).clip(1)
    mean_in = (signals * members).sum(0) / inside
    mean_out = (signals * ~members).sum(0) / outside
    squares = (((signals - mean_in) * members) ** 2).sum(0) + (((signals - mean_out) * ~members) ** 2).sum(0)
    spread = np.sqrt(np.maximum(squares / max(1, len(signals) - 2), 1e-12))
    size: Floats = np.abs(mean_in - mean_out) / spread
    return size


def separation(scores: Floats, members: Bools) -> Floats:
    """Return how far an attack's scores of each record lie apart in models trained on it and in others, (t, n) -> (n,).

    In pooled standard deviations, signed: positive where the attack is right about the record. NaN where the record
    was in, or out of, none of the attacked models.
    """
    inside, outside = members.sum(0), (~members).sum(0)
    size = effect_size(scores, members)
    higher = (scores * members).sum(0) / inside.clip(1) >= (scores * ~members).sum(0) / outside.clip(1)
    return np.where((inside > 0) & (outside > 0), np.where(higher, size, -size), np.nan)


def identified_records(table: LossTable) -> Bools:
    """Tell which records models give away under one quantizer, (n,): 5 % of them, as expected, wrongly.

    Those whose signal in models trained on them differs from that in the others (Welch's t-test: one-sided for
    classification, two-sided for regression), at a false-discovery rate over all records. Do not trust when a record
    was in (or out of) fewer than about four models. One that is not identified is not safe: this attack, with this
    many models, did not identify it.

    Raises
    ------
    NotEnoughEvidence
        If a record was in, or out of, fewer than two models.
    """
    signals, members = normalised(table), table.members
    fewest = int(min(members.sum(0).min(), (~members).sum(0).min()))
    if fewest < 2:
        raise NotEnoughEvidence(
            f"Per-record risk needs every record in and out of at least 2 models. Found {fewest}. Add --shadows."
        )
    return _discoveries(p_values(signals, members, "two-sided" if table.task == "regression" else "greater"))


def p_values(signals: Floats, members: Bools, side: Side) -> Floats:
    """Return the p-value of no difference between models trained on each record and others, (s, n) -> (n,)."""
    # A record with the same signal in all models carries nothing: the t-test is 0/0 there, and its p-value 1.
    varies = np.ptp(signals, axis=0) > 1e-12 * (1 + np.abs(signals).max(0))
    p_value = np.ones(signals.shape[1])
    if varies.any():
        inside, outside = _spread(signals, members, varies), _spread(signals, ~members, varies)
        found = _welch(inside, outside, side)
        p_value[varies] = np.where(np.isfinite(found), found, 1.0)
    return p_value


def _spread(signals: Floats, mask: Bools, records: Bools) -> tuple[Floats, Floats, Ints]:
    """Mean, standard deviation and number of each record's signals under `mask`, (n,) each."""
    values = np.where(mask, signals, np.nan)[:, records]
    return np.nanmean(values, axis=0), np.nanstd(values, axis=0, ddof=1), mask[:, records].sum(0)


def _welch(inside: tuple[Floats, Floats, Ints], outside: tuple[Floats, Floats, Ints], side: Side) -> Floats:
    """Return p-values of Welch's t-test from means, standard deviations and numbers, (n,) each."""
    (mean_in, sd_in, count_in), (mean_out, sd_out, count_out) = inside, outside
    part_in, part_out = sd_in**2 / count_in, sd_out**2 / count_out
    with np.errstate(divide="ignore", invalid="ignore"):
        freedom = (part_in + part_out) ** 2 / (part_in**2 / (count_in - 1) + part_out**2 / (count_out - 1))
        t = (mean_in - mean_out) / np.sqrt(part_in + part_out)
        return np.asarray(special.stdtr(freedom, -t) if side == "greater" else 2 * special.stdtr(freedom, -np.abs(t)))


def _discoveries(p_value: Floats) -> Bools:
    """Benjamini-Hochberg: the largest set whose expected share of false members is at most `RATE`."""
    order = np.argsort(p_value)
    passed = np.flatnonzero(p_value[order] <= RATE * np.arange(1, len(p_value) + 1) / len(p_value))
    found = np.zeros(len(p_value), bool)
    found[order[: passed[-1] + 1 if len(passed) else 0]] = True
    return found
