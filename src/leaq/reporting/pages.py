"""What the report's templates are given: one result taken apart into sentences, tables, drawings and plain data."""

import json
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import numpy as np

from leaq.decisions.choosing import Chooser
from leaq.decisions.evidence import listed
from leaq.decisions.standing import (
    is_baseline,
    reference,
)
from leaq.errors import LeaqError, need
from leaq.pipeline.options import command
from leaq.quantizers.catalogue import entry
from leaq.reporting import figures, study_figures
from leaq.reporting.attacks import attack_table
from leaq.reporting.decision import chooser_of
from leaq.reporting.display_names import attack_name, flag_words, game_words, metric, short_attack
from leaq.reporting.drawing import svg
from leaq.reporting.narrative import about_r, about_zero, attacker, headline, outcome, sentences, verdict
from leaq.reporting.records import riskiest_records
from leaq.reporting.study_tables import (
    agreements,
    audit_names,
    by_data_set,
    by_quantizer,
    overview,
    study_sentences,
    study_verdict,
)
from leaq.reporting.tables import by_task, indicators, number_cell, ranking, size_words
from leaq.results import CellResult
from leaq.results.redaction import shareable_config, shareable_digest
from leaq.stats.digits import format_estimate
from leaq.types import AttackResult


def audit_page(result: CellResult, *, prefix: str, internal: bool) -> dict[str, Any]:
    """Take one result apart for the template; `prefix` keeps its ids apart from those of others."""
    name, key = metric(result.primary_metric), headline(result) or attacker(result)
    return {
        "prefix": prefix,
        "data": result.data,
        "name": result.name,
        "metric": name.name,
        "worsening": name.worsening,
        "attack": attack_name(result.primary_attack),
        "verdict": outcome(result),
        "sentences": [one for one in sentences(result) if one != key],
        "key": key,
        "about_r": about_r(result),
        "chooser": _chooser(result),
        "private": any(is_baseline(row) for row in result.rows),
        "ranking": ranking(result),
        "indicators": indicators(result),
        "attack_numbers": attack_table(result, introduced=False),
        "tasks": by_task(result),
        "figures": _figures(result, prefix),
        "panels": _panels(result, prefix),
        "attackers": _attackers(result),
        "flags": [flag_words(flag) for flag in result.flags],
        "meanings": _meanings(result),
        "digest": shareable_digest(result),
        "written": f"{datetime.now(UTC):%Y-%m-%d}",
        "reproduce": command(shareable_config(result.config)),
        "config": json.dumps(shareable_config(result.config), indent=2, ensure_ascii=False),
        "environment": result.environment,
        "timings": _timings(result.timings),
        "exposed": riskiest_records(result) if internal else None,
    }


def study_page(cells: Sequence[CellResult], *, internal: bool) -> dict[str, Any]:
    """Take several results apart: all of them beside each other, then the table of each."""
    shown = listed(cells)
    labels = audit_names(shown)
    heat, heat_keys = study_figures.ranks(shown)
    wide, keys = study_figures.leaks(shown, width=600)
    narrow, _ = study_figures.leaks(shown, width=190)
    drawn = safe(svg(heat, name="ranks", label="Rank of each quantizer in each audit.", keys=heat_keys))
    about = "Leak of each audit in full precision and under its least leaking quantizer."
    left_out = (
        f"Drawn and listed one by one are the {len(shown)} audits with the largest leak in full precision; tables of "
        "quantizers and data sets, and every sentence here, are about all."
    )
    return {
        "count": len(cells),
        "written": f"{datetime.now(UTC):%Y-%m-%d}",
        "verdict": study_verdict(cells),
        "sentences": [*study_sentences(cells), *([left_out] if len(shown) < len(cells) else [])],
        "quantizers": by_quantizer(cells),
        "data_sets": by_data_set(cells),
        "overview": overview(shown),
        "agreements": agreements(shown),
        "heat": drawn,
        "crowded": study_figures.crowded(shown),
        "leaks": _two(wide, narrow, name="leaks", label=about, keys=keys),
        "audits": [
            _brief(cell, label, prefix=f"a{at}", internal=internal)
            for at, (cell, label) in enumerate(zip(shown, labels, strict=True))
        ],
        "attackers": _attackers(cells[0]),
        "worsening": metric(cells[0].primary_metric).worsening,
        "metrics": " or ".join(dict.fromkeys(metric(cell.primary_metric).name for cell in cells)),
        "environment": cells[0].environment,
    }


def _brief(cell: CellResult, label: str, *, prefix: str, internal: bool) -> dict[str, Any]:
    """Take one audit of a study apart: small picture, table, doubts, command; curves are left to its own report."""
    keys = {figures.tip(cell, row): row.quantizer for row in cell.rows}
    small = figures.tradeoff(cell, width=270, height=230)
    about = f"Leak against {figures.worsening(cell)} for {label}"
    return {
        "prefix": prefix,
        "label": label,
        "task": cell.data.get("task"),
        "verdict": verdict(cell),
        "picture": safe(svg(small, name=f"{prefix}-small", label=about, keys=keys)),
        "ranking": ranking(cell),
        "about_r": about_r(cell),
        "reproduce": command(shareable_config(cell.config)),
        "exposed": riskiest_records(cell) if internal else None,
    }


def _chooser(result: CellResult) -> dict[str, Any]:
    """Collect what the accuracy budget works on: every row's leak and cost, and what is chosen from which budget on."""
    chooser = chooser_of(result)
    if chooser is None:
        return {"rows": [], "steps": {}, "chosen": None}
    worst, costs = (dict(zip(chooser.names, chooser.costing(cautious=way), strict=True)) for way in (True, False))
    rows = []
    for row in result.ranked():
        if (key := row.quantizer) not in costs:
            continue
        change = row.drops.get(result.primary_metric)
        rows.append({
            "key": key, "label": row.label, "hint": about_zero(result, row),
            "worst": float(worst[key]) if np.isfinite(worst[key]) else None,
            "cost": float(costs[key]) if np.isfinite(costs[key]) else None,
            "change": "none, by definition" if row is reference(result) else number_cell(change, sign=True).text,
            "size": size_words(row.size.bytes),
            "smaller": "" if np.isnan(row.size.compression) else f", {row.size.compression:.3g}× smaller",
        })  # fmt: skip
    start = chooser.budget
    largest = max([2 * start, *(cost for cost in worst.values() if cost < 40 * start)])
    step = 10.0 ** figures.decade(start / 10)
    chosen = chooser.at(start)
    said = next((row for row in rows if row["key"] == chosen.chosen), None)  # what a page says without a script
    return {
        "rows": rows,
        "steps": {
            "cautious": _steps(chooser, worst.values(), cautious=True),
            "estimate": _steps(chooser, costs.values(), cautious=False),
        },
        "start": start,
        "step": step,
        "max": (largest // step + 1) * step,
        "decimals": max(0, -figures.decade(step)),
        "metric": chooser.metric,
        "worsening": metric(result.primary_metric).worsening,
        "chosen": said and {**said, "leak": format_estimate(chosen.advantage)},
    }


def _steps(chooser: Chooser, costs: Iterable[float], *, cautious: bool) -> list[dict[str, Any]]:
    """Return the choice from each budget on at which it can change."""
    budgets = sorted({max(0.0, float(cost)) for cost in costs if np.isfinite(cost)} | {0.0})
    return [
        {
            "from": budget,
            "key": one.chosen,
            "leak": format_estimate(one.advantage),
            "same": [*map(one.names.get, one.tied)],
        }
        for budget in budgets
        for one in [chooser.at(budget, cautious=cautious)]
    ]


def _figures(result: CellResult, prefix: str) -> dict[str, Any]:
    """Draw the large figures, each for wide and for narrow screens."""
    worse, count = figures.worsening(result), len(result.rows)
    trade: dict[str, Any] = {
        "name": f"{prefix}-tradeoff",
        "label": f"Leak against {worse} for {count} quantizers; the numbers are in the ranking table.",
        "keys": {figures.tip(result, row): row.quantizer for row in result.rows},
    }
    attacks: dict[str, Any] = {
        "name": f"{prefix}-attacks",
        "label": "Advantage of each attack under each quantizer, with intervals.",
        "keys": {
            figures.attack_tip(row, name, attack): row.quantizer
            for row in result.rows
            for name, attack in row.computed.items()
        },
    }
    large, small = (figures.tradeoff(result, width=wide, height=high) for wide, high in ((560, 420), (270, 300)))
    return {
        "tradeoff": _two(large, small, **trade),
        "attacks": _two(figures.attacks(result, width=600), figures.attacks(result, width=180), **attacks),
    }


def _two(wide: Any, narrow: Any, *, name: str, label: str, keys: Mapping[str, str]) -> dict[str, Any]:
    return {
        "wide": safe(svg(wide, name=f"{name}-wide", label=label, keys=keys)),
        "narrow": safe(svg(narrow, name=f"{name}-narrow", label=label, keys=keys)),
    }


def _panels(result: CellResult, prefix: str) -> dict[str, list[dict[str, Any]]]:
    """Small multiples: one ROC and one lambda_k panel a quantizer."""
    rocs, lambdas = [], []
    chooser = chooser_of(result)
    chosen = chooser.at(chooser.budget).chosen if chooser else ""
    for index, row in enumerate(result.ranked()):
        if any(attack.roc is not None for attack in row.computed.values()):
            drawing = svg(figures.roc(result, row), name=f"{prefix}-roc{index}", label=f"ROC curves for {row.label}")
            first, lead = row is reference(result) or row.quantizer == chosen, row.computed.get(result.primary_attack)
            note = f"{short_attack(result.primary_attack)}: AUC {format_estimate(lead.auc)}" if lead else ""
            rocs.append({"label": row.label, "svg": safe(drawing), "note": note, "first": first})
        if "lambda_k" in row.curves:
            drawing = svg(figures.lambda_k(row), name=f"{prefix}-lambda{index}", label=f"lambda_k for {row.label}")
            lambdas.append({"label": row.label, "svg": safe(drawing)})
    return {"roc": rocs, "lambda": lambdas}


def _attackers(result: CellResult) -> list[dict[str, Any]]:
    """Who attacks, in words; once for each attack."""
    found = []
    drawn = figures.drawn_attacks(result)
    for key in figures.attack_keys(result):
        attack = next(row.attacks[key] for row in result.rows if key in row.attacks)

        found.append(
            {
                "name": attack_name(key),
                "short": short_attack(key),
                "hue": drawn.index(key) if key in drawn else None,
                "sees": attack.attacker if isinstance(attack, AttackResult) else f"not computed: {attack.reason}",
                "game": game_words(attack.game) if isinstance(attack, AttackResult) else "",
            }
        )
    return found


def _meanings(result: CellResult) -> dict[str, str]:
    """Say what each quantizer does, by specification; files and models of other makes have no entry."""
    found = {}
    for row in result.rows:
        try:
            known = entry(row.quantizer)
        except LeaqError:
            continue
        found[row.quantizer] = f"{known.what} Source: {known.source}."
    return found


def _timings(timings: Mapping[str, float]) -> list[tuple[str, str]]:
    """Say how long it took and how much memory it needed."""
    found = []
    for key, value in timings.items():
        words = key.removesuffix("_seconds").removesuffix("_bytes").replace("_", " ")
        found.append((words, f"{value:.1f} s" if key.endswith("_seconds") else size_words(value)))
    return found


def safe(text: str) -> Any:
    """Mark a cleaned drawing, or a style sheet or script of this package, as ready for the page: it is not escaped."""
    return need("markupsafe", extra="report", purpose="Writing the HTML report").Markup(text)
