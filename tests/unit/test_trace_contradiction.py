"""What is told of an attempt is held against what the capture shows."""

from __future__ import annotations

from dataclasses import replace

import pytest
from wires import (
    ANSWERED,
    CONNECTED,
    DROPPED,
    FORWARDED,
    FROM_NAT,
    HAIRPIN,
    INSIDE,
    NET_UNREACHABLE,
    OUTSIDE,
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
from harness.judge.trace import Packets, contradiction, trace
from harness.protocol.pcapng import Frame
from harness.words import End

PRINTER = told(End.WRONG_PEER, "printer", "answered by printer; the listener holds no invitation")
BRIDGED = [
    *seen(0, syn(), "expert/eth0>", ">expert.nat/lan-host", "expert.nat/lan-0>", ">printer/eth0"),
    *seen(
        40, syn_ack(OUTSIDE), "printer/eth0>", ">expert.nat/lan-0", "expert.nat/lan-host>",
        ">expert/eth0",
    ),
]  # fmt: skip
NO_ROUTE = [
    *seen(0, syn(), *TO_NAT[:2]),
    *seen(20, icmp("85.200.20.1", syn(), NET_UNREACHABLE), *FROM_NAT[2:]),
]


OWN = "RST from expert (nothing listens there); that address is the expert's own"


@pytest.mark.parametrize(
    ("frames", "attempt"),
    [
        pytest.param(CONNECTED, ANSWERED, id="connected"),
        pytest.param(DROPPED, TIMED_OUT, id="dropped"),
        pytest.param([*DROPPED, *seen(10**6, syn(), *TO_NAT)], TIMED_OUT, id="dropped twice"),
        pytest.param([*DROPPED, *seen(10**6, syn(), *TO_NAT[:1])], TIMED_OUT, id="given up"),
        pytest.param(RESET, REFUSED, id="RST"),
        pytest.param(REJECTED, UNREACHABLE, id="ICMP from a firewall"),
        pytest.param(
            REJECTED[:5],
            UNREACHABLE.model_copy(update={"end": End.TIMEOUT}),
            id="ICMP that does not come back",
        ),
        pytest.param(
            NO_ROUTE,
            told(End.UNREACHABLE, "internet", "ICMP network unreachable from internet (no route)"),
            id="no route",
        ),
        pytest.param([], told(End.REFUSED, "expert", OWN), id="own address"),
        pytest.param(HAIRPIN, told(End.REFUSED, "expert", OWN), id="own address, by the gateway"),
        pytest.param(
            [],
            told(End.WRONG_PEER, "expert", "answered by expert; the listener holds no invitation"),
            id="own listener",
        ),
        pytest.param(
            [],
            told(
                End.UNREACHABLE,
                "expert",
                "ICMP host unreachable from expert; no host of its LAN has that address",
            ),
            id="nobody of the LAN",
        ),
        pytest.param(
            [],
            told(End.UNREACHABLE, "expert", "did not leave the expert: network is unreachable"),
            id="no way out",
        ),
        pytest.param(BRIDGED, PRINTER, id="a stranger of the LAN"),
        pytest.param(DROPPED, told(End.TIMEOUT, "", "its end was not seen"), id="end not seen"),
        pytest.param(DROPPED, told(End.TIMEOUT, "novice.nat", "other words"), id="other words"),
    ],
)
def test_a_capture_bears_out_what_is_told(frames: list[Frame], attempt: Attempt) -> None:
    assert contradiction(traced(frames), attempt) is None


@pytest.mark.parametrize(
    ("frames", "attempt", "why"),
    [
        pytest.param(
            [],
            TIMED_OUT,
            "no SYN to 80.100.10.2:3389 was seen leaving expert",
            id="nothing left",
        ),
        pytest.param(
            [],
            told(End.CONNECTED, "expert", "answered by expert; both sides hold the invitation"),
            "no SYN to 80.100.10.2:3389 was seen leaving expert",
            id="connected to oneself",
        ),
        pytest.param(
            DROPPED[:2],
            TIMED_OUT,
            "said to have ended at novice.nat, but the SYN never arrived there: "
            "it was last seen coming in at internet/to-expert",
            id="never arrived",
        ),
        pytest.param(
            DROPPED[:3],
            TIMED_OUT,
            "said to have ended at novice.nat, but the SYN never arrived there: "
            "it was last seen going out of internet/to-novice",
            id="lost on the wire",
        ),
        pytest.param(
            FORWARDED,
            TIMED_OUT,
            "said to have ended at novice.nat, but the SYN was seen beyond it, "
            "coming in at novice/eth0",
            id="beyond",
        ),
        pytest.param(
            FORWARDED[:5],
            TIMED_OUT,
            "said to have ended at novice.nat, but the SYN was seen beyond it, "
            "going out of novice.nat/lan",
            id="sent on",
        ),
        pytest.param(
            DROPPED,
            told(End.UNREACHABLE, "expert", "did not leave the expert: network is unreachable"),
            "said to have ended at expert, but the SYN left it by expert/eth0",
            id="left after all",
        ),
        pytest.param(
            FORWARDED,
            ANSWERED,
            "said to be answered by novice, but no answer was seen",
            id="no answer",
        ),
        pytest.param(
            CONNECTED[:-1],
            ANSWERED,
            "said to be connected, but no SYN-ACK came back to expert",
            id="answer lost",
        ),
        pytest.param(
            BRIDGED[:-1],
            PRINTER,
            "said to be wrong-peer, but no SYN-ACK came back to expert",
            id="stranger's answer lost",
        ),
        pytest.param(
            [*CONNECTED[:-1], *seen(200, rst(OUTSIDE), *FROM_NAT)],
            ANSWERED,
            "said to be connected, but no SYN-ACK came back to expert",
            id="RST instead of the answer",
        ),
        pytest.param(
            RESET[:-1],
            REFUSED,
            "said to be refused, but no answer came back to expert",
            id="RST lost",
        ),
        pytest.param(
            RESET,
            ANSWERED,
            "said to be answered by novice, but RST from novice",
            id="RST and no SYN-ACK",
        ),
        pytest.param(
            [*FORWARDED, *seen(80, rst(OUTSIDE), *FROM_NAT)],
            REFUSED,
            "said to be RST from novice, but RST from novice.nat",
            id="RST of another",
        ),
        pytest.param(
            [*FORWARDED, *seen(60, rst(INSIDE), ">novice.nat/lan")],
            REFUSED,
            "said to be RST from novice, but RST that entered at novice.nat/lan",
            id="RST from nowhere",
        ),
        pytest.param(
            REJECTED,
            TIMED_OUT,
            "said to be dropped by novice.nat, but ICMP port unreachable from novice.nat",
            id="rejected and not dropped",
        ),
        pytest.param(
            REJECTED,
            told(End.REFUSED, "novice.nat", "ICMP host unreachable from novice.nat"),
            "said to be ICMP host unreachable from novice.nat, "
            "but ICMP port unreachable from novice.nat",
            id="another reason",
        ),
        pytest.param(
            DROPPED,
            told(End.TIMEOUT, "novice.nat", "dropped by internet (no route)"),
            "said to be dropped by internet, but no answer was seen",
            id="two nodes in one sentence",
        ),
        pytest.param(
            CONNECTED,
            told(End.TIMEOUT, "", "its end was not seen"),
            "its end is said not to have been seen, but answered by novice",
            id="end not seen by the kernel",
        ),
    ],
)
def test_a_capture_that_shows_something_else_contradicts(
    frames: list[Frame], attempt: Attempt, why: str
) -> None:
    assert contradiction(traced(frames), attempt) == why


PROXY = "expert.http-proxy"


def by_proxy(frames: list[Frame]) -> list[Frame]:
    """Return the frames as they are where the proxy dials in the expert's place."""
    return [
        replace(frame, interface=frame.interface.replace("expert/eth0", f"{PROXY}/wan"))
        for frame in frames
    ]


PROXIED = by_proxy(CONNECTED)


def through(attempt: Attempt, **changes: object) -> Attempt:
    """Return the attempt as it is told where it went through the proxy."""
    return attempt.model_copy(update={"how": f"through {PROXY}: {attempt.how}", **changes})


def test_a_proxied_attempt_is_borne_out_by_the_proxy_s_own_syn() -> None:
    found = traced(PROXIED, PROXY, None)
    assert found.nodes[0] == PROXY
    assert contradiction(found, through(ANSWERED)) is None
    assert contradiction(traced(PROXIED[:4], PROXY, None), through(TIMED_OUT)) is None
    refused = told(End.REFUSED, PROXY, f"ended by {PROXY}: the proxy did not connect: 403")
    assert contradiction(traced([], PROXY, None), refused) is None


def test_what_a_proxy_met_is_the_kernel_s_word_and_need_not_have_come_back() -> None:
    lost = by_proxy(RESET[:-1])
    assert contradiction(traced(lost, PROXY, None), through(REFUSED)) is None


@pytest.mark.parametrize(
    ("frames", "attempt", "why"),
    [
        pytest.param(
            [],
            through(ANSWERED),
            f"no SYN to 80.100.10.2:3389 was seen leaving {PROXY}",
            id="nothing left the proxy",
        ),
        pytest.param(
            PROXIED[:-1],
            through(ANSWERED),
            f"said to be connected, but no SYN-ACK came back to {PROXY}",
            id="no answer to the proxy",
        ),
        pytest.param(
            PROXIED,
            told(End.REFUSED, PROXY, f"ended by {PROXY}: 403"),
            f"said to have ended at {PROXY}, but the SYN left it by {PROXY}/wan",
            id="the proxy dialled after all",
        ),
    ],
)
def test_a_proxied_attempt_is_contradicted_as_any_other(
    frames: list[Frame], attempt: Attempt, why: str
) -> None:
    assert contradiction(traced(frames, PROXY, None), attempt) == why


def test_a_capture_of_another_attempt_bears_nothing_out() -> None:
    other = trace(Packets(CONNECTED), "expert", "80.100.10.9", 3389, 50000)
    assert contradiction(other, ANSWERED) is not None
