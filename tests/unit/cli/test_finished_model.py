"""`leaq audit` of a finished model from files, and its wrong inputs."""

import json
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from safetensors.torch import save_file
from typer.testing import CliRunner

from leaq.cli.main import app
from leaq.training.recording import Recorder
from tests.unit.pipeline.finished.models import noisy, overfitted

RUN = ["audit", "w.safetensors", "--members", "a.npz", "--nonmembers", "b.npz", "--quiet"]
NETS = """
from torch import nn
def make():
    return nn.Sequential(nn.Linear(6, 48), nn.ReLU(), nn.Linear(48, 2))
def brier(outputs, targets):
    return ((outputs.softmax(-1) - nn.functional.one_hot(targets, 2)) ** 2).sum(-1)
"""


@pytest.fixture
def desk(tmp_path, monkeypatch):
    x, y = noisy()
    save_file(overfitted(x[:60], y[:60]).state_dict(), tmp_path / "w.safetensors")
    np.savez(tmp_path / "a.npz", x=x[:60], y=y[:60])
    np.savez(tmp_path / "b.npz", x=x[60:], y=y[60:])
    (tmp_path / "nets_of_a_user.py").write_text(NETS)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def run(*words):
    return CliRunner().invoke(app, [*RUN, *words])


def test_a_file_is_audited_into_table_and_report(desk):
    found = run("--arch", "nets_of_a_user:make", "--quantizers", "sign", "--report", "own.html")
    assert found.exit_code == 0, found.output
    assert "full precision" in found.output
    assert "sign" in found.output
    assert "weak attacker" in found.output
    assert "full precision" in (desk / "own.html").read_text()


def test_json_holds_shipped_files_and_own_losses(desk):
    words = ["--arch", "nets_of_a_user:make", "--loss", "nets_of_a_user:brier", "--quantizers", "sign"]
    found = run(*words, "--shipped", "copy=w.safetensors", "--n-train", "600", "--json")
    assert found.exit_code == 0, found.output
    plain = json.loads(found.stdout)
    assert [row["label"] for row in plain["rows"]] == ["full precision", "sign", "copy"]
    assert plain["data"]["n_train"] == 600
    assert plain["config"]["loss"] == "brier"


def recorded(desk, checkpoints=8):
    """Record a training of the file's network into a folder; the file holds its last weights."""
    arrays = np.load(desk / "a.npz")
    x, y = torch.tensor(arrays["x"]), torch.tensor(arrays["y"])
    torch.manual_seed(0)
    net = torch.nn.Sequential(torch.nn.Linear(6, 48), torch.nn.ReLU(), torch.nn.Linear(48, 2))
    optimizer = torch.optim.Adam(net.parameters(), 0.02)
    recorder = Recorder(net, every=10, folder=desk / "run")
    for _ in range(10 * checkpoints):
        optimizer.zero_grad()
        torch.nn.functional.cross_entropy(net(x), y).backward()
        optimizer.step()
        recorder.step()
    recorder.flush()
    save_file(net.state_dict(), desk / "w.safetensors")


def test_a_recorded_run_tells_which_members_it_exposes_most(desk):
    recorded(desk)
    words = ["--model", "nets_of_a_user.py:make", "--recorded", "run", "--quantizers", "sign", "--draws", "20"]
    found = run(*words, "--show-records", "--out", "kept")
    assert found.exit_code == 0, found.output
    said = " ".join(found.output.split())
    assert "The 10 records expected to be most exposed by this run" in said
    assert "LT-IQR" in said
    assert "From 8 recorded checkpoints the members of this run were put in the order of their risk" in said
    assert re.search(r"0\.\d{3} y=[01]: ", said)  # what the record holds
    risk = json.loads(next((desk / "kept" / "private").iterdir()).read_text())["run_risk"]
    assert len(risk) == 60
    words = ["show", "kept", "--report", "in.html", "--internal", "--card", "c.md"]
    assert CliRunner().invoke(app, words).exit_code == 0
    assert "most exposed by this run" in (desk / "in.html").read_text()
    assert CliRunner().invoke(app, ["show", "kept", "--report", "out.html"]).exit_code == 0
    for name in ("out.html", "c.md"):  # what may be shared says that there is an order, and names nobody
        text = (desk / name).read_text()
        assert "8 recorded checkpoints" in text
        assert "most exposed by this run" not in text


def test_a_recording_that_is_too_short_or_of_another_network_says_so(desk):
    recorded(desk, checkpoints=3)
    words = ["--model", "nets_of_a_user.py:make", "--quantizers", "none", "--draws", "20", "--show-records"]
    found = run(*words, "--recorded", "run")
    assert found.exit_code == 0, found.output
    assert "No exposed records to show. Risk from one run needs at least 50 members and 4" in " ".join(
        found.output.split()
    )
    (desk / "other.py").write_text(NETS.replace("48", "47"))
    save_file(
        torch.nn.Sequential(torch.nn.Linear(6, 47), torch.nn.ReLU(), torch.nn.Linear(47, 2)).state_dict(),
        "w.safetensors",
    )
    found = run("--model", "other.py:make", "--recorded", "run")
    assert found.exit_code == 2
    assert "must be of the model's own architecture" in found.output


@pytest.mark.parametrize(("words", "message"), [
    ([], "Name the function that builds the network with --model file.py:function"),
    (["--arch", "nets_of_a_user"], "must read file.py:function or module:function"),
    (["--arch", "nets_of_a_user:make", "--shipped", "x"], "shipped must read name=file"),
    (["--arch", "nets_of_a_user:make", "--loss", "nets_of_a_user:none"], "has no function 'none'"),
    (["--arch", "nets_of_a_user:make", "--members", "no.npz"], "'no.npz' cannot be read"),
    (["--arch", "nets_of_a_user:make", "--members", "objects.npz"], "must be an NPZ file of numbers"),
    (["--arch", "nets_of_a_user:make", "--members", "other.npz"], "must hold the arrays x and y. Found z"),
])  # fmt: skip
def test_wrong_input_ends_with_one_message(desk, words, message):
    np.savez("objects.npz", x=np.array([{}], dtype=object), y=np.zeros(1))
    np.savez("other.npz", z=np.zeros(1))
    found = run(*words)
    assert found.exit_code == 2
    assert message in re.sub(r"\s+", " ", found.output)


def test_pickled_weights_are_refused(desk):
    torch.save({}, "w.pt")
    found = CliRunner().invoke(app, ["audit", "w.pt", *RUN[2:], "--arch", "nets_of_a_user:make"])
    assert found.exit_code == 2
    assert "can run any code" in re.sub(r"\s+", " ", found.output)


def test_the_help_says_that_code_is_run():
    found = CliRunner().invoke(app, ["audit", "--help"], env={"COLUMNS": "200", "NO_COLOR": "1"})
    assert "Runs your code; name only code you trust" in re.sub(r"[\s│]+", " ", found.output)


def test_a_language_model_comes_from_a_folder(tmp_path, monkeypatch):
    from tests.helpers import require

    require("transformers")
    import warnings

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from tokenizers import Tokenizer, models, pre_tokenizers
        from transformers import GPT2Config, GPT2LMHeadModel, PreTrainedTokenizerFast

        torch.manual_seed(0)
        config = GPT2Config(
            vocab_size=22, n_positions=12, n_embd=8, n_layer=1, n_head=2, bos_token_id=0, eos_token_id=0
        )
        GPT2LMHeadModel(config).save_pretrained(tmp_path / "lm")
        words = {"?": 0, **{str(i): i + 1 for i in range(20)}}
        table = Tokenizer(models.WordLevel(words, unk_token="?"))
        table.pre_tokenizer = pre_tokenizers.Whitespace()
        PreTrainedTokenizerFast(tokenizer_object=table, unk_token="?").save_pretrained(tmp_path / "lm")
    rng = np.random.default_rng(0)
    lines = [" ".join(map(str, rng.integers(20, size=8))) for _ in range(50)]
    (tmp_path / "a.txt").write_text("\n".join(lines[:25]))
    (tmp_path / "b.jsonl").write_text("\n".join(json.dumps({"text": line}) for line in lines[25:]))
    monkeypatch.chdir(tmp_path)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = CliRunner().invoke(app, [
            "audit", "lm", "--members", "a.txt", "--nonmembers", "b.jsonl", "--reference", "lm",
            "--quantizers", "uniform(bits=4)", "--json",
        ])  # fmt: skip
    assert found.exit_code == 0, found.output
    plain = json.loads(found.stdout)
    assert plain["primary_attack"] == "reference"
    assert plain["rows"][0]["attacks"]["reference"]["advantage"]["value"] == 0  # it is its own reference


def test_the_builder_may_take_what_the_records_say(desk):
    """The same function serves ``--model`` of a table and of a finished file."""
    told = "\ndef told(features, outputs, task, shape):\n    assert (task, shape) == ('classification', (6,))\n"
    built = "    return nn.Sequential(nn.Linear(features, 48), nn.ReLU(), nn.Linear(48, outputs))\n"
    with (desk / "nets_of_a_user.py").open("a") as handle:
        handle.write(told + built + "def needy(width):\n    return None\n")
    found = run("--model", "nets_of_a_user.py:told", "--quantizers", "sign")
    assert found.exit_code == 0, found.output
    assert "w was attacked on 60 members and 60 other records (classification), in full precision" in flat(found)
    refused = run("--model", "nets_of_a_user.py:needy")
    assert refused.exit_code == 2
    assert "The function may take features, outputs, task and shape" in flat(refused)


def test_several_targets_have_a_table_of_tasks_in_terminal_card_and_report(desk):
    x, y = noisy()
    frame = pd.DataFrame(x).assign(toxic=y, logS=x[:, 1] * 3)
    frame.loc[::5, "toxic"] = np.nan
    frame[:60].to_csv("members.csv", index=False)
    frame[60:].to_csv("others.csv", index=False)
    torch.manual_seed(0)
    save_file(torch.nn.Linear(6, 2).state_dict(), "two.safetensors")
    with (desk / "nets_of_a_user.py").open("a") as handle:
        handle.write("\ndef two(features, outputs, task):\n    assert task == 'multitask'\n")
        handle.write("    return nn.Linear(features, outputs)\n")
    words = ["audit", "two.safetensors", "--model", "nets_of_a_user.py:two", "--members", "members.csv", "--quiet"]
    words += ["--nonmembers", "others.csv", "--target", "toxic,logS", "--quantizers", "sign", "--out", "kept"]
    found = CliRunner().invoke(app, [*words, "--card", "card.md", "--report", "page.html"])
    assert found.exit_code == 0, found.output
    told = "two: each task by itself"
    assert told in found.output
    for text in (found.output, Path("card.md").read_text(), Path("page.html").read_text()):
        assert "logS" in text
        assert "ach task by itself" in text
    plain = json.loads(CliRunner().invoke(app, ["show", "kept", "--json"]).stdout)
    assert set(plain["rows"][0]["by_task"]) == {"toxic", "logS"}


def test_what_is_missing_for_one_reason_is_said_once(desk):
    found = flat(run("--model", "nets_of_a_user:make", "--quantizers", "sign"))
    assert len(re.findall(r"Not computed: [\w(),; =.]*Combined, outputs", found)) == 1
    assert "Not computed: LiRA." not in found


def flat(found):
    return " ".join(found.output.split())


def test_a_refused_start_leaves_the_name_of_its_folder_free(desk):
    for name, start in (("a.csv", 0), ("b.csv", 60)):
        x, y = (part[start : start + 60] for part in noisy())
        pd.DataFrame(x).assign(y=np.where(y > 0, "ill", "well"), code=y).to_csv(name, index=False)
    ask = ["--members", "a.csv", "--nonmembers", "b.csv", "--model", "nets_of_a_user.py:make", "--quantizers", "none"]
    refused = run(*ask, "--target", "y", "--ignore", "code", "--out", "out")
    assert refused.exit_code == 2
    assert "Found the words" in refused.output
    assert not (desk / "out").exists()
    assert run(*ask, "--target", "code", "--ignore", "y", "--out", "out").exit_code == 0
