"""How strong the attacks are: each alone and combined, on six data sets and five quantizers, and with few shadows.

    python -m benchmarks.strongest FOLDER              # the tables of docs/attacks.md, about 20 minutes of one core
    python -m benchmarks.strongest FOLDER --quick      # two data sets, 8 models

FOLDER holds molecules/ and benchmarks/ (the molecular tasks, location30.npz and adult.npz) and embedders/. Tables are
printed as Markdown and written between the markers of docs/attacks.md.
"""

import argparse
import os
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.lira_reference import read
from benchmarks.pages import DOCS, put
from leaq.attacks.base import Context
from leaq.attacks.decisions import signed, thresholds_by_others
from leaq.attacks.registry import build_attack
from leaq.embedders import embed
from leaq.errors import NotEnoughEvidence
from leaq.pipeline import collect
from leaq.pipeline.cell import AuditConfig
from leaq.pipeline.planning import asked
from leaq.pipeline.preparing import prepare
from leaq.pipeline.subjects import subject_of
from leaq.stats.digits import format_estimate
from leaq.stats.roc import tpr_at_fpr
from leaq.training import TrainingConfig
from leaq.types import AttackResult, Bools, Floats, LossTable, Samples, silent

PAGE = DOCS / "attacks.md"
QUANTIZERS = ("none", "uniform(bits=3)", "ternary(sparsity=0.5)", "sign", "ternary(sparsity=0.9)")
SINGLE = ("threshold", "rmia", "lira(normalise=False)", "lira", "lira(variance=hierarchical)", "whitebox", "file")
TOGETHER = ("none", "sign", "ternary(sparsity=0.9)")
ATTACKS = ("lira(normalise=False)", "lira", "combined(sees=outputs)", "file", "combined")
FEW = ("lira(normalise=False)", "lira", "lira(variance=hierarchical)", "combined(sees=outputs)")
SHADOWS = (4, 8, 16, 32, 62)
TARGETS = 16


@dataclass(frozen=True)
class Setting:
    """One data set and how models are trained on it."""

    name: str
    epochs: int
    embedder: str = ""
    models: int = 16
    shipped: bool = False
    public: str = ""


SETTINGS = (
    Setting("freesolv", 60, "ecfp4"),
    Setting("esol", 60, "ecfp4"),
    Setting("dili", 60, "ecfp4"),
    Setting("bbbp", 60, "graphsage_contextpred"),
    Setting("location30", 20),
    Setting("adult", 30),
    Setting("location30", 20, models=64),
)


def tables_of(
    folder: Path, setting: Setting, *, standardise: str = "auto", quantizers: tuple[str, ...] = QUANTIZERS
) -> tuple[Samples, dict[str, LossTable]]:
    """Train the models of a setting and return their loss tables by quantizer, full precision first."""
    training = TrainingConfig(epochs=setting.epochs, checkpoints=1, standardise=standardise)
    common: dict[str, Any] = {"quantizers": quantizers[1:], "replicates": setting.models, "training": training}
    if setting.embedder:
        path, public = (str(folder / "molecules" / f"{name}.csv") for name in (setting.name, setting.public))
        common |= {"public": public} if setting.public else {}
        config = AuditConfig(
            source=path, target="target", smiles="smiles", skip_invalid=True, embedder=setting.embedder, **common
        )
        samples, config = prepare(config)
    elif setting.shipped:
        samples, config = prepare(AuditConfig(source=setting.name, **common))
    else:
        samples, config = embed(read(folder / "benchmarks", setting.name)), AuditConfig(source="wine", **common)
    found = collect(config, asked(config, samples), subject_of(config), progress=silent)
    return samples, {spec: table for spec, (table, _) in found.items()}


def strength(folder: Path, settings: tuple[Setting, ...], standardise: str) -> Iterator[str]:
    """Yield the lines of the table of strength: advantage and TPR at 1 % FPR of each attack."""
    yield "| data | quantizer | " + " | ".join(build_attack(spec).short() for spec in ATTACKS) + " | best single |"
    yield "|---|---|" + "---|" * (len(ATTACKS) + 1)
    for setting in settings:
        samples, tables = tables_of(folder, setting, standardise=standardise)
        for spec, table in tables.items():
            context = Context(table, tables["none"], features=samples.inputs)
            found = {name: build_attack(name).run(context) for name in dict.fromkeys((*ATTACKS, *SINGLE))}
            single = {k: v.advantage.value for k, v in found.items() if isinstance(v, AttackResult) and k in SINGLE}
            best = max(single, key=lambda key: single[key])
            cells = [_cell(found[name]) for name in ATTACKS]
            name = setting.name + (f", {setting.models} models" if setting.models != 16 else "")
            yield f"| {name} | {spec} | {' | '.join(cells)} | {build_attack(best).short()} {single[best]:+.3f} |"


def together(folder: Path, settings: tuple[Setting, ...]) -> Iterator[str]:
    """Yield the lines of the table of neighbours: who sees outputs, not knowing which records are alike, and knowing."""
    yield "| data | quantizer | one record at a time | all records together | paired difference |"
    yield "|---|---|---|---|---|"
    attack = build_attack("combined(sees=outputs)")
    for setting in settings:
        samples, tables = tables_of(folder, setting, quantizers=TOGETHER)
        for spec, table in tables.items():
            alone, known = (attack.attack(Context(table, features=one)) for one in (None, samples.inputs))
            assert alone.crossed is not None
            assert known.crossed is not None
            gap = known.crossed - alone.crossed
            low, high = gap.interval(level=0.95)
            yield f"| {setting.name} | {spec} | {_cell(alone)} | {_cell(known)} | {gap.value:+.3f} [{low:.3f}, {high:.3f}] |"


def _cell(found: object) -> str:
    if not isinstance(found, AttackResult):
        return "–"
    rate = found.tpr.get(0.01)
    tpr = f"{rate.value:.3f}" if hasattr(rate, "value") else "–"
    return f"{format_estimate(found.advantage, sign=True)} ({tpr})"


def few_shadows(folder: Path, settings: tuple[Setting, ...]) -> Iterator[str]:
    """Yield the lines of the few-shadows table: median share of the advantage that the most shadows give."""
    shares: dict[tuple[str, int], list[tuple[float, float]]] = {}
    for setting in settings:
        more = replace(setting, models=max(SHADOWS) + 2 + TARGETS)
        samples, tables = tables_of(folder, more)
        for table in tables.values():
            reached = {(a, k): _external(Context(table, features=samples.inputs), a, k) for a in FEW for k in SHADOWS}
            top = max(value[0] for value in reached.values() if value)
            best_tpr = max(value[1] for value in reached.values() if value)
            if top < 0.05:
                continue
            for key, value in reached.items():
                if value:
                    shares.setdefault(key, []).append((value[0] / top, value[1] / best_tpr))
    yield "| attack | " + " | ".join(f"{k} shadows" for k in SHADOWS) + " |"
    yield "|---|" + "---|" * len(SHADOWS)
    for attack in FEW:
        cells = []
        for k in SHADOWS:
            part = shares.get((attack, k))
            cells.append("; ".join(f"{x:.2f}" for x in np.median(part, axis=0)) if part else "–")
        yield f"| {build_attack(attack).short()} | {' | '.join(cells)} |"


def _external(context: Context, attack: str, shadows: int) -> tuple[float, float] | None:
    """Advantage and TPR of an attack on the first targets with other models alone as shadows; None with too few."""
    targets = list(range(TARGETS))
    inside = list(range(TARGETS, TARGETS + shadows))
    members = context.table.members
    excluded = sorted(set(range(len(members))) - set(inside))
    try:
        scores = build_attack(attack).scores(context, targets, excluded)
    except NotEnoughEvidence:
        return None
    return achieved(scores, members[targets])


def achieved(scores: Floats, members: Bools) -> tuple[float, float]:
    """Return the advantage, thresholds from the other models, and the TPR at 1 % FPR of scores (t, n)."""
    thresholds = thresholds_by_others(scores, members)
    assert thresholds is not None, "the targets are too few to give each other thresholds"
    advantage = float(signed(scores > thresholds[:, None], members).mean())
    return advantage, tpr_at_fpr(scores.ravel(), members.ravel(), 0.01)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--quick", action="store_true")
    given = parser.parse_args()
    os.environ.setdefault("LEAQ_WEIGHTS_DIR", str(given.folder / "embedders"))
    settings = tuple(replace(s, models=8) for s in SETTINGS[4:6]) if given.quick else SETTINGS
    tables = {
        "strength": list(strength(given.folder, settings, "auto")),
        "strength-members": list(strength(given.folder, settings[:-1], "members")),
        "together": list(together(given.folder, settings if given.quick else settings[:-1])),
        "few-shadows": list(few_shadows(given.folder, settings[: -1 if len(settings) > 2 else None])),
    }
    for name, lines in tables.items():
        print(f"\n{name}\n", *lines, sep="\n")
        if not given.quick:
            put(PAGE, name, "\n".join(lines))


if __name__ == "__main__":
    main()
