"""The tests of src/leaq/a/b.py stand in tests/unit/a/test_b.py: who changes a file finds them."""

from pathlib import Path

ROOT = Path(__file__).parents[2]
SOURCE, UNIT = ROOT / "src" / "leaq", ROOT / "tests" / "unit"
SHARE = 0.95
"""Files with tests at the mirrored path; the others only declare, or are tried from elsewhere."""


def mirrored(path: Path) -> Path:
    return UNIT / path.relative_to(SOURCE).parent / f"test_{path.name}"


def sources() -> list[Path]:
    return sorted(path for path in SOURCE.rglob("*.py") if not path.name.startswith("__"))


def without() -> list[str]:
    return [str(path.relative_to(SOURCE)) for path in sources() if not mirrored(path).is_file()]


def test_the_path_of_a_files_tests_mirrors_its_own():
    assert mirrored(SOURCE / "stats" / "roc.py") == UNIT / "stats" / "test_roc.py"
    assert "stats/roc.py" not in without()
    assert len(sources()) > 200


def test_nearly_every_file_has_tests_at_the_mirrored_path():
    missing, share = without(), 1 - len(without()) / len(sources())
    assert share >= SHARE, (
        f"{share:.1%} of the files have tests at the mirrored path, {SHARE:.0%} must. Write or move them for the new "
        f"ones of: {', '.join(missing)}"
    )
