"""An attempt drawn as a ladder in a terminal, exactly as it is printed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from io import BytesIO, StringIO, TextIOWrapper
from itertools import pairwise

import pytest
from rich.console import Console
from wires import (
    ANSWERED,
    CONNECTED,
    DROPPED,
    FORWARDED,
    FROM_NAT,
    INSIDE,
    OUTSIDE,
    PROHIBITED,
    REFUSED,
    REJECTED,
    RESET,
    TIMED_OUT,
    TO_NAT,
    UNREACHABLE,
    icmp,
    rst,
    seen,
    syn,
    syn_ack,
    told,
    traced,
)

from harness.judge.model import Attempt
from harness.judge.trace import Trace
from harness.protocol.pcapng import Frame
from harness.report.ladder import hops, print_ladder
from harness.words import End

CROSS = "\N{BOX DRAWINGS LIGHT DIAGONAL CROSS}"


def printed(frames: list[Frame], attempt: Attempt, width: int = 80, encoding: str = "utf-8") -> str:
    return shown(traced(frames), attempt, width, encoding)


def shown(found: Trace, attempt: Attempt, width: int = 80, encoding: str = "utf-8") -> str:
    file = TextIOWrapper(BytesIO(), encoding=encoding, newline="")
    print_ladder(found, attempt, Console(width=width, file=file, force_terminal=False))
    file.seek(0)
    return file.read()


def renamed(frames: Sequence[Frame], old: str, new: str) -> list[Frame]:
    """Give a node another name."""
    return [
        replace(frame, interface=frame.interface.replace(f"{old}/", f"{new}/")) for frame in frames
    ]


def test_a_connection_is_an_arrow_for_each_hop_there_and_back() -> None:
    assert printed(CONNECTED, ANSWERED) == (
        "expert -> 80.100.10.2:3389  (ms since its SYN)\n"
        "       expert      internet    novice.nat     novice\n"
        "          │            │            │            │\n"
        "   0.000  ├────SYN────▶│            │            │   from 85.200.20.2:50000\n"
        "          │            │            │            │   to   80.100.10.2:3389\n"
        "   0.020  │            ├────SYN────▶│            │\n"
        "   0.040  │            │            ├────SYN────▶│   to   192.168.1.100:3389\n"
        "   0.060  │            │            │◀──SYN-ACK──┤   from 192.168.1.100:3389\n"
        "          │            │            │            │   to   85.200.20.2:50000\n"
        "   0.080  │            │◀──SYN-ACK──┤            │   from 80.100.10.2:3389\n"
        "   0.100  │◀──SYN-ACK──┤            │            │\n"
        "          │            │            │            │\n"
        "ended     connected at novice: answered by novice; both sides hold the\n"
        "          invitation\n"
    )


def test_a_dropped_syn_ends_in_a_cross_at_the_node_that_dropped_it() -> None:
    assert printed(DROPPED, TIMED_OUT) == (
        "expert -> 80.100.10.2:3389  (ms since its SYN)\n"
        "       expert         internet       novice.nat\n"
        "          │               │               │\n"
        "   0.000  ├─────SYN──────▶│               │   from 85.200.20.2:50000\n"
        "          │               │               │   to   80.100.10.2:3389\n"
        "   0.020  │               ├─────SYN──────▶│\n"
        f"          │               │               {CROSS}\n"
        "ended     timeout at novice.nat: dropped by novice.nat (unsolicited packet on\n"
        "          wan)\n"
    )


def test_a_console_without_utf_8_gets_ascii() -> None:
    assert printed(DROPPED, TIMED_OUT, encoding="ascii").splitlines()[2:7] == [
        "          |               |               |",
        "   0.000  +-----SYN------>|               |   from 85.200.20.2:50000",
        "          |               |               |   to   80.100.10.2:3389",
        "   0.020  |               +-----SYN------>|",
        "          |               |               X",
    ]
    assert printed(CONNECTED, ANSWERED, encoding="latin-1").isascii()


def test_an_icmp_error_says_its_reason_beside_the_arrow() -> None:
    lines = printed(REJECTED, UNREACHABLE).splitlines()
    assert lines[6:10] == [
        "   0.040  │               │◀─────ICMP─────┤   port unreachable",
        "          │               │               │   from 80.100.10.2",
        "          │               │               │   to   85.200.20.2",
        "   0.060  │◀─────ICMP─────┤               │",
    ]
    assert lines[10].split() == ["│", "│", "│"]


def test_a_long_reason_wraps_beside_the_arrows() -> None:
    frames = [*DROPPED, *seen(40, icmp("80.100.10.2", syn(), PROHIBITED), *FROM_NAT)]
    text = printed(frames, UNREACHABLE, width=75)
    assert "┤   communication\n" in text
    assert "│   administratively prohibited\n" in text


def test_a_refusal_is_drawn_as_rst() -> None:
    text = printed(RESET, REFUSED)
    assert text.count("RST") == 4
    assert "◀────RST────┤" in text


def test_what_is_sent_again_is_said_to_be_and_its_addresses_are_not_repeated() -> None:
    lines = printed([*DROPPED, *seen(1_024_000, syn(), *TO_NAT)], TIMED_OUT).splitlines()
    assert lines[6:9] == [
        "1024.000  ├─────SYN──────▶│               │   sent again",
        "1024.020  │               ├─────SYN──────▶│",
        f"          │               │               {CROSS}",
    ]
    rejected = seen(1_024_040, icmp("80.100.10.2", syn()), *FROM_NAT)
    text = printed([*REJECTED, *seen(1_024_000, syn(), *TO_NAT), *rejected], UNREACHABLE)
    assert text.count("sent again") == 2
    assert text.count("from 80.100.10.2\n") == 1


def test_a_bridge_and_its_port_are_one_end_of_a_hop() -> None:
    frames = [
        *seen(0, syn(), "expert/eth0>", ">expert.nat/lan-host", ">expert.nat/lan"),
        *seen(30, syn("80.1.1.1:50000"), "expert.nat/wan>", ">internet/to-expert"),
        *seen(50, icmp("80.1.1.2", syn()), "internet/to-expert>", ">expert.nat/wan"),
        *seen(70, icmp("80.1.1.2", syn()), "expert.nat/lan>", "expert.nat/lan-host>"),
        *seen(90, icmp("80.1.1.2", syn()), ">expert/eth0"),
    ]
    assert [(hop.sender, hop.receiver, hop.interfaces) for hop in hops(traced(frames))] == [
        ("expert", "expert.nat", ("expert/eth0", "expert.nat/lan-host", "expert.nat/lan")),
        ("expert.nat", "internet", ("expert.nat/wan", "internet/to-expert")),
        ("internet", "expert.nat", ("internet/to-expert", "expert.nat/wan")),
        ("expert.nat", "expert", ("expert.nat/lan", "expert.nat/lan-host", "expert/eth0")),
    ]


def test_a_packet_that_comes_in_where_it_went_out_is_another_hop() -> None:
    """A hairpin: out to the own gateway, and back in as another hop of the same SYN."""
    frames = [
        *seen(0, syn(), "expert/eth0>", ">nat/lan"),
        *seen(20, syn(destination=INSIDE), "nat/lan>", ">expert/eth0"),
    ]
    ways = [(hop.sender, hop.receiver) for hop in hops(traced(frames))]
    assert ways == [("expert", "nat"), ("nat", "expert")]


def test_what_a_node_took_for_its_own_did_not_come_from_itself() -> None:
    frames = seen(0, syn(), "expert/eth0>", ">expert/eth1")
    ways = [(hop.sender, hop.receiver) for hop in hops(traced(frames))]
    assert ways == [("expert", None), (None, "expert")]


def test_what_arrives_again_is_another_hop() -> None:
    frames = [*DROPPED[:2], *seen(50, syn(), ">internet/to-expert", ">internet/to-expert")]
    ways = [(hop.sender, hop.receiver, hop.notes[0]) for hop in hops(traced(frames))]
    assert ways == [
        ("expert", "internet", "from 85.200.20.2:50000"),
        (None, "internet", "from 85.200.20.2:50000"),
        (None, "internet", "from 85.200.20.2:50000"),
    ]


def test_a_syn_that_is_sent_on_twice_by_two_ways_is_two_hops() -> None:
    frames = [*DROPPED, *seen(60, syn(), "internet/to-services>", ">services/eth0")]
    ways = [(hop.sender, hop.receiver) for hop in hops(traced(frames))]
    assert ways == [("expert", "internet"), ("internet", "novice.nat"), ("internet", "services")]


def test_a_hop_whose_one_end_was_not_seen_is_no_arrow() -> None:
    assert CROSS not in printed(DROPPED[:3], TIMED_OUT)
    lost = printed([*DROPPED[:3], *seen(1_000_000, syn(), *TO_NAT)], TIMED_OUT).splitlines()
    assert lost[5] == "   0.020  │               ?               │   SYN not seen to arrive"
    assert lost[7] == "1000.020  │               ├─────SYN──────▶│"
    stray = [*DROPPED, *seen(70, rst(OUTSIDE), ">internet/to-novice", "internet/to-expert>")]
    text = printed(stray, REFUSED)
    assert "   0.070  │               ?               │   RST from elsewhere\n" in text


def test_a_box_without_a_capture_is_passed_by_an_arrow_that_says_what_it_changed() -> None:
    frames = [*seen(0, syn(), *TO_NAT[:3]), *seen(30, syn(destination=INSIDE), ">novice/eth0")]
    text = printed(frames, told(End.TIMEOUT, "novice", "dropped by novice (a rule)"))
    assert "   0.020  │               ├─────SYN──────▶│   => to   192.168.1.100:3389\n" in text
    answer = [
        *seen(60, syn_ack(INSIDE), "novice/eth0>"),
        *seen(70, syn_ack(OUTSIDE), ">internet/to-novice", "internet/to-expert>", ">expert/eth0"),
    ]
    lines = printed([*frames, *answer], ANSWERED).splitlines()
    assert lines[6:9] == [
        "   0.060  │               │◀───SYN-ACK────┤   from 192.168.1.100:3389",
        "          │               │               │   to   85.200.20.2:50000",
        "          │               │               │   => from 80.100.10.2:3389",
    ]
    # What the box changed has changed for good, and is not told again.
    assert lines[9] == "   0.080  │◀───SYN-ACK────┤               │"


def test_an_arrow_back_over_a_lifeline_crosses_it() -> None:
    """Where the way back is another one than the way there."""
    answer = seen(60, syn_ack(OUTSIDE), "novice/eth0>", ">expert/eth0")
    text = printed([*FORWARDED, *answer], ANSWERED)
    assert "   0.060  │◀───────────┼────────────┼───SYN-ACK──┤   from" in text


def test_a_narrow_terminal_gets_the_hops_one_below_the_other() -> None:
    text = printed(CONNECTED, ANSWERED, width=60)
    assert "   0.020  SYN      internet -> ?\n" in printed(DROPPED[:3], TIMED_OUT, width=40)
    assert text.startswith(
        "expert -> 80.100.10.2:3389  (ms since its SYN)\n"
        "   0.000  SYN      expert -> internet\n"
        "                   from 85.200.20.2:50000\n"
        "                   to   80.100.10.2:3389\n"
        "   0.020  SYN      internet -> novice.nat\n"
    )
    assert "   0.060  SYN-ACK  novice -> novice.nat\n" in text


def chain(length: int) -> list[Frame]:
    """Return a SYN's way through so many nodes with names as long as they may be."""
    names = ["expert", *(f"novice.{'x' * 31}{at}" for at in range(length - 1))]
    frames: list[Frame] = []
    for at, (sender, receiver) in enumerate(pairwise(names)):
        source = f"255.255.255.{200 + at}:65535"
        frames += seen(20 * at, syn(source), f"{sender}/wan>", f">{receiver}/lan")
    frames[0] = seen(0, syn(), "expert/wan>")[0]
    return frames


@pytest.mark.parametrize("length", range(2, 8))
@pytest.mark.parametrize("width", [60, 80, 100, 200])
def test_no_line_is_wider_than_the_terminal(length: int, width: int) -> None:
    text = printed(chain(length), TIMED_OUT, width)
    assert max(map(len, text.splitlines())) <= width
    assert text == "\n".join(line.rstrip() for line in text.splitlines()) + "\n"


@pytest.mark.parametrize(
    ("length", "width", "drawn"),
    [(5, 80, True), (6, 80, False), (6, 89, False), (6, 90, True), (7, 100, True)],
)
def test_five_nodes_fit_80_columns_and_seven_a_wider_terminal(
    length: int, width: int, drawn: bool
) -> None:
    assert ("├" in printed(chain(length), TIMED_OUT, width)) is drawn


def test_a_long_name_is_broken_behind_its_dots_and_hyphens() -> None:
    name = "novice.http-proxy-open.2"
    frames = renamed(DROPPED, "novice.nat", name)
    lines = printed(renamed(frames, "internet", "inter-net-work"), TIMED_OUT, 80).splitlines()
    header = lines[1 : next(at for at, line in enumerate(lines) if "│" in line)]
    assert [line.split() for line in header] == [
        ["novice.http-"],
        ["expert", "inter-net-work", "proxy-open.2"],
    ]


def test_an_attempt_of_which_nothing_was_seen_has_no_arrows() -> None:
    own = told(End.REFUSED, "expert", "RST from expert (nothing listens there)")
    assert printed([], own) == (
        "expert -> 80.100.10.2:3389\n"
        "          no SYN of it was on any interface\n"
        "ended     refused at expert: RST from expert (nothing listens there)\n"
    )


def test_a_proxied_attempt_says_through_which_proxy() -> None:
    found = traced(renamed(DROPPED, "expert", "expert.socks-proxy"), "expert.socks-proxy", None)
    text = shown(found, TIMED_OUT)
    assert text.startswith("expert -> 80.100.10.2:3389 through expert.socks-proxy  (ms since")


def test_a_name_or_reason_with_terminal_commands_is_shown_as_escapes() -> None:
    hostile = "novice.\x1b[2J[red]"
    attempt = told(End.TIMEOUT, hostile, f"dropped by {hostile}\n\u202e")
    for old, width in (("novice.nat", 80), ("novice.nat", 50), ("internet", 50)):
        text = printed(renamed(DROPPED, old, hostile), attempt, width)
        assert "\x1b" not in text
        assert "\u202e" not in text
        assert r"\x1b" in text
        assert "[red]" in text


def test_colour_tells_answers_apart_and_is_not_needed() -> None:
    def coloured(frames: list[Frame], attempt: Attempt) -> str:
        file = StringIO()
        console = Console(width=80, file=file, force_terminal=True, color_system="standard")
        print_ladder(traced(frames), attempt, console)
        return file.getvalue()

    green, red = "\x1b[32m", "\x1b[31m"
    assert green in coloured(CONNECTED, ANSWERED)
    assert red not in coloured(CONNECTED, ANSWERED)
    assert red in coloured(REJECTED, UNREACHABLE)
    assert green not in coloured(DROPPED, TIMED_OUT)
