"""docs/fidelity.md from the recorded results: the figures between its markers, and one drawing."""

from pathlib import Path
from statistics import mean
from typing import Any

import numpy as np

from benchmarks.fidelity.level_b import DIRECTION, tau

Rows = list[dict[str, Any]]


def by_setting(rows: Rows) -> dict[str, Rows]:
    found: dict[str, Rows] = {}
    for row in rows:
        if row["quantizer"] != "none":
            found.setdefault(row["setting"], []).append(row)
    return found


def settings(rows: Rows) -> str:
    """Name the settings, and which of them the forecast was developed on."""
    said = {row["setting"]: row["setting"] + " (development)" * row["dev"] for row in rows}
    return ", ".join(said.values()) + "."


def same_bits(rows: Rows, bits: int) -> Rows:
    """Rows of one bit width; nf4 has 4 bits without saying so."""
    named = {"nf4": 4}
    return [row for row in rows if f"bits={bits}" in row["quantizer"] or named.get(row["quantizer"]) == bits]


def indicators(rows: Rows) -> list[str]:
    """One table line per indicator: tau over all quantizers by kind of data, then within 3 and 4 bits."""
    groups = by_setting(rows)
    names = [*(name for name in DIRECTION if name != "bits"), "forecast of 8", "forecast of 8 TPR"]
    names.append("the attack again (64 other models)")
    lines = [
        "| indicator | synthetic | tabular | molecular | all: mean [95 % over settings] | within 3-bit | within 4-bit |",
        "|---|---|---|---|---|---|---|",
    ]
    for name in names:
        column = "lira_again" if name.startswith("the attack") else name
        values = {s: tau(part, column, draws=20) for s, part in groups.items()}
        known = {s: value[0] for s, value in values.items() if value is not None and np.isfinite(value[0])}
        if not known:
            continue
        kinds = {part[0]["setting"]: part[0]["kind"] for part in groups.values()}
        cells = []
        for kind in ("synthetic", "tabular", "molecular"):
            part = [v for s, v in known.items() if kinds[s] == kind]
            cells.append(f"{mean(part):.2f}" if part else "-")
        within = []
        for bits in (3, 4):
            found = [tau(same_bits(part, bits), column, draws=2) for part in groups.values()]
            finite = [f[0] for f in found if f is not None and np.isfinite(f[0])]
            within.append(f"{mean(finite):.2f}" if finite else "-")
        rng = np.random.default_rng(0)
        all_ = np.array(list(known.values()))
        low, high = np.quantile(rng.choice(all_, (2000, len(all_))).mean(1), [0.025, 0.975])
        lines.append(
            f"| {name} | {' | '.join(cells)} | {all_.mean():.2f} [{low:.2f}, {high:.2f}] | {' | '.join(within)} |"
        )
    spread = [
        (max(r["lira"] for r in part) - min(r["lira"] for r in part), np.mean([r["lira_se"] for r in part]))
        for part in (same_bits(part, 4) for part in groups.values())
        if part
    ]
    return [
        *lines,
        "",
        f"{len(groups)} settings, {min(map(len, groups.values()))} to {max(map(len, groups.values()))} quantizers in each. "
        f"Within 4 bits the advantages of a setting span {np.median([a for a, _ in spread]):.3f} (median), and one of "
        f"them has a standard error over targets of {np.median([b for _, b in spread]):.3f}.",
    ]


def level(rows: Rows) -> list[str]:
    """Error of the forecast on settings it was and was not developed on."""
    lines = [
        "| forecast | settings | n | mean abs. error of the advantage | TPR at 1 % FPR, typical factor | per-record Spearman | flagged |",
        "|---|---|---|---|---|---|---|",
    ]
    for name in ("forecast", "forecast of 8"):
        for dev in (True, False):
            part = [row for row in rows if row["dev"] == dev and name in row]
            if not part:
                continue
            errors = [abs(row[name] - row["lira"]) for row in part]
            ratios = [
                abs(np.log(max(row[f"{name} TPR"], 1e-3) / max(row["tpr"], 1e-3)))
                for row in part
                if row["false_positives"] >= 20 and row[f"{name} TPR"] is not None
            ]
            rho = [row[f"{name} spearman"] for row in part]
            flagged = mean(bool(row[f"{name} flags"]) for row in part)
            what = "development" if dev else "others"
            lines.append(
                f"| {name if name != 'forecast' else 'forecast of 4'} | {what} | {len(part)} | {mean(errors):.3f} | "
                f"{np.exp(mean(ratios)):.2f} | {mean(rho):.2f} | {flagged:.0%} |"
            )
    rows = [row for row in rows if "lira_again" in row]
    fpr = [row for row in rows if row["false_positives"] >= 20]
    again = [abs(np.log(max(row["tpr_again"], 1e-3) / max(row["tpr"], 1e-3))) for row in fpr]
    lines.append(
        f"| the attack again (64 other models) | all | {len(rows)} | "
        f"{mean(abs(row['lira_again'] - row['lira']) for row in rows):.3f} | {np.exp(mean(again)):.2f} | "
        f"{mean(row['spearman_again'] for row in rows):.2f} | |"
    )
    full = [row for row in rows if row["quantizer"] == "none"]
    by_kind = ", ".join(
        f"{kind} {mean(row['spearman_again'] for row in full if row['kind'] == kind):.2f} (forecast of 8: "
        f"{mean(row['forecast of 8 spearman'] for row in full if row['kind'] == kind):.2f})"
        for kind in dict.fromkeys(row["kind"] for row in full)
    )
    return [
        *lines,
        "",
        f"Per-record Spearman of two sets of 64 models in full precision: {by_kind}. Of two halves of 32, over all rows: "
        f"{mean(row['spearman_halves'] for row in rows):.2f}. Every TPR rests on at least "
        f"{min(row['false_positives'] for row in rows):.0f} false positives.",
    ]


def costs(timings: dict[str, dict[str, float]]) -> list[str]:
    alone = [64 * t["stacked_1"] / t["stacked_4"] for t in timings.values()]
    stacked = [t["all_stacked"] * 64 / 136 / t["stacked_4"] for t in timings.values()]
    return [
        f"Four stacked replicates cost 1/{np.median(alone):.0f} of 64 models trained one by one (range 1/{min(alone):.0f} "
        f"to 1/{max(alone):.0f}) and 1/{np.median(stacked):.0f} of 64 stacked ones (medians over {len(alone)} settings, "
        "processor time on one thread)."
    ]


def write(page: Path, blocks: dict[str, list[str]]) -> None:
    """Replace what stands between the markers."""
    text = page.read_text()
    for name, lines in blocks.items():
        start, end = f"<!-- {name} -->", f"<!-- /{name} -->"
        before, rest = text.split(start)
        text = before + start + "\n" + "\n".join(lines) + "\n" + end + rest.split(end)[1]
    page.write_text(text)


def figure(rows: Rows, path: Path) -> None:
    """Forecast against measured advantage, one dot a setting and quantizer."""
    colours = {"synthetic": "#4477aa", "tabular": "#228833", "molecular": "#cc6677"}
    rows = [row for row in rows if "forecast of 8" in row]
    dots = [
        f'<circle cx="{50 + 380 * row["lira"]:.1f}" cy="{430 - 380 * row["forecast of 8"]:.1f}" r="3" fill="{colours[row["kind"]]}" fill-opacity=".6"/>'
        for row in rows
    ]
    legend = [f'<text x="60" y="{70 + 16 * i}" fill="{c}">{k}</text>' for i, (k, c) in enumerate(colours.items())]
    path.write_text(
        '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 460 470" font-family="sans-serif" font-size="12" role="img">'
        "<title>Forecast against measured advantage of LiRA</title><rect width=\"460\" height=\"470\" fill=\"#fff\"/>"
        '<path d="M50 430H430M50 430V50M50 430L430 50" stroke="#999" fill="none"/>'
        '<text x="130" y="460">advantage LiRA measures (0 to 1)</text>'
        '<text x="20" y="330" transform="rotate(-90 20 330)">forecast from 8 replicates</text>'
        + "".join(dots + legend) + "</svg>\n"
    )  # fmt: skip
