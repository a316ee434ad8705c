"""Where a SYN's journey ended, from what the kernels of the lab's nodes logged.

A SYN keeps its sequence number through every address translation, and the RST, SYN-ACK or ICMP
error that answers it carries that number back. So the number names the packet in every node, and
the node whose rule ended it, or which answered it, is known without following translations.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
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
    """Where a SYN ended, and what happened there; ``node`` is empty where nobody saw it.

    ``left`` is False where no SYN was sent at all. ``end`` is what the sender of that SYN met, and
    None where only the sender can say.
    """

    node: str
    how: str
    left: bool = True
    end: End | None = None


def sequence_of(sightings: Iterable[Sighting], node: str, dialled: Dialled) -> int | None:
    """Return the sequence number of the SYN that a node sent for an attempt; None if none left.

    The node is the dialler's own, or its proxy's, whose source port is not known.
    """
    for sighting in sightings:
        packet = sighting.packet
        if (
            (sighting.node, sighting.event) == (node, Event.SENT)
            and isinstance(packet, Segment)
            and packet.opens
            and (str(packet.destination), packet.destination_port)
            == (dialled.address, dialled.port)
            and (dialled.via_proxy or packet.source_port == dialled.local_port)
        ):
            return packet.sequence
    return None


def origin(sightings: Iterable[Sighting], of: Sighting) -> tuple[str, Segment] | None:
    """Return who sent a SYN that was seen elsewhere, and the SYN as sent; None if nobody did."""
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
            return sighting.node, packet
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
            how = f"RST from {sighting.node} (nothing listens there)"
            return Ending(sighting.node, how, end=End.REFUSED)
        if isinstance(packet, Unreachable) and packet.sequence == sequence:
            because = f" ({rule.rule})" if rule is not None else ""
            how = f"ICMP {packet.reason} from {sighting.node}{because}"
            return Ending(sighting.node, how, end=End.UNREACHABLE)
    if rule is not None:
        return Ending(rule.node, f"dropped by {rule.node} ({rule.rule})", end=End.TIMEOUT)
    return Ending("", "its end was not seen")


def attempt(
    role: Role, dialled: Dialled, sightings: Sequence[Sighting], proxy: str | None = None
) -> Attempt:
    """Join what the dialler knows of an attempt with what the kernels saw of it.

    ``proxy`` is the node of the dialler's proxy, which sends the SYN where the attempt goes
    through it.
    """
    reached = _reached(role, dialled, sightings, proxy)
    how = reached.how
    if reached.node == role.value and dialled.end is End.REFUSED:
        how = f"{how}; that address is the {role}'s own"
    if reached.node == role.value and reached.left and dialled.end is End.UNREACHABLE:
        how = f"{how}; no host of its LAN has that address"
    if dialled.end in (End.CONNECTED, End.WRONG_PEER):
        how = f"{how}; {dialled.detail}"
    end = dialled.end
    if dialled.via_proxy and end in (End.TIMEOUT, End.REFUSED) and reached.end is not None:
        # A proxy tells its client little of what its own SYN met.
        end = reached.end
    return Attempt(
        dialler=role,
        address=dialled.address,
        port=dialled.port,
        seconds=round(dialled.seconds, 6),
        end=end,
        ended_at=reached.node,
        how=how,
    )


def _reached(
    role: Role, dialled: Dialled, sightings: Sequence[Sighting], proxy: str | None
) -> Ending:
    if dialled.via_proxy and proxy is not None:
        sequence = sequence_of(sightings, proxy, dialled)
        if sequence is None:
            return Ending(proxy, f"ended by {proxy}: {dialled.detail}")
        beyond = ending(sightings, sequence)
        return replace(beyond, how=f"through {proxy}: {beyond.how}")
    sequence = sequence_of(sightings, role.value, dialled)
    if sequence is None:
        return Ending(role.value, f"did not leave the {role}: {dialled.detail}", left=False)
    return ending(sightings, sequence)
