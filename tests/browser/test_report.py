"""The report in a real browser: it draws, sorts, chooses, stays silent, and talks to nobody."""

import pytest

from leaq.reporting.html import write_report
from tests.results import cell, nasty


@pytest.fixture(scope="module")
def report(chromium, tmp_path_factory):
    return write_report(cell(), tmp_path_factory.mktemp("report") / "toy.html")


@pytest.fixture
def page(chromium, report, console, requests):
    chromium.set_window_size(1280, 900)
    console(), requests()
    chromium.get(report.as_uri())
    return chromium


def js(page, script, *arguments):
    return page.execute_script(script, *arguments)


def slide(page, value, cautious=True):
    js(
        page,
        "const b = document.getElementById('a0-budget'); b.value = arguments[0];"
        "document.getElementById('a0-cautious').checked = arguments[1];"
        "b.dispatchEvent(new Event('input', {bubbles: true}));",
        value,
        cautious,
    )
    return js(page, "return document.querySelector('#a0-choice').innerText")


def column(page, at):
    script = (
        "return [...document.querySelectorAll('#a0-ranking tbody tr')].map(row => row.cells[arguments[0]].innerText)"
    )
    return js(page, script, at)


def test_no_console_message_and_no_request(page, console, requests):
    js(
        page,
        "document.querySelectorAll('details').forEach(d => d.open = true); scrollTo(0, document.body.scrollHeight)",
    )
    slide(page, 0.05)
    assert console() == []
    assert requests() == []


def test_a_planted_request_and_error_would_be_seen(chromium, tmp_path, console, requests):
    bad = tmp_path / "bad.html"
    bad.write_text("<img src='http://127.0.0.1:9/x.png'><img src='y.png'><script>undefinedFunction()</script>")
    console(), requests()
    chromium.get(bad.as_uri())
    assert any("undefinedFunction" in line for line in console())
    assert sorted(requests()) == [(tmp_path / "y.png").as_uri(), "http://127.0.0.1:9/x.png"]


def test_charts_are_drawn(page):
    seen = js(
        page,
        "return [...document.querySelectorAll('svg')].filter(s => s.getBoundingClientRect().width > 0)"
        ".map(s => { const b = s.getBoundingClientRect();"
        " return [b.width, b.height, s.querySelectorAll('path').length] })",
    )
    assert len(seen) >= 2 + 5 + 5
    assert all(width > 100 and height > 80 and paths > 2 for width, height, paths in seen)


def test_every_point_of_the_picture_can_be_pointed_at(page):
    marks = js(page, "return document.querySelectorAll('#a0-tradeoff .wide .mark').length")
    assert marks == 5
    words = js(
        page,
        "const m = document.querySelector('#a0-tradeoff .wide .mark[data-key=sign]');"
        "m.dispatchEvent(new PointerEvent('pointerenter')); const t = document.getElementById('tooltip');"
        "return [t.hidden, t.textContent]",
    )
    assert words[0] is False
    assert words[1].startswith("sign: advantage of LiRA 0.050 [0.030, 0.070]")


def test_points_are_reached_by_keyboard(page):
    from selenium.webdriver.common.keys import Keys

    js(page, "document.querySelector('#a0-tradeoff .wide .mark').focus()")
    first = js(page, "return document.activeElement.dataset.key")
    page.switch_to.active_element.send_keys(Keys.ARROW_RIGHT)
    second = js(page, "return document.activeElement.dataset.key")
    assert first != second
    assert js(page, "return document.getElementById('tooltip').hidden") is False
    page.switch_to.active_element.send_keys(Keys.ESCAPE)
    assert js(page, "return document.getElementById('tooltip').hidden") is True


def test_sorting_goes_by_number_and_turns_around(page):
    bits = "document.querySelectorAll('#a0-ranking thead button')[arguments[0]].click()"
    before = [name.split("\n")[0] for name in column(page, 0)]
    js(page, bits, 4)
    assert column(page, 4)[-1] == "50 kB"
    head = "return document.querySelectorAll('#a0-ranking thead th')[4].getAttribute('aria-sort')"
    assert js(page, head) == "ascending"
    js(page, bits, 4)
    assert column(page, 4)[0] == "50 kB"
    assert js(page, head) == "descending"
    js(page, bits, 1)
    assert [name.split("\n")[0] for name in column(page, 0)] == before


def test_negative_and_tiny_numbers_sort_by_value(page):
    js(page, "document.querySelectorAll('#a0-ranking thead button')[2].click()")
    drops = [text.split("\n")[0].split("[")[0].strip() for text in column(page, 2)]
    assert drops == ["−0.4000", "−0.0300", "−0.0100", "−0.0010", ""]


def test_the_budget_chooses_the_quantizer(page):
    assert "Take full precision" in slide(page, 0)
    assert "Take 8-bit" in slide(page, 0.01)
    assert "Take 3-bit" in slide(page, 0.01, cautious=False)
    assert "Take sign" in slide(page, 0.04)
    printed = js(page, "return document.querySelector('#a0-choice .print').textContent")
    assert printed == " within a loss of 0.033 ROC-AUC", "the slider is not printed"
    marked = "return [...document.querySelectorAll('tr.chosen')].map(row => row.dataset.key)"
    assert js(page, marked) == ["sign"]
    assert js(page, "return document.getElementById('a0-amount').textContent") == "0.033", (
        "the slider ends at the largest useful loss"
    )


def test_the_choice_agrees_with_the_one_made_in_python(page):
    from leaq.decisions.choosing import choosers

    for cautious in (True, False):
        for budget in (0.0, 0.005, 0.012, 0.02, 0.033):
            wanted = choosers([cell()])[0].at(budget, cautious=cautious).label
            assert f"Take {wanted}" in slide(page, budget, cautious=cautious)


def test_dark_is_dark_and_the_button_turns_it(page):
    look = "return getComputedStyle(document.body).backgroundColor"
    light = js(page, look)
    page.execute_cdp_cmd(
        "Emulation.setEmulatedMedia", {"features": [{"name": "prefers-color-scheme", "value": "dark"}]}
    )
    dark = js(page, look)
    js(page, "document.getElementById('theme').click()")
    turned = js(page, look)
    page.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": []})
    assert (light, dark, turned) == ("rgb(254, 254, 254)", "rgb(20, 25, 31)", "rgb(254, 254, 254)")


def test_a_narrow_screen_does_not_scroll_sideways(page):
    page.execute_cdp_cmd(
        "Emulation.setDeviceMetricsOverride", {"width": 390, "height": 844, "deviceScaleFactor": 1, "mobile": True}
    )
    width = js(page, "return document.documentElement.scrollWidth")
    narrow = js(page, "return getComputedStyle(document.querySelector('.narrow')).display")
    page.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})
    assert width <= 390
    assert narrow == "block"


def test_without_scripts_the_page_still_answers(chromium, report):
    chromium.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": True})
    chromium.get(report.as_uri())
    chromium.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": False})
    text = js(chromium, "return document.body.innerText")
    assert "Take 8-bit" in text
    assert "Loss of ROC-AUC you can accept" not in text


def test_names_that_are_markup_do_no_harm(chromium, tmp_path, console, requests):
    from selenium.common.exceptions import NoAlertPresentException

    path = write_report(nasty(), tmp_path / "nasty.html", "internal")
    console(), requests()
    chromium.get(path.as_uri())
    with pytest.raises(NoAlertPresentException):
        chromium.switch_to.alert.accept()
    assert js(chromium, "return document.scripts.length") == 2
    assert "<script>alert(1)</script>" in js(chromium, "return document.querySelector('h1').textContent")
    assert console() == []
    assert requests() == []


def test_a_link_into_a_folded_section_opens_it(page):
    closed = "return document.querySelector('#indicators details.fold').open"
    assert js(page, closed) is False
    js(page, "document.querySelector('.bar a[href=\"#indicators\"]').click()")
    assert js(
        page,
        "const fold = document.querySelector('#indicators details.fold');"
        "return new Promise(done => setTimeout(() => done(fold.open), 50))",
    )


def test_a_quantizer_says_what_it_is(page):
    told = js(page, "const a = document.querySelector('#a0-ranking tr[data-key=sign] a.what');"
                    "return [a.title, document.querySelector(a.getAttribute('href')).textContent]")  # fmt: skip
    assert all("Source:" in text for text in told)


def test_the_command_can_be_copied(page):
    js(page, "document.querySelector('button.copy').click()")
    assert js(page, "return getSelection().toString()").startswith("leaq audit toy.csv")


@pytest.fixture(scope="module")
def study(chromium, tmp_path_factory):
    cells = [cell(name="one"), cell(name="two"), nasty()]
    return write_report(cells, tmp_path_factory.mktemp("study") / "study.html")


def test_a_study_draws_and_sorts_in_silence(chromium, study, console, requests):
    console(), requests()
    chromium.get(study.as_uri())
    js(chromium, "document.querySelectorAll('#overview-table thead button')[4].click()")
    leaks = js(
        chromium, "return [...document.querySelectorAll('#overview-table tbody tr')].map(r => r.cells[4].innerText)"
    )
    assert leaks == sorted(leaks)
    assert js(chromium, "return document.querySelectorAll('.heat .mark').length") == 5 + 5 + 2
    assert js(chromium, "return document.querySelectorAll('.multiples svg').length") == 3
    assert console() == []
    assert requests() == []
