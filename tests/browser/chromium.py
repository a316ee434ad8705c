"""A headless Chromium, with no thought but for the page that it is given."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator

import pytest
from not_run import not_run
from selenium import webdriver

# A browser has errands of its own on the network; the pages have none.
QUIET = (
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-dev-shm-usage",
    "--disable-gpu",
    "--disable-quic",
    "--disable-sync",
    "--no-first-run",
)


@pytest.fixture(scope="session", params=["light", "dark"])
def browser(request: pytest.FixtureRequest) -> Iterator[webdriver.Chrome]:
    """A headless Chromium that prefers light or dark."""
    chromium, driver = shutil.which("chromium"), shutil.which("chromedriver")
    if chromium is None or driver is None:
        not_run("no page was looked at: apt-get install chromium chromium-driver")
    options = webdriver.ChromeOptions()
    options.binary_location = chromium
    options.add_argument("--headless")
    if os.geteuid() == 0:
        # Chromium's sandbox refuses root; the pages are our own and have no network.
        options.add_argument("--no-sandbox")
    for argument in QUIET:
        options.add_argument(argument)
    opened = webdriver.Chrome(options, webdriver.ChromeService(driver))
    feature = {"name": "prefers-color-scheme", "value": request.param}
    opened.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [feature]})
    yield opened
    opened.quit()
