"""The page of exposed molecules: drawn, with their risk under every quantizer. For those who may see the data."""

from html import escape
from pathlib import Path

from leaq.reporting.molecule_risk import MoleculeRisks, RiskyMolecule, Stratum
from leaq.system.files import write_atomic

STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 70rem; padding: 0 1rem; color: #1b1f24;
  background: #fff; }
.warning { border-left: 4px solid #b3261e; padding: .5rem 1rem; background: #fdf1f0; }
.grid { display: grid; grid-template-columns: repeat(auto-fill, minmax(270px, 1fr)); gap: 1rem; }
.card { border: 1px solid #d0d7de; border-radius: 6px; padding: .75rem; }
.card svg { display: block; margin: auto; max-width: 100%; }
.card code { overflow-wrap: anywhere; font-size: 12px; }
table { border-collapse: collapse; width: 100%; margin: .5rem 0 1.5rem; }
th, td { border-bottom: 1px solid #d0d7de; padding: .25rem .5rem; text-align: right;
  font-variant-numeric: tabular-nums; }
th:first-child, td:first-child { text-align: left; }
"""


def write_structures(found: MoleculeRisks, path: Path) -> Path:
    """Write the page, readable by its owner alone."""
    write_atomic(path, structures_html(found))
    return path


def structures_html(found: MoleculeRisks) -> str:
    """Return the page as HTML that needs nothing else."""
    cards = "\n".join(_card(number, record) for number, record in enumerate(found.records, start=1))
    tables = "\n".join(_table(title, strata) for title, strata in found.strata.items())
    doubts = "".join(f"<p>{escape(flag.text)}</p>" for flag in found.flags)
    return f"""<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>Exposed molecules: {escape(found.task)}</title>
<style>{STYLE}</style></head><body>
<h1>Exposed molecules: {escape(found.task)}</h1>
<p class="warning">This page shows training records and how surely an attacker can tell that they are. Do not share it
further than the data themselves.</p>
<p>Risk is the effect size of the attack {escape(found.attack)}: the difference between a molecule's score under models
that trained on it and models that did not, in standard deviations. Larger is more exposed.</p>
{doubts}
<h2>The {len(found.records)} most exposed molecules</h2>
<div class="grid">
{cards}
</div>
<h2>Which kinds of molecules are exposed</h2>
{tables}
</body></html>
"""


def _card(number: int, record: RiskyMolecule) -> str:
    rows = "".join(f"<tr><td>{escape(label)}</td><td>{risk:.2f}</td></tr>" for label, risk in record.risk.items())
    return f"""<article class="card"><h3>{number}. row {record.row}</h3>{record.svg or ""}
<p><code>{escape(record.smiles)}</code><br>target {escape(record.target)}; nearest non-member {record.nearest:.2f}<br>
explained by: {escape(", ".join(record.reasons))}</p>
<table><tr><th>quantizer</th><th>risk</th></tr>{rows}</table></article>"""


def _table(title: str, strata: tuple[Stratum, ...]) -> str:
    labels = list(strata[0].risk) if strata else []
    head = "".join(f"<th>{escape(label)}</th>" for label in labels)
    lines = []
    for stratum in strata:
        cells = "".join(
            f"<td>{(risk := stratum.risk[label]).value:.2f} [{risk.low:.2f}, {risk.high:.2f}]</td>" for label in labels
        )
        lines.append(f"<tr><td>{escape(stratum.name)}</td><td>{stratum.n}</td>{cells}</tr>")
    return f"""<h3>By {escape(title)}</h3>
<table><tr><th>{escape(title)}</th><th>n</th>{head}</tr>{"".join(lines)}</table>"""
