import numpy as np
import pytest

from leaq.reporting.redaction import shareable, shareable_config
from tests.results import cell


@pytest.mark.parametrize(
    ("given", "left"),
    [
        ("/home/ada/x.csv", "x.csv"),
        ("C:\\Users\\ada\\x.csv", "x.csv"),
        ("../secret/x.csv", "x.csv"),
        ("~/x.csv", "x.csv"),
        ("breast_cancer", "breast_cancer"),
    ],
)
def test_sources_lose_their_folders(given, left):
    assert shareable_config({"source": given})["source"] == left


@pytest.mark.parametrize(
    ("given", "left"),
    [
        ("saved(path='/srv/ada/net v2')", "saved(path='net v2')"),
        ("saved(path='C:\\\\ada\\\\net')", "saved(path='net')"),
        ("hub(name='owner/model')", "hub(name='owner/model')"),
        ("morgan(radius=3, counts=true)", "morgan(radius=3, counts=true)"),
    ],
)
def test_folders_are_found_in_any_option_and_names_are_left_alone(given, left):
    assert shareable_config({"deep": {"list": [given]}}) == {"deep": {"list": [left]}}


def test_what_is_shared_holds_aggregates_only():
    result = shareable(cell())
    assert result.private == {}
    assert all(attack.risk is None for row in result.rows for attack in row.attacks.values())
    np.testing.assert_array_equal(result.rows[0].attacks["threshold"].roc, cell().rows[0].attacks["threshold"].roc)
    assert "/home/ada" not in result.to_json(private=True)
