import subprocess
import sys

import typer
from typer.testing import CliRunner

import leaq
from leaq.cli.main import app


def test_help_loads_nothing_that_computes():
    """What keeps `leaq --help` quick (0.4 s); the time itself depends on what else the machine does."""
    code = (
        "import sys; sys.argv = ['leaq', '--help']\n"
        "from leaq.cli.main import main\n"
        "try: main()\n"
        "except SystemExit: pass\n"
        "heavy = ('torch', 'pandas', 'numpy', 'sklearn', 'scipy', 'pydantic')\n"
        "print([m for m in heavy if m in sys.modules], file=sys.stderr)"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "audit" in result.stdout
    assert result.stderr.strip() == "[]"


def test_version():
    assert CliRunner().invoke(app, ["--version"]).output.strip() == leaq.__version__


def test_every_command_explains_itself():
    commands = typer.main.get_command(app).commands
    assert len(commands) >= 10
    for name in commands:
        result = CliRunner().invoke(app, [name, "--help"])
        assert result.exit_code == 0
        assert "Usage" in result.output


def test_a_mistyped_command_is_refused():
    result = CliRunner().invoke(app, ["audti"])
    assert result.exit_code == 2
    assert "audti" in result.output


def test_a_name_that_is_too_long_and_memory_that_runs_out_are_said_in_words(monkeypatch):
    found = CliRunner().invoke(app, ["audit", "x" * 300])
    assert found.exit_code == 2
    assert "cannot be used (File name too long)" in found.output or "There is no" in found.output
    for err in (MemoryError(), RuntimeError("DefaultCPUAllocator: not enough memory: you tried to allocate 8 bytes.")):

        def fail(*_, err=err, **__):
            raise err

        monkeypatch.setattr("leaq.study.Store", fail)
        found = CliRunner().invoke(app, ["gate", "run", "--max-advantage", "0.1"])
        assert found.exit_code == 2
        assert "There is too little memory for this." in found.output
