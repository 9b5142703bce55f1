"""Every field of an audit is an option of every verb, and the command of a result asks for the same configuration."""

import shlex
from typing import ClassVar, Literal, get_args, get_origin

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ConfigDict, Field
from typer.main import get_command
from typer.testing import CliRunner

from leaq.cli import audit
from leaq.cli.main import app
from leaq.config import Config
from leaq.errors import InvalidInput
from leaq.pipeline.cell import AuditConfig
from leaq.pipeline.options import VERBS, Verb, command, config_from, join_items, options, split_items

TABLE = {".".join(one.path): one for one in options(AuditConfig)}
TEXT = "it's; rm -rf /"
CANDIDATES = (True, False, 3, 7, 0.5, 0.9, "morgan(radius=3)", TEXT, (3, 5), (), ("sign",), ("threshold", "rmia"))

CANDIDATES += ("nets.py:make",)
CANDIDATES += (("1", "inf"), ("sign + twn",))  # releases attacked together
CANDIDATES += (("forest", "knn(neighbours=1)"),)  # references


def other_values(dotted):
    """Values a field may have instead of its default, found by trying: a new field is covered by itself."""
    one = TABLE[dotted]
    kinds = get_args(one.kind) if get_origin(one.kind) is Literal else ()
    found = []
    for value in (*kinds, *CANDIDATES):
        try:
            config = config_from(AuditConfig, {"source": "x", dotted: value})
        except InvalidInput:
            continue
        kept = at(config.to_dict(), one.path)
        plain = list(value) if isinstance(value, tuple) else value
        if kept == plain and type(kept) is type(plain) and config != config_from(AuditConfig, {"source": "x"}):
            found.append(value)
    return found


def at(tree, path):
    for name in path:
        tree = tree[name]
    return tree


class Captured(Exception):
    pass


@pytest.fixture
def asked(monkeypatch, tmp_path):
    """What a command line asks for: the configuration it would run."""
    seen = []

    def capture(found, *_, **__):
        seen.append(found)
        raise Captured

    monkeypatch.setattr(audit, "run_config", capture)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "my data.csv").write_text("a,y")

    def ask(line):
        result = CliRunner().invoke(app, shlex.split(line)[1:])
        assert isinstance(result.exception, Captured), result.output
        return seen.pop()

    return ask


@pytest.mark.parametrize("dotted", [name for name in TABLE if name != "source"])
def test_the_command_asks_for_the_same_value_of_every_field(dotted, asked):
    values = other_values(dotted)
    assert values, f"no other value of {dotted} is known to this test"
    for value in values:
        config = config_from(AuditConfig, {"source": "my data.csv", dotted: value})
        line = command(config.to_dict())
        assert TABLE[dotted].flag.lstrip("-") in line
        assert asked(line) == config


def test_the_command_names_nothing_that_is_usual(asked):
    config = config_from(AuditConfig, {"source": "my data.csv"})
    assert command(config.to_dict()) == "leaq audit 'my data.csv'"
    assert asked("leaq audit 'my data.csv'") == config


def test_what_is_named_counts_whatever_the_effort(asked):
    found = asked("leaq audit 'my data.csv' --effort deep --replicates 16 --epochs 3")
    assert found == config_from(
        AuditConfig, {"source": "my data.csv", "effort": "deep", "replicates": 16, "training.epochs": 3}
    )
    assert asked("leaq audit 'my data.csv' --effort deep").replicates == 64


def test_a_command_with_everything_changed(asked):
    given = {"source": "my data.csv"} | {name: other_values(name)[0] for name in TABLE if name != "source"}
    config = config_from(AuditConfig, given)
    assert asked(command(config.to_dict())) == config


def test_shadows_attacks_and_checkpoints_are_not_lost():
    given = {"source": "rows.csv", "shadows": 4, "attacks": ("threshold", "lira"), "training.checkpoints": 1}
    config = config_from(AuditConfig, {**given, "quantizers": ("sign",)})
    words = "--quantizers sign --shadows 4 --attacks threshold,lira --checkpoints 1"
    assert command(config.to_dict()) == f"leaq audit rows.csv {words}"


def test_every_verb_takes_the_options_of_its_table():
    commands = get_command(app).commands
    for name, verb in VERBS.items():
        taken = {flag for one in commands[name].params for flag in one.opts}
        assert {one.flag for one in options(AuditConfig, verb)} - {"--source"} <= taken


def test_every_option_has_a_help():
    assert [one.flag for one in TABLE.values() if not one.help] == []


class Inner(Config):
    model_config: ClassVar[ConfigDict] = ConfigDict(title="Inside")

    seed: int = 1
    """Of the inner one."""
    scale: bool = True


class Outer(Config):
    seed: int = Field(default=0, ge=0)
    """Of the outer one."""
    inner: Inner = Inner()


def test_a_nested_field_whose_name_is_taken_carries_its_configuration():
    seed, inner_seed, scale = options(Outer)
    assert (seed.flag, inner_seed.flag, inner_seed.path) == ("--seed", "--inner-seed", ("inner", "seed"))
    assert (inner_seed.help, inner_seed.panel) == ("Of the inner one.", "Inside")
    assert scale.words(False) == ["--no-scale"]
    assert config_from(Outer, {"inner.seed": 5}).inner == Inner(seed=5)
    assert [one.flag for one in options(Outer, Verb(without=frozenset({"inner.scale"})))] == ["--seed", "--inner-seed"]


def test_every_problem_is_told_under_its_option():
    with pytest.raises(InvalidInput, match=r"^--seed: .*\(found -1\)\. --inner-seed: .*\(found 'x'\)\.$"):
        config_from(Outer, {"seed": -1, "inner.seed": "x"})
    with pytest.raises(InvalidInput, match=r"^--hidden: Input should be greater than 0 \(found 0\)\.$"):
        config_from(AuditConfig, {"source": "wine", "training.hidden": (0,)})
    with pytest.raises(InvalidInput, match=r"^--quantizers: bits: Input should be .* \(found 0\)\.$"):
        config_from(AuditConfig, {"source": "wine", "quantizers": ("uniform(bits=0)",)})


def test_the_call_of_a_finished_model():
    assert command({"kind": "model", "quantizers": ["sign"]}).startswith("leaq.audit(model, members=..., nonmembers=")


@given(st.lists(st.text(min_size=1).map(str.strip).filter(bool)))
def test_lists_survive_their_text(items):
    assert list(split_items(join_items(items))) == items
