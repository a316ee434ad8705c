"""The report of a run as one HTML file."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from pathlib import Path

import pytest
from factories import article, attempt, observed, predicted, results, scenario
from wires import DROPPED, TIMED_OUT, traced

from harness.errors import OutputError
from harness.judge.model import ScenarioResult
from harness.report.html import Evidence, write_report
from harness.report.html.page import page
from harness.report.topology_svg import topology_svg
from harness.topology.load import Library
from harness.words import End

PROJECT = Path(__file__).resolve().parents[2]
HOSTILE = '</pre></svg><script>alert("1")</script><img src=x onerror=alert(1)>\u202e'

DIFFERING = scenario("file", "upnp-nat", "direct", observed("no"))


class Reader(HTMLParser):
    """The tags of a page, and the ids and addresses in them."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.ids: list[str] = []
        self.addresses: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        for name, value in attrs:
            if name == "id":
                self.ids.append(value or "")
            if name in ("href", "src"):
                self.addresses.append(value or "")


def told(*scenarios: ScenarioResult, **evidence: Evidence) -> str:
    by_id = dict.fromkeys((each.id for each in scenarios), evidence.get("each", Evidence()))
    return page(results(*scenarios), by_id)


def words(text: str) -> str:
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", text))


def test_the_verdict_of_the_run_is_its_heading() -> None:
    heading = re.search("<h1>.*</h1>", told(*article()))
    assert heading is not None
    assert "Agrees: " in words(heading[0])


def test_a_finding_names_the_device_that_ended_it_before_the_tables() -> None:
    text = words(told(*article(DIFFERING)))
    finding = text.index("Novice behind upnp-nat, expert direct, by file")
    ended = text.index("Ended at novice.nat : dropped by the forward chain")
    assert finding < ended < text.index("Table 1:")


def test_a_run_that_agrees_lists_no_findings() -> None:
    assert "What needs a look" not in told(*article())


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
    assert "article no" in text
    assert re.search(r"model no \N{NOT EQUAL TO} yes not as predicted", text)


def test_the_topology_names_devices_addresses_and_the_end() -> None:
    topology = Library(PROJECT / "topologies").from_chains(("nat",), ())
    drawn = topology_svg(topology, observed("no", attempt(ended_at="novice.nat")))
    for said in ("Non-UPnP NAT", "lan 192.168.1.1/24", "wan 80.100.10.2/24"):
        assert said in drawn
    assert drawn.count("\N{BALLOT X} ended here") == 1
    assert topology_svg(topology, None).count("ended here") == 0


def test_a_file_that_cannot_be_written_is_said(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="No such file"):
        write_report(results(*article()), {}, tmp_path / "none" / "report.html")
