"""docs/fidelity.md from the recorded results: the figures between its markers, and one drawing."""

from pathlib import Path
from statistics import mean
from typing import Any

import numpy as np
from scipy import stats

from benchmarks.fidelity.level_b import DIRECTION, tau

Rows = list[dict[str, Any]]


def by_setting(rows: Rows) -> dict[str, Rows]:
    found: dict[str, Rows] = {}
    for row in rows:
        if row["quantizer"] != "none":
            found.setdefault(row["setting"], []).append(row)
    return found


def same_bits(rows: Rows, bits: int) -> Rows:
    return [row for row in rows if f"bits={bits}" in row["quantizer"]]


def indicators(rows: Rows) -> list[str]:
    """One table line per indicator: tau over all quantizers by kind of data, then within 3 and 4 bits."""
    groups = by_setting(rows)
    names = [*(name for name in DIRECTION if name != "bits"), "forecast of 8"]
    lines = [
        "| indicator | synthetic | tabular | molecular | all: mean [95 % over settings] | within 3-bit | within 4-bit |",
        "|---|---|---|---|---|---|---|",
    ]
    for name in names:
        values = {s: tau(part, name, draws=20) for s, part in groups.items()}
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
            found = [tau(same_bits(part, bits), name, draws=2) for part in groups.values()]
            finite = [f[0] for f in found if f is not None and np.isfinite(f[0])]
            within.append(f"{mean(finite):.2f}" if finite else "-")
        rng = np.random.default_rng(0)
        all_ = np.array(list(known.values()))
        low, high = np.quantile(rng.choice(all_, (2000, len(all_))).mean(1), [0.025, 0.975])
        lines.append(
            f"| {name} | {' | '.join(cells)} | {all_.mean():.2f} [{low:.2f}, {high:.2f}] | {' | '.join(within)} |"
        )
    halves = [
        stats.kendalltau(*zip(*(row["lira_halves"] for row in part), strict=True)).statistic for part in groups.values()
    ]
    lines.append(f"| the attack against itself (disjoint models) |  |  |  | {np.nanmean(halves):.2f} |  |  |")
    return lines


def level(rows: Rows) -> list[str]:
    """Error of the forecast on settings it was and was not developed on."""
    lines = [
        "| forecast | settings | n | mean abs. error of the advantage | TPR at 1 % FPR, typical factor | per-record Spearman | flagged |",
        "|---|---|---|---|---|---|---|",
    ]
    for name in ("forecast", "forecast of 8"):
        for dev in (True, False):
            part = [row for row in rows if row["dev"] == dev]
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
    ceiling = mean(row["spearman_ceiling"] for row in rows)
    return [*lines, "", f"Half-against-half Spearman of LiRA's effect size: {ceiling:.2f}."]


def costs(timings: dict[str, dict[str, float]]) -> list[str]:
    alone = [64 * t["stacked_1"] / t["stacked_4"] for t in timings.values()]
    stacked = [t["all_stacked"] * 64 / 72 / t["stacked_4"] for t in timings.values()]
    return [
        f"Four stacked replicates cost 1/{np.median(alone):.0f} of 64 models trained one by one (range 1/{min(alone):.0f} "
        f"to 1/{max(alone):.0f}) and 1/{np.median(stacked):.0f} of 64 stacked ones (medians over {len(alone)} settings, "
        "one thread, a shared machine)."
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
    dots = [
        f'<circle cx="{50 + 380 * row["lira"]:.1f}" cy="{430 - 380 * row["forecast"]:.1f}" r="3" fill="{colours[row["kind"]]}" fill-opacity=".6"/>'
        for row in rows
    ]
    legend = [f'<text x="60" y="{70 + 16 * i}" fill="{c}">{k}</text>' for i, (k, c) in enumerate(colours.items())]
    path.write_text(
        '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 460 470" font-family="sans-serif" font-size="12" role="img">'
        "<title>Forecast against measured advantage of LiRA</title><rect width=\"460\" height=\"470\" fill=\"#fff\"/>"
        '<path d="M50 430H430M50 430V50M50 430L430 50" stroke="#999" fill="none"/>'
        '<text x="130" y="460">advantage LiRA measures (0 to 1)</text>'
        '<text x="20" y="330" transform="rotate(-90 20 330)">forecast from 4 replicates</text>'
        + "".join(dots + legend) + "</svg>\n"
    )  # fmt: skip
