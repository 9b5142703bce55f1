"""The documentation site builds with warnings as errors, loses no page, and asks for nothing outside itself."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.helpers import require

ROOT = Path(__file__).parents[2]


def build(target, config=ROOT / "mkdocs.yml"):
    environment = {**os.environ, "NO_MKDOCS_2_WARNING": "1", "PYTHONPATH": str(ROOT / "src")}
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "-f", str(config), "-d", str(target)]
    return subprocess.run(command, capture_output=True, text=True, cwd=ROOT, env=environment, check=False)


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    for module in ("mkdocs", "material", "mkdocstrings"):
        require(module)
    target = tmp_path_factory.mktemp("site")
    done = build(target)
    assert done.returncode == 0, done.stdout + done.stderr
    return target


def test_every_page_is_built_and_can_be_found(site):
    home = (site / "index.html").read_text()
    for page in sorted((ROOT / "docs").rglob("*.md")):
        name = page.relative_to(ROOT / "docs").with_suffix("").as_posix()
        folder = name.removesuffix("index").rstrip("/")
        assert (site / folder / "index.html").exists(), name
        assert folder == "" or f'href="{folder}/"' in home, f"{name} is missing from the navigation"


def test_no_page_asks_for_anything_outside_the_site(site):
    pages = [page.read_text() for page in site.rglob("*.html")]
    assert pages
    for page in pages:
        loads = re.findall(r"<(?:script|img|iframe|source)[^>]+src=\"([^\"]+)\"", page)
        loads += re.findall(r"<link[^>]+rel=\"(?:stylesheet|preload|icon)\"[^>]+href=\"([^\"]+)\"", page)
        assert [load for load in loads if load.startswith(("http:", "https:", "//"))] == []


def test_catalogues_come_from_the_registries(site):
    from leaq.embedders.registry import EMBEDDERS
    from leaq.quantizers.registry import QUANTIZERS

    page = (site / "catalogue" / "index.html").read_text()
    examples = [QUANTIZERS.get(name).examples[0] for name in QUANTIZERS]
    for name in (*examples, *EMBEDDERS, "breast_cancer", "freesolv"):
        assert f"<code>{name}</code>" in page


def test_the_reference_names_what_people_import(site):
    page = (site / "api" / "index.html").read_text()
    for name in ("leaq.types.LossTable", "leaq.results.CellResult", "leaq.pipeline.audit", "leaq.attacks.lira.Lira",
                 "leaq.reporting.html.write_report"):  # fmt: skip
        assert f'id="{name}"' in page


def test_the_reference_holds_every_public_name(site):
    import leaq

    page = (site / "api" / "index.html").read_text()
    for name in leaq.__all__:
        public = getattr(leaq, name)
        assert f'id="{public.__module__}.{public.__qualname__}"' in page, name
        assert f"<code>{name}</code>" in page, name


def test_a_broken_link_is_an_error(tmp_path):
    require("mkdocs")
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs" / "index.md").write_text("# Home\n\n[nowhere](nowhere.md)\n")
    (tmp_path / "mkdocs.yml").write_text("site_name: x\ntheme: { name: material, font: false }\n")
    done = build(tmp_path / "site", tmp_path / "mkdocs.yml")
    assert done.returncode != 0
    assert "nowhere.md" in done.stdout + done.stderr
