"""A sweep of TCP ports: one SYN to each, repeated once, and what came back."""

from __future__ import annotations

import secrets
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from enum import StrEnum
from ipaddress import IPv4Address
from typing import Final

from harness.gear.card.check import Attempt
from harness.gear.card.flows import bound, end_of
from harness.gear.card.packets import tcp
from harness.gear.card.tap import Seen, send, tap
from harness.gear.rig import Station
from harness.lab.syns import Endpoint
from harness.protocol.packet import Flags, Segment

_ROUNDS = (0.5, 1.0)
_SHOWN = 12

WELL_KNOWN: Final = range(1, 1025)

MANAGEMENT: Final = (
    *(1080, 3128, 8000, 8008, 8080, 8081, 8088, 8090, 8181, 8888, 9000, 9090, 10000),  # web, proxy
    *(4433, 4443, 8443, 9443, 10443),  # web by TLS
    *(1900, 2869, 5000, 5431, 5555, 49000, 49152, 52869),  # UPnP
    *(4567, 5555, 7547, 8089, 30005, 58000),  # a provider's management (TR-069)
    *(2222, 2323, 5900, 8291, 8728, 32764, 37215),  # shells, screens, makers' own
    *(1723, 3389, 5060, 5351, 5357),  # VPN, Remote Desktop, telephony, NAT-PMP, devices
)
"""Ports above 1024 where routers are managed, or have been broken into."""


class Reply(StrEnum):
    """What came of a port's SYN, where something came."""

    OPEN = "open"
    REFUSED = "refused"
    UNREACHABLE = "unreachable"


@dataclass(frozen=True)
class Swept:
    """What came of a sweep: how many ports were asked, and those that answered."""

    asked: int
    replies: dict[int, Reply]

    @property
    def open(self) -> tuple[int, ...]:
        """The ports where somebody listens."""
        return tuple(sorted(port for port, each in self.replies.items() if each is Reply.OPEN))

    def __str__(self) -> str:
        """Say it in one line."""
        found = [f"{listed(self.open)} open" if self.open else "none open"]
        for kind in (Reply.REFUSED, Reply.UNREACHABLE):
            count = sum(1 for each in self.replies.values() if each is kind)
            found += [f"{count} {kind}"] if count else []
        found += [f"{self.asked - len(self.replies)} silent"]
        return f"of {self.asked} ports {', '.join(found)}"


def listed(ports: Collection[int]) -> str:
    """Name ports, the first ones of many."""
    shown = [str(port) for port in sorted(ports)[:_SHOWN]]
    more = len(ports) - len(shown)
    return ", ".join([*shown, *([f"{more} more"] if more else [])])


async def sweep(
    attempt: Attempt, station: Station, address: IPv4Address, ports: Iterable[int]
) -> Swept:
    """Dial ports of an address from a station; none of the connections is ever made.

    The first round has half of the rig's ``answer`` seconds, the second all of them. A SYN-ACK is
    answered by the station's kernel, by RST, for it knows of no SYN.
    """
    asked = sorted(set(ports))
    # Bound until the check is over: no second sweep meets what a router remembers of the first.
    own = end_of(bound(attempt, station))
    sequence = secrets.randbits(32)
    replies: dict[int, Reply] = {}

    def is_last(seen: Seen) -> bool:
        port, reply = _reply(seen, own, sequence)
        if reply is not None:
            replies.setdefault(port, reply)
        return len(replies) == len(asked)

    with tap(station) as outside:
        for part in _ROUNDS:
            for port in asked:
                if port not in replies:
                    send(station, tcp(own, Endpoint(address, port), sequence))
            await outside.first(is_last, part * attempt.rig.answer)
            if len(replies) == len(asked):
                break
    swept = Swept(len(asked), replies)
    attempt.note(f"{station.name} {own} -> {address}: {swept}")
    return swept


def _reply(seen: Seen, own: Endpoint, sequence: int) -> tuple[int, Reply | None]:
    if not seen.answers(sequence):
        return 0, None
    packet = seen.packet
    if isinstance(packet, Segment):
        if packet.destination_port != own.port:
            return 0, None
        refused = packet.flags & Flags.RST
        return packet.source_port, Reply.REFUSED if refused else Reply.OPEN
    if seen.icmp is None:
        return 0, None
    return seen.icmp.quoted_destination.port, Reply.UNREACHABLE
