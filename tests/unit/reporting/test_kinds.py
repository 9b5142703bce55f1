"""Kinds of molecules in every edition: how many of which kind, never which."""

from dataclasses import replace

import numpy as np
import pytest
from safetensors.torch import save_file

from leaq.data import load
from leaq.data.chemistry import similar_molecules
from leaq.data.splits import halves
from leaq.models.nets import NETS
from leaq.pipeline import audit
from leaq.pipeline.cell import AuditConfig
from leaq.reporting.card import privacy_card
from leaq.reporting.html import render
from leaq.reporting.kinds import FEWEST, WITHHELD, kinds, numbers_of, partitions, withheld
from leaq.reporting.molecule_risk import SIMILARITIES, Stratum, molecule_risks, nearest_nonmember
from leaq.results.redaction import shareable
from leaq.training import TrainingConfig
from leaq.types import Estimate
from tests.unit.reporting.test_molecule_risk import result, table

__all__ = ["result", "table"]


def test_every_kind_has_its_numbers_or_is_too_small_for_any(result):
    found, strata = kinds(result), molecule_risks(result, most=0).strata
    lines = {(line[0], line[1]): line for line in found.rows}
    expected = [(title, stratum) for title, parts in strata.items() for stratum in parts]
    assert len(lines) == len(expected)
    for title, stratum in expected:
        line = lines[title, stratum.name]
        if stratum.n < FEWEST:
            assert set(line[2:]) == {f"fewer than {FEWEST}", ""}
        elif line[2] == WITHHELD:
            assert set(line[3:]) == {""}
        else:
            assert line[2] == str(stratum.n)
            assert "[" in line[3]
    assert any(stratum.n < FEWEST for _, stratum in expected)


def test_small_kinds_do_not_follow_from_the_total(result):
    """Of a partition with one small kind the others' numbers would tell it; so would one small count beside others'."""
    lines = {(line[0], line[1]): line for line in kinds(result).rows}
    total, told = len(result.private["ids"]), 0
    for title, parts in molecule_risks(result, most=0).strata.items():
        for some in partitions(parts):
            assert sum(one.n for one in some) == total
            shown = sum(one.n for one in some if lines[title, one.name][2] == str(one.n))
            assert total - shown == 0 or total - shown >= FEWEST
            told += shown < total
    assert told


@pytest.mark.parametrize(
    ("numbers", "small", "out"),
    [
        ([40, 30, 3], [False, False, True], [False, True, True]),
        ([40, 0, 3], [False, False, True], [True, False, True]),  # that none is there tells nothing about the small one
        ([40, 30, 0], [False] * 3, [False] * 3),
        ([3, 0], [True, False], [True, False]),  # nothing else is left to leave out
        ([40, 3, 9], [False, True, True], [False, True, True]),
    ],
)
def test_what_is_left_out_adds_up(numbers, small, out):
    assert withheld(numbers, small, total=10) == out


def test_kinds_without_numbers_hide_a_small_count_among_them(result):
    """Counts of kinds that have no numbers are not known, so that others' need not be left out beside a small one."""
    label = result.rows[0].label
    strata = [Stratum("a", 60, {}, {label: 30}), Stratum("b", 12, {}, {label: 6}), Stratum("c", 3, {}, {label: 2})]
    strata = [replace(one, risk={label: Estimate(1.0, 0.5, 1.5, one.n)}) for one in strata]
    cells = [[cell.text for cell in line] for line in numbers_of(strata, [label])]
    assert [line[0] for line in cells] == ["60", "not given", "fewer than 10"]
    assert cells[0][2] == "30"


def test_counts_are_of_those_identified(result):
    spec, label = result.rows[0].quantizer, result.rows[0].label
    everybody = replace(result, private={**result.private, "identified": {spec: list(result.private["ids"])}})
    for parts in molecule_risks(everybody, most=0).strata.values():
        assert [one.identified[label] for one in parts] == [one.n for one in parts]
    few = replace(result, private={**result.private, "identified": {spec: list(result.private["ids"])[:3]}})
    cells = {line[4] for line in kinds(few).rows}
    assert cells <= {"0", "fewer than 5", "", WITHHELD}
    assert "fewer than 5" in cells


def test_editions_say_how_many_and_never_which(result, table):
    smiles = [line.split(",")[0] for line in table.read_text().splitlines()[1:]]
    for page in (render(result), privacy_card(result)):
        assert "Which kinds of molecules are exposed" in page
        assert "molecules of the same scaffold" in page
        assert not [text for text in smiles if len(text) > 8 and text in page]


@pytest.mark.parametrize("change", ["shareable", "other game", "drawn"])
def test_without_risks_nothing_is_said(result, change):
    changed = {
        "shareable": shareable(result),
        "other game": replace(result, config={**result.config, "game": "series"}),
        "drawn": replace(result, data={**result.data, "n": 10**6}),
    }[change]
    assert kinds(changed) is None
    assert "Which kinds of molecules" not in privacy_card(changed)


def test_nothing_is_downloaded_for_a_page(result, monkeypatch):
    monkeypatch.delenv("LEAQ_DATA_DIR", raising=False)
    monkeypatch.setattr("leaq.data.tasks.find", lambda *_: None)
    monkeypatch.setattr("leaq.data.tasks.fetch", lambda *_, **__: pytest.fail("downloaded"))
    assert kinds(replace(result, config={**result.config, "source": "esol", "smiles": None})) is None


def test_a_source_that_is_gone_leaves_the_page_without_it(result):
    assert kinds(replace(result, config={**result.config, "source": "gone.csv"})) is None


def test_of_a_released_file_kinds_are_those_of_its_recipe(table, tmp_path):
    """Similarity is to the non-members of the file and of its shadow models, as they were drawn."""
    net, members = NETS.build("gin(hidden=8, depth=1)"), tmp_path / "members.csv"
    lines = table.read_text().splitlines()[:-1]  # but for the molecule that cannot be read
    members.write_text("\n".join(lines[:46]))
    save_file(net(2).state_dict(), tmp_path / "net.safetensors")
    config = AuditConfig(
        source=str(table), target="y", smiles="smiles", skip_invalid=True, model=net.spec(), quantizers=("sign",),
        released=str(tmp_path / "net.safetensors"), members=str(members), replicates=8, draws=20,
        training=TrainingConfig(epochs=1, checkpoints=1), attacks=("combined", "lira"),
    )  # fmt: skip
    found = audit(config)
    assert found.risk_attack == "lira"  # of the one model that is attacked each record is a member or not
    assert np.isfinite(found.rows[0].attacks["lira"].risk).all()
    assert np.ptp(found.rows[0].attacks["lira"].risk) > 0.1
    table_of_kinds = kinds(found)
    assert "molecules that did not train this file are counted, too" in table_of_kinds.footnotes[-1].text
    samples = load(table, config, members=members)
    drawn = np.vstack([samples.released_on, halves(samples, 8, seed=0)])
    assert drawn[0].sum() == 45
    nearest = nearest_nonmember(similar_molecules(samples.inputs.tolist()), drawn)
    strata = molecule_risks(found, most=0).strata["similarity to the nearest non-member"]
    assert [one.n for one in strata] == [n for n in np.histogram(nearest, SIMILARITIES)[0].tolist() if n]
    assert "Which kinds of molecules are exposed" in privacy_card(found)
