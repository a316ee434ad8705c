"""The report in a real Chromium: what a reader sees, clicks and types."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from importlib import resources
from pathlib import Path

import pytest
from factories import article, attempt, observed, results, scenario
from selenium import webdriver
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support.select import Select
from wires import DROPPED, TIMED_OUT, traced

from harness.report.html import Evidence, write_report
from harness.topology.load import Library

PROJECT = Path(__file__).resolve().parents[2]
AXE = resources.files("axe_core_python") / "axe.min.js"
HOSTILE = (
    "</text></svg><script>document.title='owned'</script>"
    "<img src=x onerror=\"document.title='owned'\">"
)
DIFFERING = scenario(
    "file",
    "nat",
    "direct",
    observed("yes", attempt(ended_at="novice.nat", how=HOSTILE)),
)
PHONE, DESK = (390, 844), (1280, 900)

Browser = webdriver.Chrome


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The report of a run of the article's tables, one scenario of which differs."""
    path = tmp_path_factory.mktemp("run") / "report.html"
    topology = Library(PROJECT / "topologies").from_chains(("nat",), ())
    evidence = Evidence(
        topology=topology,
        journeys=((TIMED_OUT, traced(DROPPED)),),
        invitation=HOSTILE,
        devices_said=(("novice.nat", HOSTILE),),
    )
    write_report(results(*article(DIFFERING)), {DIFFERING.id: evidence}, path)
    return path


@pytest.fixture(scope="module", params=["light", "dark"])
def browser(request: pytest.FixtureRequest) -> Iterator[Browser]:
    """A headless Chromium that prefers light or dark."""
    chromium, driver = shutil.which("chromium"), shutil.which("chromedriver")
    if chromium is None or driver is None:
        missing = "the report was not looked at: apt-get install chromium chromium-driver"
        # In CI that is a failure.
        (pytest.fail if os.environ.get("CI") else pytest.skip)(missing)
    options = webdriver.ChromeOptions()
    options.binary_location = chromium
    options.add_argument("--headless")
    if os.geteuid() == 0:
        # Chromium's sandbox refuses root; the page is our own and has no network.
        options.add_argument("--no-sandbox")
    options.add_argument("--disable-dev-shm-usage")
    opened = webdriver.Chrome(options, webdriver.ChromeService(driver))
    feature = {"name": "prefers-color-scheme", "value": request.param}
    opened.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [feature]})
    yield opened
    opened.quit()


@pytest.fixture
def opened(browser: Browser, report: Path) -> Browser:
    """The report as it is when it is opened on a desk."""
    browser.set_window_size(*DESK)
    browser.get("about:blank")
    browser.get(report.as_uri())
    return browser


def open_differing(browser: Browser) -> None:
    browser.find_element(By.CSS_SELECTOR, "table.article a.seen.differs").click()


def shown(browser: Browser, selector: str) -> int:
    found = browser.find_elements(By.CSS_SELECTOR, selector)
    return sum(each.is_displayed() for each in found)


def test_a_click_on_a_cell_opens_its_ladder_and_topology(opened: Browser) -> None:
    assert shown(opened, ".panel") == 0
    open_differing(opened)
    assert shown(opened, ".panel") == 1
    assert shown(opened, ".panel .ra-ladder") == 1
    assert shown(opened, ".panel .ra-topology") == 1
    assert opened.current_url.endswith("#file/nat+direct")


def test_escape_closes_the_details_and_gives_the_focus_back(opened: Browser) -> None:
    open_differing(opened)
    opened.switch_to.active_element.send_keys(Keys.ESCAPE)
    assert shown(opened, ".panel") == 0
    assert "differs" in (opened.switch_to.active_element.get_attribute("class") or "")


def test_an_address_with_a_scenario_s_id_opens_it(browser: Browser, report: Path) -> None:
    browser.get("about:blank")
    browser.get(f"{report.as_uri()}#messenger/nat+nat")
    assert shown(browser, ".panel") == 1


def test_a_hostile_name_runs_nothing(opened: Browser) -> None:
    open_differing(opened)
    assert opened.title != "owned"
    assert opened.find_elements(By.TAG_NAME, "img") == []
    assert HOSTILE in opened.find_element(By.CSS_SELECTOR, ".panel:target pre").text


@pytest.mark.parametrize(
    ("name", "choice", "rows"), [("standing", "differs", 1), ("method", "Windows Messenger", 12)]
)
def test_a_filter_leaves_what_fits(opened: Browser, name: str, choice: str, rows: int) -> None:
    select = Select(opened.find_element(By.NAME, name))
    option = next(each for each in select.options if each.text.endswith(choice))
    select.select_by_visible_text(option.text)
    assert shown(opened, ".list tbody tr") == rows
    assert opened.find_element(By.ID, "count").text == f"{rows} of 36 scenarios"


def test_on_a_phone_nothing_but_tables_is_wider_than_the_screen(opened: Browser) -> None:
    metrics = {"width": PHONE[0], "height": PHONE[1], "deviceScaleFactor": 1, "mobile": False}
    opened.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
    try:
        assert opened.execute_script("return document.documentElement.scrollWidth") <= PHONE[0]
    finally:
        opened.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})


@pytest.mark.parametrize("details", [False, True])
def test_axe_has_no_serious_findings(opened: Browser, *, details: bool) -> None:
    if details:
        open_differing(opened)
    opened.execute_script(AXE.read_text(encoding="utf-8"))
    found = opened.execute_async_script("axe.run().then(arguments[0])")
    serious = [
        (each["id"], each["nodes"][0]["html"][:200])
        for each in found["violations"]
        if each["impact"] in ("serious", "critical")
    ]
    assert serious == []
