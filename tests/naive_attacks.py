"""Attacks transcribed from their papers: loops over targets, records and shadows, nothing shared with leaq's own."""

import math
from types import SimpleNamespace

import numpy as np
from scipy import optimize, stats


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


def centred(values, classes):
    """One model's signal less the mean of its class, shrunk by 5 records' worth of the mean of all, then divided by
    the standard deviation that is left.
    """
    overall = sum(values) / len(values)
    out = np.empty(len(values))
    for i, value in enumerate(values):
        like = [v - overall for v, c in zip(values, classes, strict=True) if c == classes[i]]
        out[i] = value - overall - sum(like) / (len(like) + 5)
    return out / math.sqrt(((out - out.mean()) ** 2).mean())


def normalised(table):
    """Margins as above; residuals of predictions that are standardised over the pool, of standardised targets."""
    if table.task == "classification":
        return np.array([centred(row, table.targets) for row in table.scores])
    truth = (table.targets - table.targets.mean()) / table.targets.std()
    rows = []
    for residuals in table.scores:
        predictions = truth - residuals
        rows.append(truth - (predictions - predictions.mean()) / predictions.std())
    return np.array(rows)


def signals_of(table, normalise):
    return normalised(table) if normalise else table.scores


def every(table, score):
    return np.array([[score(t, i) for i in range(table.members.shape[1])] for t in range(len(table.members))])


def lira(table, *, variance="fixed", mode="online", normalise=False, reference=None):
    """Carlini et al. (2022), Algorithm 1 and equation 4; shadows from the reference table, if there is one."""
    signals, others = (signals_of(one, normalise) for one in (table, reference or table))
    if mode == "offline" and table.task == "regression":
        signals, others = -np.abs(signals), -np.abs(others)
    fixed = [[pooled(table, others, t, side) for side in (0, 1)] for t in range(len(signals))]

    def score(t, i):
        inside, outside = split(table, others, t, i)
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


def calibrated(table, *, normalise=False):
    """Watson et al. (2022), equation 1; normalised, the negative margin or the squared residual stands for the loss."""
    losses = table.released
    if normalise:
        losses = -normalised(table) if table.task == "classification" else normalised(table) ** 2
    return every(table, lambda t, i: split(table, losses, t, i)[1].mean() - losses[t, i])


def gradients(table, count):
    """The first white-box statistics: by class for a classification, else as one class with nothing to shrink to."""
    found = []
    for w in range(count):
        rows = table.whitebox[:, :, w]
        if table.task == "classification":
            found.append(np.array([centred(row, table.targets) for row in rows]))
        else:
            found.append(np.array([(row - row.mean()) / row.std() for row in rows]))
    return found


def whitebox(table):
    """Carlini et al. (2022), Algorithm 1 with three signals: Gaussians, one covariance for all records.

    A millionth of the variances is added to them, which keeps dependent signals apart.
    """
    three = [normalised(table), *gradients(table, 2)]
    n = table.members.shape[1]
    scores = np.empty((len(table.members), n))
    for t in range(len(scores)):
        covariance = []
        for side in (0, 1):
            deviations = [[], [], []]
            for which in range(3):
                for i in range(n):
                    values = split(table, three[which], t, i)[side]
                    deviations[which].extend(values - values.mean())
            found = np.array(deviations) @ np.array(deviations).T / (len(deviations[0]) - n)
            covariance.append(found + np.diag(1e-6 * np.diag(found) + 1e-12))
        for i in range(n):
            x = [signal[t, i] for signal in three]
            inside, outside = (
                stats.multivariate_normal.logpdf(
                    x, [split(table, s, t, i)[side].mean() for s in three], covariance[side]
                )
                for side in (0, 1)
            )
            scores[t, i] = inside - outside
    return scores


def shrunken_variances(squares, freedom, smooth):
    """Each record's variance and degrees of freedom: a scaled inverse chi-square prior around a curve, by moments."""
    n = len(squares)
    typical = sum(squares) / sum(freedom)
    ratio = [squares[i] / freedom[i] / typical if freedom[i] else 1.0 for i in range(n)]
    trusted = [freedom[i] if freedom[i] else 1e-9 for i in range(n)]
    curve = [typical * min(max(c, 1 / 20), 20) for c in smooth(np.array(ratio), np.array(trusted))]
    beyond, scale, total = 0.0, 0.0, 0.0
    for i in range(n):
        if freedom[i]:
            relative = ratio[i] * typical / curve[i]
            beyond += freedom[i] * ((relative - 1) ** 2 - 2 / freedom[i])
            scale += freedom[i] * (1 + 2 / freedom[i])
            total += freedom[i]
    # Var(F) of a mean-1 ratio is 2/f + 2/(d - 4) (1 + 2/f) in moments of the prior's degrees of freedom d.
    prior = min(max(4 + 2 * (scale / total) / max(beyond / total, 1e-12), 4.2), 1e3)
    return [((prior * curve[i] + squares[i]) / (prior + freedom[i]), prior + freedom[i]) for i in range(n)]


def expected(known, smooth):
    """Mean, variance and degrees of freedom in and out of each record, by loops; `smooth` makes the curves.

    Two views of a mean, weighed by their precision: the record's own shadows on this side, and those on the other
    side moved by the shift of records like it, whose own spread around the curve adds to the doubt.
    """
    n = len(known.mean_in)
    inside = shrunken_variances(known.square_in, known.count_in - 1, smooth)
    outside = shrunken_variances(known.square_out, known.count_out - 1, smooth)
    noise_in = [inside[i][0] / known.count_in[i] for i in range(n)]
    noise_out = [outside[i][0] / known.count_out[i] for i in range(n)]
    shift = [known.mean_in[i] - known.mean_out[i] for i in range(n)]
    curve = smooth(np.array(shift), np.array([1 / (noise_in[i] + noise_out[i]) for i in range(n)]))
    weights = [1 / (noise_in[i] + noise_out[i]) ** 2 for i in range(n)]
    excess = [(shift[i] - curve[i]) ** 2 - noise_in[i] - noise_out[i] for i in range(n)]
    own = max(0.0, sum(w * e for w, e in zip(weights, excess, strict=True)) / sum(weights))
    found = []
    for i in range(n):
        spread = max(own, 1e-9 * (noise_in[i] + noise_out[i]))
        sides = []
        for mean, noise, other, other_noise, move, (variance, freedom) in (
            (known.mean_in[i], noise_in[i], known.mean_out[i], noise_out[i], curve[i], inside[i]),
            (known.mean_out[i], noise_out[i], known.mean_in[i], noise_in[i], -curve[i], outside[i]),
        ):
            precisions = [1 / noise, 1 / (other_noise + spread)]
            centre = (precisions[0] * mean + precisions[1] * (other + move)) / sum(precisions)
            sides.append((centre, variance + 1 / sum(precisions), freedom))
        found.append(sides)
    return found


def evidence(known, signal, smooth):
    """Student t densities and what else `leaq.attacks.hierarchical.EVIDENCE` names, record by record."""
    rows = []
    for x, ((mean_in, var_in, free_in), (mean_out, var_out, free_out)) in zip(
        signal, expected(known, smooth), strict=True
    ):
        sd_in, sd_out = math.sqrt(var_in), math.sqrt(var_out)
        ratio = stats.t.logpdf(x, free_in, mean_in, sd_in) - stats.t.logpdf(x, free_out, mean_out, sd_out)
        shift = (mean_in - mean_out) / math.sqrt((var_in + var_out) / 2)
        rows.append(
            [ratio, (x - mean_in) / sd_in, (x - mean_out) / sd_out, shift, mean_out / sd_out, math.log(sd_in / sd_out)]
        )
    return np.array(rows)


def penalised(basis, values, weights, penalties):
    """Penalised weighted least squares with squared second differences, smoothness by generalised cross-validation."""
    weights = weights / weights.mean()
    size = basis.shape[1]
    gram = basis.T @ np.diag(weights) @ basis
    gram += 1e-9 * np.trace(gram) / size * np.eye(size)
    second = np.zeros((max(size - 2, 0), size))
    for row in range(len(second)):
        second[row, row : row + 3] = 1, -2, 1
    best, fitted = math.inf, None
    for penalty in penalties:
        inverse = np.linalg.inv(gram + penalty * second.T @ second)
        found = basis @ inverse @ (basis.T @ (weights * values))
        used = np.trace(inverse @ gram) / len(values)
        loss = (weights * (values - found) ** 2).sum() / (1 - used) ** 2
        if loss < best:
            best, fitted = loss, found
    return fitted


def in_out(table, signals, target, excluded):
    """Statistics of the shadows of one target without the models excluded, in the attributes of `InOut`."""
    shadows = [s for s in shadows_of(table, target) if s not in excluded]
    columns = {name: [] for name in ("mean_in", "mean_out", "square_in", "square_out", "count_in", "count_out")}
    for i in range(signals.shape[1]):
        for side, wanted in (("in", True), ("out", False)):
            values = np.array([signals[s, i] for s in shadows if table.members[s, i] == wanted])
            columns[f"mean_{side}"].append(values.mean())
            columns[f"square_{side}"].append(((values - values.mean()) ** 2).sum())
            columns[f"count_{side}"].append(len(values))
    return SimpleNamespace(**{name: np.array(values) for name, values in columns.items()})


def combined(table, signals, curves):
    """Wolpert (1992) on hierarchical evidence: per quarter of the pairs, a ridge-penalised logistic regression learnt
    on all models of the other pairs, whose own shadows leave that quarter out. `curves(level)` returns `smooth`.
    """
    count = len(table.members)
    pairs = [(first, first + 1) for first in range(0, count, 2)]

    def tamed(target, excluded):
        columns = []
        for signal in signals:
            known = in_out(table, signal, target, excluded)
            columns.append(evidence(known, signal[target], curves((known.mean_in + known.mean_out) / 2)))
        found = np.hstack(columns)
        return np.sign(found) * np.log(1 + np.abs(found))

    scores = np.empty(table.members.shape)
    for quarter in range(4):
        fold = [model for pair in pairs[quarter::4] for model in pair]
        others = [model for model in range(count) if model not in fold]
        x = np.vstack([tamed(model, fold) for model in others])
        y = np.concatenate([table.members[model] for model in others])
        weights, constant = logistic((x - x.mean(0)) / x.std(0), y)
        for model in fold:
            scores[model] = (tamed(model, []) - x.mean(0)) / x.std(0) @ weights + constant
    return scores


def logistic(x, y, penalty=0.1):
    """Minimise the logistic loss plus |w|^2 / (2 * 0.1) over weights and an unpenalised constant."""

    def loss(w):
        return np.logaddexp(0, -np.where(y, 1, -1) * (x @ w[:-1] + w[-1])).sum() + (w[:-1] ** 2).sum() / (2 * penalty)

    def slope(w):
        off = 1 / (1 + np.exp(-(x @ w[:-1] + w[-1]))) - y
        return np.r_[x.T @ off + w[:-1] / penalty, off.sum()]

    found = optimize.minimize(loss, np.zeros(x.shape[1] + 1), jac=slope, method="BFGS", options={"gtol": 1e-8}).x
    return found[:-1], found[-1]


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
