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
