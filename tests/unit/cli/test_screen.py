"""What is printed of a result: the same after an audit and from its run folder."""

from tests.unit.cli.cases import SMALL, run


def test_the_table_of_lambda_has_a_band_for_every_k_and_a_verdict_for_every_quantizer(kept):
    _, printed, plain = kept
    table = printed[printed.index("lambda_k against k") :]
    curves = [row["curves"]["lambda_k"] for row in plain["rows"]]
    assert table.count("[") == sum(len(one["x"]) for one in curves)
    assert " ".join(table.split()).count("the largest lambda_k is at k =") == len(curves) == 2


def test_every_attack_is_a_row_and_says_its_game(kept):
    _, printed, _ = kept
    assert "what each attack finds" in printed
    assert "Game pool" in printed


def test_a_single_checkpoint_has_no_curve(tmp_path):
    """One candidate is compared with nothing: said, and no flat curve drawn."""
    found = run("audit", "wine", *SMALL, "--checkpoints", "1", "--lambda", "--out", tmp_path / "run")
    assert "No lambda_k to show" in " ".join(found.stderr.split())
    assert "lambda_k against k" not in found.stdout
