"""An attempt's way, rebuilt from the frames of every interface."""

from __future__ import annotations

import random
import time
from collections import Counter
from dataclasses import replace

import pytest
from wires import (
    CONNECTED,
    DROPPED,
    ETHERNET,
    EXPERT,
    FORWARDED,
    FROM_NAT,
    FROM_NOVICE,
    HAIRPIN,
    INSIDE,
    OUTSIDE,
    REJECTED,
    SEQUENCE,
    TO_NAT,
    TO_NOVICE,
    icmp,
    rst,
    seen,
    syn,
    syn_ack,
    tcp,
    traced,
)

from harness.judge.trace import Step, syns
from harness.protocol.packet import Flags
from harness.protocol.pcapng import Frame


def test_a_syn_is_followed_through_a_translation_to_its_answer_and_back() -> None:
    found = traced(CONNECTED)
    assert found.sequence == SEQUENCE
    assert found.nodes == ("expert", "internet", "novice.nat", "novice")
    assert [(step.interface, step.outgoing, step.what) for step in found.steps] == [
        ("expert/eth0", True, "SYN"),
        ("internet/to-expert", False, "SYN"),
        ("internet/to-novice", True, "SYN"),
        ("novice.nat/wan", False, "SYN"),
        ("novice.nat/lan", True, "SYN"),
        ("novice/eth0", False, "SYN"),
        ("novice/eth0", True, "SYN-ACK"),
        ("novice.nat/lan", False, "SYN-ACK"),
        ("novice.nat/wan", True, "SYN-ACK"),
        ("internet/to-novice", False, "SYN-ACK"),
        ("internet/to-expert", True, "SYN-ACK"),
        ("expert/eth0", False, "SYN-ACK"),
    ]
    assert found.rewrites == (f"novice.nat: destination {OUTSIDE} -> {INSIDE}",)
    assert (found.last_node, found.last_interface, found.delivered) == (
        "novice",
        "novice/eth0",
        True,
    )
    assert found.came_back("SYN-ACK")
    assert not found.came_back("RST")


def test_a_step_tells_when_where_and_between_which_addresses() -> None:
    answer = traced(CONNECTED).answer
    began = CONNECTED[0].time_ns
    assert answer == Step(began + 60_000, "novice", "novice/eth0", True, INSIDE, EXPERT, "SYN-ACK")


def test_only_an_answer_that_comes_in_at_the_sender_has_come_back() -> None:
    assert not traced(HAIRPIN[:5]).came_back()
    assert traced(HAIRPIN).came_back("RST")
    # A SYN that comes round is no answer.
    assert not traced(HAIRPIN[:4]).came_back()


def test_a_dropped_syn_was_delivered_to_the_node_that_dropped_it_and_nothing_answers() -> None:
    found = traced(DROPPED)
    assert (found.last_node, found.last_interface, found.delivered) == (
        "novice.nat",
        "novice.nat/wan",
        True,
    )
    assert found.answer is None
    assert found.nodes == ("expert", "internet", "novice.nat")
    assert not found.came_back()


def test_a_syn_that_was_lost_on_a_wire_was_delivered_to_nobody() -> None:
    found = traced(DROPPED[:3])
    assert (found.last_node, found.last_interface, found.delivered) == (
        "internet",
        "internet/to-novice",
        False,
    )


def test_an_icmp_error_has_addresses_without_ports_and_its_reason() -> None:
    answer = traced(REJECTED).answer
    assert answer is not None
    assert answer.what == "ICMP port unreachable"
    assert (answer.node, answer.source, answer.destination) == (
        "novice.nat",
        "80.100.10.2",
        "85.200.20.2",
    )


def test_a_translated_source_is_told_with_the_node_that_translated_it() -> None:
    inside = "192.168.2.100:50000"
    frames = [
        *seen(0, syn(source=inside), "expert/eth0>", ">expert.nat/lan"),
        *seen(20, syn(), "expert.nat/wan>", ">internet/to-expert"),
    ]
    assert traced(frames).rewrites == (f"expert.nat: source {inside} -> {EXPERT}",)


def test_what_was_rewritten_where_no_interface_is_captured_is_told_between_its_neighbours() -> None:
    """A real router has no node of ours inside."""
    frames = [
        *seen(0, syn(), *TO_NAT[:3]),
        *seen(40, syn(destination=INSIDE), ">novice/eth0"),
    ]
    found = traced(frames)
    assert found.rewrites == (f"between internet and novice: destination {OUTSIDE} -> {INSIDE}",)


def test_a_syn_that_is_sent_again_is_one_way_with_its_repetitions_marked() -> None:
    frames = [*DROPPED, *seen(1_000_000, syn(), *TO_NAT)]
    found = traced(frames)
    assert [step.what for step in found.steps] == 4 * ["SYN"] + 4 * ["retransmitted SYN"]
    assert found.nodes == traced(DROPPED).nodes
    assert found.rewrites == ()


def test_a_repetition_that_comes_further_says_how_far_the_syn_came() -> None:
    frames = [*DROPPED[:2], *seen(1_000_000, syn(), *TO_NAT), *seen(1_000_030, syn(), *TO_NOVICE)]
    assert traced(frames).last_interface == "novice/eth0"
    again = [*FORWARDED, *seen(1_000_000, syn(), "expert/eth0>")]
    assert traced(again).last_interface == "novice/eth0"


def test_frames_in_any_order_make_the_same_trace() -> None:
    shuffled = CONNECTED[:]
    random.Random(7).shuffle(shuffled)
    assert traced(shuffled) == traced(CONNECTED)


@pytest.mark.parametrize(
    "frames",
    [
        pytest.param(seen(0, syn(), ">expert/eth0"), id="coming in"),
        pytest.param(seen(0, syn(), "novice/eth0>"), id="of another node"),
        pytest.param(seen(0, syn(destination="80.100.10.2:3390"), "expert/eth0>"), id="port"),
        pytest.param(seen(0, syn(destination="80.100.10.3:3389"), "expert/eth0>"), id="address"),
        pytest.param(seen(0, syn("85.200.20.2:50001"), "expert/eth0>"), id="local port"),
        pytest.param(seen(0, tcp(EXPERT, OUTSIDE, Flags.ACK), "expert/eth0>"), id="no SYN"),
        pytest.param([], id="nothing"),
    ],
)
def test_what_the_node_did_not_send_there_is_not_its_attempt(frames: list[Frame]) -> None:
    found = traced(frames)
    assert (found.sequence, found.steps, found.nodes) == (None, (), ("expert",))
    assert (found.last_node, found.last_interface, found.delivered) == ("", "", False)


def test_a_proxy_s_attempt_is_found_without_its_local_port() -> None:
    assert traced(DROPPED, local_port=None) == traced(DROPPED)


def test_another_attempt_s_packets_are_not_in_the_trace() -> None:
    other = SEQUENCE + 5
    foreign = [
        *seen(5, syn(sequence=other), *TO_NAT),
        *seen(45, syn_ack(OUTSIDE, sequence=other), *FROM_NAT),
        *seen(55, icmp("80.100.10.1", syn(sequence=other)), *FROM_NAT[2:]),
    ]
    assert traced([*DROPPED, *foreign]) == traced(DROPPED)


def test_an_acknowledgement_in_the_session_answers_no_syn() -> None:
    data = tcp(INSIDE, EXPERT, Flags.ACK, 78, SEQUENCE + 1)
    assert traced([*CONNECTED, *seen(200, data, *FROM_NOVICE)]) == traced(CONNECTED)


def test_what_came_before_the_syn_does_not_answer_it() -> None:
    early = seen(-50, syn_ack(OUTSIDE), ">expert/eth0")
    assert traced([*early, *DROPPED]).answer is None


def test_syns_are_counted_at_each_interface_with_their_repetitions() -> None:
    frames = [*FORWARDED, *seen(1_000_000, syn(), "expert/eth0>"), *seen(9, rst(OUTSIDE), "a/b")]
    ways = (each.interface for each in FORWARDED)
    assert syns(frames, 3389) == Counter([*ways, "expert/eth0"])
    assert syns(frames, 3390) == Counter()


def test_a_syn_ack_is_no_syn() -> None:
    """Nor where both ends of a connection have the port that is counted."""
    answers = seen(0, syn_ack(OUTSIDE, "85.200.20.2:3389"), *FROM_NAT)
    assert syns(answers, 3389) == Counter()


def test_only_syns_and_their_acknowledgements_are_sent_again_and_each_error_is_a_new_one() -> None:
    frames = [*REJECTED, *seen(1_000_000, icmp("80.100.10.2", syn()), *FROM_NAT)]
    whats = {step.what for step in traced(frames).steps}
    assert whats == {"SYN", "ICMP port unreachable"}
    twice = [*CONNECTED, *seen(1_000_000, syn_ack(OUTSIDE), *FROM_NAT)]
    assert traced(twice).steps[-1].what == "retransmitted SYN-ACK"


def test_the_options_of_an_ip_header_are_skipped() -> None:
    """RFC 2113's router alert stands where a TCP header begins otherwise."""
    (frame,) = seen(0, syn(), "expert/eth0>")
    head, rest = frame.data[:34], frame.data[34:]
    alerting = head[:14] + b"\x46" + head[15:] + b"\x94\x04\x00\x00" + rest
    assert syns([replace(frame, data=alerting)], 3389) == Counter(["expert/eth0"])


def test_an_icmp_error_that_quotes_a_syn_is_not_counted_as_one() -> None:
    assert syns(REJECTED, 3389) == syns(DROPPED, 3389)


def test_the_later_fragments_of_a_packet_hold_no_header() -> None:
    (frame,) = seen(0, syn(), "expert/eth0>")
    later = replace(frame, data=frame.data[:20] + b"\x00\xb9" + frame.data[22:])
    first = replace(frame, data=frame.data[:20] + b"\x20\x00" + frame.data[22:])
    assert syns([later], 3389) == Counter()
    assert syns([first], 3389) == Counter(["expert/eth0"])


def test_what_is_no_ipv4_is_passed_over() -> None:
    (frame,) = seen(0, syn(), "expert/eth0>")
    arp = replace(frame, data=ETHERNET[:12] + b"\x08\x06" + frame.data[14:])
    assert traced([arp]).sequence is None


def test_frames_cut_short_anywhere_are_read_as_far_as_they_go() -> None:
    for frames in (CONNECTED, REJECTED):
        for length in range(len(frames[-1].data)):
            cut = [replace(frame, data=frame.data[:length]) for frame in frames]
            assert traced(cut).sequence in (None, SEQUENCE)
            assert syns(cut, 3389).total() <= len(frames)


def test_frames_of_any_content_are_no_error() -> None:
    chance = random.Random(3389)
    for _ in range(2000):
        frame = chance.choice([*CONNECTED, *REJECTED])
        data = bytearray(frame.data)
        for _ in range(chance.randrange(1, 6)):
            data[chance.randrange(len(data))] = chance.randrange(256)
        broken = [*CONNECTED, replace(frame, data=bytes(data))]
        traced(broken)
        syns(broken, 3389)


def test_the_trace_of_500_frames_takes_less_than_10_ms_of_cpu() -> None:
    frames = (CONNECTED * 50)[:500]

    def once() -> float:
        began = time.process_time()
        traced(frames)
        return time.process_time() - began

    assert min(once() for _ in range(5)) < 0.01
