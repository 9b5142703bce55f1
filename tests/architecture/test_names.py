"""One name, one meaning: no public function or class is defined under one name in two files."""

import ast
from collections import defaultdict
from pathlib import Path

SOURCE = Path(__file__).parents[2] / "src" / "leaq"

# The same contract in parallel: whoever knows one knows the other.
PARALLEL = {
    "audit": "leaq.audit builds, from whatever it is given, the configuration that leaq.pipeline.audit runs",
    "entries": "what is known by name: data sets, embedders, attacks, quantizers",
    "locate": "makes sure that what a name stands for is there, before anything is computed: data sets, embedders",
    "entry": "one of a catalogue",
    "Identity": "what leaves all as it is: the embedder of tables, the quantizer of full precision",
}


def defined_twice(root: Path) -> dict[str, list[str]]:
    """Public functions and classes at the top of several files, by name."""
    found = defaultdict(list)
    for path in sorted(root.rglob("*.py")):
        for node in ast.parse(path.read_text()).body:
            if isinstance(node, ast.FunctionDef | ast.ClassDef) and not node.name.startswith("_"):
                found[node.name].append(str(path.relative_to(root)))
    return {name: places for name, places in found.items() if len(places) > 1}


def test_a_name_means_one_thing():
    assert {name: places for name, places in defined_twice(SOURCE).items() if name not in PARALLEL} == {}


def test_what_is_built_in_parallel_still_is():
    counts = {name: len(places) for name, places in defined_twice(SOURCE).items()}
    assert counts == dict.fromkeys(PARALLEL, 2) | {"entries": 4}


def test_a_planted_double_is_caught(tmp_path):
    (tmp_path / "a.py").write_text("def read(): ...\ndef _read(): ...\nclass Table: ...\n")
    (tmp_path / "b.py").write_text("def read(): ...\ndef _read(): ...\n")
    assert defined_twice(tmp_path) == {"read": ["a.py", "b.py"]}
