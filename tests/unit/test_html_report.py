"""The report of a run as one HTML file."""

from __future__ import annotations

import re
from io import StringIO
from pathlib import Path

import pytest
from factories import (
    YesNo,
    article,
    attempt,
    control,
    observed,
    predicted,
    prose,
    results,
    scenario,
)
from html_pages import DIFFERING, HOSTILE, Reader, told, words
from rich.console import Console
from wires import DROPPED, TIMED_OUT, traced

from harness.errors import OutputError
from harness.judge.model import ScenarioResult
from harness.kb import load_gaps, load_prose
from harness.report.html import Evidence, write_report
from harness.report.html.page import MOST_PRINTED
from harness.report.statements import print_statements
from harness.words import End, Verdict


def test_each_table_has_a_link_to_each_of_its_scenarios_details() -> None:
    reader = Reader(told(*article()))
    linked = {address.removeprefix("#") for address in reader.addresses if address[:1] == "#"}
    assert {each.id for each in article()} <= linked
    assert linked <= set(reader.ids)
    assert len(reader.ids) == len(set(reader.ids))


def test_two_results_of_one_scenario_have_details_of_their_own() -> None:
    assert {"file/upnp-nat+direct", "file/upnp-nat+direct~2"} <= set(
        Reader(told(DIFFERING, DIFFERING)).ids
    )


def test_it_refers_to_nothing_outside_of_its_folder() -> None:
    each = Evidence(files=("capture.pcapng",))
    result = scenario("file", "nat", "direct", observed("no"), bundle="scenarios/file/nat+direct")
    addresses = Reader(told(result, each=each)).addresses
    assert "./scenarios/file/nat+direct/capture.pcapng" in addresses
    assert all(address.startswith(("#", "./")) for address in addresses)


@pytest.mark.parametrize("bundle", ["javascript:alert(1)", "//elsewhere/x", "../..", "/etc"])
def test_a_bundle_s_path_never_leads_elsewhere(bundle: str) -> None:
    result = scenario("file", "nat", "direct", observed("no"), bundle=bundle)
    addresses = Reader(told(result, each=Evidence(files=("passwd",)))).addresses
    links = [address for address in addresses if "passwd" in address]
    assert links in ([], ["./javascript%3Aalert%281%29/passwd"])


def test_what_a_device_said_is_text_and_never_markup() -> None:
    each = Evidence(
        devices_said=(("novice.nat", HOSTILE),),
        invitation=HOSTILE,
        no_journeys=HOSTILE,
        files=(HOSTILE,),
    )
    seen = observed("no", attempt(ended_at=HOSTILE, how=HOSTILE, end=End.TIMEOUT))
    result = scenario("file", "nat", "direct", seen, why=HOSTILE, bundle="b")
    text = told(result, each=each)
    reader = Reader(text)
    assert reader.tags.count("script") == 1
    assert "img" not in reader.tags
    assert "\u202e" not in text
    assert "alert(&#34;1&#34;)" in text


def test_a_ladder_is_drawn_for_each_attempt() -> None:
    each = Evidence(journeys=((TIMED_OUT, traced(DROPPED)),))
    assert told(DIFFERING, each=each).count('class="ra-ladder"') == 1


def test_the_attempt_that_decided_is_marked_and_no_other() -> None:
    private = TIMED_OUT.model_copy(update={"address": "192.168.1.2", "ended_at": "internet"})
    ways = ((private, traced(DROPPED)), (TIMED_OUT, traced(DROPPED)))
    result = scenario("file", "upnp-nat", "direct", observed("no", private, TIMED_OUT))
    drawn = told(result, each=Evidence(journeys=ways))
    regions = re.findall(r'aria-label="Attempt \d">(.*?)</title>', drawn, re.DOTALL)
    assert ["This attempt decided it" in each for each in regions] == [False, True]
    lines = re.findall("<li>(.*?expert -&gt; .*?)</li>", told(result))
    assert ["This attempt decided it" in each for each in lines] == [False, True]


def test_where_nothing_was_proved_no_attempt_is_marked() -> None:
    broken = scenario("file", "nat", "direct", observed("no"), controls=(control(passed=False),))
    assert "This attempt decided it" not in told(broken)


def test_without_a_capture_the_attempts_are_told_in_words() -> None:
    text = words(told(DIFFERING, each=Evidence(no_journeys="there is no capture")))
    assert "there is no capture" in text
    assert "expert -&gt; 80.1.2.3:3389 timeout at novice.nat" in text


def test_a_matrix_has_a_grid_with_what_was_to_be_expected() -> None:
    pairs = [
        scenario("file", "nat", "direct", observed("no")),
        scenario("file", "nat", "firewall", observed("no"), forecast=predicted("no")),
        scenario("file", "firewall", "firewall", observed("yes"), forecast=predicted("no")),
    ]
    text = words(told(*pairs))
    assert "Every pair by file" in text
    assert "article no no \N{CHECK MARK} agrees" in text
    assert "model no yes \N{NOT EQUAL TO} not as predicted" in text


def test_one_pair_has_no_grid_and_no_table_and_nor_has_the_article_a_grid() -> None:
    one = [scenario(method, "nat", "firewall", observed("no")) for method in ("file", "email")]
    for text in (told(*one), told(*prose())):
        assert "Every pair by" not in text
    documented = told(scenario("file", "nat", "direct", observed("no")))
    assert 'id="table-1"' not in documented
    assert 'id="prose"' not in documented


@pytest.mark.parametrize(
    ("saw", "forecast", "said"),
    [
        ("no", "no", "1 of 1: the lab behaved as its devices are defined."),
        (
            "yes",
            "yes",
            "1 of 1: the lab behaved as its devices are defined, so where it differs from the "
            "article, the definitions or the article are at fault.",
        ),
        (
            "no",
            "yes",
            "0 of 1: where it did not, a device is not as it is defined, or the model is wrong.",
        ),
    ],
)
def test_the_page_says_how_often_the_model_was_right_and_what_follows(
    saw: YesNo, forecast: YesNo, said: str
) -> None:
    pair = scenario("file", "nat", "direct", observed(saw), forecast=predicted(forecast))
    assert f"expected {said}" in words(told(pair))


def test_the_page_has_the_rules_of_all_its_drawings_once() -> None:
    each = Evidence(journeys=((TIMED_OUT, traced(DROPPED)),))
    text = told(*article(), each=each)
    assert text.count('class="ra-ladder"') == len(article())
    assert text.count("<style>") == 1
    assert text.count(".ra-ladder .good{") == 2


def test_dark_is_for_screens_only() -> None:
    text = told(*article())
    assert text.count("prefers-color-scheme:dark") == 3
    assert text.count("@media screen and (prefers-color-scheme:dark)") == 3


def test_statements_stand_in_the_articles_order_by_section() -> None:
    sections = list(dict.fromkeys(each.section for each in load_prose()))
    headings = re.findall("<h3>(.*?)</h3>", told(*prose()))
    assert [each for each in headings if each in sections] == sections


@pytest.mark.parametrize(
    "instead",
    [
        scenario("file", "firewall", "direct", observed("yes")),
        scenario("file", "direct", "icf", None),
        scenario("file", "direct", "icf", observed("yes"), controls=(control(passed=False),)),
        scenario("file", "nat", "direct", None).model_copy(update={"verdict": Verdict.AGREES}),
    ],
)
@pytest.mark.parametrize("without", [(), ("messenger/icf+direct",)])
def test_the_page_says_of_each_statement_what_the_terminal_says(
    instead: ScenarioResult, without: tuple[str, ...]
) -> None:
    run = prose(instead, without=without)
    file = StringIO()
    print_statements(results(*run), Console(width=500, file=file))
    on_terminal = re.findall(
        r"^  (fails|otherwise|unproven|holds|partly run|not run) ", file.getvalue(), re.M
    )
    badges = re.findall(r'<li class="told" id="[^"]+">.*?</span> ([a-z ]+)</span>', told(*run))
    assert badges == on_terminal
    assert len(badges) == len(load_prose()) + len(load_gaps())


def test_the_page_s_grid_has_the_rows_and_columns_of_the_terminal_s() -> None:
    pairs = [
        scenario("file", novice, expert, observed("no"))
        for novice, expert in (("nat", "icf"), ("nat", "nat"), ("icf", "icf"), ("direct", "icf"))
    ]
    other = pairs[0].model_copy(update={"id": "file/nat+icf@expert-proxy-client"})
    rows = re.findall(r'<tr><th scope="row">([a-z]+)</th>(.*?)</tr>', told(*pairs, other))
    assert [(name, cells.count("<a "), cells.count("not run</span>")) for name, cells in rows] == [
        ("nat", 2, 0),
        ("icf", 1, 1),
        ("direct", 1, 1),
    ]
    heads = re.findall(r'<th scope="col"><span>([a-z]+)</span>', told(*pairs, other))
    assert heads == ["nat", "icf"]


def test_controls_are_told_by_name_and_a_failed_one_first() -> None:
    controls = (control(), control(detail="the same elsewhere"), control(passed=False))
    text = words(told(scenario("file", "nat", "direct", observed("no"), controls=controls)))
    assert "failed: rules at novice.nat: all 3 rules are there 2 of 3 passed rules" in text
    assert text.count("the same elsewhere") == 1


def test_only_so_many_details_are_printed_with_the_page() -> None:
    failing = [result for result in article() if result.verdict is Verdict.AGREES][:13]
    turned = [
        result.model_copy(update={"verdict": Verdict.ERROR, "observed": None}) for result in failing
    ]
    text = told(*article(*turned))
    assert text.count('class="panel printed"') == MOST_PRINTED
    assert "3 more scenarios need a look: open one to print its details." in words(text)
    assert 'class="panel printed"' not in told(*article())


def test_a_file_that_cannot_be_written_is_said(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="No such file"):
        write_report(results(*article()), {}, tmp_path / "none" / "report.html")
