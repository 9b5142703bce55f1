"""Attacks transcribed from their papers: loops over targets, records and shadows, nothing shared with leaq's own."""

import math

import numpy as np
from scipy import stats


def shadows_of(table, target):
    """Every other model, except the exact complement of the target's members."""
    return [
        s for s in range(len(table.members)) if s != target and not (table.members[s] == ~table.members[target]).all()
    ]


def split(table, signals, target, record):
    """Signals of the shadows that trained on the record, and of those that did not."""
    shadows = shadows_of(table, target)
    inside = [signals[s, record] for s in shadows if table.members[s, record]]
    return np.array(inside), np.array([signals[s, record] for s in shadows if not table.members[s, record]])


def pooled(table, signals, target, side):
    """One variance for all records: squared deviations from each record's own mean over the degrees of freedom."""
    deviations, freedom = 0.0, 0
    for record in range(signals.shape[1]):
        values = split(table, signals, target, record)[side]
        deviations += ((values - values.mean()) ** 2).sum()
        freedom += len(values) - 1
    return deviations / freedom


def every(table, score):
    return np.array([[score(t, i) for i in range(table.members.shape[1])] for t in range(len(table.members))])


def lira(table, *, variance="fixed", mode="online"):
    """Carlini et al. (2022), Algorithm 1 and equation 4."""
    signals = table.scores
    if mode == "offline" and table.task == "regression":
        signals = -np.abs(signals)
    fixed = [[pooled(table, signals, t, side) for side in (0, 1)] for t in range(len(signals))]

    def score(t, i):
        inside, outside = split(table, signals, t, i)
        var = fixed[t] if variance == "fixed" else [inside.var(ddof=1), outside.var(ddof=1)]
        x = signals[t, i]
        if mode == "offline":
            return (x - outside.mean()) / math.sqrt(var[1])
        return stats.norm.logpdf(x, inside.mean(), math.sqrt(var[0])) - stats.norm.logpdf(
            x, outside.mean(), math.sqrt(var[1])
        )

    return every(table, score)


def rmia(table, p, *, mode="online", gamma=2.0, a=0.33):
    """Zarifzadeh et al. (2024), equations 2 and 3; p (s, n) are likelihoods."""
    shares = []
    for t in range(len(p)):
        ratio = np.empty(p.shape[1])
        for i in range(p.shape[1]):
            inside, outside = split(table, p, t, i)
            marginal = (inside.mean() + outside.mean()) / 2
            if mode == "offline":
                marginal = ((1 + a) * outside.mean() + (1 - a)) / 2
            ratio[i] = p[t, i] / marginal
        shares.append([np.mean([x / z >= gamma * (1 - 1e-12) for z in ratio]) for x in ratio])
    return np.array(shares)


def calibrated(table):
    """Watson et al. (2022), equation 1."""
    losses = table.released
    return every(table, lambda t, i: split(table, losses, t, i)[1].mean() - losses[t, i])


def whitebox(table):
    """Carlini et al. (2022), Algorithm 1 with two signals: bivariate Gaussians, one covariance for all records."""
    pair = [table.scores / table.scores.std(), table.whitebox / table.whitebox.std()]
    n = table.members.shape[1]
    scores = np.empty((len(table.members), n))
    for t in range(len(scores)):
        covariance = []
        for side in (0, 1):
            deviations = [[], []]
            for which in (0, 1):
                for i in range(n):
                    values = split(table, pair[which], t, i)[side]
                    deviations[which].extend(values - values.mean())
            covariance.append(np.array(deviations) @ np.array(deviations).T / (len(deviations[0]) - n))
        for i in range(n):
            x = [signal[t, i] for signal in pair]
            inside, outside = (
                stats.multivariate_normal.logpdf(
                    x, [split(table, s, t, i)[side].mean() for s in pair], covariance[side]
                )
                for side in (0, 1)
            )
            scores[t, i] = inside - outside
    return scores


def advantage_by_trying(scores, members, half):
    """Yeom et al. (2018), Adversary 2: accuse what fits better than a threshold; here the best of one half of the
    records, found by trying every one, judges the other half. Mean over models of TPR - FPR.
    """
    found = []
    for row, inside in zip(scores, members, strict=True):
        accused = np.zeros(len(row), bool)
        for known in (half, ~half):
            tries = [*(np.sort(row[known])[1:] + np.sort(row[known])[:-1]) / 2, np.inf, -np.inf]

            def gain(limit, row=row, inside=inside, known=known):
                return (row[known & inside] > limit).mean() - (row[known & ~inside] > limit).mean()

            accused[~known] = row[~known] > max(tries, key=lambda limit: (round(gain(limit), 12), limit))
        found.append(accused[inside].mean() - accused[~inside].mean())
    return float(np.mean(found))


def quantile(signals, members, group, half):
    """Bertran et al. (2023), section 3, where records differ only by the group they belong to: the quantiles of the
    signals of known non-members of the group, found by trying every one for the least pinball loss.
    """

    def least_pinball(values, level):
        def pinball(q):
            return np.where(values > q, level * (values - q), (1 - level) * (q - values)).sum()

        return min(values, key=pinball)

    scores = np.empty(signals.shape)
    for t in range(len(signals)):
        for judged in (half, ~half):
            for label in np.unique(group):
                known = signals[t][~judged & ~members[t] & (group == label)]
                middle, high = least_pinball(known, 0.5), least_pinball(known, 0.9)
                here = judged & (group == label)
                scores[t, here] = (signals[t, here] - middle) / (high - middle)
    return scores
