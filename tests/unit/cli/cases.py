from typer.testing import CliRunner

from leaq.cli.main import app

SMALL = ("--epochs", "2", "--replicates", "4", "--checkpoints", "4", "--quantizers", "sign", "--hidden", "8", "--quiet")


def run(*words):
    found = CliRunner().invoke(app, [str(word) for word in words], env={"COLUMNS": "200"})
    assert found.exit_code == 0, found.output
    return found
