"""How well an indicator agrees with the reference: what the page of Level B tells of each."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from scipy import stats

from leaq.seeds import stream
from leaq.types import Floats

Record = dict[str, Any]
"""What is stored of one setting; see `level_b.one`."""
LARGE = 0.08
"""A miss of the advantage that has to be flagged."""
LEAST_RATE = 0.001
"""Rates below it are taken for it: a factor has a logarithm."""
REPEATS = 0.3
"""Tau of the two repetitions below which a setting has no order to agree with."""


def reference(record: Record) -> Floats:
    """Return the advantage by quantizer, mean of both repetitions, (q,)."""
    return np.mean(record["reference"], axis=0)


def concordance(record: Record, values: Floats, *, within: bool = False) -> float | None:
    """Return the share of pairs in the reference's order among those both repetitions tell apart; ties count half."""
    ours, truth = np.asarray(values, dtype=float), reference(record)
    pairs = [(i, j) for i, j in record["told apart"] if not within or record["widths"][i] == record["widths"][j]]
    pairs = [(i, j) for i, j in pairs if np.isfinite(ours[[i, j]]).all()]
    if not pairs:
        return None
    i, j = np.array(pairs).T
    same = np.sign(ours[i] - ours[j]) * np.sign(truth[i] - truth[j])
    return float(((same + 1) / 2).mean())


def tau(record: Record, values: Floats) -> float | None:
    """Return Kendall's tau-b with the reference."""
    ours, truth = np.asarray(values, dtype=float), reference(record)
    known = np.isfinite(ours)
    found = stats.kendalltau(ours[known], truth[known]).statistic if known.sum() > 3 else np.nan
    return float(found) if np.isfinite(found) else None


def corrected(record: Record, values: Floats) -> float | None:
    """Return tau over the root of the tau of the two repetitions; None where they have no common order."""
    found, again = tau(record, values), stats.kendalltau(*record["reference"]).statistic
    return None if found is None or not again >= REPEATS else float(found / np.sqrt(again))


def over_groups(score: Any, record: Record, name: str, **options: Any) -> float | None:
    """Return a score averaged over the groups of replicates an indicator was computed from."""
    if name not in record["indicators"]:
        return None
    found = [score(record, np.array(one, dtype=float), **options) for one in record["indicators"][name]]
    known = [one for one in found if one is not None]
    return float(np.mean(known)) if known else None


def interval(values: Sequence[float], draws: int = 2000) -> tuple[float, float, float]:
    """Return the mean over settings and its 95 % interval, settings resampled."""
    found = np.array(values)
    drawn = stream(0, "settings").choice(found, (draws, len(found))).mean(1)
    return float(found.mean()), *(float(q) for q in np.quantile(drawn, [0.025, 0.975]))


def misses(record: Record, name: str) -> tuple[Floats, Floats]:
    """Return the errors of a forecast's advantage and whether each is flagged, (groups, q)."""
    said = np.array([one["advantage"] for one in record["forecasts"][name]])
    return said - reference(record), np.array([one["flagged"] for one in record["forecasts"][name]])


def covered(record: Record, name: str) -> float:
    """Return the share of a forecast's intervals that hold the reference."""
    low, high = (np.array([one[end] for one in record["forecasts"][name]]) for end in ("low", "high"))
    truth = reference(record)
    return float(((low <= truth) & (truth <= high)).mean())


def factor(record: Record, name: str) -> float:
    """Return the mean absolute logarithm of the forecast over the measured true-positive rate at 1 %; NaN if it has none."""
    if "tpr" not in record["forecasts"][name][0]:
        return float("nan")
    return _apart(record, [one["tpr"] for one in record["forecasts"][name]])


def factor_of(record: Record, name: str) -> float:
    """Return the same of an indicator that is said to estimate that rate."""
    return _apart(record, np.maximum(record["indicators"][name], LEAST_RATE))


def _apart(record: Record, said: Any) -> float:
    return float(np.nanmean(np.abs(np.log(np.array(said, dtype=float) / np.mean(record["tpr"], axis=0)))))


def by_record(record: Record, name: str, least: float = 0.2) -> float | None:
    """Return the rank correlation with the reference's risk over its own repetition's, mean over quantizers.

    Quantizers whose repetitions agree by less than `least` are left out: nothing orders the records there.
    """
    found = record["records"].get(name, [])
    shares = [a / b for a, b in zip(found, record["records"]["again"], strict=True) if b >= least] if found else []
    return float(np.mean(shares)) if shares else None
