import re
import subprocess
import sys

import pytest
from typer.main import get_command
from typer.testing import CliRunner

import leaq
from leaq.cli.main import FORMER, app, today
from tests.helpers import require


def loaded(heavy, *lines):
    """Run command lines one after the other in a process of its own; return its output and the libraries it loaded."""
    code = (
        "import sys\n"
        "from leaq.cli.main import main\n"
        f"for line in {[line.split() for line in lines]!r}:\n"
        "    sys.argv = ['leaq', *line]\n"
        "    try: main()\n"
        "    except SystemExit: pass\n"
        f"print([m for m in {heavy!r} if m in sys.modules])"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    *said, found = result.stdout.splitlines()
    return "\n".join([*said, result.stderr]), found


def test_help_loads_nothing_that_computes():
    """What keeps every help quick (0.3 s); the time itself depends on what else the machine does."""
    verbs = [f"{name} --help" for name in get_command(app).commands]
    said, found = loaded(("torch", "pandas", "numpy", "sklearn", "scipy"), "--help", *verbs)
    assert said.count("Usage") == len(verbs) + 1
    assert found == "[]"


def test_what_is_wrong_is_told_before_anything_that_computes_is_loaded(tmp_path):
    table = tmp_path / "m.csv"
    table.write_text("a,y\n1,2\n")
    lines = (
        "audit nofile.csv --target y",
        "attack breastcancer",
        "forecast wine --epochs x",
        "lambda wine --taks auto",
        "show nowhere",
        "decide nowhere",
        "report nowhere",
        "verify nowhere",
        "clean nowhere",
        "audit wine --quantizers sgin",
        "audit wine --quantizers uniform(bits=99)",
        "audit wine --quantizers torchao.int8_weight_only(bit=8)",
        "audit wine --attacks lyra",
        "audit wine --embedder morgn",
        "attack wine --attacks lira(mode=of)",
        "audit wine --together sgin+twn",
        "audit wine --references forst",
        "protect wine --quantizers strenary",
        "audit wine --model dmpn",
        f"audit {table} --target nope",
        f"audit {table} --target y --ignore a --ignore nope",
    )
    said, found = loaded(("torch", "pandas", "sklearn", "scipy"), *lines)
    for text in (
        "no file 'nofile.csv'",
        "Did you mean 'breast_cancer'?",
        "--epochs",
        "--task",
        "There is no run folder 'nowhere'",
        "Unknown quantizer 'sgin'. Did you mean 'sign'?",
        "less than or equal to 8 (found 99)",
        "unknown option 'bit'. Did you mean 'bits'?",
        "Unknown attack 'lyra'. Did you mean 'lira'?",
        "Did you mean 'morgan'?",
        "'online' or 'offline' (found 'of')",
        "Did you mean 'forest'?",
        "Did you mean 'ternary'?",
        "Did you mean 'dmpnn'?",
        "there is no column 'nope' (--target). Columns: a, y.",
        "there is no column 'nope' (--ignore). Columns: a, y.",
    ):
        assert text in said
    assert found == "[]"


def test_the_package_is_a_command():
    result = subprocess.run([sys.executable, "-m", "leaq", "--version"], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == leaq.__version__


@pytest.mark.parametrize("columns", [80, 200])
def test_help_is_folded_by_the_screen_and_not_by_the_source(columns, monkeypatch):
    monkeypatch.setenv("COLUMNS", str(columns))
    for name in get_command(app).commands:
        text = CliRunner().invoke(app, [name, "--help"]).output
        assert max(map(len, text.splitlines())) <= columns
        prose = [line.strip() for line in text.split("╭")[0].splitlines()]
        assert not any(re.search(r"\w {2,}\w", line) for line in prose), name


def test_help_speaks_of_options_and_not_of_python(monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")
    for name in get_command(app).commands:
        text = CliRunner().invoke(app, [name, "--help"]).output
        assert "`" not in text, name
        assert not re.search(r"\b[a-z]+_[a-z]+=", text), name
        assert " : " not in text, name


def test_what_everybody_needs_comes_first_in_the_help_of_an_audit():
    text = CliRunner().invoke(app, ["audit", "--help"]).output
    panels = ("Arguments", "What to audit", "What is done to it", "How it runs", "Files to write", "How each model")
    places = [text.index(f"─ {panel}") for panel in panels]
    assert places == sorted(places)


def test_version():
    assert CliRunner().invoke(app, ["--version"]).output.strip() == leaq.__version__


def test_every_command_explains_itself():
    commands = get_command(app).commands
    assert len(commands) == 9
    for name in commands:
        result = CliRunner().invoke(app, [name, "--help"])
        assert result.exit_code == 0
        assert "Usage" in result.output


def test_a_mistyped_command_is_refused():
    result = CliRunner().invoke(app, ["audti"])
    assert result.exit_code == 2
    assert "audti" in result.output


def test_a_name_that_is_too_long_and_memory_that_runs_out_are_said_in_words(monkeypatch, tmp_path):
    (tmp_path / "config.json").touch()
    found = CliRunner().invoke(app, ["audit", "x" * 300])
    assert found.exit_code == 2
    assert "cannot be used (File name too long)" in found.output or "There is no" in found.output
    for err in (MemoryError(), RuntimeError("DefaultCPUAllocator: not enough memory: you tried to allocate 8 bytes.")):

        def fail(*_, err=err, **__):
            raise err

        monkeypatch.setattr("leaq.study.Store", fail)
        found = CliRunner().invoke(app, ["decide", str(tmp_path), "--max-leak", "0.1"])
        assert found.exit_code == 2
        assert "There is too little memory for this." in found.output


def test_what_is_wrong_with_a_small_table_is_told_before_what_trains_is_loaded(tmp_path):
    require("rdkit")
    for name, text in (
        ("words", "a,y\n" + "1,0\n2,1\n" * 6 + "x,1\n"),
        ("drawn", "smiles,y\nCCO,1\nC1CC,2.5\nCCN,3\n"),
        ("labels", "smiles,y\nCCO,1\nCCC,2\nCCN,x\n"),
    ):
        (tmp_path / f"{name}.csv").write_text(text)
    said, found = loaded(
        ("torch", "sklearn"),
        f"audit {tmp_path}/words.csv --target y",
        f"audit {tmp_path}/drawn.csv --target y --smiles smiles",
        f"audit {tmp_path}/labels.csv --target y --smiles smiles",
    )
    assert said.count("Error") == 3
    assert "SMILES that cannot be read in 1 row (2)" in said
    assert found == "[]"


@pytest.mark.parametrize(
    ("line", "now"),
    [
        ("attack x.csv --target y", "audit x.csv --target y --shadows 16 --attacks all --every-attack"),
        ("forecast wine", "audit wine --attacks threshold --checkpoints 1 --effort forecast"),
        ("run s.toml --out r --workers 3", "audit s.toml --out r --jobs 3"),
        ("lambda wine --replicates 4", "audit wine --replicates 4 --quantizers study --attacks threshold --lambda"),
        ("audit-model m.onnx --keep-overlap", "audit m.onnx --overlap keep"),
        ("report runs/x", "show runs/x --report runs/x/report.html"),
        ("report runs/x/ --card c.md x.html --open", "show runs/x/ --report x.html --card c.md --open"),
        ("report runs/x --profile edpb", "show runs/x --profile edpb"),
        ("report runs/x f.html --profile=edpb", "show runs/x --report f.html --profile=edpb"),
        ("report --help", "show --help"),
        ("recommend runs/x --max-drop 1", "decide runs/x --max-drop 1"),
        ("gate runs/x --max-advantage 0.1 --all", "decide runs/x --max-advantage 0.1 --reasons --all"),
        ("quantize m.safetensors --with sign --out p", "protect m.safetensors --with sign --out p"),
        ("quantizers ternary", "list quantizers ternary"),
        ("attacks", "list attacks"),
        ("embedders --json", "list embedders --json"),
        ("datasets", "list datasets"),
        ("datasets get herg", "get herg"),
    ],
)
def test_a_former_verb_is_read_as_todays(line, now):
    words, said = today(line.split())
    assert words == now.split()
    assert said.startswith(f"leaq {line.split()[0]} is leaq {words[0]}")


def test_todays_verbs_are_left_alone_and_former_ones_are_in_no_help():
    names = set(get_command(app).commands)
    assert not names & set(FORMER)
    for name in names:
        assert today([name, "attack", "--report"]) == ([name, "attack", "--report"], "")


@pytest.mark.parametrize("name", FORMER)
def test_the_help_of_a_former_verb_is_todays(name):
    found = CliRunner().invoke(app, [name, "--help"])
    assert found.exit_code == 0, found.output
    assert f"leaq {name} is leaq" in " ".join(found.stderr.split())
    assert "Usage" in found.stdout


def test_it_does_its_work():
    found = CliRunner().invoke(app, ["attacks", "lira"])
    assert found.stdout == CliRunner().invoke(app, ["list", "attacks", "lira"]).stdout
    assert found.stderr.strip() == "leaq attacks is leaq list attacks now; this name goes in version 0.3."


COMPUTING = {
    "audit records": "audit rows.csv --target y",
    "audit a plan": "audit rows.csv --target y --plan",
    "audit in processes": "audit rows.csv --target y --jobs 2",
    "audit a finished model": "audit model.safetensors --members rows.csv --nonmembers rows.csv",
    "audit a study": "audit study.toml --out run",
    "protect": "protect rows.csv --target y --public rows.csv",
    "verify": "verify card.json",
}
"""Verbs that run models, and what of theirs does, with the least they need."""


@pytest.fixture
def at_hand(tmp_path, monkeypatch):
    """What the lines of `COMPUTING` name: files with nothing in them that could be computed with."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    rows = "".join(f"{i + 0.5},{i % 2}\n" for i in range(80))
    (tmp_path / "rows.csv").write_text("a,y\n" + rows)
    (tmp_path / "model.safetensors").write_bytes(b"")
    (tmp_path / "study.toml").write_text(
        'name = "s"\ndata = [{ source = "rows.csv", target = "y" }]\nquantizers = ["sign"]\n'
    )
    config = {"source": "rows.csv", "quantizers": ["sign"], "training": {"device": "cpu"}}
    numbers = {"utility": {"metric": "roc_auc", "value": {"low": 0.5, "high": 1.0}}}
    answers = [{"key": key, "numbers": found} for key, found in numbers.items()]
    card = {"config": config, "quantizer": "sign", "answers": answers}
    monkeypatch.setattr("leaq.reporting.recheck.read_card", lambda _: card)
    (tmp_path / "card.json").write_text("{}")
    return tmp_path


def test_every_verb_that_runs_models_takes_a_device():
    commands = get_command(app).commands
    taking = {name for name, verb in commands.items() if any("--device" in one.opts for one in verb.params)}
    assert taking == {line.split()[0] for line in COMPUTING.values()}


@pytest.mark.parametrize("line", COMPUTING.values(), ids=COMPUTING)
def test_a_device_that_is_not_there_is_one_error_before_anything_is_computed(line, at_hand, monkeypatch):
    def read(*_, **__):
        raise AssertionError("read something")

    for place in ("leaq.pipeline.preparing.load", "leaq.pipeline.finished.files._read"):
        monkeypatch.setattr(place, read)
    before = sorted(at_hand.iterdir())
    found = CliRunner().invoke(app, [*line.split(), "--device", "cuda"])
    assert found.exit_code == 2, found.output
    said = " ".join(found.stderr.split())
    assert "needs a CUDA GPU" in said
    assert said.count("Error") == 1
    assert sorted(at_hand.iterdir()) == before


@pytest.mark.parametrize("line", COMPUTING.values(), ids=COMPUTING)
def test_no_other_device_is_taken(line, at_hand):
    found = CliRunner().invoke(app, [*line.split(), "--device", "tpu"])
    assert found.exit_code == 2
    assert "--device" in found.stderr


@pytest.mark.parametrize("line", COMPUTING.values(), ids=COMPUTING)
def test_the_device_asked_for_is_the_one_configured(line, at_hand, monkeypatch):
    """Down to the configuration that models are trained and evaluated by."""
    seen = []

    class Enough(Exception):
        pass

    def look(training, **_):
        seen.append(training.device)
        raise Enough

    # That of the command line, which imports it when it runs, last: else a module would be loaded with it.
    for place in ("pipeline.flow", "api.protecting.verb", "study.running", "training.batched"):
        monkeypatch.setattr(f"leaq.{place}.device_for", look)
    for device in ("cpu", "cuda"):
        CliRunner().invoke(app, [*line.split(), "--device", device])
        assert seen.pop() == device
