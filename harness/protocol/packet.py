"""The few fields of IPv4, TCP (RFC 9293) and ICMP (RFC 792) that tell how a SYN's journey went."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from enum import IntFlag
from ipaddress import IPv4Address

_ICMP = 1
_TCP = 6
_ICMP_UNREACHABLE = 3

# RFC 792 and RFC 1812 5.2.7.1, the codes that a router or host sends about a SYN.
_UNREACHABLE = {
    0: "network unreachable",
    1: "host unreachable",
    2: "protocol unreachable",
    3: "port unreachable",
    9: "network administratively prohibited",
    10: "host administratively prohibited",
    13: "communication administratively prohibited",
}


class Flags(IntFlag):
    """The TCP flags that open, refuse and end a connection."""

    FIN = 0x01
    SYN = 0x02
    RST = 0x04
    ACK = 0x10


# Flags' own operators make a new member each time, which takes longer than reading the packet.
_SYN = int(Flags.SYN)
_OPENING = int(Flags.SYN | Flags.ACK | Flags.RST)
_KNOWN = int(Flags.FIN | Flags.SYN | Flags.RST | Flags.ACK)


@dataclass(frozen=True)
class Segment:
    """A TCP segment's header. ``sequence`` survives address translation, so it names a SYN."""

    source: IPv4Address
    source_port: int
    destination: IPv4Address
    destination_port: int
    sequence: int
    acknowledgement: int
    flags: Flags

    @property
    def opens(self) -> bool:
        """Whether this is a connection's first SYN."""
        return int(self.flags) & _OPENING == _SYN

    def answers(self, sequence: int) -> bool:
        """Whether it acknowledges the SYN of that sequence number (a SYN-ACK, or a RST)."""
        return bool(self.flags & Flags.ACK) and self.acknowledgement == (sequence + 1) % 2**32


@dataclass(frozen=True)
class Unreachable:
    """An ICMP Destination Unreachable: who sent it, why, and the segment it is about."""

    source: IPv4Address
    reason: str
    port: int
    sequence: int


Packet = Segment | Unreachable


def parse(data: bytes) -> Packet | None:
    """Read an IPv4 packet's head; None for anything that is neither kind, or is cut short."""
    try:
        return _parse(data)
    except (struct.error, IndexError, ValueError):
        return None


def _parse(data: bytes) -> Packet | None:
    if data[0] >> 4 != 4:
        return None
    header = (data[0] & 0x0F) * 4
    protocol = data[9]
    source, destination = IPv4Address(data[12:16]), IPv4Address(data[16:20])
    body = data[header:]
    if protocol == _TCP:
        ports = struct.unpack_from("!HHIIBB", body)
        source_port, destination_port, sequence, acknowledgement, _, flags = ports
        return Segment(
            source,
            source_port,
            destination,
            destination_port,
            sequence,
            acknowledgement,
            Flags(flags & _KNOWN),
        )
    if protocol == _ICMP and body[0] == _ICMP_UNREACHABLE:
        quoted = body[8:]
        if quoted[9] != _TCP:
            return None
        # RFC 792 quotes the header and eight bytes more: the ports and the sequence number.
        port, _, sequence = struct.unpack_from("!HHI", quoted, (quoted[0] & 0x0F) * 4)
        reason = _UNREACHABLE.get(body[1], f"unreachable, code {body[1]}")
        return Unreachable(source, reason, port, sequence)
    return None
