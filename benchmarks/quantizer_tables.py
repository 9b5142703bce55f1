"""Every quantizer on three data sets: bits, size, task metric, leak measures. Writes the tables of docs/quantizers.md.

    python benchmarks/quantizer_tables.py breast_cancer bbb_martins.csv freesolv --out tables.md

A file name is looked up as a file; molecules have the columns ``smiles`` and ``target``.
"""

import argparse
from pathlib import Path

from leaq.pipeline import audit
from leaq.pipeline.cell import AuditConfig
from leaq.results import CellResult, QuantizerRow
from leaq.training import TrainingConfig
from leaq.types import AttackResult, Estimate

METRICS = {"roc_auc": "ROC AUC", "r2": "R2"}


def configured(source: str, quantizers: str) -> AuditConfig:
    molecules = source == "freesolv" or source.endswith(".csv")
    options: dict[str, object] = {"smiles": "smiles", "target": "target"} if source.endswith(".csv") else {}
    return AuditConfig(
        source=source,
        quantizers=(quantizers,),
        embedder="morgan(size=256)" if molecules else "identity",
        replicates=16,
        draws=100,
        training=TrainingConfig(hidden=(32,), epochs=40, checkpoints=2),
        **options,
    )


def written(value: object) -> str:
    if not isinstance(value, Estimate):
        return "not computed"
    return f"{value.value:.3f} [{value.low:.3f}, {value.high:.3f}]"


def line(row: QuantizerRow, result: CellResult) -> str:
    attacks = [row.attacks.get(name) for name in ("threshold", "lira")]
    leaks = [written(attack.advantage) if isinstance(attack, AttackResult) else "not computed" for attack in attacks]
    size = f"{row.size.bits:.2f} | {row.size.entropy_bits:.2f} | {row.size.bytes}"
    return f"| `{row.quantizer}` | {size} | {written(row.metrics[result.primary_metric])} | {' | '.join(leaks)} |"


def table(result: CellResult) -> str:
    data, config = result.data, result.config
    metric = METRICS[result.primary_metric]
    head = (
        f"### {Path(str(config['source'])).stem}: {data['task']}, {data['n']} records, {data['features']} features "
        f"({config['embedder']})\n\n"
        f"| quantizer | bits packed | bits entropy | bytes | {metric} | threshold advantage | LiRA advantage |\n"
        "|---|---|---|---|---|---|---|\n"
    )
    return head + "\n".join(line(row, result) for row in result.rows) + "\n"


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("sources", nargs="+")
    parser.add_argument("--quantizers", default="all")
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    parts = []
    for source in options.sources:
        parts.append(table(audit(configured(source, options.quantizers))))
        options.out.write_text("\n".join(parts))
        print(source, "done", flush=True)
