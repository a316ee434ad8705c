"""IPv4 packets that no socket sends: SYNs without a retransmission, and ICMP errors about others.

Layouts: RFC 791, RFC 792, RFC 1191 4 and RFC 9293 3.1. What was seen is read leniently: a packet
that is cut short or is none is None, never an error.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from ipaddress import IPv4Address
from typing import Final

from harness.lab.syns import Endpoint
from harness.protocol.packet import Flags

UNREACHABLE: Final = 3
"""The ICMP type Destination Unreachable (RFC 792)."""

TIME_EXCEEDED: Final = 11
"""The ICMP type Time Exceeded (RFC 792)."""

HOST_UNREACHABLE: Final = 1
PORT_UNREACHABLE: Final = 3
TOO_BIG: Final = 4
"""Codes of Destination Unreachable; 4 tells the next hop's MTU (RFC 1191)."""

_TTL = 64
_DONT_FRAGMENT = 0x4000
_ICMP = 1
_TCP = 6
_IP_HEADER = 20
_TCP_HEADER = 20
_WINDOW = 64240
# RFC 1812 4.3.2.3: as much of the packet as fits into 576 bytes.
_MOST_QUOTED = 576 - _IP_HEADER - 8

_END, _NOTHING, _MSS, _SCALE, _SACK_PERMITTED, _TIMESTAMPS = 0, 1, 2, 3, 4, 8
# RFC 9293 3.2, RFC 2018 2: 1460 bytes, SACK permitted, two bytes of nothing.
_SYN_OPTIONS = struct.pack("!BBHBBBB", _MSS, 4, 1460, _SACK_PERMITTED, 2, _NOTHING, _NOTHING)


@dataclass(frozen=True)
class Options:
    """What a SYN offers: its MSS in bytes, its window scale, SACK and timestamps.

    ``mss`` and ``scale`` are None where they are not offered.
    """

    mss: int | None
    scale: int | None
    sack: bool
    timestamps: bool


@dataclass(frozen=True)
class IcmpError:
    """An ICMP error: who sent it, what it says, and the TCP segment's ends that it quotes.

    ``mtu`` is the next hop's in bytes, 0 where it tells none.
    """

    source: IPv4Address
    type: int
    code: int
    mtu: int
    quoted_source: Endpoint
    quoted_destination: Endpoint


def tcp(
    source: Endpoint,
    destination: Endpoint,
    sequence: int,
    flags: Flags = Flags.SYN,
    acknowledgement: int = 0,
) -> bytes:
    """Return a TCP segment without data; a SYN offers an MSS of 1460 bytes and SACK."""
    options = _SYN_OPTIONS if flags & Flags.SYN else b""
    offset = (_TCP_HEADER + len(options)) // 4 << 4
    ports = (source.port, destination.port)
    fields = (*ports, sequence, acknowledgement, offset, int(flags), _WINDOW, 0, 0)
    segment = struct.pack("!HHIIBBHHH", *fields) + options
    pseudo = struct.pack("!4s4sHH", *_addresses(source, destination), _TCP, len(segment))
    segment = segment[:16] + _checksum(pseudo + segment) + segment[18:]
    return _ip(source.address, destination.address, _TCP, segment)


def icmp_error(
    source: IPv4Address,
    destination: IPv4Address,
    about: bytes,
    code: int,
    kind: int = UNREACHABLE,
    mtu: int = 0,
) -> bytes:
    """Return an ICMP error about a packet, of which it quotes as much as routers do."""
    body = struct.pack("!BBHHH", kind, code, 0, 0, mtu) + about[:_MOST_QUOTED]
    return _ip(source, destination, _ICMP, body[:2] + _checksum(body) + body[4:])


def read_icmp_error(data: bytes) -> IcmpError | None:
    """Read an ICMP error about a TCP segment; None for any other packet."""
    try:
        header = (data[0] & 0x0F) * 4
        kind, code, _, _, mtu = struct.unpack_from("!BBHHH", data, header)
        quoted = data[header + 8 :]
        if data[9] != _ICMP or kind not in {UNREACHABLE, TIME_EXCEEDED} or quoted[9] != _TCP:
            return None
        inner = struct.unpack_from("!HH", quoted, (quoted[0] & 0x0F) * 4)
        return IcmpError(
            IPv4Address(data[12:16]),
            kind,
            code,
            mtu if (kind, code) == (UNREACHABLE, TOO_BIG) else 0,
            Endpoint(IPv4Address(quoted[12:16]), inner[0]),
            Endpoint(IPv4Address(quoted[16:20]), inner[1]),
        )
    except (struct.error, IndexError, ValueError):
        return None


def read_options(data: bytes) -> Options | None:
    """Read the options of a packet that holds a TCP segment; None where it is cut short."""
    try:
        start = (data[0] & 0x0F) * 4
        place, end = start + _TCP_HEADER, start + (data[start + 12] >> 4) * 4
        found: dict[int, bytes] = {}
        while place < end and data[place] != _END:
            if data[place] == _NOTHING:
                place += 1
                continue
            length = data[place + 1]
            if length < 2:
                return None
            found[data[place]] = data[place + 2 : place + length]
            place += length
    except IndexError:
        return None
    return Options(
        _number(found.get(_MSS)),
        _number(found.get(_SCALE)),
        _SACK_PERMITTED in found,
        _TIMESTAMPS in found,
    )


def _number(value: bytes | None) -> int | None:
    return None if value is None else int.from_bytes(value)


def _ip(source: IPv4Address, destination: IPv4Address, protocol: int, body: bytes) -> bytes:
    length = _IP_HEADER + len(body)
    addresses = (source.packed, destination.packed)
    fields = (0x45, 0, length, 0, _DONT_FRAGMENT, _TTL, protocol, 0, *addresses)
    header = struct.pack("!BBHHHBBH4s4s", *fields)
    return header[:10] + _checksum(header) + header[12:] + body


def _addresses(source: Endpoint, destination: Endpoint) -> tuple[bytes, bytes]:
    return source.address.packed, destination.address.packed


def _checksum(data: bytes) -> bytes:
    """Return the Internet checksum (RFC 1071)."""
    padded = data + bytes(len(data) % 2)
    total = sum(struct.unpack(f"!{len(padded) // 2}H", padded))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return struct.pack("!H", ~total & 0xFFFF)
