"""What the page of a run says first: what it came to, and who decided what differs."""

from __future__ import annotations

import re
from dataclasses import replace
from html import unescape

import pytest
from factories import article, attempt, control, observed, predicted, prose, scenario
from html_pages import DIFFERING, Reader, told, words
from wires import CONNECTED

from harness.judge.model import ScenarioResult
from harness.judge.trace import Packets, trace
from harness.report.html import Evidence
from harness.topology.load import Library, default_folder
from harness.words import End


def test_the_verdict_of_the_run_is_its_heading() -> None:
    heading = re.search("<h1>.*</h1>", told(*article()))
    assert heading is not None
    assert "Agrees: " in words(heading[0])


@pytest.mark.parametrize(
    ("scenarios", "said"),
    [
        ((), "\N{WHITE CIRCLE} No scenario was run"),
        (
            (scenario("file", "nat,nat", "direct", observed("no")),),
            "\N{CHECK MARK} Agrees: 1 scenario, of which the article says neither yes nor no",
        ),
    ],
)
def test_the_heading_of_what_the_article_does_not_settle(
    scenarios: tuple[ScenarioResult, ...], said: str
) -> None:
    heading = re.search("<h1>.*</h1>", told(*scenarios))
    assert heading is not None
    assert words(heading[0]).strip() == said


def test_a_finding_names_the_device_that_ended_it_before_the_tables() -> None:
    text = words(told(*article(DIFFERING)))
    finding = text.index("Novice behind upnp-nat, expert direct, by file article yes , seen no")
    ended = text.rindex("ended at novice.nat : dropped by the forward chain", 0, finding)
    assert text.index("What differs (1)") < ended < finding < text.index("Table 1:")


def lead(text: str) -> str:
    found = re.search('<ul class="lead">(.*?)</ul>', text, re.DOTALL)
    assert found is not None
    return words(found[1]).strip()


def test_the_first_lines_name_the_devices_that_ended_what_differs() -> None:
    ends = ("novice.upnp-nat", "novice.upnp-nat", "expert.nat")
    differing = [
        scenario(method, "upnp-nat", "direct", observed("no", attempt(ended_at=end)))
        for method, end in zip(("file", "email", "messenger"), ends, strict=True)
    ]
    text = told(*article(*differing))
    assert lead(text) == (
        "ended at novice.upnp-nat : dropped by the forward chain : 2 scenarios "
        "ended at expert.nat : dropped by the forward chain : 1 scenario"
    )


def test_a_device_is_named_before_the_internet_that_has_no_route() -> None:
    internet = attempt(ended_at="internet", how="no route")
    seen = observed("no", internet, attempt(ended_at="novice.upnp-nat", how="dropped"))
    text = told(*article(scenario("file", "upnp-nat", "direct", seen)))
    assert lead(text) == "ended at novice.upnp-nat : dropped : 1 scenario"
    assert "beside it the expert&#39;s dial to 80.1.2.3:3389: at internet: no route" in words(text)


def test_a_yes_against_the_article_says_where_it_connected() -> None:
    text = told(*article(scenario("file", "nat", "direct", observed("yes"))))
    assert lead(text) == "connected at novice : 1 scenario"


def test_a_yes_names_the_device_that_let_it_in_and_by_what() -> None:
    topology = Library(default_folder()).from_chains(("nat-forwarded",), ())
    frames = [
        replace(each, interface=each.interface.replace("novice.nat/", "novice.nat-forwarded/"))
        for each in CONNECTED
    ]
    dialled = attempt(address="80.100.10.2", end=End.CONNECTED, ended_at="novice", how="accepted")
    way = trace(Packets(frames), "expert", dialled.address, dialled.port, 50000)
    seen = observed("yes", dialled)
    each = Evidence(topology=topology, journeys=((dialled, way),))
    result = scenario("file", "nat", "direct", seen)
    text = told(result, each=each)
    assert lead(text) == "let in by novice.nat-forwarded , which forwards 3389 : 1 scenario"
    assert text.count("\N{CHECK MARK} let it in") == 1


def test_a_dial_to_a_private_address_is_said_to_be_bound_to_fail() -> None:
    private = attempt(address="192.168.1.2", ended_at="internet", how="no route")
    seen = observed("no", private, attempt(ended_at="novice.upnp-nat"))
    text = words(told(scenario("file", "upnp-nat", "direct", seen)))
    said = "in vain, as expected: dials to private addresses (192.168.1.2)"
    assert said in text
    assert "beside it" not in text


@pytest.mark.parametrize(
    ("suffix", "options"),
    [
        ("", ""),
        ("@expert-port-3389", ", the expert listening on 3389"),
        ("@expert-proxy-client", ", the expert's computer a client of its proxy"),
        ("@by-hand", ", by-hand"),
    ],
)
def test_a_scenario_s_title_says_what_the_two_do_otherwise(suffix: str, options: str) -> None:
    plain = scenario("file", "direct", "nat", observed("yes"))
    page = told(plain.model_copy(update={"id": f"{plain.id}{suffix}"}))
    titles = re.findall('class="panel.*?aria-label="(.*?)"', page)
    assert [unescape(title) for title in titles] == [
        f"Novice direct, expert behind nat, by file{options}"
    ]


def test_statements_of_one_sentence_are_told_apart() -> None:
    places = re.findall(r"<b>(Sentence [^<]*):</b>", told(*article()))
    assert "Sentence 2, part 1" in places
    assert "Sentence 2, part 2" in places
    assert "Sentence 1" in places


def test_of_a_yes_the_dials_that_failed_beside_it_are_not_told() -> None:
    seen = observed("yes", attempt(address="80.9.9.9"), *observed("yes").attempts)
    text = words(told(scenario("file", "nat", "direct", seen)))
    assert "differs" in text
    assert "beside it" not in text


def test_what_differs_is_told_before_what_proves_nothing_however_often_that_is() -> None:
    broken = [scenario(method, "nat", "direct", None) for method in ("file", "email")]
    lines = lead(told(*article(DIFFERING, *broken)))
    assert lines.index("ended at novice.nat") < lines.index("the harness failed")


def test_a_difference_that_the_model_did_not_expect_either_is_a_difference() -> None:
    seen = observed("yes")
    text = told(scenario("file", "nat", "direct", seen, forecast=predicted("no")))
    assert '<li class="differs"' in text
    assert "not-predicted" not in text[text.index("<body>") :]


def test_the_dial_of_the_model_s_reason_decides_a_no() -> None:
    ends = (("80.1.2.3", "novice.nat"), ("85.1.2.3", "expert.nat"))
    dials = [attempt(address=address, ended_at=end) for address, end in ends]
    forecast = predicted("no", "expert.nat drops the SYN to 85.1.2.3:3389: nobody asked for it")
    result = scenario("file", "upnp-nat", "direct", observed("no", *dials), forecast=forecast)
    assert lead(told(result)).startswith("ended at expert.nat ")


def test_the_heading_counts_scenarios_and_statements_and_links_those_that_fail() -> None:
    text = told(*prose(scenario("file", "firewall", "direct", observed("yes"))))
    heading = re.search("<h1>.*</h1>", text)
    assert heading is not None
    assert "4 of the article&#39;s 23 statements" in words(heading[0])
    failing = re.findall(r'<a href="#(says:[^"]+)">Other Firewalls, sentence', text)
    assert len(failing) == 4
    assert set(failing) <= set(Reader(text).ids)


def test_what_proves_nothing_names_the_control_that_failed_and_where() -> None:
    controls = (control(passed=False, detail="22 lines, 21 generated"),)
    text = told(scenario("file", "nat", "direct", observed("no"), controls=controls))
    assert lead(text) == "a control failed at novice.nat : rules : 1 scenario"
    assert "What proves nothing (1)" in text
    assert "seen no , which does not count" in words(text)
    assert "rules at novice.nat: 22 lines, 21 generated" in words(text)


def test_an_error_has_its_reason() -> None:
    text = words(told(*article(scenario("file", "nat", "direct", None), DIFFERING)))
    assert "What differs or proves nothing (2)" in text
    differs = text.index("Novice behind upnp-nat, expert direct, by file")
    assert differs < text.rindex("node did not start within 5 s")


def test_a_run_that_agrees_lists_no_findings() -> None:
    text = told(*article())
    assert 'class="findings"' not in text
    assert 'class="lead"' not in text
