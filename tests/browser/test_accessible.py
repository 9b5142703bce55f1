"""Who sees or hears the page otherwise, or has no mouse: axe-core finds nothing, the keyboard reaches and works all.

axe-core is Deque's; a Python package carries it (docs/dependencies.md).
"""

from dataclasses import replace
from datetime import UTC, datetime
from importlib.util import find_spec
from pathlib import Path

import pytest
from selenium.webdriver.common.keys import Keys

from leaq.reporting.form import Auditor, fill_form
from leaq.reporting.form_files import write_form
from leaq.reporting.html import write_report
from tests.helpers import require
from tests.results import cell, row

LOOKS = ("light", "dark", "phone")
PAGES = ("classification", "regression", "internal", "finished", "study", "form")


@pytest.fixture(scope="module")
def pages(tmp_path_factory):
    """Every kind of page leaq writes."""
    place = tmp_path_factory.mktemp("pages")
    several = [cell(name="one"), cell(name="two"), regression()]
    shown = {"classification": cell(), "regression": regression(), "finished": finished(), "study": several}
    for name, results in shown.items():
        write_report(results, place / f"{name}.html")
    write_report(cell(), place / "internal.html", "internal")
    form = fill_form(cell(), "edpb", auditor=Auditor("A. Lovelace", 0.1), now=datetime(2026, 11, 1, tzinfo=UTC))
    write_form(form, place / "form.html")
    return place


def regression():
    """As the toy, with values to predict and a loss of which less is better."""
    changed = []
    for one in cell().rows:
        metrics, drops = ({"r2" if key == "roc_auc" else "rmse": value for key, value in found.items()}
                          for found in (one.metrics, one.drops))  # fmt: skip
        changed.append(replace(one, metrics=metrics, drops=drops))
    return replace(cell(*changed, name="values"), primary_metric="r2",
                   data={"name": "values", "task": "regression", "n": 30, "n_train": 15})  # fmt: skip


def finished():
    """A model that was trained elsewhere, with two quantizers."""
    rows = (row("none", "full precision", 0.30), row("sign", "sign", 0.1, -0.02))
    return cell(*rows, config={"kind": "model", "source": "model.safetensors", "quantizers": ["sign"], "seed": 0},
                data={"name": "model", "task": "classification", "n": 30, "members": 15, "nonmembers": 15})  # fmt: skip


@pytest.fixture(scope="module")
def axe():
    """The text of axe-core."""
    require("axe_playwright_python")
    found = find_spec("axe_playwright_python")  # found, not imported: it would import a browser's driver
    return (Path(found.origin).parent / "axe.min.js").read_text(encoding="utf-8")


@pytest.fixture
def look(chromium, request):
    """A light or dark desktop, or a phone."""
    dark = "dark" if request.param == "dark" else "light"
    chromium.execute_cdp_cmd(
        "Emulation.setEmulatedMedia", {"features": [{"name": "prefers-color-scheme", "value": dark}]}
    )
    chromium.set_window_size(1280, 900)
    if request.param == "phone":
        chromium.execute_cdp_cmd(
            "Emulation.setDeviceMetricsOverride", {"width": 390, "height": 844, "deviceScaleFactor": 1, "mobile": True}
        )
    yield request.param
    chromium.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})
    chromium.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": []})


def faults(page, axe):
    """What axe-core finds, whatever its weight, by rule and place."""
    page.execute_script(axe)
    script = "const done = arguments[0]; axe.run(document, {resultTypes: ['violations']}).then(done)"
    return [(one["impact"], one["id"], node["html"][:120]) for one in page.execute_async_script(script)["violations"]
            for node in one["nodes"]]  # fmt: skip


def unfold(page):
    page.execute_script("document.querySelectorAll('details').forEach(one => one.open = true)")


@pytest.mark.parametrize("look", LOOKS, indirect=True)
@pytest.mark.parametrize("name", PAGES)
@pytest.mark.usefixtures("look")
def test_axe_core_finds_no_fault(chromium, pages, axe, name):
    chromium.get((pages / f"{name}.html").as_uri())
    unfold(chromium)
    assert faults(chromium, axe) == []


def test_planted_faults_are_found(chromium, pages, axe):
    chromium.get((pages / "classification.html").as_uri())
    chromium.execute_script(
        "const p = document.createElement('p'); p.textContent = 'pale'; p.style.color = '#ddd';"
        "const b = document.createElement('button'); document.querySelector('main').append(p, b);"
        "document.querySelector('h1').insertAdjacentHTML('afterend', '<h4>deep</h4>')"
    )
    assert {rule for _, rule, _ in faults(chromium, axe)} >= {"color-contrast", "button-name", "heading-order"}


STOPS = """return [...document.querySelectorAll('a[href], button, summary, input, [tabindex="0"]')]
  .filter(one => one.checkVisibility({visibilityProperty: true}) && !one.disabled)
  .map(one => { one.dataset.stop = String(window.stops = (window.stops || 0) + 1); return one.dataset.stop; })"""
HERE = """const one = document.activeElement, look = getComputedStyle(one), box = one.getBoundingClientRect();
  const bar = document.querySelector('.bar').getBoundingClientRect();
  const seen = look.outlineStyle !== 'none' || one.classList.contains('mark');
  const hidden = box.bottom <= bar.bottom && !one.closest('.bar, .skip') && box.height > 0;
  return [one.dataset.stop || one.tagName, seen, hidden, one.outerHTML.slice(0, 90)]"""


@pytest.mark.parametrize("name", ["internal", "study", "form"])
def test_the_tab_key_reaches_everything_shows_where_it_is_and_hides_nothing(chromium, pages, name):
    chromium.get((pages / f"{name}.html").as_uri())
    unfold(chromium)
    wanted, reached = chromium.execute_script(STOPS), []
    chromium.execute_script("document.activeElement.blur(); scrollTo(0, 0)")
    for _ in range(len(wanted) + 1):
        chromium.switch_to.active_element.send_keys(Keys.TAB)
        stop, seen, hidden, what = chromium.execute_script(HERE)
        if stop in ("BODY", "HTML") or stop in reached:
            break
        assert seen, f"no mark where the focus is: {what}"
        assert not hidden, f"the focus is under the bar: {what}"
        reached.append(stop)
    assert sorted(reached) == sorted(wanted)


@pytest.fixture
def key(chromium, pages):
    """Press a key on an element of the internal page."""
    chromium.get((pages / "internal.html").as_uri())

    def press(selector, stroke):
        chromium.execute_script("document.querySelector(arguments[0]).focus()", selector)
        chromium.switch_to.active_element.send_keys(stroke)
        return chromium

    return press


def test_folds_links_and_buttons_are_worked_by_keys(key):
    page = key("#attacks details > summary", Keys.ENTER)
    assert page.execute_script("return document.querySelector('#attacks details').open") is True
    key("#attacks details > summary", Keys.SPACE)
    assert page.execute_script("return document.querySelector('#attacks details').open") is False
    key('.bar a[href="#reproduce"]', Keys.ENTER)
    assert page.current_url.endswith("#reproduce")
    key("#a0-ranking thead th:nth-child(2) button", Keys.ENTER)
    head = "return document.querySelector('#a0-ranking thead th:nth-child(2)').getAttribute('aria-sort')"
    assert page.execute_script(head) == "ascending"
    key("#theme", Keys.SPACE)
    assert page.execute_script("return document.documentElement.dataset.theme") in ("dark", "light")
    key("button.copy", Keys.ENTER)
    assert page.execute_script("return getSelection().toString()").startswith("leaq audit toy.csv")
    key(".skip", Keys.ENTER)
    assert page.current_url.endswith("#main")


def test_the_budget_is_moved_by_keys(key):
    before = key("#a0-budget", Keys.HOME).execute_script("return document.getElementById('a0-choice').innerText")
    page = key("#a0-budget", Keys.END)
    assert page.execute_script("return document.getElementById('a0-choice').innerText") != before
    key("#a0-cautious", Keys.SPACE)
    assert page.execute_script("return document.getElementById('a0-cautious').checked") is False
