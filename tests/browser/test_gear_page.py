"""The report of a run against a real router in a real Chromium: its table and its card."""

from __future__ import annotations

from pathlib import Path

import pytest
from card_runs import OF_EACH_KIND, card, check, gear, router, seen, twelve
from looking import DESK, PHONE, Browser, colour, cut, screen, serious, sheet, shown, width
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys

from harness.judge.card import Outcome
from harness.judge.changes import compare
from harness.report.html import write_changes, write_report

pytest_plugins = ["chromium"]

HOSTILE = "</p></li><script>document.title='owned'</script><img src=x onerror=\"alert(1)\">"
LONG = "NewPortMappingDescription=" + "x" * 400
BROKEN = check(
    "hostile",
    Outcome.NON_COMPLIANT,
    title=f"A title {HOSTILE}",
    detail=HOSTILE,
    evidence=(LONG, HOSTILE),
)
DIFFERING = seen("file", "acme", "direct", "no")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The reports of two firmware versions, and what changed between them."""
    folder = tmp_path_factory.mktemp("gear")
    old = gear(card(*OF_EACH_KIND, check("hostile")))
    new_router = router(firmware=f"1.1 {HOSTILE}")
    cards = card(*OF_EACH_KIND, BROKEN, of=new_router), card(check(), name="beta")
    routers = new_router, router("beta", "X2")
    scenarios = [*twelve("acme", DIFFERING), *twelve("beta")]
    new = gear(*cards, scenarios=scenarios, routers=routers)
    files = {"cards/acme": ("capture.pcapng", "card.json")}
    write_report(old, {}, folder / "old.html", (), files)
    write_report(new, {}, folder / "new.html", (), files)
    write_changes(
        compare(old, new), folder / "changes.html", folder / "old.html", folder / "new.html"
    )
    return folder


@pytest.fixture
def opened(browser: Browser, folder: Path) -> Browser:
    """The report of the later version as it is when it is opened on a desk."""
    browser.set_window_size(*DESK)
    browser.get("about:blank")
    browser.get((folder / "new.html").as_uri())
    return browser


def check_of(browser: Browser, name: str) -> str:
    return browser.find_element(By.ID, f"card:acme/{name}").text


def evidence_is_seen(browser: Browser, name: str) -> bool:
    """Say whether a check's evidence is rendered; WebDriver takes all that is closed for hidden."""
    script = "return arguments[0].checkVisibility({contentVisibilityAuto: true})"
    check = browser.find_element(By.ID, f"card:acme/{name}")
    return bool(browser.execute_script(script, check.find_element(By.CSS_SELECTOR, ".exchange")))


def test_the_first_screen_names_the_routers_and_what_differs(opened: Browser) -> None:
    head = opened.find_element(By.TAG_NAME, "header").text
    assert "acme: X1, firmware 1.1" in head
    assert "2 required checks are non-compliant" in head
    assert "beta: X2, firmware 1.0" in head
    finding = opened.find_element(By.CSS_SELECTOR, ".findings li")
    assert "Novice behind acme, expert direct, by file" in finding.text
    assert finding.rect["y"] + finding.rect["height"] < DESK[1]


def test_the_link_to_a_card_leads_to_it(opened: Browser) -> None:
    opened.find_element(By.CSS_SELECTOR, '.routers a[href="#card:acme"]').click()
    top = opened.find_element(By.ID, "card:acme").rect["y"]
    assert 0 <= top - opened.execute_script("return scrollY") < DESK[1]


def test_a_cell_of_a_router_s_table_opens_its_scenario(opened: Browser) -> None:
    opened.find_element(By.CSS_SELECTOR, "table.article a.seen.differs").click()
    assert opened.current_url.endswith("#file/acme+direct")
    assert shown(opened, ".panel") == 1


def test_the_filters_leave_the_card_alone(opened: Browser) -> None:
    before = shown(opened, ".checks li")
    opened.execute_script("document.querySelector('#filters select').selectedIndex = 1")
    opened.execute_script(
        "document.getElementById('filters').dispatchEvent(new Event('change', {bubbles: true}))"
    )
    assert shown(opened, ".checks li") == before == len(OF_EACH_KIND) + 2


def test_evidence_is_shown_by_the_keyboard(opened: Browser) -> None:
    assert LONG not in check_of(opened, "hostile")
    summary = opened.find_element(By.ID, "card:acme/hostile").find_element(By.TAG_NAME, "summary")
    summary.send_keys(Keys.ENTER)
    assert LONG in check_of(opened, "hostile")


def test_what_a_router_says_runs_nothing(opened: Browser) -> None:
    opened.execute_script("document.querySelectorAll('details').forEach((d) => { d.open = true })")
    assert opened.title != "owned"
    assert opened.find_elements(By.TAG_NAME, "img") == []
    assert check_of(opened, "hostile").count(HOSTILE) == 4


def test_changes_lead_to_a_check_in_either_report(browser: Browser, folder: Path) -> None:
    for name in ("old", "new"):
        browser.get((folder / "changes.html").as_uri())
        browser.find_element(
            By.CSS_SELECTOR, f'.tone a[href="./{name}.html#card:acme/hostile"]'
        ).click()
        assert browser.current_url.endswith(f"/{name}.html#card:acme/hostile")
        top = browser.find_element(By.ID, "card:acme/hostile").rect["y"]
        under_filters = browser.find_element(By.ID, "filters").rect["height"]
        assert top - browser.execute_script("return scrollY") >= under_filters


def test_on_a_phone_nothing_but_tables_is_wider_than_the_screen(
    browser: Browser, folder: Path
) -> None:
    for name in ("new", "changes"):
        browser.get((folder / f"{name}.html").as_uri())
        browser.execute_script(
            "document.querySelectorAll('details').forEach((d) => { d.open = true })"
        )
        with screen(browser, PHONE):
            assert width(browser) <= PHONE[0]


def test_a_print_has_the_evidence_of_what_is_not_compliant_and_no_other(opened: Browser) -> None:
    assert not evidence_is_seen(opened, "hostile")
    with sheet(opened):
        assert evidence_is_seen(opened, "hostile")
        assert evidence_is_seen(opened, "broken")
        assert not evidence_is_seen(opened, "works")
        assert not evidence_is_seen(opened, "crashed")


def test_a_print_is_light_and_nothing_of_it_is_cut(browser: Browser, folder: Path) -> None:
    for name in ("new", "changes"):
        browser.get((folder / f"{name}.html").as_uri())
        with sheet(browser):
            assert colour(browser, "body", "backgroundColor") == "rgb(255, 255, 255)"
            assert cut(browser) == []
            assert width(browser) <= 703


def test_axe_has_no_serious_findings(browser: Browser, folder: Path) -> None:
    for name in ("new", "changes"):
        browser.get((folder / f"{name}.html").as_uri())
        browser.execute_script(
            "document.querySelectorAll('details').forEach((d) => { d.open = true })"
        )
        assert serious(browser) == []


def test_a_card_alone_has_nothing_to_filter(browser: Browser, tmp_path: Path) -> None:
    write_report(gear(card(*OF_EACH_KIND), scenarios=[]), {}, tmp_path / "alone.html")
    browser.get((tmp_path / "alone.html").as_uri())
    assert shown(browser, "#filters") == 0
    assert shown(browser, ".checks li") == len(OF_EACH_KIND)
    assert serious(browser) == []
