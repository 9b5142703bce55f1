"""Level B, second half: every indicator against the strongest attack on trained networks."""

import json
import warnings
from pathlib import Path
from typing import Any

import numpy as np
from scipy import stats

from benchmarks.fidelity.collect import AGAIN, MOVES, REFERENCE, SAMPLED, collect
from benchmarks.fidelity.settings import SETTINGS, Setting, quantizers_of, sampled_too
from leaq.attacks.decisions import cross_fitted_decisions, thresholds_by_others
from leaq.attacks.decisions import signed as decided
from leaq.attacks.forecast import forecast
from leaq.attacks.lira import online_scores
from leaq.attacks.risk import effect_size
from leaq.attacks.signals import normalised
from leaq.errors import LeaqError
from leaq.measures.finite_sample import Options, finite_sample
from leaq.measures.rate import rate
from leaq.seeds import stream
from leaq.stats.roc import tpr_at_fpr
from leaq.types import Bools, Floats, LossTable

RECORDED = "level_b.json"
AUDITS = 3
"""Resampled audits behind a forecast here; the default is 12."""
QUICK = Options(draws=500, most=2000, close=0.5, resamples=0)

DIRECTION = {
    "forecast": 1, "forecast TPR": 1, "loss threshold": 1, "loss gap": 1, "distortion": -1, "correlation": 1,
    "trajectory r": -1, "neighbour r": -1, "neighbour r, median": -1, "ensemble r": -1,
    "trajectory leak_n": 1, "neighbour leak_n": 1, "bits": 1,
}  # fmt: skip
"""Sign with which an indicator should go with the attack's advantage."""


def attack(signals: Floats, members: Bools, targets: range) -> tuple[Floats, Floats]:
    """LiRA's scores and signed advantages of some targets, all others being shadows; thresholds from the others."""
    scores = online_scores(signals, members, targets)
    inside = members[list(targets)]
    thresholds = thresholds_by_others(scores, inside)
    assert thresholds is not None
    return scores, decided(scores > thresholds[:, None], inside)


def table_of(arrays: dict[str, Floats], common: dict[str, Floats], which: slice) -> LossTable:
    """Return some models' raw scores as a table; losses are not kept, and nothing here reads them."""
    members, task = common["members"][which], str(common["kind"][0])
    return LossTable(
        np.zeros((len(members), 1, members.shape[1])), members, task, "pool", int(members[0].sum()),  # type: ignore[arg-type]
        scores=arrays["scores"][which].astype(float), targets=common["targets"], groups=common["groups"],
        score_kind="margin" if task == "classification" else "residual",
    )  # fmt: skip


def signed(scores: Floats, members: Bools, groups: Floats) -> Floats:
    return decided(cross_fitted_decisions(scores, members, groups, seed=0), members)


def one(setting: Setting, arrays: dict[str, Floats], spec: str, common: dict[str, Floats]) -> dict[str, Any]:
    """Everything about one quantizer in one setting."""
    return {
        "setting": setting.name, "kind": setting.kind, "dev": setting.dev, "quantizer": spec,
        **measured(arrays, common), **foretold(arrays, common), **sampled(arrays, common, spec),
    }  # fmt: skip


def measured(arrays: dict[str, Floats], common: dict[str, Floats]) -> dict[str, Any]:
    """Return the reference, the same attack once more with other models, and the simple indicators."""
    members, task = common["members"], str(common["kind"][0])
    pool = members.any(0)
    signals = normalised(table_of(arrays, common, slice(None)))[:, pool]
    raw, inside, groups = arrays["scores"].astype(float)[:, pool], members[:, pool], common["groups"][pool]
    parts = (slice(0, REFERENCE), slice(REFERENCE, REFERENCE + AGAIN))
    (scores, advantages), again = (attack(signals[p], inside[p], range(REFERENCE)) for p in parts)
    x, m = signals[parts[0]], inside[parts[0]]
    sizes = [effect_size(signals[p], inside[p]) for p in parts]
    few = [effect_size(x[p], m[p]) for p in (slice(0, REFERENCE // 2), slice(REFERENCE // 2, None))]
    row: dict[str, Any] = {
        "lira": float(advantages.mean()), "lira_se": float(advantages.std(ddof=1) / np.sqrt(REFERENCE)),
        "lira_again": float(again[1].mean()),
        "shadows": REFERENCE - 2,  # the target and its complement left out
        "tpr": tpr_at_fpr(scores.ravel(), m.ravel(), 0.01), "false_positives": float(0.01 * (~m).sum()),
        "tpr_again": tpr_at_fpr(again[0].ravel(), inside[parts[1]].ravel(), 0.01),
        "spearman_again": float(stats.spearmanr(*sizes).statistic),
        "spearman_halves": float(stats.spearmanr(*few).statistic),
        "mean_effect": float(sizes[0].mean()),
    }  # fmt: skip
    plain = raw if task == "classification" else -np.abs(raw)
    eight = slice(0, 8)
    losses = np.logaddexp(0, -raw) if task == "classification" else raw**2
    row["loss threshold"] = float(signed(plain[eight], m[eight], groups).mean())
    row["loss gap"] = float(np.mean([losses[t][~m[t]].mean() - losses[t][m[t]].mean() for t in range(8)]))
    return row | {name: float(arrays[name]) for name in ("distortion", "correlation") if name in arrays}


def foretold(arrays: dict[str, Floats], common: dict[str, Floats]) -> dict[str, Any]:
    """Return forecasts from the replicates that no reference model is among, and how they order records."""
    members = common["members"]
    pool = members.any(0)
    x = normalised(table_of(arrays, common, slice(0, REFERENCE)))
    sizes = effect_size(x[:, pool], members[:REFERENCE, pool])
    row: dict[str, Any] = {}
    for name, count in (("forecast", 4), ("forecast of 8", 8)):
        mine = slice(REFERENCE + AGAIN, REFERENCE + AGAIN + count)
        table = table_of(arrays, common, mine)
        found = forecast(table, seed=1, draws=AUDITS)
        row[name] = found.advantage.value
        row[f"{name} interval"] = [found.advantage.low, found.advantage.high]
        tpr = found.tpr[0.01]
        row[f"{name} TPR"] = getattr(tpr, "value", None)
        row[f"{name} spearman"] = float(stats.spearmanr(found.risk[pool], sizes).statistic)
        row[f"{name} flags"] = [flag.code for flag in found.flags]
    return row


def sampled(arrays: dict[str, Floats], common: dict[str, Floats], spec: str) -> dict[str, float]:
    """R and the finite-sample leak of each strategy's candidates."""
    members, task = common["members"], str(common["kind"][0])
    n_train = int(members[0].sum())
    found: dict[str, float] = {}
    for strategy in ("trajectory", "neighbours", "ensemble"):
        if strategy not in arrays or not sampled_too(spec):
            continue
        losses = arrays[strategy].astype(float)
        m = members[:SAMPLED] if strategy != "ensemble" else np.zeros((1, losses.shape[2]), bool)
        name = strategy.removesuffix("s")
        table = LossTable(losses, m, task, "pool", n_train)  # type: ignore[arg-type]
        try:
            found[f"{name} r"] = rate(table, draws=20).plug_in
            if strategy == "neighbours":
                found["neighbour r, median"] = float(
                    np.median([_median_move(table.held_out(i)) for i in range(SAMPLED)])
                )
            few = table if strategy == "trajectory" else LossTable(losses[:1], m[:1], task, "iid", n_train)  # type: ignore[arg-type]
            if strategy != "ensemble":
                found[f"{name} leak_n"] = finite_sample(few, models=range(1), options=QUICK).value
        except LeaqError as err:
            found[f"{name} refused"] = str(err)  # type: ignore[assignment]
    return found


def _median_move(losses: Floats) -> float:
    """Median over moves of delta^2 / (2 sigma^2) against the released model."""
    d = losses[:-1] - losses[-1]
    spread = d.std(1)
    return float(np.median((d.mean(1)[spread > 0] / spread[spread > 0]) ** 2 / 2)) if (spread > 0).any() else 0.0


def run(results: Path, cache: Path) -> list[dict[str, Any]]:
    """Measure every setting that is not recorded yet; write after each."""
    path = results / RECORDED
    rows: list[dict[str, Any]] = json.loads(path.read_text())["rows"] if path.exists() else []
    timings = json.loads(path.read_text())["timings"] if path.exists() else {}
    for setting in SETTINGS:
        done = {row["quantizer"] for row in rows if row["setting"] == setting.name}
        todo = [spec for spec in ("none", *quantizers_of(setting)) if spec not in done]
        if not todo:
            continue
        try:
            arrays = collect(setting, cache)
        except (FileNotFoundError, LeaqError) as err:
            print(f"skipped {setting.name}: {err}", flush=True)
            continue
        timings[setting.name] = json.loads(str(arrays["common"]["seconds"]))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", stats.ConstantInputWarning)
            rows += [one(setting, arrays[spec], spec, arrays["common"]) for spec in todo]
        path.write_text(json.dumps({"rows": rows, "timings": timings, "moves": MOVES}, indent=1) + "\n")
        print(setting.name, flush=True)
    return rows


def tau(rows: list[dict[str, Any]], name: str, *, draws: int = 200) -> tuple[float, float, float] | None:
    """Kendall tau-b of one indicator with LiRA's advantage over quantizers, with a bootstrap over quantizers."""
    pairs = [(row["lira"], DIRECTION.get(name, 1) * row[name]) for row in rows if isinstance(row.get(name), float)]
    if len(pairs) < 4:
        return None
    a = np.array(pairs)
    rng = stream(0, "tau")
    drawn = []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for _ in range(draws):
            pick = a[rng.integers(len(a), size=len(a))]
            drawn.append(stats.kendalltau(pick[:, 0], pick[:, 1]).statistic)
        value = stats.kendalltau(a[:, 0], a[:, 1]).statistic
    return float(value), *(float(q) for q in np.nanquantile(drawn, [0.025, 0.975]))
