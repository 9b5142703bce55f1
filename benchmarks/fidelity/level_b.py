"""Level B, second half: every indicator against the combined attack on trained networks, stored setting by setting."""

import json
import warnings
from pathlib import Path
from typing import Any

import numpy as np
from scipy import stats

from benchmarks.fidelity import one_model
from benchmarks.fidelity.collect import REPLICATES, SAMPLED, TRACED, Arrays, collect, part_of
from benchmarks.fidelity.reference import FPR, referred, told_apart
from benchmarks.fidelity.scores import Record
from benchmarks.fidelity.settings import SETTINGS, Setting, quantizers_of, width
from leaq.attacks.base import Context
from leaq.attacks.combined import Combined
from leaq.attacks.decisions import signed, thresholds_by_others
from leaq.attacks.forecast import forecast_risk, forecasts
from leaq.attacks.lira import Lira
from leaq.attacks.scoring import Resampling
from leaq.attacks.threshold import Threshold
from leaq.errors import LeaqError
from leaq.measures.distortion import correlation, distortion, loss_gap, loss_tnr
from leaq.measures.finite_sample import Options, finite_sample
from leaq.measures.one_run import baselines, record_risk
from leaq.measures.rate import rate
from leaq.types import Bools, Floats, LossTable

RECORDED = "level_b.json"
QUICK = Options(draws=500, most=2000, close=0.5, resamples=0)
GROUPS = {8: (slice(0, 8), slice(8, 16)), 4: tuple(slice(i, i + 4) for i in range(0, REPLICATES, 4))}
RISKY = ("none", "uniform(bits=4)", "uniform(bits=2)", "sign")
"""Quantizers under which the order of records is judged."""


def one(setting: Setting, cache: Path) -> Record:
    """Everything about one setting, values in the order of its quantizers."""
    found = collect(setting, cache)
    common, folder = found["common"], cache / setting.name.replace(" ", "-")
    specs = ("none", *quantizers_of(setting))
    refs = {spec: referred(spec, found[spec], common, folder) for spec in specs}
    apart = [
        (i, j) for i in range(len(specs)) for j in range(i)
        if told_apart(refs[specs[i]]["advantages"], refs[specs[j]]["advantages"])
    ]  # fmt: skip
    return {
        "kind": setting.kind, "molecules": setting.molecules, "dev": setting.dev, "task": str(common["kind"][0]),
        "records": _by_record(found, refs), "n": len(common["targets"]), "quantizers": specs,
        "widths": [width(spec) for spec in specs],
        "reference": np.stack([refs[spec]["advantages"].mean(1) for spec in specs], axis=1).tolist(),
        "tpr": np.stack([refs[spec]["tpr"] for spec in specs], axis=1).tolist(),
        "told apart": apart, "indicators": _indicators(found, specs),
        "forecasts": {f"forecast of {k}": [_forecast(found, specs, part) for part in GROUPS[k]] for k in GROUPS}
        | {one_model.NAME: one_model.estimates(found, specs)},
        "seconds": json.loads(str(common["seconds"])),
    }  # fmt: skip


def _forecast(found: dict[str, Arrays], specs: tuple[str, ...], which: slice) -> dict[str, Any]:
    tables = {spec: part_of(found[spec], found["common"], which) for spec in specs}
    made = list(forecasts(tables, full="none").values())
    return {
        "advantage": [one.advantage.value for one in made],
        "low": [one.advantage.low for one in made],
        "high": [one.advantage.high for one in made],
        "tpr": [getattr(one.tpr[FPR], "value", None) for one in made],
        "flagged": [bool(one.flags) for one in made],
    }


def _indicators(found: dict[str, Arrays], specs: tuple[str, ...]) -> dict[str, list[list[float]]]:
    """Return each indicator by group of replicates and quantizer, signed so that larger should go with more leak."""
    made: dict[str, list[list[float]]] = {}
    for count, groups in GROUPS.items():
        for which in groups:
            tables = [part_of(found[spec], found["common"], which) for spec in specs]
            made.setdefault(f"correlation of {count}", []).append(
                [correlation(table, tables[0], draws=2).value for table in tables]
            )
            made.setdefault(f"distortion of {count}", []).append(
                [-distortion(table, tables[0], draws=2).value for table in tables]
            )
            if count == 8:
                for name, each in (("combined attack on 8", Combined(sees="outputs")), ("LiRA on 8", Lira())):
                    made.setdefault(name, []).append([_run(each, table) for table in tables])
                made.setdefault("loss threshold on 8", []).append([_told(table) for table in tables])
                for name, measure in (("loss gap of 8", loss_gap), ("loss TNR of 8 (The Tail Tells All)", loss_tnr)):
                    made.setdefault(name, []).append([measure(table, draws=2).value for table in tables])
    everyone = [part_of(found[spec], found["common"], slice(0, REPLICATES)) for spec in specs]
    made[f"combined attack on {REPLICATES}"] = [[_run(Combined(sees="outputs"), table) for table in everyone]]
    for name, values in _rates(found, specs).items():
        made[name] = [values]
    return made


def _run(attack: Combined | Lira, table: LossTable) -> float:
    scores = attack.scores(Context(table), range(len(table.members)))
    thresholds = thresholds_by_others(scores, table.members)
    assert thresholds is not None
    return float(signed(scores > thresholds[:, None], table.members).mean())


def _told(table: LossTable) -> float:
    return Threshold()(table, resampling=Resampling(draws=2)).advantage.value


def _rates(found: dict[str, Arrays], specs: tuple[str, ...]) -> dict[str, list[float]]:
    """Return -r and the finite-sample leak of sampled candidates; NaN where a quantizer has none."""
    made: dict[str, list[float]] = {}
    for strategy in ("trajectory", "neighbours"):
        for name in ("r", "leak"):
            made[f"{strategy} {name}"] = [np.nan] * len(specs)
        for i, spec in enumerate(specs):
            if strategy not in found[spec]:
                continue
            losses = found[spec][strategy].astype(float)[:SAMPLED]
            members = found["common"]["members"][:SAMPLED].astype(bool)
            task, size = str(found["common"]["kind"][0]), int(members[0].sum())
            table = LossTable(losses, members, task, "pool", size)  # type: ignore[arg-type]
            try:
                made[f"{strategy} r"][i] = -rate(table, draws=20).plug_in
                made[f"{strategy} leak"][i] = finite_sample(table, models=range(1), options=QUICK).value
            except LeaqError:
                continue
    return {name: values for name, values in made.items() if np.isfinite(values).sum() > 3}


def _by_record(found: dict[str, Arrays], refs: dict[str, Arrays]) -> dict[str, list[float]]:
    """Return rank correlations with the reference's risk by quantizer: of its repetition, of forecasts, of one run."""
    common = found["common"]
    made: dict[str, list[float]] = {"again": []}
    runs = [_one_run(found["none"], common, i) for i in range(TRACED)]
    for spec in RISKY:
        risk = refs[spec]["risk"]
        made["again"].append(_agree(risk[0], risk[1:]))
        for count, groups in GROUPS.items():
            tables = [part_of(found[spec], common, which) for which in groups]
            risks = [forecast_risk(table) for table in tables]
            made.setdefault(f"forecast of {count}", []).append(float(np.mean([_agree(one, risk) for one in risks])))
        for name in runs[0][1]:
            each = [_agree(values[name], risk[:, inside]) for inside, values in runs]
            made.setdefault(name, []).append(float(np.mean(each)))
    return made


def _one_run(arrays: Arrays, common: Arrays, model: int) -> tuple[Bools, dict[str, Floats]]:
    """Return a recorded run's members, and how it orders them."""
    inside = common["members"][model].astype(bool)
    losses = arrays["trajectory"][model].astype(float)[:, inside]
    given = (losses, common["inputs"][inside], common["targets"][inside], str(common["kind"][0]))
    return inside, {
        "one run": record_risk(*given),  # type: ignore[arg-type]
        "one run, mean loss along training": losses.mean(0),
        **{f"one run, {name}": values for name, values in baselines(losses).items()},
    }


def _agree(values: Floats, risks: Floats) -> float:
    return float(np.mean([stats.spearmanr(values, risk, nan_policy="omit").statistic for risk in risks]))


def _short(found: Any) -> Any:
    """Return numbers to five digits: what is stored is read by people too."""
    if isinstance(found, float):
        return float(f"{found:.5g}")
    if isinstance(found, dict):
        return {key: _short(value) for key, value in found.items()}
    return [_short(one) for one in found] if isinstance(found, list | tuple) else found


def run(results: Path, cache: Path) -> dict[str, Record]:
    """Measure every setting that is not recorded yet; write after each."""
    path = results / RECORDED
    found: dict[str, Record] = json.loads(path.read_text()) if path.exists() else {}
    for setting in SETTINGS:
        if setting.name in found:
            continue
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                found[setting.name] = one(setting, cache)
        except (FileNotFoundError, LeaqError) as err:
            print(f"skipped {setting.name}: {err}", flush=True)
            continue
        path.write_text(json.dumps(_short(found)) + "\n")
        print(setting.name, flush=True)
    return found
