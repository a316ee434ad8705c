"""What a real router did is read off the far ends of its wires, and off nothing else."""

from __future__ import annotations

from ipaddress import IPv4Address

import pytest
from wires import (
    EXPERT,
    INSIDE,
    NET_UNREACHABLE,
    OUTSIDE,
    SEQUENCE,
    icmp,
    rst,
    seen,
    syn,
    syn_ack,
    tcp,
)

from harness.judge.black_box import BLACK_BOX, mirrored, sightings
from harness.judge.evidence import Call, observe, trace_controls
from harness.judge.journey import Ending, Event, Sighting, ending
from harness.judge.trace import Packets, contradiction, trace
from harness.judge.verdict import judge
from harness.protocol.packet import Flags, Segment, parse
from harness.protocol.pcapng import Frame
from harness.protocol.replies import Dialled
from harness.words import Answer, End, Role, Verdict

ROUTER = "novice.acme"
WAN, LAN = f"{ROUTER}/wan", f"{ROUTER}/lan"
WIRES = {"internet/to-acme": WAN, "novice/eth0": LAN}

# Only the far ends of the router's wires can be captured.
TO_ROUTER = ("expert/eth0>", ">internet/to-expert", "internet/to-acme>")
TO_NOVICE = (">novice/eth0",)
FROM_NOVICE = ("novice/eth0>",)
FROM_ROUTER = (">internet/to-acme", "internet/to-expert>", ">expert/eth0")

# What the router sends has another sequence number where it makes connections of its own.
OWN = 555_000

IN = seen(0, syn(), *TO_ROUTER)
DROPPED = IN
FORWARDED = [*IN, *seen(40, syn(destination=INSIDE), *TO_NOVICE)]
CONNECTED = [
    *FORWARDED,
    *seen(60, syn_ack(INSIDE), *FROM_NOVICE),
    *seen(80, syn_ack(OUTSIDE), *FROM_ROUTER),
]
RESET_WITHIN = [
    *FORWARDED,
    *seen(60, rst(INSIDE), *FROM_NOVICE),
    *seen(80, rst(OUTSIDE), *FROM_ROUTER),
]
RESET_BY_IT = [*IN, *seen(40, rst(OUTSIDE), *FROM_ROUTER)]
ICMP_BY_IT = [*IN, *seen(40, icmp("80.100.10.2", syn()), *FROM_ROUTER)]
ICMP_WITHIN = [
    *FORWARDED,
    *seen(60, icmp("192.168.1.100", syn(destination=INSIDE)), *FROM_NOVICE),
    *seen(80, icmp("80.100.10.2", syn()), *FROM_ROUTER),
]
ANSWERED_BY_IT = [*IN, *seen(40, syn_ack(OUTSIDE), *FROM_ROUTER)]
SPOKEN_FOR = [*ANSWERED_BY_IT, *seen(200, syn(OUTSIDE, INSIDE, OWN), *TO_NOVICE)]


def did(frames: list[Frame]) -> list[tuple[Event, str]]:
    """Return what the router is seen to have done: each event, and its packet in a word."""
    found = sightings(mirrored(frames, WIRES), {ROUTER})
    assert {each.node for each in found} <= {ROUTER}
    return [(each.event, word(each)) for each in found]


def word(sighting: Sighting) -> str:
    packet = sighting.packet
    if not isinstance(packet, Segment):
        return "ICMP"
    if packet.opens:
        return "SYN"
    return "RST" if packet.flags & Flags.RST else "SYN-ACK"


def end_of(frames: list[Frame]) -> Ending:
    """Return where the SYN ended, by what the hosts' kernels log and what is read off the wires."""
    kernels = [
        Sighting(frame.node, Event.SENT, "", packet)
        for frame in frames
        if frame.outgoing
        and frame.node in ("novice", "expert")
        and (packet := parse(frame.data[14:])) is not None
    ]
    return ending([*kernels, *sightings(mirrored(frames, WIRES), {ROUTER})], SEQUENCE)


def test_a_syn_that_went_in_and_did_not_come_out_ended_there() -> None:
    assert did(DROPPED) == [(Event.ENDED, "SYN")]
    assert end_of(DROPPED) == Ending(ROUTER, f"dropped by {ROUTER} ({BLACK_BOX})", end=End.TIMEOUT)


def test_a_syn_that_was_passed_on_did_not_end_there() -> None:
    assert did(FORWARDED) == []
    assert did(CONNECTED) == []
    assert end_of(CONNECTED).node == "novice"


def test_a_rst_that_the_host_behind_it_sent_is_the_host_s() -> None:
    assert did(RESET_WITHIN) == []
    assert end_of(RESET_WITHIN).how == "RST from novice (nothing listens there)"


def test_a_rst_that_nobody_behind_it_sent_is_the_router_s() -> None:
    assert did(RESET_BY_IT) == [(Event.SENT, "RST"), (Event.ENDED, "SYN")]
    assert end_of(RESET_BY_IT) == Ending(
        ROUTER, f"RST from {ROUTER} (nothing listens there)", end=End.REFUSED
    )


def test_an_icmp_error_is_the_router_s_where_it_heard_none() -> None:
    assert did(ICMP_BY_IT) == [(Event.SENT, "ICMP"), (Event.ENDED, "SYN")]
    assert end_of(ICMP_BY_IT).node == ROUTER
    assert end_of(ICMP_BY_IT).how.startswith(f"ICMP port unreachable from {ROUTER}")
    assert did(ICMP_WITHIN) == []


def test_an_icmp_error_from_the_internet_about_another_s_syn_is_not_the_router_s() -> None:
    out = seen(0, syn("192.168.1.100:4000", "9.9.9.9:80"), "novice/eth0>")
    out += seen(20, syn("80.100.10.2:4000", "9.9.9.9:80"), ">internet/to-acme")
    back = icmp("80.100.10.1", syn("80.100.10.2:4000", "9.9.9.9:80"), NET_UNREACHABLE)
    frames = [*out, *seen(40, back, "internet/to-acme>"), *seen(60, back, ">novice/eth0")]
    assert did(frames) == []


def test_a_router_that_answers_for_others_is_who_answered() -> None:
    assert did(ANSWERED_BY_IT) == [(Event.SENT, "SYN-ACK"), (Event.ENDED, "SYN")]
    assert end_of(ANSWERED_BY_IT).how == f"answered by {ROUTER}"
    assert did(SPOKEN_FOR) == did(ANSWERED_BY_IT)


def test_what_is_sent_again_is_told_once() -> None:
    again = seen(1000, syn(), *TO_ROUTER)
    assert did([*DROPPED, *again]) == did(DROPPED)
    passed_on_late = [*DROPPED, *again, *seen(1040, syn(destination=INSIDE), *TO_NOVICE)]
    assert did(passed_on_late) == []
    assert did([*RESET_BY_IT, *again])[-1] == (Event.ENDED, "SYN")


def test_a_syn_that_never_came_in_tells_nothing() -> None:
    stranger = seen(0, syn(sequence=7), "expert/eth0>", ">internet/to-expert")
    assert did(stranger) == []
    late = seen(0, rst(OUTSIDE), *FROM_ROUTER)
    assert did(late) == [], "a RST about a SYN of another time"


def test_what_comes_after_the_beginning_is_nobody_s_answer() -> None:
    data = tcp(OUTSIDE, EXPERT, Flags.ACK, 78, SEQUENCE + 1)
    fin = tcp(OUTSIDE, EXPERT, Flags.FIN | Flags.ACK, 78, SEQUENCE + 1)
    later = [*seen(200, data, *FROM_ROUTER), *seen(220, fin, *FROM_ROUTER)]
    assert did([*CONNECTED, *later]) == []


def test_two_routers_are_told_apart() -> None:
    wires = {**WIRES, "internet/to-other": "expert.other/wan", "expert/eth0": "expert.other/lan"}
    out = seen(0, syn("10.0.0.9:50000"), "expert/eth0>")
    out += seen(20, syn(), ">internet/to-other", "internet/to-acme>")
    found = sightings(mirrored(out, wires), {ROUTER, "expert.other"})
    assert [(each.node, each.event) for each in found] == [(ROUTER, Event.ENDED)]


def test_the_router_s_own_frames_are_those_of_the_far_ends_the_other_way_round() -> None:
    found = mirrored(FORWARDED, WIRES)
    assert [(frame.interface, frame.outgoing) for frame in found] == [
        ("expert/eth0", True),
        ("internet/to-expert", False),
        ("internet/to-acme", True),
        (WAN, False),
        (LAN, True),
        ("novice/eth0", False),
    ]
    times = [frame.time_ns for frame in found]
    assert times == sorted(times)
    assert mirrored(list(reversed(FORWARDED)), WIRES) == found


# --- As evidence ----------------------------------------------------------------------------------

DIALLED = Dialled(
    address="80.100.10.2",
    port=3389,
    local_port=50000,
    started=1.0,
    seconds=7.0,
    end=End.TIMEOUT,
    detail="no answer within 7 s",
    via_proxy=False,
    session=None,
    proven=None,
)
LEFT = Sighting("expert", Event.SENT, "", Segment(
    IPv4Address("85.200.20.2"), 50000, IPv4Address("80.100.10.2"), 3389, SEQUENCE, 0, Flags.SYN
))  # fmt: skip


def judged(frames: list[Frame]) -> tuple[Verdict, str]:
    """Judge an attempt that timed out by a capture, as a "No" that nothing documents."""
    call = Call(Role.EXPERT, DIALLED)
    read = mirrored(frames, WIRES)
    observed = observe([call], [LEFT, *sightings(read, {ROUTER})], dict.fromkeys(Role))
    assert observed.answer is Answer.NO
    (attempt,) = observed.attempts
    controls = trace_controls(observed)
    if attempt.ended_at:
        way = trace(Packets(read), "expert", attempt.address, attempt.port, DIALLED.local_port)
        assert contradiction(way, attempt) is None
    return judge(None, observed, controls)


def test_silence_is_a_no_where_the_capture_is_whole() -> None:
    verdict, why = judged(DROPPED)
    assert verdict is Verdict.UNDOCUMENTED
    assert f"dropped by {ROUTER} ({BLACK_BOX})" in why


@pytest.mark.parametrize("lost", ["internet/to-acme", "internet/to-acme and the rest"])
def test_without_the_frames_that_show_it_a_no_is_invalid(lost: str) -> None:
    kept = [frame for frame in DROPPED if frame.interface not in lost and lost.count("rest") == 0]
    verdict, why = judged(kept)
    assert verdict is Verdict.INVALID
    assert "its end was not seen" in why
