import shlex

import pytest
from typer.testing import CliRunner

from leaq.cell import AuditConfig
from leaq.cli import audit
from leaq.cli.main import app
from leaq.reporting.reproduction import command
from leaq.training import TrainingConfig

CONFIGS = (
    AuditConfig(source="wine"),
    AuditConfig(
        source="my data.csv", target="y; rm -rf /", ignore=("id", "a b"), skip_invalid=True, replicates=4, seed=7
    ),
    AuditConfig(
        source="x.csv",
        target="y",
        smiles="smiles",
        group="series",
        split="scaffold",
        strip_salts=True,
        log_target=True,
        embedder="morgan(radius=3)",
        task="regression",
        quantizers=("sign", "ternary(sparsity=0.9)"),
        training=TrainingConfig(hidden=(), epochs=3, learning_rate=0.02),
    ),
)


class Captured(Exception):
    pass


@pytest.mark.parametrize("config", CONFIGS, ids=lambda config: config.source)
def test_the_command_asks_for_the_same_configuration(config, monkeypatch):
    seen = []

    def capture(found, *_, **__):
        seen.append(found)
        raise Captured

    monkeypatch.setattr(audit, "run_config", capture)
    words = shlex.split(command(config.to_dict()))
    result = CliRunner().invoke(app, words[1:])
    assert isinstance(result.exception, Captured), result.output
    assert seen[0].to_dict() == config.to_dict()
