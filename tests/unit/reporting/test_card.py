from dataclasses import replace

from leaq.reporting.card import privacy_card, write_cards
from leaq.types import Flag
from tests.results import NASTY, cell, nasty


def test_card_holds_verdict_table_limits_and_command():
    card = privacy_card(cell())
    assert card.startswith("## Membership privacy of toy\n\n**Within a loss of 0.01 ROC-AUC, take 8-bit")
    assert "| Quantizer | LiRA | Change | ROC-AUC |" in card
    assert "lower bound" in card
    assert "no proof of privacy" in card
    assert "leaq audit toy.csv --target y" in card
    assert "leaq 0.1.0, torch 2.13.0" in card


def test_card_fits_on_a_page():
    assert len(privacy_card(cell()).splitlines()) < 60


def test_card_names_no_folder_and_no_record():
    card = privacy_card(cell())
    assert "/home/ada" not in card
    assert "129" not in card


def test_table_rows_have_as_many_cells_as_the_head():
    card = privacy_card(nasty())
    rows = [line for line in card.splitlines() if line.startswith("|")]
    counts = {line.replace("\\|", "").count("|") for line in rows}
    assert len(rows) == 4
    assert len(counts) == 1


def test_names_cannot_become_markup():
    card = privacy_card(nasty()).split("### Reproduce")[0]
    assert NASTY not in card
    assert "\\<script\\>" in card


def test_cards_of_several_audits_go_into_one_file(tmp_path):
    path = write_cards([cell(name="one"), cell(name="two")], tmp_path / "cards.md")
    assert path.read_text().count("## Membership privacy of") == 2


def test_what_is_said_of_every_row_stands_in_the_card_once():
    doubt = Flag("odd", "A doubt that every row has.")
    rows = [replace(one, flags=(*one.flags, doubt)) for one in cell().rows]
    card = privacy_card(cell(*rows))
    assert card.count("A doubt that every row has.") == 1
    assert "- Every row: A doubt that every row has." in card
    assert card.count("Biases stay in full precision.") == 1
