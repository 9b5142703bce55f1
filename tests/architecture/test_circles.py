"""No module imports what imports it, at the top or in a function: whoever reads on never comes back.

Imports for annotations alone (``if TYPE_CHECKING``) do not run and are left out.
"""

import ast
from collections.abc import Iterator
from pathlib import Path

SOURCE = Path(__file__).parents[2] / "src" / "leaq"


def modules(root: Path) -> dict[str, Path]:
    found = {}
    for path in sorted(root.rglob("*.py")):
        parts = (root.name, *path.relative_to(root).with_suffix("").parts)
        found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


def running(node: ast.AST) -> Iterator[ast.AST]:
    """Every node but those that only a type checker sees."""
    if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
        return
    yield node
    for child in ast.iter_child_nodes(node):
        yield from running(child)


def imports(path: Path, known: dict[str, Path]) -> set[str]:
    """The modules that a file imports: of ``from a.b import c`` that is a.b.c where it is one, else a.b."""
    found = set()
    for node in running(ast.parse(path.read_text())):
        names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
        if isinstance(node, ast.ImportFrom) and node.level == 0:
            names = [f"{node.module}.{alias.name}" for alias in node.names]
        for name in names:
            within = (name.rsplit(".", cut)[0] for cut in range(name.count(".") + 1))
            found.add(next((one for one in within if one in known), ""))
    return found - {""}


def circles(root: Path) -> list[list[str]]:
    """Modules that cannot be put in an order in which each imports earlier ones alone."""
    known = modules(root)
    open_ = {name: imports(path, known) - {name} for name, path in known.items()}
    while free := [name for name, wanted in open_.items() if not wanted & set(open_)]:
        for name in free:
            del open_[name]
    while idle := [name for name in open_ if not any(name in wanted for wanted in open_.values())]:
        for name in idle:
            del open_[name]
    return [sorted(open_)] if open_ else []


def test_no_module_imports_what_imports_it():
    assert circles(SOURCE) == []


def test_planted_circles_are_caught(tmp_path):
    root = tmp_path / "leaq"
    root.mkdir()
    (root / "__init__.py").write_text("")
    (root / "a.py").write_text("import leaq.c\n")
    (root / "b.py").write_text("def f():\n    from leaq.a import g\n")
    (root / "c.py").write_text("from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from leaq.b import f\n")
    (root / "d.py").write_text("from leaq import b\n")
    assert circles(root) == []
    (root / "c.py").write_text("def h():\n    from leaq import b\n")
    assert circles(root) == [["leaq.a", "leaq.b", "leaq.c"]]
