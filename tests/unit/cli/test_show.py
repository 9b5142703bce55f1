import json

from tests.unit.cli.cases import run


def test_a_run_folder_shows_what_the_audit_printed(kept):
    folder, printed, _ = kept
    again = run("show", folder, "--lambda", "--every-attack").stdout
    assert again.split() == printed.split()


def test_more_is_printed_only_if_asked_for(kept):
    printed = run("show", kept[0]).stdout
    assert "lambda_k against k" not in printed
    assert "what each attack finds" not in printed


def test_a_forecast_is_shown_again_as_it_was(tmp_path):
    words = ("audit", "wine", "--attacks", "threshold", "--replicates", "4", "--quantizers", "sign", "--epochs", "2")
    first = run(*words, "--hidden", "8", "--quiet", "--out", tmp_path / "run").stdout
    assert "what the attack is expected to find" in first
    assert run("show", tmp_path / "run").stdout.split() == first.split()


def test_what_is_asked_for_is_printed_beside_files(kept, tmp_path):
    """A card or a page does not swallow --show-records and the like."""
    folder, _, kept_json = kept
    assert not run("show", folder, "--card", tmp_path / "a.md").stdout
    assert "most exposed" in run("show", folder, "--card", tmp_path / "b.md", "--show-records").stdout
    assert json.loads(run("show", folder, "--report", tmp_path / "c.html", "--json").stdout) == kept_json
    assert (tmp_path / "b.md").is_file()
    assert (tmp_path / "c.html").is_file()
