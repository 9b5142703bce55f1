"""A headless Chromium that logs everything: console messages, and every request it makes."""

import json
import os
import shutil

import pytest

from tests.helpers import require

FLAGS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update",
    "--no-first-run", "--disable-dev-shm-usage", "--hide-scrollbars",
)  # fmt: skip


@pytest.fixture(scope="session")
def chromium(tmp_path_factory):
    """The browser, or a skip with the reason; CI installs the Debian packages, where a skip would be a failure."""
    require("selenium")
    for module in ("jinja2", "vl_convert"):
        require(module)
    browser, driver = shutil.which("chromium"), shutil.which("chromedriver")
    if not browser or not driver:
        reason = "needs a browser: apt-get install chromium chromium-driver"
        if os.environ.get("LEAQ_REQUIRE_ALL"):
            pytest.fail(reason)
        pytest.skip(reason)
    from selenium import webdriver
    from selenium.webdriver.chrome.options import Options
    from selenium.webdriver.chrome.service import Service

    options = Options()
    options.binary_location = browser
    for flag in (*FLAGS, f"--user-data-dir={tmp_path_factory.mktemp('profile')}"):
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    found = webdriver.Chrome(options=options, service=Service(driver))
    yield found
    found.quit()


@pytest.fixture
def console(chromium):
    """What the console said since it was last asked, warnings and errors only."""

    def read():
        return [entry["message"] for entry in chromium.get_log("browser") if entry["level"] in ("WARNING", "SEVERE")]

    return read


@pytest.fixture
def requests(chromium):
    """The addresses asked for since it was last asked, apart from pages, what is in them, and the browser's own."""

    def read():
        sent = [json.loads(entry["message"])["message"] for entry in chromium.get_log("performance")]
        urls = [item["params"]["request"]["url"] for item in sent if item["method"] == "Network.requestWillBeSent"]
        own = [url for url in urls if url.startswith(("data:", "about:", "chrome")) or url.endswith(".html")]
        return [url for url in urls if url not in own]

    return read
