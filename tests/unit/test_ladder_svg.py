"""An attempt drawn as a ladder in SVG."""

from __future__ import annotations

import re
from dataclasses import replace
from xml.etree import ElementTree

import pytest
from wires import (
    ANSWERED,
    CONNECTED,
    DROPPED,
    REJECTED,
    TIMED_OUT,
    UNREACHABLE,
    seen,
    syn,
    told,
    traced,
)

from harness.judge.model import Attempt
from harness.protocol.pcapng import Frame
from harness.report.ladder_svg import LADDER_STYLE, ladder_element, ladder_svg
from harness.words import End

HEAD = 7
SVG = "{http://www.w3.org/2000/svg}"
HOSTILE = 'nat</text><script>alert("1")</script>&\x1b\x00\u202e\ud800'


def drawn(frames: list[Frame], attempt: Attempt) -> ElementTree.Element:
    return ElementTree.fromstring(ladder_svg(traced(frames), attempt))


def texts(root: ElementTree.Element) -> list[str]:
    return [text.text or "" for text in root.iter(f"{SVG}text")]


def test_a_connection_has_its_nodes_times_hops_addresses_and_end() -> None:
    words = texts(drawn(CONNECTED, ANSWERED))
    assert words == [
        "expert -> 80.100.10.2:3389 (ms since its SYN)",
        *("expert", "internet", "novice.nat", "novice"),
        *("0.000", "SYN", "from 85.200.20.2:50000", "to   80.100.10.2:3389"),
        *("0.020", "SYN"),
        *("0.040", "SYN", "to   192.168.1.100:3389"),
        *("0.060", "SYN-ACK", "from 192.168.1.100:3389", "to   85.200.20.2:50000"),
        *("0.080", "SYN-ACK", "from 80.100.10.2:3389"),
        *("0.100", "SYN-ACK"),
        "connected at novice: answered by novice; both",
        "sides hold the invitation",
    ]


def test_it_says_the_same_in_words_to_who_cannot_see_it() -> None:
    root = drawn(DROPPED, TIMED_OUT)
    assert root.get("role") == "img"
    assert root[0].tag == f"{SVG}title"
    assert root[0].text == "expert -> 80.100.10.2:3389"
    assert root.findtext(f"{SVG}desc") == (
        "0.000 ms SYN from expert to internet; 0.020 ms SYN from internet to novice.nat; "
        "timeout at novice.nat: dropped by novice.nat (unsolicited packet on wan)"
    )


def arrows(root: ElementTree.Element) -> list[tuple[int, int]]:
    """Return from where to where each arrow points, in pixels."""
    paths = [path.get("d", "") for path in root.iter(f"{SVG}path")]
    lines = [re.fullmatch(r"M(\d+) \d+H(\d+)", path) for path in paths]
    return [(int(line[1]), int(line[2])) for line in lines if line is not None]


def test_arrows_point_from_the_sender_s_lifeline_to_the_receiver_s() -> None:
    root = drawn(CONNECTED, ANSWERED)
    columns = {
        text.text: float(text.get("x", ""))
        for text in root.iter(f"{SVG}text")
        if text.text in ("expert", "internet", "novice.nat", "novice")
    }
    one, two, three, four = columns.values()
    assert one < two < three < four
    ends = [(start, start < stop) for start, stop in arrows(root)]
    there = [(one, True), (two, True), (three, True)]
    assert ends == [*there, (four, False), (three, False), (two, False)]
    # A line stops a head before the lifeline that it points to.
    assert {abs(stop - start) for start, stop in arrows(root)} == {two - one - HEAD}
    tips = [
        path.get("d", "") for path in root.iter(f"{SVG}path") if "head" in path.get("class", "")
    ]
    assert [float(tip[1:].split()[0]) for tip in tips] == [two, three, four, three, two, one]


def crosses(root: ElementTree.Element) -> int:
    """Count the crosses: paths of two strokes in the colour of a failure."""
    return sum("m" in path.get("d", "") for path in root.iter(f"{SVG}path"))


def test_a_dropped_syn_ends_in_a_cross_and_an_answered_one_does_not() -> None:
    assert crosses(drawn(DROPPED, TIMED_OUT)) == 1
    assert crosses(drawn(CONNECTED, ANSWERED)) == 0
    assert crosses(drawn(REJECTED, UNREACHABLE)) == 0
    assert crosses(drawn(DROPPED[:3], TIMED_OUT)) == 0


def test_an_end_that_was_not_seen_is_a_question_mark_and_no_arrow() -> None:
    root = drawn(DROPPED[:3], TIMED_OUT)
    assert len(arrows(root)) == 1
    assert texts(root).count("?") == 1
    assert "SYN not seen to arrive" in texts(root)


def test_an_attempt_of_which_nothing_was_seen_has_no_arrows() -> None:
    own = told(End.REFUSED, "expert", "RST from expert (nothing listens there)")
    root = drawn([], own)
    assert list(root.iter(f"{SVG}path")) == []
    assert texts(root) == [
        "expert -> 80.100.10.2:3389",
        "no SYN of it was on any interface",
        "refused at expert: RST from expert (nothing",
        "listens there)",
    ]


def test_hostile_names_and_reasons_are_text_and_nothing_else() -> None:
    hostile = [
        replace(frame, interface=frame.interface.replace("novice.nat/", f"{HOSTILE}/"))
        for frame in DROPPED
    ]
    attempt = told(End.TIMEOUT, HOSTILE, f"dropped by {HOSTILE}")
    root = drawn(hostile, attempt)
    tags = {element.tag.removeprefix(SVG) for element in root.iter()}
    assert tags == {"svg", "title", "desc", "style", "rect", "text", "path"}
    assert "<script>" in "".join(texts(root))
    assert r"\x1b\x00\u202e\ud800" in "".join(texts(root))


@pytest.mark.parametrize("frames", [CONNECTED, DROPPED, REJECTED, []])
def test_it_refers_to_nothing_outside_and_has_no_ids(frames: list[Frame]) -> None:
    text = ladder_svg(traced(frames), ANSWERED)
    assert re.findall(r"https?://[^\"]*", text) == ["http://www.w3.org/2000/svg"]
    for word in ("url(", "@import", "href", "src=", " id=", "<script", "style="):
        assert word not in text


def test_its_rules_touch_nothing_else_of_a_page() -> None:
    style = drawn(CONNECTED, ANSWERED).findtext(f"{SVG}style") or ""
    selectors = [line.partition("{")[0] for line in style.splitlines() if "{" in line]
    assert len(selectors) > 10
    assert all(
        selector.startswith((".ra-ladder", "@media screen and (prefers-color-scheme:dark)"))
        for selector in selectors
    )
    assert "currentColor" in style


def test_only_alone_it_has_a_page_of_its_own_and_rules() -> None:
    alone = drawn(CONNECTED, ANSWERED)
    style = alone.findtext(f"{SVG}style") or ""
    pages = [line for line in style.splitlines() if ".page{" in line]
    assert pages[0] == ".ra-ladder .page{fill:none}"
    assert all(line.startswith(".ra-ladder:root .page{") for line in pages[1:])
    # A light one and a dark one.
    assert len(pages) == 3
    element = ElementTree.fromstring(ladder_element(traced(CONNECTED), ANSWERED))
    assert element.find(f"{SVG}style") is None
    assert [each.get("class") for each in element.iter(f"{SVG}rect")] == []
    assert texts(element) == texts(alone)
    assert ".page" not in LADDER_STYLE


def test_print_is_light_whatever_the_reader_prefers() -> None:
    style = drawn(CONNECTED, ANSWERED).findtext(f"{SVG}style") or ""
    dark = [line for line in style.splitlines() if "dark" in line]
    assert len(dark) == 2
    assert all(line.startswith("@media screen and ") for line in dark)


def test_every_kind_of_text_and_line_has_a_rule() -> None:
    style = drawn(CONNECTED, ANSWERED).findtext(f"{SVG}style") or ""
    used: set[str] = set()
    for frames, attempt in ((CONNECTED, ANSWERED), (DROPPED[:3], TIMED_OUT), (REJECTED, TIMED_OUT)):
        for element in drawn(frames, attempt).iter():
            used.update((element.get("class") or "").split())
    # A SYN has the page's own colour.
    assert {name for name in used if f".{name}" not in style} == {"syn"}


def test_names_beside_each_other_do_not_touch() -> None:
    name = "novice." + "x" * 31
    frames = [
        replace(frame, interface=frame.interface.replace("internet/", f"{name}/"))
        for frame in DROPPED
    ]
    root = drawn(frames, TIMED_OUT)
    headers = [text for text in root.iter(f"{SVG}text") if text.get("class") == "middle strong"]
    assert (
        "".join(text.text or "" for text in headers if "x" in (text.text or "")[-1:]).count("x")
        == 31
    )
    columns = sorted({float(text.get("x", "")) for text in headers})
    gap = columns[1] - columns[0]
    assert all(8 * len(text.text or "") < gap for text in headers)


@pytest.mark.parametrize("nodes", [2, 5, 7])
def test_everything_is_inside_the_picture(nodes: int) -> None:
    names = ["expert", *(f"novice.{'long-name-' * 3}{at}" for at in range(nodes - 1))]
    frames: list[Frame] = []
    for at in range(nodes - 1):
        ends = (f"{names[at]}/wan>", f">{names[at + 1]}/lan")
        frames += seen(20 * at, syn(destination="80.100.10.2:3389"), *ends)
    end = told(End.TIMEOUT, names[-1], f"dropped by {names[-1]} (unsolicited packet on wan) " * 3)
    root = drawn(frames, end)
    *_, width, height = map(float, root.get("viewBox", "").split())
    anchors = {"middle": 0.5, "last": 1.0}
    for text in root.iter(f"{SVG}text"):
        kinds = text.get("class", "").split()
        shift = next((anchors[kind] for kind in kinds if kind in anchors), 0.0)
        size = 8 * len(text.text or "")
        start = float(text.get("x", "")) - shift * size
        assert start >= 0
        assert start + size <= width
        assert 0 < float(text.get("y", "")) < height
