"""The page of changes in a real Chromium."""

from __future__ import annotations

from pathlib import Path

import pytest
from factories import article, attempt, observed, results, scenario
from looking import PHONE, Browser, colour, cut, screen, serious, sheet, shown, width
from selenium.webdriver.common.by import By

from harness.judge.changes import compare
from harness.report.html import write_changes, write_report
from harness.words import End

pytest_plugins = ["chromium"]

HOW = "dropped by novice.nat (unsolicited packet on wan)"
WORSE = scenario("file", "nat", "direct", observed("yes"))
REFUSED = scenario("email", "nat", "direct", observed("no", attempt(end=End.REFUSED, how=HOW)))
SLOWER = scenario("file", "direct", "nat", observed("yes"), seconds=9.0)


@pytest.fixture(scope="module")
def changes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The changes between two runs of the article's tables, beside the report of the second."""
    folder = tmp_path_factory.mktemp("changes")
    old, new = results(*article()), results(*article(WORSE, REFUSED, SLOWER), WORSE, WORSE)
    new = new.model_copy(update={"run": new.run.model_copy(update={"versions": {}})})
    write_report(new, {}, folder / "report.html")
    path = folder / "changes.html"
    write_changes(compare(old, new), path, None, folder / "report.html")
    return path


def test_the_page_has_everything_that_changed(browser: Browser, changes: Path) -> None:
    browser.get(changes.as_uri())
    text = browser.find_element(By.TAG_NAME, "body").text
    assert "Worse: 36 scenarios compared: 1 worse, 2 attempts ended otherwise" in text
    for heading in ("came to something else", "ended otherwise", "moved", "in the new run"):
        assert heading in text
    assert shown(browser, ".findings.changes li.differs") == 1


def test_a_verdict_leads_to_the_scenario_in_its_report(browser: Browser, changes: Path) -> None:
    browser.get(changes.as_uri())
    browser.find_element(By.CSS_SELECTOR, ".findings.changes li.differs .tone a").click()
    assert browser.current_url.endswith("/report.html#file/nat+direct")
    assert shown(browser, ".panel") == 1


def test_on_a_phone_nothing_but_tables_is_wider_than_the_screen(
    browser: Browser, changes: Path
) -> None:
    browser.get(changes.as_uri())
    with screen(browser, PHONE):
        assert width(browser) <= PHONE[0]


def test_a_print_is_light_and_nothing_of_it_is_cut(browser: Browser, changes: Path) -> None:
    browser.get(changes.as_uri())
    with sheet(browser):
        assert colour(browser, "body", "backgroundColor") == "rgb(255, 255, 255)"
        assert cut(browser) == []


def test_axe_has_no_serious_findings(browser: Browser, changes: Path) -> None:
    browser.get(changes.as_uri())
    assert serious(browser) == []
