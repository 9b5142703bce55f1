import tomllib
from pathlib import Path

import pytest

from leaq.system import doctor as checkup
from leaq.system.doctor import PURPOSES, Package, check, extras_of

PROJECT = tomllib.loads((Path(__file__).parents[3] / "pyproject.toml").read_text())["project"]


@pytest.fixture
def machine(tmp_path, monkeypatch):
    """A machine with a cache of its own, no named folders, and the requirements of this checkout."""
    for name in ("LEAQ_DATA_DIR", "LEAQ_WEIGHTS_DIR"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("LEAQ_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setattr(checkup, "DRIVERS", tmp_path / "drivers")
    monkeypatch.setattr(checkup, "requires", lambda _: list(PROJECT["dependencies"]))
    return tmp_path


def test_every_extra_for_users_has_a_purpose():
    elementary = set(PROJECT["optional-dependencies"]) - {"docs", "dev", "backends"}
    assert set(PURPOSES) == elementary


def test_a_complete_machine_has_nothing_to_do_and_nothing_is_created(machine):
    found = check()
    assert found.ok
    assert {package.name for package in found.core} >= {"torch", "numpy", "typer"}
    assert [place.state for place in found.places] == ["not set", "not set", "not there yet"]
    assert list(machine.iterdir()) == []
    assert found.hints[-1] == "First audit: leaq audit breast_cancer"


def test_missing_and_old_packages_are_named_with_the_remedy(machine, monkeypatch):
    monkeypatch.setattr(checkup, "requires", lambda _: ["numpy>=99.5", "no-such-package>=1"])
    todo = check().todo
    assert todo[0].startswith("numpy is ")
    assert "needed: >=99.5. Run: pip install --upgrade leaq" in todo[0]
    assert todo[1] == "no-such-package is not installed, needed: >=1. Run: pip install --upgrade leaq"


def test_extras_say_how_to_install_them(machine, monkeypatch):
    wanted = ["no-such-package>=1; extra == 'onnx'", "numpy>=1; extra == 'parquet'", "leaq[onnx]; extra == 'dev'"]
    monkeypatch.setattr(checkup, "requires", lambda _: wanted)
    found = check()
    assert [(extra.name, extra.ok, extra.install) for extra in found.extras] == [
        ("parquet", True, "pip install 'leaq[parquet]'"),
        ("onnx", False, "pip install 'leaq[onnx]'"),
    ]
    assert found.ok, "what is optional need not be there"
    assert "pip install 'leaq[onnx]'" in found.hints[0]
    assert "does not know molecules" in found.hints[1]


def test_all_of_an_extras_packages_are_needed():
    [found] = extras_of(["numpy>=1; extra == 'report'", 'no-such-package>=1; extra == "report"'])
    assert not found.ok
    assert [package.ok for package in found.packages] == [True, False]


@pytest.mark.parametrize(
    ("wanted", "found", "ok"),
    [
        (">=2.8,<3", "2.13.0+cpu", True),
        ("<3,>=2.8", "2.7.1", False),
        (">=2.8", "2.8", True),
        (">=1.10", "1.9", False),
        (">=2", "2.0.0", True),
        ("", "0.1", True),
        (">=1", None, False),
    ],
)
def test_versions_are_compared_as_numbers(wanted, found, ok):
    assert Package("x", wanted, found).ok is ok


def test_folders_are_counted_and_missing_ones_have_to_be_dealt_with(machine, monkeypatch):
    (machine / "tasks").mkdir()
    (machine / "tasks" / "herg.csv").touch()
    monkeypatch.setenv("LEAQ_DATA_DIR", str(machine / "tasks"))
    monkeypatch.setenv("LEAQ_WEIGHTS_DIR", str(machine / "gone"))
    data, weights, _ = (found := check()).places
    assert (data.state, data.files) == ("ready", 1)
    assert weights.state == "missing"
    assert found.todo == (
        f"{machine / 'gone'} (pretrained weights) is missing. Create it, or set LEAQ_WEIGHTS_DIR to another folder.",
    )


def test_a_graphics_processor_is_named_and_a_torch_without_it_is_said(machine):
    card = machine / "drivers" / "0000:01:00.0"
    card.mkdir(parents=True)
    (card / "information").write_text("Model: \t\t NVIDIA Made Up 9\nIRQ: 1\n")
    assert checkup._gpu("2.13.0+cpu").startswith("NVIDIA Made Up 9; this torch (2.13.0+cpu) is built without it")
    assert "used where a configuration says device = 'cuda'" in checkup._gpu("2.13.0")
    (card / "information").unlink()
    assert checkup._gpu("2.13.0").startswith("none seen")


def test_a_requirement_with_brackets_belongs_to_its_extra():
    needed = ["numpy>=1.26", "mkdocstrings[python]>=0.27 ; extra == 'docs'", "rdkit>=2024.3; extra == 'molecules'"]
    assert [(extra, package.name, package.wanted) for extra, package in checkup._parsed(needed)] == [
        (None, "numpy", ">=1.26"),
        ("docs", "mkdocstrings", ">=0.27"),
        ("molecules", "rdkit", ">=2024.3"),
    ]
