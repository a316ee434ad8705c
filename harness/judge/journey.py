"""Where a SYN's journey ended, from what the kernels of the lab's nodes logged.

A SYN keeps its sequence number through every address translation, and the RST, SYN-ACK or ICMP
error that answers it carries that number back. So the number names the packet in every node, and
the node whose rule ended it, or which answered it, is known without following translations.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum

from harness.judge.model import Attempt
from harness.protocol.packet import Flags, Packet, Segment, Unreachable
from harness.protocol.replies import Dialled
from harness.words import End, Role


class Event(StrEnum):
    """What a node's kernel says of a packet."""

    SENT = "sent"
    ENDED = "ended"


@dataclass(frozen=True)
class Sighting:
    """One packet as one node's kernel logged it; ``rule`` says why a rule ended it."""

    node: str
    event: Event
    rule: str
    packet: Packet


@dataclass(frozen=True)
class Ending:
    """Where a SYN ended, and what happened there; ``node`` is empty where nobody saw it."""

    node: str
    how: str


def sequence_of(sightings: Iterable[Sighting], node: str, local_port: int) -> int | None:
    """Return the sequence number of the SYN that a node sent from a port; None if none left."""
    for sighting in sightings:
        packet = sighting.packet
        if (
            (sighting.node, sighting.event) == (node, Event.SENT)
            and isinstance(packet, Segment)
            and packet.opens
            and packet.source_port == local_port
        ):
            return packet.sequence
    return None


def origin(sightings: Iterable[Sighting], of: Sighting) -> tuple[str, int] | None:
    """Return the node and port that sent a SYN which was seen elsewhere; None if nobody did."""
    if not isinstance(of.packet, Segment) or not of.packet.opens:
        return None
    for sighting in sightings:
        packet = sighting.packet
        if (
            sighting.event is Event.SENT
            and isinstance(packet, Segment)
            and packet.opens
            and packet.sequence == of.packet.sequence
        ):
            return sighting.node, packet.source_port
    return None


def ended(sightings: Iterable[Sighting], sequence: int) -> Sighting | None:
    """Return the sighting in which a rule ended the SYN, if one did."""
    for sighting in sightings:
        packet = sighting.packet
        if (
            sighting.event is Event.ENDED
            and isinstance(packet, Segment)
            and packet.opens
            and packet.sequence == sequence
        ):
            return sighting
    return None


def ending(sightings: Sequence[Sighting], sequence: int) -> Ending:
    """Name the node at which the SYN of that sequence number ended, and how."""
    rule = ended(sightings, sequence)
    for sighting in sightings:
        packet = sighting.packet
        if sighting.event is not Event.SENT:
            continue
        if isinstance(packet, Segment) and packet.answers(sequence):
            if packet.flags & Flags.SYN:
                return Ending(sighting.node, f"answered by {sighting.node}")
            return Ending(sighting.node, f"RST from {sighting.node} (nothing listens there)")
        if isinstance(packet, Unreachable) and packet.sequence == sequence:
            because = f" ({rule.rule})" if rule is not None else ""
            return Ending(sighting.node, f"ICMP {packet.reason} from {sighting.node}{because}")
    if rule is not None:
        return Ending(rule.node, f"dropped by {rule.node} ({rule.rule})")
    return Ending("", "its end was not seen")


def attempt(role: Role, dialled: Dialled, sightings: Sequence[Sighting]) -> Attempt:
    """Join what the dialler knows of an attempt with what the kernels saw of it."""
    sequence = sequence_of(sightings, role.value, dialled.local_port)
    if sequence is None:
        reached = Ending(role.value, f"did not leave {role}: {dialled.detail}")
    else:
        reached = ending(sightings, sequence)
    how = reached.how
    if reached.node == role.value and dialled.end is End.REFUSED:
        how = f"{how}; that address is the {role}'s own"
    if reached.node == role.value and dialled.end is End.UNREACHABLE:
        how = f"{how}; no host of its LAN has that address"
    if dialled.end in (End.CONNECTED, End.WRONG_PEER):
        how = f"{how}; {dialled.detail}"
    return Attempt(
        dialler=role,
        address=dialled.address,
        port=dialled.port,
        seconds=round(dialled.seconds, 6),
        end=dialled.end,
        ended_at=reached.node,
        how=how,
    )
