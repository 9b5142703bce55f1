"""The tables of docs/protect.md, from what was collected; the pictures are in `benchmarks.protect.pictures`.

Rows are chosen on one half of the models (whole complementary pairs) and reported on the other, and the other way
round: the best of many rows on the models it was chosen on would flatter whichever front has more rows. Seeds and
embedders of a task are averaged before the bootstrap over tasks: they are no further tasks.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from benchmarks.pages import DOCS, put
from benchmarks.protect.fronts import (
    BUDGETS,
    DROPS,
    FRONTS,
    PROTECT,
    QUANTIZERS,
    STUDENTS,
    by_task,
    front,
    interval,
    leaks,
)  # fmt: skip
from benchmarks.protect.guarantees import EPSILONS
from benchmarks.protect.pictures import along, fronts_drawn
from benchmarks.protect.settings import CONTROLS, EXISTING, OURS, STUDENT
from leaq.quantizers import build
from leaq.types import Floats

__all__ = ["write"]

PAGE = DOCS / "protect.md"
Row = Mapping[str, Any]
Cell = Mapping[str, Any]
SETS = (("ecfp4", 16), ("descriptors", 16), ("gin", 16), ("ecfp4", 64))
"""Encoder and number of models of each set of cells."""
FEWEST = 5
"""Tasks that an interval over tasks needs."""


def write(cells: Sequence[Cell], certified: Sequence[Cell], searched: Sequence[Cell]) -> None:
    """Write the tables and the pictures."""
    main = _set(cells, *SETS[0])
    first = [one for one in main if one["seed"] == 0]
    put(PAGE, "protect-summary", "\n".join(_summary(main)))
    put(PAGE, "protect-sets", "\n".join(_sets(cells)))
    put(PAGE, "protect-unlabelled", "\n".join(_unlabelled(first, _set(cells, *SETS[0], unlabelled=True))))
    put(PAGE, "protect-tasks", "\n".join(_tasks(first)))
    put(PAGE, "protect-rows", "\n".join(_rows(main)))
    put(PAGE, "protect-codes", "\n".join(_codes(first)))
    put(PAGE, "protect-certified", "\n".join(_certified(certified)))
    put(PAGE, "protect-searched", "\n".join(_searched(searched)))
    (DOCS / "protect.svg").write_text(fronts_drawn(leaks(main)), encoding="utf-8")
    (DOCS / "protect-training.svg").write_text(along(first), encoding="utf-8")


def _set(cells: Sequence[Cell], encoder: str, models: int, *, unlabelled: bool = False) -> list[Cell]:
    some = [one for one in cells if bool(one.get("unlabelled")) == unlabelled]
    return [one for one in some if (one["encoder"], one["models"]) == (encoder, models)]


def _summary(cells: Sequence[Cell]) -> list[str]:
    found, full = leaks(cells), by_task(cells, [one["rows"]["none"]["file"] for one in cells])
    last, seeds = found[PROTECT], len({one["seed"] for one in cells})
    lines = [
        f"Mean over {len(full)} tasks of {seeds} seeds each; advantage of the combined attack of who holds the file; 95 % "
        f"intervals over tasks. Full precision: {_triple(interval(full))}. Area between the fronts over drops of 0 to "
        f"0.1, as a mean height: with protect **{_below(found)}**.",
        "",
        f"| allowed drop | {' | '.join(FRONTS)} | less than {QUANTIZERS} | less than {STUDENTS} | really paid |",
        "|---|" + "---|" * (len(FRONTS) + 3),
    ]
    for drop in BUDGETS:
        at = int(np.abs(DROPS - drop).argmin())
        row = [_triple(interval(found[name][:, at])) for name in FRONTS]
        for name in (QUANTIZERS, STUDENTS):
            less = found[name][:, at] - last[:, at]
            counts = f"lower on {int((less > 1e-9).sum())}, higher on {int((less < -1e-9).sum())}"
            row.append(f"{_triple(interval(less))}, {less.mean() / found[name][:, at].mean():.0%}; {counts}")
        paid = [np.mean([front(one["rows"], rows).paid[at] for one in cells]) for rows in FRONTS.values()]
        row.append(" / ".join(f"{value:+.3f}" for value in paid))
        lines.append(f"| {drop:g} | {' | '.join(row)} |")
    return lines


def _below(found: Mapping[str, Any]) -> str:
    """Say how far protect's front lies below the two others, on average over drops."""
    each = [(name, interval((found[name] - found[PROTECT]).mean(1))) for name in (QUANTIZERS, STUDENTS)]
    return ", ".join(f"{_triple(values)} below {name}" for name, values in each)


def _sets(cells: Sequence[Cell]) -> list[str]:
    """Yield one line an encoder and number of models."""
    lines = [
        f"| records as | models | tasks x seeds | full precision | {QUANTIZERS} | {STUDENTS} | {PROTECT} | area below "
        f"{QUANTIZERS} | area below {STUDENTS} |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    at = int(np.abs(DROPS - 0.02).argmin())
    for encoder, models in SETS:
        some = _set(cells, encoder, models)
        if not some:
            continue
        found, full = leaks(some), by_task(some, [one["rows"]["none"]["file"] for one in some])
        row = [_over_tasks(full), *(_over_tasks(found[name][:, at]) for name in (QUANTIZERS, STUDENTS, PROTECT))]
        row += [_over_tasks((found[name] - found[PROTECT]).mean(1)) for name in (QUANTIZERS, STUDENTS)]
        count = f"{len(full)} x {len({one['seed'] for one in some})}" + (
            f", {len(some)} cells" * (len(some) % len(full) > 0)
        )
        lines.append(f"| {encoder} | {models} | {count} | {' | '.join(row)} |")
    return lines


def _unlabelled(first: Sequence[Cell], more: Sequence[Cell]) -> list[str]:
    """Yield what students of further molecules without labels add to the front of the same models."""
    own = {one["task"]: one["rows"] for one in first}
    rows = [{**own[one["task"]], **{f"{k} of more": v for k, v in one["rows"].items() if k != "none"}} for one in more]
    students = tuple(name for name in dict.fromkeys(k for one in rows for k in one) if name.endswith(" of more"))
    lines = [
        f"| allowed drop | {QUANTIZERS} | {PROTECT} | and students of 2,000 molecules more | less than {QUANTIZERS} | less "
        f"than {PROTECT} |",
        "|---|---|---|---|---|---|",
    ]
    for drop in BUDGETS:
        fronts = [
            np.array([front(one, names, np.array([drop])).leak[0] for one in rows])
            for names in (EXISTING, FRONTS[PROTECT], (*FRONTS[PROTECT], *students))
        ]
        less = [fronts[0] - fronts[2], fronts[1] - fronts[2]]
        shares = [f"{_over_tasks(one)}, {one.mean() / of.mean():.0%}" for one, of in zip(less, fronts[:2], strict=True)]
        lines.append(f"| {drop:g} | {' | '.join([*(_over_tasks(one) for one in fronts), *shares])} |")
    return lines


def _codes(cells: Sequence[Cell]) -> list[str]:
    """Yield what reading the codes of the first layer adds, by release: paired means over tasks."""
    names = ("none", "sign", "none(stop=0.1)", "sign(stop=0.1)", STUDENT, *OURS, CONTROLS[0])
    lines = ["| release | holds the file | and reads its codes | more |", "|---|---|---|---|"]
    for name in names:
        rows = [one["rows"][name] for one in cells if "codes" in one["rows"].get(name, {})]
        if rows:
            both = [np.array([row[key] for row in rows]) for key in ("file", "codes")]
            row = [f"{both[0].mean():.3f}", f"{both[1].mean():.3f}", _over_tasks(both[1] - both[0])]
            lines.append(f"| {_label(name)} | {' | '.join(row)} |")
    whole = [one for one in cells if all("codes" in row for name, row in one["rows"].items() if name in FRONTED)]
    if len(whole) >= FEWEST:
        at = int(np.abs(DROPS - 0.02).argmin())
        found = leaks(whole, key="codes_each")
        less = [found[name][:, at] - found[PROTECT][:, at] for name in (QUANTIZERS, STUDENTS)]
        told = [
            f"{_triple(interval(one))} below {name}" for one, name in zip(less, (QUANTIZERS, STUDENTS), strict=True)
        ]
        lines += ["", f"Fronts of this attack on {len(whole)} tasks, one seed, at a drop of 0.02: with protect "
                  f"{_triple(interval(found[PROTECT][:, at]))}, {' and '.join(told)}."]  # fmt: skip
    return lines


FRONTED = frozenset((*EXISTING, STUDENT, *OURS))


def _certified(cells: Sequence[Cell]) -> list[str]:
    """Yield one line an epsilon: metrics, means over tasks of a kind."""
    kinds = {kind: [one for one in cells if one["kind"] == kind] for kind in ("regression", "classification")}
    lines = [
        f"| training | R² ({len(kinds['regression'])} tasks) | ROC-AUC ({len(kinds['classification'])} tasks) | least "
        "squares higher than DP-SGD on |",
        "|---|---|---|---|",
    ]
    named = [("no guarantee", "none")]
    for epsilon in EPSILONS:
        named += [(f"DP-SGD ε={epsilon:g}", f"dp_sgd(epsilon={epsilon:g})")]
        named += [(f"DP least squares ε={epsilon:g}", f"dp_squares(epsilon={epsilon:g})")]
    named.append(("public records alone, with their labels (ε=0)", "public alone"))
    for label, name in named:
        row = [
            _triple(interval(np.array([np.mean(one["rows"][name]) for one in some]))) for some in kinds.values() if some
        ]
        other = name.replace("dp_squares", "dp_sgd")
        wins = sum(np.mean(one["rows"][name]) > np.mean(one["rows"][other]) for one in cells) if other != name else None
        lines.append(f"| {label} | {' | '.join(row)} | {'' if wins is None else f'{wins} of {len(cells)}'} |")
    return lines


def _searched(cells: Sequence[Cell]) -> list[str]:
    """Yield one line a task: what owners chose, and what the attacker finds who knows or repeats the choice."""
    lines = [
        "| task | what the owners chose | choice taken as known | shadows released as their owners chose | choice as "
        "evidence as well | more than known |",
        "|---|---|---|---|---|---|",
    ]
    for one in cells:
        if "advantages" in one:
            known, chosen, both = (np.array(one["advantages"][name]) for name in ("known", "chosen", "both"))
            said = ", ".join(f"{count} {_label(name)}" for name, count in Counter(one["choices"]).most_common())
            row = [_triple(interval(values)) for values in (known, chosen, both, both - known)]
            lines.append(f"| {one['task']}, n {one['n']} | {said} | {' | '.join(row)} |")
    return lines


def _tasks(results: Sequence[Cell]) -> list[str]:
    lines = [
        "| task | full precision | best without, drop at most 0.02 | best with protect, drop at most 0.02 |",
        "|---|---|---|---|",
    ]
    for one in results:
        rows = one["rows"]
        picks = [_pick(rows, (*EXISTING, STUDENT)), _pick(rows, (*EXISTING, STUDENT, *OURS))]
        cells = [_cell(rows[name], name) for name in picks]
        lines.append(f"| {one['task']}, n {one['n']} | {_cell(rows['none'], '')} | {cells[0]} | {cells[1]} |")
    return lines


def _pick(rows: Mapping[str, Row], allowed: Sequence[str], drop: float = 0.02) -> str:
    kept = [name for name in allowed if name in rows and rows[name]["metric"] >= rows["none"]["metric"] - drop]
    return min(kept, key=lambda name: float(rows[name]["file"]))


def _cell(row: Row, name: str) -> str:
    said = f" {_label(name)}" if name else ""
    return f"{row['metric']:.3f} / {row['outputs']:+.3f} / {row['file']:+.3f} / {row['file_tpr']:.2f}{said}"


def _rows(results: Sequence[Cell]) -> list[str]:
    """Yield one line a release: means over tasks."""
    lines = [
        "| release | change of R² (6 tasks) | change of ROC-AUC (6 tasks) | sees outputs | holds the file | TPR at 1 % |",
        "|---|---|---|---|---|---|",
    ]
    groups = (("without", (*EXISTING, STUDENT)), (PROTECT, OURS), ("controls", CONTROLS))
    for title, names in groups:
        lines.append(f"| *{title}* | | | | | |")
        for name in names:
            kept = [one for one in results if name in one["rows"]]
            if not kept:
                continue
            change = {
                kind: [o["rows"][name]["metric"] - o["rows"]["none"]["metric"] for o in kept if o["kind"] == kind]
                for kind in ("regression", "classification")
            }
            cells = [f"{np.mean(values):+.3f}" if values else "–" for values in change.values()]
            cells += [f"{np.mean([one['rows'][name][key] for one in kept]):+.3f}" for key in ("outputs", "file")]
            cells.append(f"{np.mean([one['rows'][name]['file_tpr'] for one in kept]):.3f}")
            lines.append(f"| {_label(name)} | {' | '.join(cells)} |")
    return lines


OTHERS = {
    "selena": "SELENA: taught by models that did not see the record",
    "tuned": "90% pruned, survivors fine-tuned on public records",
}


def _label(name: str) -> str:
    return OTHERS[name] if name in OTHERS else build(name).label()


def _over_tasks(values: Floats) -> str:
    """Return the mean over tasks with its interval; below five tasks the mean alone, which no interval covers."""
    return _triple(interval(values)) if len(values) >= FEWEST else f"{values.mean():.3f}"


def _triple(values: tuple[float, float, float]) -> str:
    return "{:.3f} [{:.3f}, {:.3f}]".format(*values)
