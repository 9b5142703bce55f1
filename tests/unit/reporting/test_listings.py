from leaq.data import entries
from leaq.embedders import entries as embedders
from leaq.quantizers.catalogue import entries as quantizers
from leaq.quantizers.catalogue import entry as quantizer
from leaq.reporting.listings import datasets_table, embedders_table, explain_quantizer, quantizers_table


def test_every_data_set_has_a_row_with_its_licence():
    table = datasets_table(entries())
    rows = {row[0]: row for row in table.rows}
    assert len(rows) == len(entries())
    assert rows["herg"][:3] == ("herg", "classification", "655")
    assert rows["freesolv"][1] == "regression (kcal/mol)"
    assert rows["ld50_zhu"][2] == "unknown"
    assert all(row[5] for row in table.rows)


def test_every_embedder_has_a_row_with_what_it_was_trained_on():
    rows = {row[0]: row for row in embedders_table(embedders()).rows}
    assert rows["ecfp4"][2] == "2,048"
    assert rows["ecfp4"][6] == "nothing"
    assert "WITH labels" in rows["graphsage_supervised_contextpred"][6]


def test_every_quantizer_has_a_row_with_what_it_needs_and_is_explained():
    rows = {row[0]: row for row in quantizers_table(quantizers()).rows}
    assert rows["gptq(bits=4)"][1:5] == ("4", "all weights", "calibration records", "CPU or GPU")
    assert explain_quantizer(quantizer("sign")).startswith("sign, for example sign\n")
