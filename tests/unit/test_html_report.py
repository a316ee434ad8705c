"""The report of a run as one HTML file."""

from __future__ import annotations

import re
from dataclasses import replace
from html import unescape
from html.parser import HTMLParser
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
from rich.console import Console
from wires import CONNECTED, DROPPED, TIMED_OUT, traced

from harness.errors import OutputError
from harness.judge.model import ScenarioResult
from harness.judge.trace import Packets, trace
from harness.kb import load_gaps, load_prose
from harness.report.causes import cause_of
from harness.report.html import Evidence, write_report
from harness.report.html.page import MOST_PRINTED, page
from harness.report.statements import print_statements
from harness.report.topology_svg import topology_svg
from harness.topology.load import Library
from harness.topology.model import Gear
from harness.words import End, Verdict

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
    topology = Library(PROJECT / "topologies").from_chains(("nat-forwarded",), ())
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


def test_the_topology_names_devices_addresses_and_the_end() -> None:
    topology = Library(PROJECT / "topologies").from_chains(("nat",), ())
    result = scenario(
        "file", "nat", "direct", observed("no", attempt(), attempt(ended_at="novice"))
    )
    drawn = topology_svg(topology, result.observed, cause_of(result, topology, ()))
    for said in ("Non-UPnP NAT", "lan 192.168.1.1/24", "wan 80.100.10.2/24"):
        assert said in drawn
    assert drawn.count("\N{BALLOT X} decided here") == 1
    assert drawn.count("\N{MIDDLE DOT} a dial ended here") == 1
    assert topology_svg(topology, None).count("ended here") == 0


def test_a_firewall_on_the_host_is_drawn_with_its_host() -> None:
    drawn = topology_svg(Library(PROJECT / "topologies").from_chains(("icf",), ()), None)
    assert texts(drawn)[:3] == ["Novice", "with Windows XP", "Internet Connection"]


def test_a_neighbour_is_drawn_below_its_host(tmp_path: Path) -> None:
    file = tmp_path / "neighbour.toml"
    neighbour = '[[novice.neighbours]]\nname = "printer"\naddress = "192.168.1.9"\n'
    file.write_text(f'[novice]\nchain = ["nat"]\n{neighbour}', encoding="utf-8")
    drawn = topology_svg(Library(PROJECT / "topologies").from_file(file), None)
    titles = re.findall(r'<text class="title" x="(\d+)" y="(\d+)">(\w+)', drawn)
    at = {name: (int(x), int(y)) for x, y, name in titles}
    assert at["Printer"][0] == at["Novice"][0]
    assert at["Printer"][1] > at["Novice"][1]


def test_a_real_router_is_drawn_by_its_model_and_by_its_own_name() -> None:
    library = Library(PROJECT / "topologies")
    made = Gear(model="X1", firmware="1.0", claims="upnp-nat")
    facts = {"name": "acme", "title": "X1, firmware 1.0", "gear": made}
    router = library.devices["upnp-nat"].model_copy(update=facts)
    around = library.having([router], library.internet)
    drawn = texts(topology_svg(around.from_chains(("acme",), ()), None))
    assert "X1, firmware 1.0" in drawn
    assert "novice.acme" in drawn
    assert "Acme" not in drawn


def texts(drawing: str) -> list[str]:
    return re.findall("<text[^>]*>(.*?)</text>", drawing)


def test_a_file_that_cannot_be_written_is_said(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="No such file"):
        write_report(results(*article()), {}, tmp_path / "none" / "report.html")
