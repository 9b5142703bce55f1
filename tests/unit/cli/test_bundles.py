import inspect
from dataclasses import dataclass

from leaq.cli.bundles import bundled, parameters_of, taken_from


@dataclass(frozen=True)
class Place:
    folder: str = "runs"
    keep: bool = True


@dataclass(frozen=True)
class Look:
    wide: int = 80


def test_a_command_has_the_fields_of_its_bundles_as_options_and_is_handed_them():
    seen = []

    @bundled(Place, Look)
    def show(place, look, run: str, *, json: bool = False) -> None:
        """Show a run."""
        seen.append((place, look, run, json))

    parameters = inspect.signature(show).parameters
    assert list(parameters) == ["run", "json", "folder", "keep", "wide"]
    assert (parameters["wide"].default, parameters["folder"].annotation) == (80, str)
    assert (show.__name__, show.__doc__) == ("show", "Show a run.")
    show(run="mine", json=True, folder="here", keep=False, wide=100)
    assert seen == [(Place("here", keep=False), Look(100), "mine", True)]


def test_values_are_taken_out_of_what_was_given_and_the_rest_is_left():
    given = {"folder": "x", "keep": True, "wide": 7, "other": 1}
    assert taken_from([Look, Place], given) == [Look(7), Place("x", keep=True)]
    assert given == {"other": 1}
    assert [one.name for one in parameters_of([Look])] == ["wide"]
