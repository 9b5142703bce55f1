"""docs/fidelity.md from the recorded results: the figures between its markers, and one drawing."""

from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
from scipy import stats

from benchmarks.fidelity import one_model, scores
from benchmarks.fidelity.scores import Record, interval, over_groups

Records = Mapping[str, Record]
LEVELS = (("strong", 0.6, 2.0), ("middle", 0.25, 0.6), ("weak", -1.0, 0.25))
"""Leak in full precision, from and below."""
FORECASTS = ("forecast of 8", "forecast of 4", one_model.NAME)
AGAIN = "the reference again (64 other models)"
TAIL = "loss TNR of 8 (The Tail Tells All)"


def level_of(record: Record) -> str:
    full = scores.reference(record)[0]
    return next(name for name, low, high in LEVELS if low <= full < high)


def with_own(records: Records) -> dict[str, Record]:
    """Return the records with forecasts among the indicators."""
    made = {}
    for name, record in records.items():
        indicators = {kind: [one["advantage"] for one in each] for kind, each in record["forecasts"].items()}
        made[name] = record | {"indicators": indicators | record["indicators"]}
    return made


def split(records: Records, *, dev: bool) -> list[Record]:
    return [record for record in records.values() if record["dev"] == dev]


def ordered(records: Records) -> list[str]:
    """Return one line an indicator: order of quantizers, on settings never used in development and on development ones."""
    known = with_own(records)
    names = list(dict.fromkeys(name for record in known.values() for name in record["indicators"]))
    lines: list[str] = []
    for dev in (False, True):
        part = split(known, dev=dev)
        rows = sorted(([name, *_order_cells(part, name)] for name in names), key=lambda cells: -_value(cells[1]))
        again = [float(stats.kendalltau(*record["reference"]).statistic) for record in part]
        kind = "development" if dev else "others"
        lines += [
            f"| {len(part)} {kind} | resolved pairs right | worst setting | of one bit width | tau | tau, corrected |",
            "|---|---|---|---|---|---|",
            f"| {AGAIN} | 1 by definition | 1 | 1 | {_with_interval(again)} | |",
            *(f"| {' | '.join(cells)} |" for cells in rows if cells[1] != "-"),
            "",
        ]
    return lines[:-1]


def _order_cells(records: list[Record], name: str) -> list[str]:
    found = _all(scores.concordance, records, name)
    return [
        _with_interval(found),
        f"{min(found):.3f}" if found else "-",
        _with_interval(_all(scores.concordance, records, name, within=True)),
        _with_interval(_all(scores.tau, records, name)),
        _with_interval(_all(scores.corrected, records, name)),
    ]


def _all(score: Callable[..., float | None], records: list[Record], name: str, **options: bool) -> list[float]:
    each = [over_groups(score, record, name, **options) for record in records]
    return [one for one in each if one is not None]


def _with_interval(values: list[float], digits: int = 3) -> str:
    return "{0:.{3}f} [{1:.{3}f}, {2:.{3}f}]".format(*interval(values), digits) if values else "-"


def _value(cell: str) -> float:
    return float(cell.split(maxsplit=1)[0]) if cell != "-" else -1.0


def level(records: Records) -> list[str]:
    """Return how far the forecasts of the level are off, and what is flagged."""
    lines = [
        "| forecast | settings | mean abs. error of the advantage | worst setting | TPR at 1 % FPR, typical factor "
        "| intervals that hold the reference | flagged | misses > 0.08: all, not flagged |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for name in FORECASTS:
        for dev in (False, True):
            part = split(records, dev=dev)
            found = [scores.misses(record, name) for record in part]
            errors = [float(np.abs(miss).mean()) for miss, _ in found]
            large = [np.abs(miss) > scores.LARGE for miss, _ in found]
            silent = sum(int((one & ~flagged).sum()) for one, (_, flagged) in zip(large, found, strict=True))
            rows = sum(miss.size for miss, _ in found)
            lines.append(
                f"| {name} | {_count(part, dev=dev)} | {_with_interval(errors)} | {max(errors):.3f} "
                f"| {_factor([scores.factor(record, name) for record in part])} "
                f"| {_with_interval([scores.covered(record, name) for record in part], 2)} "
                f"| {np.mean([flagged.mean() for _, flagged in found]):.0%} "
                f"| {sum(int(one.sum()) for one in large)}, {silent} of {rows} |"
            )
    for name in ("combined attack on 8", "combined attack on 16", "loss threshold on 8"):
        for dev in (False, True):
            part = split(records, dev=dev)
            off = [float(np.abs(record["indicators"][name] - scores.reference(record)).mean()) for record in part]
            about = f"| {name}, no forecast | {_count(part, dev=dev)} | {_with_interval(off)} | {max(off):.3f} "
            lines.append(f"{about}| | | | |")
    for dev in (False, True):  # a published estimate of the true-positive rate, not of the advantage
        part = split(records, dev=dev)
        each = [scores.factor_of(record, TAIL) for record in part]
        lines.append(f"| {TAIL}, as the TPR | {_count(part, dev=dev)} | | | {_factor(each)} | | | |")
    for dev in (False, True):
        part = split(records, dev=dev)
        again = [float(np.abs(np.subtract(*record["reference"])).mean()) for record in part]
        factors = _factor([float(np.abs(np.log(np.divide(*record["tpr"]))).mean()) for record in part])
        lines.append(
            f"| {AGAIN} | {_count(part, dev=dev)} | {_with_interval(again)} | {max(again):.3f} | {factors} | | | |"
        )
    return lines


def _count(part: list[Record], *, dev: bool) -> str:
    return f"{len(part)} {'development' if dev else 'others'}"


def _factor(logarithms: list[float]) -> str:
    """Return the typical factor that mean absolute logarithms stand for, with its interval over settings."""
    known = [one for one in logarithms if np.isfinite(one)]
    return "{:.2f} [{:.2f}, {:.2f}]".format(*np.exp(interval(known))) if known else "-"


def single(records: Records) -> list[str]:
    """Return how well the order of single records agrees with the reference's, over its own repetition's."""
    names = list(dict.fromkeys(name for record in records.values() for name in record["records"] if name != "again"))
    lines: list[str] = []
    for dev in (False, True):
        part = split(records, dev=dev)
        lines += [
            f"| order of records by, {'development' if dev else 'others'} | share of what the reference repeats | settings "
            "| worst setting | regressions | classifications |",
            "|---|---|---|---|---|---|",
        ]
        for name in names:
            found = [(record["task"], one) for record in part if (one := scores.by_record(record, name)) is not None]
            tasks = [[one for kind, one in found if kind == task] for task in ("regression", "classification")]
            shown = [_with_interval(each, 2) for each in tasks]
            values = [one for _, one in found]
            lines.append(
                f"| {name} | {_with_interval(values, 2)} | {len(values)} | {min(values):.2f} | {' | '.join(shown)} |"
            )
        lines.append("")
    repeats = [one for record in records.values() for one in record["records"]["again"]]
    shown_of = sum(scores.by_record(record, "one run") is not None for record in records.values())
    return [
        *lines,
        f"Two sets of 64 models agree about the order of records with a rank correlation of {np.median(repeats):.2f} "
        f"(median over settings and four quantizers; {np.quantile(repeats, 0.1):.2f} to {np.quantile(repeats, 0.9):.2f} in "
        f"the middle 80 %). Where they agree by less than 0.2 nothing is counted; {shown_of} of {len(records)} settings "
        "count.",
    ]


def settings(records: Records) -> list[str]:
    """Return the settings by leak in full precision, with how well the reference repeats its own order."""
    lines = [
        "| leak in full precision | settings (advantage; tau of the two repetitions; D: development) |",
        "|---|---|",
    ]
    for name, low, high in LEVELS:
        part = {key: record for key, record in records.items() if level_of(record) == name}
        told = [
            f"{key} ({scores.reference(record)[0]:.2f}; {stats.kendalltau(*record['reference']).statistic:.2f}"
            f"{'; D' if record['dev'] else ''})"
            for key, record in sorted(part.items(), key=lambda item: -scores.reference(item[1])[0])
        ]
        limits = f"{low:.2f} and more" if high > 1 else f"below {high:.2f}" if low < 0 else f"{low:.2f} to {high:.2f}"
        lines.append(f"| {name}, {limits}: {len(part)} | {', '.join(told)} |")
    molecular = sum(record["molecules"] for record in records.values())
    deep = sum(record["kind"] == "end to end" for record in records.values())
    pairs = [len(record["told apart"]) for record in records.values()]
    all_ = [len(record["quantizers"]) * (len(record["quantizers"]) - 1) // 2 for record in records.values()]
    return [
        *lines,
        "",
        f"{len(records)} settings, {len(split(records, dev=True))} of them development; {molecular} of molecules, {deep} "
        f"networks trained end to end; {min(record['n'] for record in records.values())} to "
        f"{max(record['n'] for record in records.values())} records. {sum(pairs):,} of {sum(all_):,} pairs of quantizers are "
        "told apart by both repetitions.",
    ]


def costs(records: Records) -> list[str]:
    timings = [record["seconds"] for record in records.values()]
    lines = []
    for count in (4, 8):
        stacked = [t["all_stacked"] * 64 / 144 / t[f"stacked_{count}"] for t in timings]
        alone = [64 * t["stacked_1"] / t[f"stacked_{count}"] for t in timings]
        lines.append(
            f"{count} stacked replicates cost 1/{np.median(alone):.0f} of 64 models trained one by one and "
            f"1/{np.median(stacked):.0f} of 64 stacked ones"
        )
    return ["; ".join(lines) + f" (medians over {len(timings)} settings, processor time on one thread)."]


def write(page: Path, blocks: dict[str, list[str]]) -> None:
    """Replace what stands between the markers."""
    text = page.read_text()
    for name, lines in blocks.items():
        start, end = f"<!-- {name} -->", f"<!-- /{name} -->"
        before, rest = text.split(start)
        text = before + start + "\n" + "\n".join(lines) + "\n" + end + rest.split(end)[1]
    page.write_text(text)


def figure(records: Records, path: Path) -> None:
    """Forecast against measured advantage, one dot a setting and quantizer; both as averages over replicates."""
    colours = {"development": "#bbbbbb", "synthetic": "#4477aa", "tabular": "#228833", "molecular": "#cc6677"}
    colours["end to end"] = "#aa8800"
    dots = []
    for record in sorted(records.values(), key=lambda one: not one["dev"]):
        kind = "development" if record["dev"] else record["kind"]
        said = record["forecasts"]["forecast of 8"][0]["advantage"]
        dots += [
            f'<circle cx="{50 + 380 * x:.1f}" cy="{430 - 380 * y:.1f}" r="3" fill="{colours[kind]}" fill-opacity=".6"/>'
            for x, y in zip(scores.reference(record), said, strict=True)
        ]
    legend = [f'<text x="60" y="{70 + 16 * i}" fill="{c}">{k}</text>' for i, (k, c) in enumerate(colours.items())]
    path.write_text(
        '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 460 470" font-family="sans-serif" font-size="12" role="img">'
        "<title>Forecast against measured advantage of the combined attack</title>"
        '<rect width="460" height="470" fill="#fff"/>'
        '<path d="M50 430H430M50 430V50M50 430L430 50" stroke="#999" fill="none"/>'
        '<text x="70" y="460">advantage the combined attack finds with 64 models (0 to 1)</text>'
        '<text x="20" y="330" transform="rotate(-90 20 330)">forecast from 8 replicates</text>'
        + "".join(dots + legend) + "</svg>\n"
    )  # fmt: skip
