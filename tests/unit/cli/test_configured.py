"""Fields of a configuration as options of a command: what each kind of field reads."""

import inspect
from typing import Literal, get_args

import pytest
import typer
from typer.testing import CliRunner

from leaq.cli.configured import _parameter, _read, bundled, parameters_of, taken_from
from leaq.config import Config
from leaq.pipeline.options import config_from, options


class Everything(Config):
    scale: bool = True
    """On unless told otherwise."""
    merge: bool = False
    """Off unless told otherwise."""
    kind: Literal["a", "b"] = "a"
    """A choice."""
    widths: tuple[int, ...] = (4, 2)
    """Several numbers."""
    names: tuple[str, ...] = ()
    """Several texts."""
    limit: int | None = None
    """A number, or none."""
    rate: float = 0.5
    """A real number."""


TABLE = {one.flag[2:].replace("-", "_"): one for one in options(Everything)}


def parse(*words):
    seen = []

    def command(**given):
        values = {".".join(one.path): _read(one, given[name]) for name, one in TABLE.items()}
        seen.append(config_from(Everything, values))

    command.__signature__ = inspect.Signature([_parameter(name, one) for name, one in TABLE.items()])
    app = typer.Typer()
    app.command()(command)
    result = CliRunner().invoke(app, words)
    return seen[0] if seen else result


@pytest.mark.parametrize(
    ("words", "changed"),
    [
        ((), {}),
        (("--no-scale", "--merge"), {"scale": False, "merge": True}),
        (("--scale",), {}),
        (("--kind", "b"), {"kind": "b"}),
        (("--widths", "8,4,2"), {"widths": (8, 4, 2)}),
        (("--widths", "none"), {"widths": ()}),
        (("--names", 'a,"b, c"', "--names", "d"), {"names": ("a", "b, c", "d")}),
        (("--limit", "3", "--rate", "1e-3"), {"limit": 3, "rate": 1e-3}),
    ],
)
def test_every_kind_of_field_is_read(words, changed):
    assert parse(*words) == Everything(**changed)


@pytest.mark.parametrize("words", [("--kind", "c"), ("--limit", "x"), ("--no-merge",), ("--rate", "fast")])
def test_what_does_not_fit_is_refused(words):
    result = parse(*words)
    assert result.exit_code == 2
    assert words[0] in result.output


def test_the_help_names_choices_and_defaults(monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    text = " ".join(parse("--help").output.split())
    assert "A choice. One of a, b. [default: a]" in text.replace("│ │ ", "").replace("  ", " ")
    assert "--no-scale" in text
    assert "[default: 4,2]" in text


class Place(Config):
    folder: str = "runs"
    keep: bool = True


class Look(Config):
    wide: int = 80


def test_a_command_has_the_fields_of_its_bundles_as_options_and_is_handed_them():
    seen = []

    @bundled(Place, Look)
    def show(place, look, run: str, *, json: bool = False) -> None:
        """Show a run."""
        seen.append((place, look, run, json))

    parameters = inspect.signature(show).parameters
    assert list(parameters) == ["run", "json", "folder", "keep", "wide"]
    assert (parameters["wide"].default, get_args(parameters["folder"].annotation)[0]) == (80, str)
    assert (show.__name__, show.__doc__) == ("show", "Show a run.")
    show(run="mine", json=True, folder="here", keep=False, wide=100)
    assert seen == [(Place(folder="here", keep=False), Look(wide=100), "mine", True)]


def test_values_are_taken_out_of_what_was_given_and_the_rest_is_left():
    given = {"folder": "x", "keep": True, "wide": 7, "other": 1}
    assert taken_from([Look, Place], given) == [Look(wide=7), Place(folder="x", keep=True)]
    assert given == {"other": 1}
    assert [one.name for one in parameters_of([Look])] == ["wide"]
