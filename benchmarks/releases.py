"""What several releases of one model leak together, and what calibrating leaks.

    python -m benchmarks.releases FOLDER               # the tables of docs/attacks.md and docs/quantizers.md
    python -m benchmarks.releases FOLDER --only sets   # or rounding, game, price: one table

FOLDER holds molecules/. 16 models a data set, 2,048-bit ECFP4, perceptron 128-64, 60 epochs, one seed. Tables are
printed as Markdown and written between the marks of the pages.
"""

import argparse
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from benchmarks.pages import DOCS, put
from leaq.pipeline import audit
from leaq.pipeline.cell import AuditConfig
from leaq.results import CellResult, QuantizerRow
from leaq.stats.digits import format_estimate
from leaq.training import TrainingConfig
from leaq.types import AttackResult, Estimate

NAMES = {"freesolv": "FreeSolv", "dili": "DILI", "bbb_martins": "BBB"}
FILES, OUTPUTS = "combined", "combined(sees=outputs)"
SETS = ("sign + uniform(bits=2)", "sign + uniform(bits=2) + ternary(sparsity=0.5)", "sign + none")
ROUNDINGS = {"stochastic(bits=2)": ("freesolv", "dili", "bbb_martins"), "dithered(bits=2)": ("freesolv", "dili")}
TIMES = (2, 4, 8)
CALIBRATED = ("gptq(bits=2)", "gptq(bits=3)")


def audited(folder: Path, name: str, **options: object) -> CellResult:
    """Audit one data set with the combined attacks alone."""
    return audit(
        AuditConfig(
            source=str(folder / "molecules" / f"{name}.csv"),
            target="target",
            smiles="smiles",
            skip_invalid=True,
            embedder="ecfp4",
            replicates=16,
            attacks=(OUTPUTS, FILES),
            training=TrainingConfig(epochs=60, checkpoints=1),
            **options,
        )
    )


def written(found: object, *, sign: bool = False) -> str:
    return format_estimate(found, sign=sign) if isinstance(found, Estimate) else ""


def leak(row: QuantizerRow | None, attack: str) -> str:
    found = row.attacks[attack] if row else None
    return written(found.advantage) if isinstance(found, AttackResult) else ""


def measured(row: QuantizerRow | None, name: str) -> str:
    return written(row.measures.get(name) if row else None, sign=True)


def by_label(rows: Iterable[QuantizerRow]) -> dict[str, QuantizerRow]:
    return {row.label: row for row in rows}


def lines(head: Sequence[str], body: Iterable[Sequence[str]]) -> str:
    rows = [head, ["---"] * len(head), *body]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in rows)


def sets(folder: Path) -> None:
    """Release different quantizers of one model together."""
    found = []
    for name in ("freesolv", "dili"):
        result = audited(folder, name, quantizers=("sign", "uniform(bits=2)"), together=SETS)
        found.append((NAMES[name], by_label((*result.rows, *result.together))))
    labels = found[0][1]
    head = ["released", *(f"{name}, {part}" for name, _ in found for part in ("files", "outputs", "leak_vs_single"))]
    body = [
        [label, *(cell for _, rows in found for cell in _three(rows.get(label)))]
        for label in labels
        if label != "ternary 50% sparse"
    ]
    put(DOCS / "attacks.md", "sets", shown(lines(head, body)))


def _three(row: QuantizerRow | None) -> list[str]:
    return [leak(row, FILES), leak(row, OUTPUTS), measured(row, "leak_vs_single")]


def rounding(folder: Path) -> None:
    """Round the same model at random again and again."""
    body = []
    for quantizer, names in ROUNDINGS.items():
        for name in names:
            times = "/".join(map(str, TIMES))
            result = audited(folder, name, quantizers=(quantizer,), together=(f"{quantizer} x{times}",))
            full, once = result.rows
            for attack, sees in ((FILES, "files"), (OUTPUTS, "outputs")):
                rows = (full, once, *result.together)
                body.append([f"`{quantizer}`", NAMES[name], sees, *(leak(row, attack) for row in rows)])
    head = ["quantizer", "data set", "sees", "full precision", "1", *map(str, TIMES)]
    put(DOCS / "quantizers.md", "rounding", shown(lines(head, body)))


def game(folder: Path) -> None:
    """Ask who was in the calibration set."""
    found = []
    for name in ("freesolv", "dili"):
        result = audited(folder, name, quantizers=CALIBRATED, game="calibration")
        found.append((NAMES[name], by_label(row for row in result.rows if row.attacks)))
    head = ["quantizer", *(f"{name}, {part}" for name, _ in found for part in ("file", "outputs"))]
    body = [
        [label, *(leak(rows.get(label), attack) for _, rows in found for attack in (FILES, OUTPUTS))]
        for label in found[0][1]
        if "GPTQ" in label
    ]
    put(DOCS / "attacks.md", "calibration", shown(lines(head, body)))


def price(folder: Path) -> None:
    """Compare calibrating on members with calibrating on records of nobody."""
    cells: dict[str, list[str]] = {quantizer: [] for quantizer in CALIBRATED}
    for name in ("freesolv", "dili"):
        result = audited(folder, name, quantizers=CALIBRATED)
        rows = {row.quantizer: row for row in result.rows}
        for quantizer, line in cells.items():
            members = rows[quantizer]
            elsewhere = rows[quantizer.replace(")", ", calibrated=elsewhere)")]
            scores = [written(row.metrics[result.primary_metric]) for row in (members, elsewhere)]
            line += [f"{leak(members, FILES)} ({scores[0]})", f"{leak(elsewhere, FILES)} ({scores[1]})"]
            line.append(measured(members, "leak_vs_elsewhere"))
    parts = ("on members (R2)", "elsewhere (R2)", "price"), ("on members (ROC AUC)", "elsewhere (ROC AUC)", "price")
    head = ["quantizer", *(f"FreeSolv, {part}" for part in parts[0]), *(f"DILI, {part}" for part in parts[1])]
    put(DOCS / "quantizers.md", "price", shown(lines(head, [[f"`{q}`", *line] for q, line in cells.items()])))


def shown(text: str) -> str:
    print(text, flush=True)
    return text


PARTS: dict[str, Callable[[Path], None]] = {"sets": sets, "rounding": rounding, "game": game, "price": price}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--only", choices=PARTS)
    given = parser.parse_args()
    for part in [given.only] if given.only else PARTS:
        PARTS[part](given.folder)


if __name__ == "__main__":
    main()
