"""The report in a real Chromium: what a reader sees, clicks and types."""

from __future__ import annotations

from pathlib import Path

import pytest
from factories import article, attempt, observed, results, scenario
from looking import (
    DESK,
    PHONE,
    Browser,
    colour,
    cut,
    lettering,
    reach,
    screen,
    serious,
    sheet,
    shown,
    width,
)
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support.select import Select
from selenium.webdriver.support.wait import WebDriverWait
from wires import DROPPED, TIMED_OUT, traced

from harness.report.html import Evidence, write_report
from harness.topology.load import Library

pytest_plugins = ["chromium"]

PROJECT = Path(__file__).resolve().parents[2]
HOSTILE = (
    "</text></svg><script>document.title='owned'</script>"
    "<img src=x onerror=\"document.title='owned'\">"
)
DIFFERING = scenario(
    "file",
    "upnp-nat",
    "direct",
    observed("no", attempt(ended_at="novice.nat", how=HOSTILE)),
)
DEVICES = [
    *("direct", "xp-ics", "me-ics", "nat", "upnp-nat", "nat-forwarded", "nat-symmetric", "cgnat"),
    *("icf", "firewall", "firewall-open", "firewall-strict"),
    *("http-proxy", "http-proxy-open", "socks-proxy", "cgnat,upnp-nat"),
]


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


@pytest.fixture(scope="module")
def matrix(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The report of a run of every pair of sixteen devices: whoever stands behind one fails."""
    path = tmp_path_factory.mktemp("matrix") / "report.html"
    pairs = (
        scenario("file", novice, expert, observed("yes" if novice == "direct" else "no"))
        for novice in DEVICES
        for expert in DEVICES
    )
    write_report(results(*pairs), {}, path)
    return path


def open_differing(browser: Browser) -> None:
    browser.find_element(By.CSS_SELECTOR, "table.article a.seen.differs").click()


@pytest.fixture
def opened(browser: Browser, report: Path) -> Browser:
    """The report as it is when it is opened on a desk."""
    browser.set_window_size(*DESK)
    browser.get("about:blank")
    browser.get(report.as_uri())
    return browser


def test_a_click_on_a_cell_opens_its_ladder_and_topology(opened: Browser) -> None:
    assert shown(opened, ".panel") == 0
    open_differing(opened)
    assert shown(opened, ".panel") == 1
    assert shown(opened, ".panel .ra-ladder") == 1
    assert shown(opened, ".panel .ra-topology") == 1
    assert opened.current_url.endswith("#file/upnp-nat+direct")


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


def test_the_first_screen_names_what_differs_and_the_device_that_ended_it(opened: Browser) -> None:
    lead = opened.find_element(By.CSS_SELECTOR, "header .lead")
    finding = opened.find_element(By.CSS_SELECTOR, ".findings li")
    assert lead.text.startswith("ended at novice.nat: ")
    assert lead.text.endswith(": 1 scenario")
    assert "Novice behind upnp-nat, expert direct, by file" in finding.text
    assert "article yes, seen no" in finding.text
    assert finding.rect["y"] + finding.rect["height"] < DESK[1]
    finding.find_element(By.TAG_NAME, "a").click()
    assert opened.current_url.endswith("#file/upnp-nat+direct")
    assert shown(opened, ".panel .ra-ladder") == 1


def test_a_link_to_a_part_of_the_page_leads_there(opened: Browser) -> None:
    opened.find_element(By.CSS_SELECTOR, 'nav a[href="#run"]').click()
    top = opened.find_element(By.ID, "run").rect["y"]
    assert opened.execute_script("return scrollY") > top - DESK[1]


def test_a_grid_of_sixteen_devices_is_seen_whole(browser: Browser, matrix: Path) -> None:
    with screen(browser, DESK):
        browser.get(matrix.as_uri())
        grid = browser.find_element(By.CSS_SELECTOR, "table.grid")
        assert len(grid.find_elements(By.CSS_SELECTOR, "tbody td a")) == len(DEVICES) ** 2
        assert cut(browser) == []
        assert grid.rect["height"] < DESK[1]


def test_a_grid_s_cell_opens_its_scenario(browser: Browser, matrix: Path) -> None:
    browser.get(matrix.as_uri())
    browser.find_element(By.CSS_SELECTOR, "table.grid a.pair.differs").click()
    assert browser.current_url.endswith("#file/xp-ics+direct")
    assert shown(browser, ".panel") == 1


def test_a_print_is_light_and_nothing_of_it_is_cut(opened: Browser, matrix: Path) -> None:
    for address in (opened.current_url, matrix.as_uri()):
        opened.get(address)
        with sheet(opened):
            assert colour(opened, "body", "backgroundColor") == "rgb(255, 255, 255)"
            assert colour(opened, "body", "color") == "rgb(31, 35, 40)"
            assert cut(opened) == []
            assert shown(opened, "#filters, nav, .close") == 0


def test_a_print_has_the_details_of_what_differs(opened: Browser) -> None:
    with sheet(opened):
        assert shown(opened, "#page") == 1
        assert shown(opened, ".panel") == 1
        assert shown(opened, ".panel .ra-ladder") == 1
        assert colour(opened, ".ra-ladder .bad", "color") == "rgb(207, 34, 46)"


def test_a_print_of_an_opened_scenario_is_of_that_alone(browser: Browser, report: Path) -> None:
    browser.get("about:blank")
    browser.get(f"{report.as_uri()}#messenger/nat+nat")
    with sheet(browser):
        assert shown(browser, "#page") == 0
        assert shown(browser, ".panel") == 1
        assert shown(browser, '.panel[id="messenger/nat+nat"]') == 1


def test_on_a_phone_nothing_but_tables_is_wider_than_the_screen(
    opened: Browser, matrix: Path
) -> None:
    for address in (opened.current_url, matrix.as_uri()):
        opened.get(address)
        with screen(opened, PHONE):
            assert width(opened) <= PHONE[0]


def test_on_a_phone_the_article_s_tables_are_seen_whole(opened: Browser) -> None:
    with screen(opened, PHONE):
        assert shown(opened, "table.article") == 2
        left, right = reach(opened, "table.article :is(td, .seen)")
        assert 0 <= left < right <= PHONE[0]


def test_on_a_phone_the_first_screen_has_what_differs(opened: Browser) -> None:
    with screen(opened, PHONE):
        name = opened.find_element(By.CSS_SELECTOR, ".findings .answers")
        assert name.rect["y"] + name.rect["height"] < PHONE[1]


def test_on_a_phone_a_ladder_s_words_are_seen_and_a_hint_that_it_goes_on(opened: Browser) -> None:
    with screen(opened, PHONE):
        open_differing(opened)
        WebDriverWait(opened, 10).until(lambda page: shown(page, ".panel .more:has(.ra-ladder)"))
        assert lettering(opened, ".panel .ra-ladder text") >= 10
        assert reach(opened, ".panel .ra-ladder text.bad")[1] <= PHONE[0]
        assert reach(opened, ".panel .ra-ladder > text:first-of-type")[1] <= PHONE[0]


def test_on_a_phone_the_box_that_decided_is_in_sight(browser: Browser, tmp_path: Path) -> None:
    failed = scenario("file", "direct", "nat", observed("no", attempt(ended_at="expert.nat")))
    topology = Library(PROJECT / "topologies").from_chains((), ("nat",))
    write_report(results(failed), {failed.id: Evidence(topology=topology)}, tmp_path / "far.html")
    with screen(browser, PHONE):
        browser.get("about:blank")
        browser.get(f"{(tmp_path / 'far.html').as_uri()}#{failed.id}")
        WebDriverWait(browser, 10).until(lambda page: shown(page, ".panel .more .ra-topology"))
        left, right = reach(browser, ".panel .ra-topology rect.bad")
        assert 0 <= left < right <= PHONE[0]
        assert lettering(browser, ".panel .ra-topology text.soft") >= 11


def test_a_topology_s_addresses_are_as_dark_as_the_text_and_legible(opened: Browser) -> None:
    open_differing(opened)
    assert lettering(opened, ".panel .ra-topology text.soft") >= 12
    assert colour(opened, ".panel .ra-topology text.soft", "fill") == colour(
        opened, ".panel", "color"
    )
    with sheet(opened):
        assert lettering(opened, ".panel:target .ra-topology text.soft") >= 9.5


def test_a_drawing_that_is_seen_whole_has_no_hint(opened: Browser) -> None:
    open_differing(opened)
    assert shown(opened, ".panel .ra-topology") == 1
    assert shown(opened, ".more") == 0


def test_a_link_to_a_cause_leaves_its_heading_below_the_filters(opened: Browser) -> None:
    opened.find_element(By.CSS_SELECTOR, 'header .lead a[href="#cause-1"]').click()
    scrolled = opened.execute_script("return scrollY")
    heading = opened.find_element(By.ID, "findings").rect["y"] - scrolled
    filters = opened.find_element(By.ID, "filters").rect
    assert heading >= filters["y"] - scrolled + filters["height"]
    assert heading < DESK[1] / 2


def test_the_longest_name_of_a_finding_is_on_one_line_on_a_desk(opened: Browser) -> None:
    name = "Novice behind nat, expert behind nat, by Windows Messenger"
    link = opened.find_element(By.CSS_SELECTOR, ".findings a.name")
    one_line = link.rect["height"]
    opened.execute_script("arguments[0].textContent = arguments[1]", link, name)
    assert link.rect["height"] == one_line


def test_a_print_tears_no_heading_from_what_it_is_of(opened: Browser) -> None:
    with sheet(opened):
        for whole in ("#page h3", "#page h2 + p", ".panel.printed .wide", ".panel.printed pre"):
            assert colour(opened, whole, "breakInside") == "avoid"
        for leading in ("#page h2", "#page h3", "#page h2 + p"):
            assert colour(opened, leading, "breakAfter") == "avoid"


def test_a_print_has_no_sign_of_what_a_click_would_open(opened: Browser) -> None:
    assert colour(opened, ".panel summary", "listStyleType") == "disclosure-closed"
    with sheet(opened):
        assert colour(opened, ".panel summary", "listStyleType") == "none"


@pytest.mark.parametrize("details", [False, True])
def test_axe_has_no_serious_findings(opened: Browser, *, details: bool) -> None:
    if details:
        open_differing(opened)
    assert serious(opened) == []


def test_axe_has_no_serious_findings_in_a_matrix(browser: Browser, matrix: Path) -> None:
    browser.get(matrix.as_uri())
    assert serious(browser, "main > section:first-of-type, table.grid") == []
