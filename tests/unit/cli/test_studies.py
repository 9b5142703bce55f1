import json

import pytest
from benchmarks.claims.__main__ import main as judge
from typer.testing import CliRunner

from leaq.cli.main import app
from leaq.errors import InvalidInput
from tests.unit.study.small import small


def run(*words):
    return CliRunner().invoke(app, [str(word) for word in words])


@pytest.fixture
def study(tmp_path):
    path = tmp_path / "s.toml"
    path.write_text(small(data=("wine",), quantizers=("sign", "uniform(bits=4)")).to_toml())
    return path


def test_audit_a_study_show_decide_claims(study, tmp_path, capsys):
    folder = tmp_path / "run"
    result = run("audit", study, "--out", folder, "--json-lines")
    assert result.exit_code == 0, result.output
    events = [json.loads(line) for line in result.stdout.splitlines()]
    assert events[0]["kind"] == "plan"
    assert sum(event["kind"] == "done" for event in events) == 2
    again = run("audit", study, "--out", folder)
    assert again.stdout == ""
    assert "0 cells computed, 2 found finished, 0 failed" in " ".join(again.stderr.split())
    quiet = run("audit", study, "--out", folder, "--quiet")
    assert (quiet.output, quiet.exit_code) == ("", 0)
    shown = run("show", folder)
    assert "classification: quantizers over 2 cells of 1 data set" in shown.stdout
    assert "wine holds" not in shown.stdout
    assert run("show", folder, "--cells").stdout.count("wine holds") == 2
    assert (
        run("decide", folder, "--all", "--max-leak", 1, "--require", "none").stdout.count("PASS  4 models judged") == 1
    )
    failed = run("decide", folder, "--all", "--max-leak", 0.0, "--min-metric", 1, "--require", "none")
    assert failed.exit_code == 1
    assert "FAIL  wine (identity, seed 0), sign: the advantage of" in failed.stdout
    assert "; ROC-AUC may be as small as" in failed.stdout
    assert "sign: ROC-AUC may be as small as" in run("decide", folder, "--all", "--min-metric", 1, "--reasons").stdout
    recommended = run("decide", folder, "--max-drop", 1)
    assert recommended.exit_code == 0
    assert recommended.stdout.startswith("classification: ")
    judge([str(folder), "--out", str(tmp_path / "claims.md"), "--runs", str(tmp_path / "runs.md")])
    assert "| identity | 2 | 178 |" in (tmp_path / "runs.md").read_text()
    assert "| (a) Quantizers differ" in (tmp_path / "claims.md").read_text()
    judge([str(folder), "--json"])
    judged = json.loads(capsys.readouterr().out)
    assert {one["verdict"] for one in judged} <= {"supported", "not supported", "undecided"}
    assert run("clean", folder).exit_code == 0
    assert run("show", folder).exit_code == 0


def test_missing_data_stops_before_the_start_and_failed_cells_give_exit_code_1(tmp_path):
    path = tmp_path / "s.toml"
    path.write_text(small(data=({"source": "none.csv", "target": "y"},)).to_toml())
    refused = run("audit", path, "--out", tmp_path / "run")
    assert refused.exit_code == 2
    assert "Nothing was computed: none.csv cannot be found" in " ".join(refused.stderr.split())
    planned = run("audit", path, "--out", tmp_path / "run", "--plan")
    assert "MISSING  none.csv: There is no file" in planned.stdout
    result = run("audit", path, "--out", tmp_path / "run", "--allow-missing")
    assert result.exit_code == 1
    words = " ".join(result.stderr.split())
    assert words.count("There is no file") == 2  # once as it happens, once at the end
    assert "none_csv auto 8 seed 1: FAILED, for the same reason as none_csv auto 8 seed 0" in words
    assert "--retry-failed" in words
    shown = run("show", tmp_path / "run")
    assert "FAILED  2 cells (none_csv auto 8 seed" in shown.stdout
    assert shown.stdout.count("InvalidInput: There is no file") == 1


def test_a_page_of_a_study_with_failed_cells_is_not_taken_for_all_of_it(tmp_path):
    path = tmp_path / "s.toml"
    path.write_text(small(data=("wine", {"source": "none.csv", "target": "y"}), seeds=(0,)).to_toml())
    run("audit", path, "--out", tmp_path / "run", "--allow-missing")
    written = run("show", tmp_path / "run", "--card", tmp_path / "s.md")
    assert "1 cell failed and is not in it: leaq show" in " ".join(written.stderr.split())


def test_the_plan_alone_writes_nothing(study, tmp_path):
    result = run("audit", study, "--out", tmp_path / "run", "--plan")
    assert "2 cells (1 pair of data set and embedder), 8 models to train" in result.stdout
    assert not (tmp_path / "run").exists()


def test_a_folder_of_another_study_is_refused(study, tmp_path):
    (tmp_path / "other.toml").write_text(
        small(seeds=(5,), data=("wine",), quantizers=("sign", "uniform(bits=4)")).to_toml()
    )
    run("audit", study, "--out", tmp_path / "run", "--quiet")
    result = run("audit", tmp_path / "other.toml", "--out", tmp_path / "run")
    assert result.exit_code == 2
    assert "holds another configuration: seeds differ" in " ".join(result.stderr.split())


def test_an_interrupted_run_says_how_to_go_on(study, tmp_path, monkeypatch):
    def interrupt(*args, **options):
        raise KeyboardInterrupt

    monkeypatch.setattr("leaq.study.tasks.chunk", interrupt)
    result = run("audit", study, "--out", tmp_path / "run", "--quiet")
    assert result.exit_code == 130
    assert "Resume: the same command again" in " ".join(result.stderr.split())


def test_threads_and_device_of_the_command_take_the_place_of_the_studys(study, tmp_path, monkeypatch):
    seen = []

    def capture(asked, *_, **__):
        seen.append(asked)
        raise InvalidInput("Enough.")

    monkeypatch.setattr("leaq.study.run_study", capture)
    run("audit", study, "--out", tmp_path / "run", "--threads", 3, "--device", "cuda")
    run("audit", study, "--out", tmp_path / "run")
    assert [(one.threads, {cell.training.device for cell in one.cells()}) for one in seen] == [
        (3, {"cuda"}),
        (1, {"cpu"}),
    ]
    assert run("audit", study, "--out", tmp_path / "run", "--device", "tpu").exit_code == 2
