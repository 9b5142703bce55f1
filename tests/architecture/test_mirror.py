"""The tests of src/leaq/a/b.py stand in tests/unit/a/test_b.py: who changes a file finds them."""

from pathlib import Path

ROOT = Path(__file__).parents[2]
SOURCE, UNIT = ROOT / "src" / "leaq", ROOT / "tests" / "unit"
WITHOUT = 50
"""Files without tests at the mirrored path: tested from elsewhere so far. Lower it with each that gets some."""


def mirrored(path: Path) -> Path:
    return UNIT / path.relative_to(SOURCE).parent / f"test_{path.name}"


def without() -> list[str]:
    found = sorted(path for path in SOURCE.rglob("*.py") if not path.name.startswith("__"))
    assert len(found) > 200
    return [str(path.relative_to(SOURCE)) for path in found if not mirrored(path).is_file()]


def test_the_path_of_a_files_tests_mirrors_its_own():
    assert mirrored(SOURCE / "stats" / "roc.py") == UNIT / "stats" / "test_roc.py"
    assert "stats/roc.py" not in without()


def test_no_more_files_than_before_are_without_tests_at_the_mirrored_path():
    missing = without()
    assert len(missing) <= WITHOUT, (
        f"{len(missing)} files have no tests at the mirrored path, {WITHOUT} are allowed. Write or move them for the "
        f"new ones of: {', '.join(missing)}"
    )
