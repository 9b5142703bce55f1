"""What each choice of standardisation costs and gives away: the table of docs/standardisation.md.

    python -m benchmarks.standardise FOLDER          # 10 tasks, 16 models each, about 15 minutes of one core
    python -m benchmarks.standardise FOLDER --quick  # 2 small tasks that leaq ships; prints, and leaves the page

FOLDER is that of `benchmarks.strongest`. Same halves, initial weights and batches under every choice, so differences of
the task metric are paired, and so are those of two attacks on the same models and records.
"""

import argparse
import json
import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from benchmarks.pages import DOCS, put
from benchmarks.strongest import Setting, tables_of
from leaq.attacks.base import Context
from leaq.attacks.registry import build_attack
from leaq.measures.performance import drop, performance
from leaq.stats.digits import format_estimate
from leaq.types import AttackResult, LossTable, NotComputed, Samples

PAGE = DOCS / "standardisation.md"
RULES = ("members", "pool", "none", "public", "rounded", "private")
QUANTIZERS = ("none", "sign")
GRAPH = "graphsage_contextpred"
SETTINGS = (
    Setting("freesolv", 30, "ecfp4"),
    Setting("esol", 20, "ecfp4"),
    Setting("dili", 30, "ecfp4"),
    Setting("herg", 30, "ecfp4"),
    Setting("bbbp", 30, GRAPH, public="clintox"),
    Setting("esol", 30, GRAPH),
    Setting("breast_cancer", 30, shipped=True),
    Setting("diabetes", 30, shipped=True),
    Setting("location30", 20),
    Setting("adult", 20),
)
HEAD = (
    "| task | standardise | ROC-AUC or R2 | change from `members` | scalers alone | combined (outputs) | the file adds "
    "| combined (outputs), sign | the file adds, sign |"
)


def rows(folder: Path, setting: Setting, rules: tuple[str, ...]) -> Iterator[str]:
    """Yield one row a choice; the first choice is the one the metric is compared with."""
    reference = None
    for rule in rules:
        if rule == "public" and not setting.public:
            continue
        samples, tables = tables_of(folder, setting, standardise=rule, quantizers=QUANTIZERS)
        plain = tables["none"]
        name = "roc_auc" if samples.task == "classification" else "r2"
        lost = "-" if reference is None else _change(plain, reference, name)
        reference = reference or plain
        cells = [_scalers_alone(plain, samples)]
        for table in tables.values():
            context = Context(table, plain, features=samples.inputs)
            outputs = _found(build_attack("combined(sees=outputs)").run(context))
            file = _found(build_attack("combined").run(context))
            gap, sure = file.advantage.value - outputs.advantage.value, file.crossed - outputs.crossed
            low, high = sure.interval()
            cells += [format_estimate(outputs.advantage, sign=True), f"{gap:+.3f} [{low:+.3f}, {high:+.3f}]"]
        task = setting.name + (", ECFP4" if setting.embedder == "ecfp4" else ", GraphSAGE" if setting.embedder else "")
        metric = format_estimate(performance(plain, draws=200)[name])
        yield f"| {task} | `{rule}` | {metric} | {lost} | {' | '.join(cells)} |"


def _change(table: LossTable, reference: LossTable, name: str) -> str:
    return format_estimate(drop(table, reference, draws=200)[name], sign=True)


def _scalers_alone(table: LossTable, samples: Samples) -> str:
    """No quantizer touches the scalers: what they give away alone is the same under all."""
    numbers = {kind: values for kind, values in (table.numbers or {}).items() if kind.startswith(("scaler", "target"))}
    alone = replace(table, numbers=numbers)
    return format_estimate(
        _found(build_attack("file").run(Context(alone, features=samples.inputs))).advantage, sign=True
    )


def _found(result: AttackResult | NotComputed) -> AttackResult:
    assert isinstance(result, AttackResult), result
    return result


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument(
        "--store", type=Path, help="keep the rows of finished tasks in this JSON file, and go on from it"
    )
    given = parser.parse_args()
    os.environ.setdefault("LEAQ_WEIGHTS_DIR", str(given.folder / "embedders"))
    settings = tuple(replace(s, models=8) for s in SETTINGS if s.shipped) if given.quick else SETTINGS
    done = json.loads(given.store.read_text()) if given.store and given.store.is_file() else {}
    for setting in settings:
        key = repr(setting)
        if key not in done:
            done[key] = list(rows(given.folder, setting, RULES))
            if given.store:
                given.store.write_text(json.dumps(done, indent=1))
        print(*done[key], sep="\n", flush=True)
    table = [
        HEAD,
        "|---" * HEAD.count(" | ") + "|---|",
        *(line for setting in settings for line in done[repr(setting)]),
    ]
    if not given.quick:
        put(PAGE, "standardise", "\n".join(table))


if __name__ == "__main__":
    main()
