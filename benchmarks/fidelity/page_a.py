"""docs/fidelity.md, Level A and coverage: the figures between the markers, from the recorded results."""

from typing import Any

import numpy as np

from benchmarks.fidelity import level_a, sampled

Rows = list[dict[str, Any]]
NAMES = {
    "finite": "finite-sample estimate",
    "normal": "the same, the others' sum put to a normal law",
    "asymptotic": "exp(-n r)",
    "n_r_chernoff": "n r_C (Chernoff)",
    "log_union": "union bound, before it is cut off at 1",
    "value": "finite-sample estimate",
    "raw": "before its bias correction",
}


def misses(errors: np.ndarray) -> str:
    """Median and worst error, and the share within 10 %."""
    size = np.abs(errors)
    return f"{np.median(size):.1%} (median), {size.max():.0%} (worst), {int((size <= 0.1).sum())} of {len(size)} within 10 %"


def ranking(tau: dict[str, dict[str, float]], sizes: tuple[int, ...]) -> list[str]:
    lines = ["| Kendall tau-b with the exact leak | " + " | ".join(f"n = {n}" for n in sizes) + " |"]
    lines.append("|---" * (len(sizes) + 1) + "|")
    for name, values in tau.items():
        cells = [f"{values[str(n)]:.3f}" if str(n) in values else "-" for n in sizes]
        lines.append(f"| {NAMES[name]} | {' | '.join(cells)} |")
    return lines


def given_p(rows: Rows) -> list[str]:
    found: Any = level_a.summary(rows)
    by_n = []
    for n in (50, 200, 800):
        part = [row for row in rows if level_a.counted(row) and row["n"] == n]
        noise = np.median([row["exact_error"] / row["exact"] for row in part])
        by_n.append(f"{len(part)} at n = {n} (standard error of the exact leak {noise:.1%}, median)")
    lines = [
        f"{found['cells']} cells; {found['counted']} have a closed bracket and a leak above 0.01: {', '.join(by_n)}. "
        f"Refused: {found['refused']}.",
        "",
        f"- Finite-sample estimate against the exact leak: {misses(found['errors']['finite'])}.",
        f"- With a normal law in place of the drawn sums: {misses(found['errors']['normal'])}.",
        f"- The union bound is below 1 on {found['bounded']} of these cells (least value before it is cut off: "
        f"{np.exp(found['least_union']):.2f}): there it says nothing of the level.",
        "",
        *ranking(found["tau"], (50, 200, 800)),
    ]
    return lines


def closed_forms(slopes: Rows) -> list[str]:
    lines = ["| two candidates | slope / r_C | slope / r |", "|---|---|---|"]
    return lines + [f"| {row['name']} | {row['over_r_C']:.3f} | {row['over_r']:.3f} |" for row in slopes]


def given_samples(rows: Rows) -> list[str]:
    found: Any = sampled.summary(rows)
    lines = [
        f"{found['cells']} cells; {found['counted']} count. {found['held']} of {found['counted']} intervals at 95 % hold the "
        "exact leak.",
        "",
        f"- Finite-sample estimate against the exact leak: {misses(found['errors']['value'])}.",
        f"- Before its bias correction: {misses(found['errors']['raw'])}.",
        f"- With a normal law in place of the drawn sums: {misses(found['errors']['normal'])}.",
        "",
        *ranking(found["tau"], sampled.SIZES),
    ]
    return lines


def coverage(rows: Rows) -> list[str]:
    lines = [
        "A coverage of 95 % has a standard error of 1.1 points in 400 samples, of 1.5 in 200, of 2.2 in 100.",
        "",
        "| cell | losses | samples | r | covered | leak | mean estimate | covered | too low | too high | high / low |",
        "|---" * 11 + "|",
    ]
    for row in rows:
        lines.append(
            f"| {row['cell']} | {'exponential' if row['skewed'] else 'Gaussian'} | {row['runs']} | {row['r']:.4g} | {row['r_coverage']:.1%} | "
            f"{row['leak']:.4f} | {row['mean_value']:.4f} | {row['leak_coverage']:.1%} | {row['too_low']:.1%} | "
            f"{row['too_high']:.1%} | {row['width']:.2f} |"
        )
    return lines
