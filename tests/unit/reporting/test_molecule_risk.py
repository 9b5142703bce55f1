import json
import stat
from dataclasses import replace

import numpy as np
import pytest

from leaq.data.chemistry import Neighbours
from leaq.errors import InvalidInput, NotEnoughEvidence
from leaq.pipeline import audit
from leaq.pipeline.cell import AuditConfig
from leaq.reporting.html import structures_html, write_structures
from leaq.reporting.molecule_risk import (
    MoleculeRisks,
    RiskyMolecule,
    Stratum,
    molecule_risks,
    nearest_nonmember,
)
from leaq.results import CellResult
from leaq.training import TrainingConfig
from leaq.types import Estimate, Flag
from tests.helpers import ROUNDING, require

QUICK = TrainingConfig(hidden=(8,), epochs=8, checkpoints=4)


@pytest.fixture(scope="module")
def table(tmp_path_factory):
    """Molecules of two classes, one rare, a few unreadable and one that MACCS encodes like any other."""
    require("rdkit")
    rings = ("c1ccccc1", "C1CCCCC1", "c1ccncc1", "c1ccoc1", "C1CCNCC1")
    smiles = [f"{'C' * (i + 1)}{tail}{ring}" for ring in rings for i in range(6) for tail in ("", "O", "N")]
    lines = [f"{text},{int(i % 7 == 0)}" for i, text in enumerate(smiles)]
    path = tmp_path_factory.mktemp("data") / "mine.csv"
    path.write_text("\n".join(["smiles,y", *lines, "broken,1"]) + "\n")
    return path


@pytest.fixture(scope="module")
def result(table):
    return audit(
        AuditConfig(
            source=str(table), target="y", smiles="smiles", skip_invalid=True, embedder="maccs", quantizers=("sign",),
            replicates=8, training=QUICK, draws=20,
        )
    )  # fmt: skip


def test_the_most_exposed_come_first_with_their_reasons(result):
    found = molecule_risks(result, most=10)
    highest = [max(record.risk.values()) for record in found.records]
    assert highest == sorted(highest, reverse=True)
    assert len(found.records) == 10
    labels = {row.label for row in result.rows}
    for record in found.records:
        assert set(record.risk) == labels
        assert record.reasons
        assert ("minority class" in record.reasons) == (record.target == "1")
        assert record.svg is None
        assert 0 <= record.nearest <= 1


def test_risks_are_those_of_the_attack_on_that_row(result):
    ids, risk = result.private["ids"], result.rows[0].attacks[result.primary_attack].risk
    for record in molecule_risks(result, most=5).records:
        assert record.risk[result.rows[0].label] == pytest.approx(risk[ids.index(record.row)])


def test_strata_cover_every_molecule_once(result):
    found = molecule_risks(result)
    n = len(result.private["ids"])
    assert sum(stratum.n for stratum in found.strata["similarity to the nearest non-member"]) == n
    pairs = {stratum.name: stratum.n for stratum in found.strata["explanations"]}
    assert pairs["minority class"] + pairs["not: minority class"] == n
    for strata in found.strata.values():
        for stratum in strata:
            for risk in stratum.risk.values():
                assert risk.low <= risk.value <= risk.high
                assert risk.n == stratum.n


def test_the_null_value_is_told(result):
    (flag,) = molecule_risks(result).flags
    assert flag.code == "noisy-order"
    assert "about 0.56 on average where nothing leaks" in flag.text  # sqrt(8 / (8 pi))


def test_drawings_only_on_request(result):
    assert all(record.svg.startswith("<svg") for record in molecule_risks(result, most=3, draw=True).records)


def test_a_shareable_result_names_nobody(result):
    shared_edition = CellResult.from_json(result.to_json())
    with pytest.raises(InvalidInput, match="need an audit's per-record risk. This result holds none"):
        molecule_risks(shared_edition)


def test_too_few_models_are_told(result):
    rows = tuple(replace(row, attacks={"threshold": row.attacks["threshold"]}) for row in result.rows)
    with pytest.raises(NotEnoughEvidence, match="at least 8 models. Raise --replicates"):
        molecule_risks(replace(result, rows=rows, primary_attack="threshold"))


def test_changed_data_are_refused(result, table, tmp_path):
    changed = tmp_path / "mine.csv"
    changed.write_text("\n".join(table.read_text().splitlines()[:-10]) + "\n")
    with pytest.raises(InvalidInput, match=r"must be those that were audited.*the source has changed"):
        molecule_risks(replace(result, config={**result.config, "source": str(changed)}))


def test_tables_cannot_be_drawn(result):
    config = {**result.config, "source": "wine", "smiles": None, "target": None, "embedder": "identity"}
    with pytest.raises(InvalidInput, match="only molecules can be drawn"):
        molecule_risks(replace(result, config=config))


def test_nearest_nonmember_against_its_definition(rng):
    n, most = 12, 11
    similarity = rng.random((n, n))
    np.fill_diagonal(similarity, -1)
    index = np.argsort(-similarity, axis=1)[:, :most]
    near = Neighbours(np.arange(n), index, np.take_along_axis(similarity, index, 1))
    members = rng.random((6, n)) < 0.5
    members[0], members[1] = np.arange(n) % 2 == 0, np.arange(n) % 2 == 1
    slow = [
        np.mean([max(similarity[i][~inside & (np.arange(n) != i)]) for inside in members if inside[i]])
        for i in range(n)
    ]
    np.testing.assert_allclose(nearest_nonmember(near, members), slow, **ROUNDING)


def test_the_page_stands_alone_and_is_private(result, tmp_path):
    found = molecule_risks(result, most=3, draw=True)
    path = write_structures(found, tmp_path / "page.html")
    text = path.read_text()
    assert path.stat().st_mode & 0o077 == 0
    assert text.count('<article class="card">') == 3
    assert text.count("<svg") == 3
    assert "Do not share it" in text
    assert "<script" not in text
    assert "http" not in text.replace("http://www.w3.org", "").replace("http://www.rdkit.org", "")


def test_text_from_the_data_is_escaped(result):
    found = molecule_risks(result, most=1)
    record = replace(found.records[0], target="<b>1</b>")
    assert "<b>1</b>" not in structures_html(replace(found, records=(record,)))


def test_the_shareable_result_holds_no_smiles(result):
    assert "c1ccccc1" not in json.dumps(json.loads(result.to_json()))


def test_strata_of_scaffold_class_and_nearest_molecule(result):
    found = molecule_risks(result).strata
    n = len(result.private["ids"])
    for name in ("similarity to the nearest other molecule", "molecules of the same scaffold", "class, rarest first"):
        assert sum(stratum.n for stratum in found[name]) == n, name
    rare, common = found["class, rarest first"]
    assert rare.n < common.n
    assert rare.name.startswith("1 (")
    label = result.rows[0].label
    risk = np.asarray(result.rows[0].attacks[result.risk_attack].risk)
    whole = sum(stratum.n * stratum.risk[label].value for stratum in found["molecules of the same scaffold"])
    assert whole == pytest.approx(np.nan_to_num(risk).sum())
    assert [stratum.name for stratum in found["molecules of the same scaffold"]] == ["5 to 19"]  # five rings, 18 each


def test_values_far_from_the_middle_stand_apart(tmp_path):
    require("rdkit")
    lines = [f"{'C' * n}{tail},{n * n}" for n in range(1, 21) for tail in ("O", "N", "Cl")]
    (tmp_path / "m.csv").write_text("\n".join(["smiles,y", *lines]) + "\n")
    config = AuditConfig(
        source=str(tmp_path / "m.csv"), target="y", smiles="smiles", embedder="maccs", quantizers=("sign",),
        replicates=8, training=QUICK, draws=20,
    )  # fmt: skip
    strata = molecule_risks(audit(config)).strata["distance of the value from the middle"]
    assert [stratum.name for stratum in strata] == ["0 to 0.5", "0.5 to 0.8", "0.8 to 0.9", "0.9 to 1"]
    assert [stratum.n for stratum in strata] == [30, 18, 6, 6]


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
