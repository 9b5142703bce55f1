import json
import subprocess
import sys

from typer.testing import CliRunner

from leaq.cli.main import app
from leaq.system import doctor as checkup


def run(*words):
    return CliRunner().invoke(app, ["doctor", *words])


def test_it_names_packages_machine_and_folders(monkeypatch, tmp_path):
    monkeypatch.setenv("LEAQ_DATA_DIR", str(tmp_path))
    monkeypatch.delenv("LEAQ_WEIGHTS_DIR", raising=False)
    result = run()
    assert result.exit_code == 0, result.output
    for words in ("Needed", "ok torch", "Extras", "cores: ", "GPU: ", str(tmp_path), "Nothing has to be done."):
        assert words in result.stdout


def test_something_to_do_is_exit_code_1(monkeypatch, tmp_path):
    monkeypatch.setenv("LEAQ_DATA_DIR", str(tmp_path / "gone"))
    assert "is missing. Create it" in run().stdout
    result = run("--json")
    assert result.exit_code == 1
    found = json.loads(result.stdout)
    assert found["ok"] is False
    assert found["places"][0]["state"] == "missing"


def test_a_missing_extra_comes_with_its_command(monkeypatch):
    monkeypatch.setattr(checkup, "requires", lambda _: ["no-such-package>=1; extra == 'onnx'"])
    result = run()
    assert "no onnx" in result.stdout
    assert "no-such-package not installed (needed: >=1)" in result.stdout
    assert "pip install 'leaq[onnx]'" in result.stdout


def test_it_is_quick_because_it_imports_nothing_that_computes():
    code = (
        "import sys; sys.argv = ['leaq', 'doctor']\n"
        "from leaq.cli.main import main\n"
        "try: main()\n"
        "except SystemExit: pass\n"
        "print([m for m in ('torch', 'pandas', 'scipy', 'sklearn') if m in sys.modules], file=sys.stderr)"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stderr.strip() == "[]"
