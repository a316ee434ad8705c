"""Frames of a small lab in one line each, for tests of whatever reads captures."""

from __future__ import annotations

import struct
from ipaddress import IPv4Address

from harness.judge.model import Attempt
from harness.judge.trace import Packets, Trace, trace
from harness.protocol.packet import Flags
from harness.protocol.pcapng import Frame
from harness.words import End, Role

EXPERT = "85.200.20.2:50000"
OUTSIDE = "80.100.10.2:3389"
INSIDE = "192.168.1.100:3389"
SEQUENCE = 1000
BEGAN = 1_700_000_000_000_000_000
ETHERNET = bytes(12) + b"\x08\x00"
PORT_UNREACHABLE, NET_UNREACHABLE, PROHIBITED = 3, 0, 13

TO_NAT = ("expert/eth0>", ">internet/to-expert", "internet/to-novice>", ">novice.nat/wan")
TO_NOVICE = ("novice.nat/lan>", ">novice/eth0")
FROM_NOVICE = ("novice/eth0>", ">novice.nat/lan")
FROM_NAT = ("novice.nat/wan>", ">internet/to-novice", "internet/to-expert>", ">expert/eth0")


def ip(protocol: int, source: str, destination: str, body: bytes) -> bytes:
    """Return an IPv4 packet (RFC 791 3.1)."""
    head = struct.pack("!BBHIBBH", 0x45, 0, 20 + len(body), 0, 64, protocol, 0)
    return head + IPv4Address(source).packed + IPv4Address(destination).packed + body


def tcp(source: str, destination: str, flags: int, sequence: int = 0, answers: int = 0) -> bytes:
    """Return a TCP segment between ``ip:port`` and ``ip:port`` (RFC 9293 3.1)."""
    (from_ip, from_port), (to_ip, to_port) = (end.split(":") for end in (source, destination))
    ports = (int(from_port), int(to_port))
    body = struct.pack("!HHIIBBHI", *ports, sequence, answers, 5 << 4, flags, 64240, 0)
    return ip(6, from_ip, to_ip, body)


def syn(source: str = EXPERT, destination: str = OUTSIDE, sequence: int = SEQUENCE) -> bytes:
    return tcp(source, destination, Flags.SYN, sequence)


def syn_ack(source: str, destination: str = EXPERT, sequence: int = SEQUENCE) -> bytes:
    return tcp(source, destination, Flags.SYN | Flags.ACK, 77, sequence + 1)


def rst(source: str, destination: str = EXPERT, sequence: int = SEQUENCE) -> bytes:
    return tcp(source, destination, Flags.RST | Flags.ACK, 0, sequence + 1)


def icmp(source: str, quoted: bytes, code: int = PORT_UNREACHABLE) -> bytes:
    """Return an ICMP Destination Unreachable to the expert (RFC 792)."""
    return ip(1, source, "85.200.20.2", struct.pack("!BBHI", 3, code, 0, 0) + quoted[:28])


def seen(at: int, packet: bytes, *interfaces: str) -> list[Frame]:
    """Return a packet as interfaces saw it, ``>NODE/IFACE`` in and ``NODE/IFACE>`` out.

    ``at`` counts microseconds; the sightings are 10 of them apart.
    """
    return [
        Frame(
            BEGAN + (at + 10 * number) * 1000,
            interface.strip(">"),
            interface.endswith(">"),
            ETHERNET + packet,
            len(ETHERNET + packet),
        )
        for number, interface in enumerate(interfaces)
    ]


DROPPED = seen(0, syn(), *TO_NAT)
FORWARDED = [*DROPPED, *seen(40, syn(destination=INSIDE), *TO_NOVICE)]
CONNECTED = [
    *FORWARDED,
    *seen(60, syn_ack(INSIDE), *FROM_NOVICE),
    *seen(80, syn_ack(OUTSIDE), *FROM_NAT),
]
RESET = [*FORWARDED, *seen(60, rst(INSIDE), *FROM_NOVICE), *seen(80, rst(OUTSIDE), *FROM_NAT)]
REJECTED = [*DROPPED, *seen(40, icmp("80.100.10.2", syn()), *FROM_NAT)]
# Out to one's own gateway and back in: the address outside is one's own.
HAIRPIN = [
    *seen(0, syn(), "expert/eth0>", ">expert.nat/lan"),
    *seen(20, syn(destination="85.200.20.2:3389"), "expert.nat/lan>", ">expert/eth0"),
    *seen(40, rst("85.200.20.2:3389"), "expert/eth0>", ">expert.nat/lan"),
    *seen(60, rst(OUTSIDE), "expert.nat/lan>", ">expert/eth0"),
]


def traced(frames: list[Frame], node: str = "expert", local_port: int | None = 50000) -> Trace:
    """Trace the expert's attempt at the novice's outside address."""
    return trace(Packets(frames), node, "80.100.10.2", 3389, local_port)


def told(end: End, ended_at: str, how: str) -> Attempt:
    """Return the same attempt as the harness tells it."""
    return Attempt(
        dialler=Role.EXPERT,
        address="80.100.10.2",
        port=3389,
        seconds=0.1,
        end=end,
        ended_at=ended_at,
        how=how,
    )


ANSWERED = told(End.CONNECTED, "novice", "answered by novice; both sides hold the invitation")
REFUSED = told(End.REFUSED, "novice", "RST from novice (nothing listens there)")
TIMED_OUT = told(End.TIMEOUT, "novice.nat", "dropped by novice.nat (unsolicited packet on wan)")
UNREACHABLE = told(
    End.REFUSED,
    "novice.nat",
    "ICMP port unreachable from novice.nat (unsolicited packet on wan)",
)
