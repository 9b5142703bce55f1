"""Published attacks of 2024 to 2026 beside ours, written plainly and sharing no code with leaq's.

    python -m benchmarks.references FOLDER

BaVarIA (Brännvall, arXiv 2603.11799): LiRA with a conjugate normal-inverse-gamma prior on each record's mean and
variance, so that its predictive density is Student's t. The paper leaves the prior's strength to the user; here it is
matched to the moments of the records' own variances, the mean's prior is flat.
BASE (Lassila et al., arXiv 2505.24089): a record's log-likelihood, less the logarithm of its mean likelihood over shadow
models; equivalent to RMIA, as both papers say.
RMIA (Zarifzadeh et al., arXiv 2312.03262) offline, its constant a tuned on the shadow models, as its section 4 does on
theirs.
"""

import argparse
import os
from pathlib import Path

import numpy as np

from benchmarks.pages import put
from benchmarks.strongest import PAGE, SETTINGS, achieved, tables_of
from leaq.attacks.base import Context
from leaq.attacks.decisions import signed, thresholds_by_others
from leaq.attacks.registry import build_attack
from leaq.types import Floats, LossTable

OURS = ("rmia", "lira(normalise=False)", "lira(variance=hierarchical)", "combined(sees=outputs)")


def shadows(table: LossTable, target: int) -> list[int]:
    return [s for s in range(len(table.members)) if s // 2 != target // 2]  # models 2i and 2i + 1 are complements


def log_t(x: float, freedom: float, centre: float, scale: float) -> float:
    from math import lgamma, log, log1p, pi

    z = (x - centre) / scale
    constant = lgamma((freedom + 1) / 2) - lgamma(freedom / 2) - log(freedom * pi) / 2 - log(scale)
    return constant - (freedom + 1) / 2 * log1p(z * z / freedom)


def bavaria(table: LossTable) -> Floats:
    """Student-t likelihood ratio with conjugate priors on raw scores."""
    x, members = table.scores, table.members
    assert x is not None
    found = np.empty(x.shape)
    for t in range(len(x)):
        others = shadows(table, t)
        both = []
        for kind in (True, False):
            values = [[x[s, i] for s in others if members[s, i] == kind] for i in range(x.shape[1])]
            variances = np.array([np.var(v, ddof=1) for v in values])
            mean, spread = variances.mean(), variances.var()
            chance = 2 * mean**2 / np.mean([len(v) - 1 for v in values])
            alpha = 2 + mean**2 / max(spread - chance, 1e-3 * mean**2)  # moments of an inverse gamma
            beta = mean * (alpha - 1)
            row = []
            for i, v in enumerate(values):
                n, centre = len(v), np.mean(v)
                a, b = alpha + (n - 1) / 2, beta + 0.5 * np.sum((np.array(v) - centre) ** 2)
                row.append(log_t(x[t, i], 2 * a, centre, np.sqrt(b / a * (1 + 1 / n))))
            both.append(row)
        found[t] = np.array(both[0]) - np.array(both[1])
    return found


def likelihood(table: LossTable) -> Floats:
    losses = table.released
    return np.exp(-losses if table.task == "classification" else -losses / (2 * losses.mean()))


def base(table: LossTable) -> Floats:
    p = likelihood(table)
    return np.stack([np.log(p[t] + 1e-300) - np.log(p[shadows(table, t)].mean(0) + 1e-300) for t in range(len(p))])


def tuned_rmia(table: LossTable) -> Floats:
    """Offline RMIA; a is the one of eleven that does best on each target's own shadows."""
    p, members = likelihood(table), table.members

    def score(t: int, a: float) -> Floats:
        others = shadows(table, t)
        outside = np.array([np.mean([p[s, i] for s in others if not members[s, i]]) for i in range(p.shape[1])])
        ratio = p[t] / (((1 + a) * outside + (1 - a)) / 2)
        return np.mean(ratio[:, None] / ratio[None] >= 2.0, axis=1) + 1e-9 * ratio / ratio.max()

    grid = np.linspace(0, 1, 11)
    by_a = {a: np.stack([score(t, a) for t in range(len(p))]) for a in grid}
    worth = {}
    for a, scores in by_a.items():
        thresholds = thresholds_by_others(scores, members)
        assert thresholds is not None
        worth[a] = signed(scores > thresholds[:, None], members)
    found = np.empty(p.shape)
    for t in range(len(p)):
        others = shadows(table, t)
        best = max(grid, key=lambda a: worth[a][others].mean())
        found[t] = by_a[best][t]
    return found


THEIRS = {"BaVarIA-t": bavaria, "BASE": base, "RMIA, tuned a": tuned_rmia}


def cell(scores: Floats, table: LossTable) -> str:
    advantage, tpr = achieved(scores, table.members)
    return f"{advantage:+.3f} ({tpr:.3f})"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    folder = parser.parse_args().folder
    os.environ.setdefault("LEAQ_WEIGHTS_DIR", str(folder / "embedders"))
    names = [*THEIRS, *(build_attack(spec).short() for spec in OURS)]
    lines = ["| data | quantizer | " + " | ".join(names) + " |", "|---|---|" + "---|" * len(names)]
    for setting in SETTINGS[:-1]:
        samples, tables = tables_of(folder, setting)
        for spec in ("none", "sign", "ternary(sparsity=0.9)"):
            table, context = tables[spec], Context(tables[spec], features=samples.inputs)
            cells = [cell(attack(table), table) for attack in THEIRS.values()]
            cells += [cell(build_attack(a).scores(context, context.chosen), table) for a in OURS]
            lines.append(f"| {setting.name} | {spec} | {' | '.join(cells)} |")
            print(lines[-1], flush=True)
    put(PAGE, "references", "\n".join(lines))


if __name__ == "__main__":
    main()
