"""The page of exposed molecules, from records made by hand."""

import stat

from leaq.reporting.molecule_risk import MoleculeRisks, RiskyMolecule, Stratum
from leaq.reporting.structures import structures_html, write_structures
from leaq.types import Estimate, Flag

RARE = RiskyMolecule(7, "CC(=O)O", "1", {"full precision": 2.5, "sign": 1.25}, 0.4, ("rare scaffold", "extreme value"))
DRAWN = RiskyMolecule(
    9, "C<b>", "0", {"full precision": 1.0, "sign": 0.5}, 0.9, ("minority class",), "<svg>drawn</svg>"
)
KINDS = {"class": (Stratum("a & b", 12, {"full precision": Estimate(1.0, 0.5, 1.5, 12)}),)}
FOUND = MoleculeRisks("assay <1>", "LiRA", (RARE, DRAWN), KINDS, (Flag("null", "Without any leak it is 0.8."),))


def test_each_record_stands_with_its_row_its_risks_and_its_reasons():
    page = structures_html(FOUND)
    assert "1. row 7" in page
    assert "2. row 9" in page
    assert "<td>full precision</td><td>2.50</td>" in page
    assert "explained by: rare scaffold, extreme value" in page
    assert "nearest non-member 0.40" in page
    assert "The 2 most exposed molecules" in page
    assert page.count("<svg>") == 1


def test_kinds_have_their_interval_and_doubts_are_said():
    page = structures_html(FOUND)
    assert "<td>a &amp; b</td><td>12</td><td>1.00 [0.50, 1.50]</td>" in page
    assert "<p>Without any leak it is 0.8.</p>" in page


def test_names_from_the_data_are_text_and_drawings_are_kept():
    page = structures_html(FOUND)
    assert "assay &lt;1&gt;" in page
    assert "C&lt;b&gt;" in page
    assert "<svg>drawn</svg>" in page


def test_the_file_is_its_owners_alone(tmp_path):
    path = write_structures(FOUND, tmp_path / "page.html")
    assert path.read_text() == structures_html(FOUND)
    assert stat.S_IMODE(path.stat().st_mode) & 0o077 == 0
