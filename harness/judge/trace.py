"""A connection attempt's way through a lab, rebuilt from a capture of every interface.

A SYN keeps its sequence number through every address translation, and what answers it carries the
number back (:mod:`harness.judge.journey`). So the frames of one attempt are found at each interface
whatever their addresses are there, and where the addresses change somebody rewrote them. This is
evidence beside the kernels' own word, and :func:`contradiction` holds the one against the other.

The capture has no loopback: what a node says to itself, a SYN to its own address or the ICMP error
for a neighbour that it does not find, is on no interface.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address
from itertools import pairwise
from typing import Final

from harness.judge.model import Attempt
from harness.protocol.packet import Flags, Packet, Segment, parse
from harness.protocol.pcapng import Frame
from harness.words import End

SYN: Final = "SYN"
SYN_ACK: Final = "SYN-ACK"
RST: Final = "RST"
ICMP: Final = "ICMP"

_AGAIN = "retransmitted "

# Ethernet II, RFC 791 3.1 and RFC 9293 3.1.
_ETHERTYPE = slice(12, 14)
_IPV4 = b"\x08\x00"
_IP = 14
_FRAGMENT = slice(_IP + 6, _IP + 8)
_FRAGMENT_OFFSET = 0x1FFF
_PROTOCOL = _IP + 9
_IP_DESTINATION = slice(_IP + 16, _IP + 20)
_LEAST_IP = _IP + 20
_TCP_FLAGS = 13
_BEGINS_OR_ENDS = int(Flags.SYN | Flags.RST)
_ICMP_NUMBER = 1
_TCP_NUMBER = 6

# How the ends of attempts are worded, by journey.ending().
_SAID = re.compile(r"(?:through \S+: )?((?:answered by|RST from|ICMP .+? from|dropped by) [^\s;]+)")

_Seen = tuple[Frame, Packet]


@dataclass(frozen=True)
class Step:
    """One frame of an attempt at one interface, ``NODE/IFACE``, of one node.

    ``time_ns`` is as :class:`Frame` has it. ``source`` and ``destination`` are ``ip:port``, of an
    ICMP error ``ip`` alone. ``what`` is for people: ``SYN``, ``retransmitted SYN``, ``SYN-ACK``,
    ``RST``, ``ICMP port unreachable``.
    """

    time_ns: int
    node: str
    interface: str
    outgoing: bool
    source: str
    destination: str
    what: str

    @property
    def kind(self) -> str:
        """What it is, whether for the first time or again."""
        return self.what.removeprefix(_AGAIN)

    @property
    def again(self) -> bool:
        """Whether the same was seen there before."""
        return self.what.startswith(_AGAIN)


@dataclass(frozen=True)
class Trace:
    """The way of one attempt's SYN and of what answered it, in the order of time.

    ``sequence`` is None where no SYN of it was seen. ``nodes`` are those that saw it, in the order
    of the path, the sender first, which is there in any case. ``rewrites`` says which node changed
    which address of the SYN. ``last_node`` and ``last_interface`` are how far the SYN came, empty
    where none was seen; ``delivered`` tells that it came in there and did not go out. ``answer`` is
    the first sighting of the first answer: where it came from.
    """

    sequence: int | None
    steps: tuple[Step, ...]
    nodes: tuple[str, ...]
    rewrites: tuple[str, ...]
    last_node: str
    last_interface: str
    delivered: bool
    answer: Step | None

    def came_back(self, kind: str | None = None) -> bool:
        """Tell whether an answer, of that kind or any, came in at the sender of the SYN."""
        return any(
            not step.outgoing
            and step.node == self.nodes[0]
            and step.kind != SYN
            and kind in (None, step.kind)
            for step in self.steps
        )


class Packets:
    """Those packets of a capture that belong to a connection's beginning or end, read once."""

    def __init__(self, frames: Iterable[Frame]) -> None:
        """Read them."""
        self.seen = sorted(_seen(frames), key=lambda each: each[0].time_ns)


def trace(packets: Packets, node: str, address: str, port: int, local_port: int | None) -> Trace:
    """Rebuild the attempt that a node made to an address and port.

    ``local_port`` is the TCP port that it dialled from; None for a proxy's, which nobody knows.
    """
    seen = packets.seen
    first = _first(seen, node, address, port, local_port)
    if first is None:
        return Trace(None, (), (node,), (), "", "", delivered=False, answer=None)
    at, sequence = first
    steps = tuple(_steps(seen[at:], sequence))
    way = [step for step in steps if step.what == SYN]
    answers = [step for step in steps if step.kind != SYN]
    last = way[-1]
    return Trace(
        sequence,
        steps,
        tuple(dict.fromkeys(step.node for step in (*way, *answers))),
        tuple(dict.fromkeys(_rewrites(way))),
        last.node,
        last.interface,
        delivered=not last.outgoing,
        answer=answers[0] if answers else None,
    )


def syns(frames: Iterable[Frame], port: int) -> Counter[str]:
    """Count the SYNs to a TCP port at each interface, retransmissions too.

    It is what tshark counts by ``tcp.flags.syn==1 && tcp.flags.ack==0 && tcp.dstport==PORT &&
    !icmp``. Without its last term tshark counts an ICMP error that quotes such a SYN as well.
    """
    return Counter(
        frame.interface
        for frame, packet in _seen(frames)
        if isinstance(packet, Segment)
        and packet.flags & (Flags.SYN | Flags.ACK) == Flags.SYN
        and packet.destination_port == port
    )


def contradiction(trace: Trace, attempt: Attempt) -> str | None:
    """Say in one line why the capture does not bear out an attempt; None where it does.

    ``trace`` is the attempt's own, from its dialler or, where it went through one, its proxy.
    """
    sender = trace.nodes[0]
    if trace.sequence is None:
        # By itself a node meets itself or nobody, but never the other person.
        if attempt.ended_at == sender and attempt.end is not End.CONNECTED:
            return None
        return f"no SYN to {attempt.address}:{attempt.port} was seen leaving {sender}"
    if not attempt.ended_at:
        seen = trace.answer is not None
        return f"its end is said not to have been seen, but {_shown(trace)}" if seen else None
    return _elsewhere(trace, attempt) or _otherwise(trace, attempt) or _unheard(trace, attempt)


def _elsewhere(trace: Trace, attempt: Attempt) -> str | None:
    """Say where the SYN really went, if it did not end at the node that is said to be its end."""
    node = attempt.ended_at
    said = f"said to have ended at {node}, but the SYN"
    arrived = any(s.kind == SYN and s.node == node and not s.outgoing for s in trace.steps)
    last = f"{'coming in at' if trace.delivered else 'going out of'} {trace.last_interface}"
    if not arrived and node == trace.nodes[0]:
        return f"{said} left it by {trace.steps[0].interface}"
    if not arrived:
        return f"{said} never arrived there: it was last seen {last}"
    if trace.last_node != node or not trace.delivered:
        return f"{said} was seen beyond it, {last}"
    return None


def _otherwise(trace: Trace, attempt: Attempt) -> str | None:
    """Say what answered the SYN, if it is not what the attempt says."""
    said = _SAID.match(attempt.how)
    if said is None:
        return None
    shown = _shown(trace)
    if trace.answer is None and said[1] == f"dropped by {attempt.ended_at}":
        return None
    return None if said[1] == shown else f"said to be {said[1]}, but {shown}"


def _unheard(trace: Trace, attempt: Attempt) -> str | None:
    """Say what the dialler cannot have met, because it never came back to it."""
    sender = trace.nodes[0]
    if attempt.end in (End.CONNECTED, End.WRONG_PEER) and not trace.came_back(SYN_ACK):
        return f"said to be {attempt.end}, but no SYN-ACK came back to {sender}"
    # Of a proxy's attempt the end is the kernel's word: what the proxy itself met is not told.
    told = attempt.end in (End.REFUSED, End.UNREACHABLE) and sender == attempt.dialler
    if told and not trace.came_back():
        return f"said to be {attempt.end}, but no answer came back to {sender}"
    return None


def _shown(trace: Trace) -> str:
    """Say in the words of the journey what answered the SYN."""
    answer = trace.answer
    if answer is None:
        return "no answer was seen"
    if not answer.outgoing:
        return f"{answer.kind} that entered at {answer.interface}"
    by = "answered by" if answer.kind == SYN_ACK else f"{answer.kind} from"
    return f"{by} {answer.node}"


def _first(
    seen: Sequence[_Seen], node: str, address: str, port: int, local_port: int | None
) -> tuple[int, int] | None:
    """Return which of the packets is the attempt's first SYN, and its sequence number."""
    for at, (frame, packet) in enumerate(seen):
        if (
            isinstance(packet, Segment)
            and packet.opens
            and frame.outgoing
            and frame.node == node
            and (str(packet.destination), packet.destination_port) == (address, port)
            and local_port in (None, packet.source_port)
        ):
            return at, packet.sequence
    return None


def _steps(seen: Iterable[_Seen], sequence: int) -> Iterator[Step]:
    """Yield what belongs to the SYN of that sequence number."""
    before = set()
    for frame, packet in seen:
        what = _what(packet, sequence)
        if what is None:
            continue
        sighting = (frame.interface, frame.outgoing, what)
        if sighting in before and what in (SYN, SYN_ACK):
            what = _AGAIN + what
        before.add(sighting)
        source, destination = _ends(frame, packet)
        yield Step(
            frame.time_ns,
            frame.node,
            frame.interface,
            frame.outgoing,
            source,
            destination,
            what,
        )


def _what(packet: Packet, sequence: int) -> str | None:
    """Name a packet's part in the attempt; None where it has none."""
    if not isinstance(packet, Segment):
        return f"{ICMP} {packet.reason}" if packet.sequence == sequence else None
    if packet.opens:
        return SYN if packet.sequence == sequence else None
    if packet.answers(sequence):
        return RST if packet.flags & Flags.RST else SYN_ACK
    return None


def _ends(frame: Frame, packet: Packet) -> tuple[str, str]:
    if isinstance(packet, Segment):
        source = f"{packet.source}:{packet.source_port}"
        return source, f"{packet.destination}:{packet.destination_port}"
    return str(packet.source), str(IPv4Address(frame.data[_IP_DESTINATION]))


def _rewrites(way: Sequence[Step]) -> Iterator[str]:
    for step, further in pairwise(way):
        if step.node == further.node:
            where = step.node
        else:
            where = f"between {step.node} and {further.node}"
        if step.source != further.source:
            yield f"{where}: source {step.source} -> {further.source}"
        if step.destination != further.destination:
            yield f"{where}: destination {step.destination} -> {further.destination}"


def _seen(frames: Iterable[Frame]) -> Iterator[_Seen]:
    """Yield the packets that can belong to a connection's beginning.

    Most frames are none, and reading one in full takes ten times as long as passing it over.
    """
    for frame in frames:
        data = frame.data
        if len(data) < _LEAST_IP or data[_ETHERTYPE] != _IPV4:
            continue
        if int.from_bytes(data[_FRAGMENT]) & _FRAGMENT_OFFSET:
            continue
        protocol = data[_PROTOCOL]
        if protocol == _TCP_NUMBER:
            at = _IP + (data[_IP] & 0x0F) * 4 + _TCP_FLAGS
            if len(data) <= at or not data[at] & _BEGINS_OR_ENDS:
                continue
        elif protocol != _ICMP_NUMBER:
            continue
        packet = parse(data[_IP:])
        if packet is not None:
            yield frame, packet
