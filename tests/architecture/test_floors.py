"""Imports point downward, heavy libraries stay in their rooms, files stay small, importing leaq stays cheap."""

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

SOURCE = Path(__file__).parents[2] / "src" / "leaq"

# Lowest first; rooms on one floor never import each other. docs/how-it-works.md draws this.
FLOORS = [
    {"errors", "lazy"},
    {"config", "seeds", "types"},
    {"system", "results", "stats"},
    {"data", "models", "measures", "attacks"},
    {"embedders", "training", "quantizers", "evaluation"},
    {"pipeline", "decisions"},
    {"study", "reporting"},
    {"api"},
    {"cli"},
]
DOORS = {"__init__", "__main__"}  # of the package itself, no rooms
FLOOR = {room: level for level, rooms in enumerate(FLOORS) for room in rooms}

# Which rooms may import a heavy library at all (None: nobody) -- in functions or at the top.
HEAVY = {
    "torch": {"lazy", "seeds", "types", "system", "models", "embedders", "training", "quantizers", "evaluation",
              "pipeline", "api", "study", "cli"},
    "rdkit": {"data", "embedders", "reporting"},
    "transformers": {"embedders"},
    "datamol": {"data"},
    "altair": {"reporting"},
    "vl_convert": {"reporting"},
    "cryptography": {"system"},
    "jinja2": {"reporting"},
    "typer": {"cli"},
    "rich": {"cli"},
    "ray": {"study"},
    "mlflow": {"study"},
}  # fmt: skip

MAX_LINES = 400
PIPELINE_LINES = 150


def room_of(path: Path, root: Path) -> str:
    return path.relative_to(root).with_suffix("").parts[0]


def imported(tree: ast.AST) -> Iterator[str]:
    """Full dotted names of everything imported, in-function imports included."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def wrong_way(root: Path) -> list[str]:
    """`file -> room` for each import that does not point downward, and each room without a floor."""
    found = []
    for path in sorted(root.rglob("*.py")):
        room = room_of(path, root)
        if room in DOORS:
            continue
        if room not in FLOOR:
            found.append(f"{room} has no floor")
            continue
        for name in imported(ast.parse(path.read_text())):
            parts = name.split(".")
            if parts[0] != root.name:
                continue
            target = parts[1] if len(parts) > 1 else ""
            if target not in FLOOR:
                found.append(f"{path.relative_to(root)} -> {name} (name the room)")
            elif target != room and FLOOR[target] >= FLOOR[room]:
                found.append(f"{path.relative_to(root)} -> {target}")
    return found


def heavy_out_of_room(root: Path) -> list[str]:
    found = []
    for path in sorted(root.rglob("*.py")):
        for name in imported(ast.parse(path.read_text())):
            library = name.removeprefix("leaq.lazy.").split(".")[0]
            if library in HEAVY and room_of(path, root) not in HEAVY[library]:
                found.append(f"{path.relative_to(root)} imports {library}")
    return found


def test_imports_point_downward():
    assert wrong_way(SOURCE) == []


def test_heavy_libraries_stay_in_their_rooms():
    assert heavy_out_of_room(SOURCE) == []


def test_planted_wrong_imports_are_caught(tmp_path):
    root = tmp_path / "leaq"
    (root / "stats").mkdir(parents=True)
    (root / "measures").mkdir()
    (root / "attic").mkdir()
    (root / "stats" / "roc.py").write_text("def f():\n    from leaq.measures import rate\n")
    (root / "measures" / "rate.py").write_text("import torch\nfrom leaq.quantizers import schemes\n")
    (root / "measures" / "late.py").write_text("from leaq.lazy import torch\n")
    (root / "attic" / "x.py").write_text("")
    assert wrong_way(root) == ["attic has no floor", "measures/rate.py -> quantizers", "stats/roc.py -> measures"]
    assert heavy_out_of_room(root) == ["measures/late.py imports torch", "measures/rate.py imports torch"]


def late_names(root: Path) -> dict[str, set[str]]:
    """By file: the other rooms it names in strings like "leaq.room.module:function", to be found when called."""
    found: dict[str, set[str]] = {}
    for path in sorted(root.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                match = re.fullmatch(rf"{root.name}\.(\w+)[\w.]*:\w+", node.value)
                if match and match[1] != room_of(path, root):
                    found.setdefault(str(path.relative_to(root)), set()).add(match[1])
    return found


def test_only_results_names_a_higher_room_and_only_to_show_itself():
    assert late_names(SOURCE) == {"results/cells.py": {"reporting"}}


def test_a_planted_late_name_is_caught(tmp_path):
    root = tmp_path / "leaq"
    root.mkdir()
    (root / "stats.py").write_text('f = resolve_name("leaq.measures.rate:rate")\n')
    assert late_names(root) == {"stats.py": {"measures"}}


@pytest.mark.parametrize("path", sorted(SOURCE.rglob("*.py")), ids=lambda path: str(path.relative_to(SOURCE)))
def test_files_stay_small(path):
    limit = PIPELINE_LINES if path == SOURCE / "pipeline" / "flow.py" else MAX_LINES
    lines = len(path.read_text().splitlines())
    assert lines <= limit, f"{path.name} has {lines} lines; split it by meaning (limit {limit})"


@pytest.mark.parametrize(
    "room", ["leaq", "leaq.types", "leaq.results", "leaq.config", "leaq.stats", "leaq.measures", "leaq.attacks"]
)
def test_import_loads_neither_torch_nor_pandas(room):
    if not (SOURCE.parent / Path(*room.split("."))).exists() and not (SOURCE / f"{room.split('.')[-1]}.py").exists():
        pytest.skip(f"{room} is not built yet")
    code = f"import sys, {room}; print([m for m in ('torch', 'pandas', 'rdkit', 'altair') if m in sys.modules])"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "[]"
