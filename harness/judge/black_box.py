"""What a real router did to an attempt, from what was captured on the wires on both sides of it.

No kernel of its own tells, so its two plugs are read off the far ends of its wires: a frame that
the internet sent to it came in at its WAN. What then came out on the other side, it passed on; an
answer that came out and had gone in nowhere is its own. Silence is its end for a SYN that went in
and never came out: true as long as the capture is whole and was kept for as long as the dialler
was patient.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace

from harness.judge.journey import Event, Sighting
from harness.judge.trace import Packets
from harness.protocol.packet import Packet, Segment
from harness.protocol.pcapng import Frame

BLACK_BOX = "black box: it went in and did not come out"


def mirrored(frames: Iterable[Frame], wires: Mapping[str, str]) -> list[Frame]:
    """Return frames in the order of time, with those that a router's own interfaces had.

    ``wires`` has a router's interface, ``NODE/IFACE``, by the interface that it is wired to.
    """
    found: list[Frame] = []
    for frame in sorted(frames, key=lambda each: each.time_ns):
        far = wires.get(frame.interface)
        if far is None:
            found.append(frame)
            continue
        mirror = replace(frame, interface=far, outgoing=not frame.outgoing)
        # What is sent is on the near interface first, what is received on the far one.
        found += [frame, mirror] if frame.outgoing else [mirror, frame]
    return found


def sightings(frames: Sequence[Frame], gear: Collection[str]) -> list[Sighting]:
    """Return what the kernels of the routers would have logged; ``frames`` are mirrored."""
    seen = Packets(frames).seen
    return [each for node in sorted(gear) for each in _of_node(node, seen)]


def _of_node(node: str, seen: Sequence[tuple[Frame, Packet]]) -> Iterator[Sighting]:
    came_in: dict[int, Segment] = {}
    passed_on: set[int] = set()
    heard: set[tuple[type[Packet], int]] = set()
    for frame, packet in seen:
        if frame.node != node:
            continue
        if isinstance(packet, Segment) and packet.opens:
            if frame.outgoing:
                passed_on.add(packet.sequence)
            else:
                came_in.setdefault(packet.sequence, packet)
            continue
        answered = _answered(packet)
        if not frame.outgoing:
            heard.add((type(packet), answered))
        elif (type(packet), answered) not in heard and answered in came_in:
            yield Sighting(node, Event.SENT, "", packet)
    for sequence, packet in came_in.items():
        if sequence not in passed_on:
            yield Sighting(node, Event.ENDED, BLACK_BOX, packet)


def _answered(packet: Packet) -> int:
    """Return the sequence number of the SYN that a packet answers."""
    if isinstance(packet, Segment):
        return (packet.acknowledgement - 1) % (1 << 32)
    return packet.sequence
