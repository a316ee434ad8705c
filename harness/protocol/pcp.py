"""Port Control Protocol messages (RFC 6887): the MAP opcode over IPv4, asked and answered."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from enum import IntEnum
from ipaddress import IPv4Address, IPv6Address
from typing import Final

PORT: Final = 5351
"""The UDP port of a gateway's server, the same as NAT-PMP's (RFC 6887 19.1)."""

NONCE_BYTES: Final = 12
ANY: Final = IPv4Address(0)
TCP: Final = 6
UDP: Final = 17

VERSION: Final = 2
"""The first byte of every message (RFC 6887 9)."""

_NAT_PMP = 0
_NAT_PMP_REFUSES = bytes((_NAT_PMP, 0, 0, 1))
_MAP = 1
_RESPONSE = 128
_THIRD_PARTY = 1
_PREFER_FAILURE = 2
_MOST_BYTES = 1100
_REQUEST = struct.Struct("!BBHI16s")
_RESPONSE_HEADER = struct.Struct("!BBBBII12x")
_MAP_DATA = struct.Struct("!12sB3xHH16s")
_OPTION = struct.Struct("!BBH")


class Result(IntEnum):
    """Result codes (RFC 6887 7.4)."""

    SUCCESS = 0
    UNSUPPORTED_VERSION = 1
    NOT_AUTHORIZED = 2
    MALFORMED_REQUEST = 3
    UNSUPPORTED_OPCODE = 4
    UNSUPPORTED_OPTION = 5
    MALFORMED_OPTION = 6
    NETWORK_FAILURE = 7
    NO_RESOURCES = 8
    UNSUPPORTED_PROTOCOL = 9
    USER_EXCEEDED_QUOTA = 10
    CANNOT_PROVIDE_EXTERNAL = 11
    ADDRESS_MISMATCH = 12
    EXCESSIVE_REMOTE_PEERS = 13


class PcpError(ValueError):
    """What the gateway sent is no answer to the request."""


class PcpRefusal(PcpError):
    """The gateway refused: ``result`` is its code, ``lifetime`` the seconds that this holds."""

    def __init__(self, result: int, lifetime: int) -> None:
        """Keep the code, also one that has no name here."""
        name = Result(result).name if result in set(Result) else str(result)
        super().__init__(f"the gateway refused: {name.lower().replace('_', ' ')}")
        self.result = result
        self.lifetime = lifetime


@dataclass(frozen=True)
class MapRequest:
    """A mapping to ask for (RFC 6887 11.1); ``lifetime`` in seconds, 0 to remove the mapping.

    ``client`` is the address that the request is sent from, ``nonce`` :data:`NONCE_BYTES` random
    bytes that renewal and removal repeat, ``protocol`` an IP protocol number. ``external_port`` and
    ``external_address`` are suggestions, 0 and 0.0.0.0 for none. ``third_party`` asks for a mapping
    to another host, and ``prefer_failure`` for a refusal where the suggestion cannot be had
    (RFC 6887 13.1 and 13.2).
    """

    client: IPv4Address
    nonce: bytes
    protocol: int
    internal_port: int
    lifetime: int
    external_port: int = 0
    external_address: IPv4Address = ANY
    third_party: IPv4Address | None = None
    prefer_failure: bool = False


@dataclass(frozen=True)
class Mapping:
    """A mapping as granted; ``lifetime`` and the server's ``epoch`` are in seconds."""

    protocol: int
    internal_port: int
    external_port: int
    external_address: IPv4Address | IPv6Address
    lifetime: int
    epoch: int


@dataclass(frozen=True)
class Epoch:
    """A server's epoch, and the client's own clock when it came; both in seconds."""

    server: int
    client: float


def map_request(wanted: MapRequest) -> bytes:
    """Return the request for a mapping."""
    data = _MAP_DATA.pack(
        wanted.nonce,
        wanted.protocol,
        wanted.internal_port,
        wanted.external_port,
        _mapped(wanted.external_address),
    )
    options = b""
    if wanted.third_party is not None:
        options += _OPTION.pack(_THIRD_PARTY, 0, 16) + _mapped(wanted.third_party)
    if wanted.prefer_failure:
        options += _OPTION.pack(_PREFER_FAILURE, 0, 0)
    header = _REQUEST.pack(VERSION, _MAP, 0, wanted.lifetime, _mapped(wanted.client))
    return header + data + options


def read_map_request(data: bytes) -> MapRequest | None:
    """Read what a client sent, without its options; None where it asks for no mapping."""
    if data[:2] != bytes((VERSION, _MAP)) or len(data) < _REQUEST.size + _MAP_DATA.size:
        return None
    *_, lifetime, client = _REQUEST.unpack_from(data)
    nonce, protocol, internal, external, suggested = _MAP_DATA.unpack_from(data, _REQUEST.size)
    return MapRequest(
        client=IPv6Address(client).ipv4_mapped or ANY,
        nonce=nonce,
        protocol=protocol,
        internal_port=internal,
        lifetime=lifetime,
        external_port=external,
        external_address=IPv6Address(suggested).ipv4_mapped or ANY,
    )


def is_answer(data: bytes, wanted: MapRequest) -> bool:
    """Tell whether a datagram answers this request; one that does not is to be passed over.

    What answers another request is known by its nonce (RFC 6887 11.4). A server of another version
    does not repeat it (RFC 6887 9).
    """
    if _knows_nat_pmp_only(data):
        return True
    if len(data) < 4 or data[1] < _RESPONSE:
        return False
    if data[0] != VERSION:
        return True
    start = _RESPONSE_HEADER.size
    return data[1] == _RESPONSE + _MAP and data[start : start + NONCE_BYTES] == wanted.nonce


def read_mapping(data: bytes, wanted: MapRequest) -> Mapping:
    """Read the answer to a request.

    Raises:
        PcpRefusal: the gateway refused.
        PcpError: it is no answer to it.
    """
    if _knows_nat_pmp_only(data):
        raise PcpError("the gateway knows NAT-PMP and not PCP")
    if len(data) < _RESPONSE_HEADER.size or len(data) > _MOST_BYTES or len(data) % 4:
        raise PcpError(f"an answer of {len(data)} bytes is none")
    version, opcode, _, result, lifetime, epoch = _RESPONSE_HEADER.unpack_from(data)
    if opcode != _RESPONSE + _MAP:
        raise PcpError(f"not an answer to MAP: {data[:16].hex()}")
    if result != Result.SUCCESS:
        raise PcpRefusal(result, lifetime)
    if version != VERSION or len(data) < _RESPONSE_HEADER.size + _MAP_DATA.size:
        raise PcpError(f"not an answer to MAP: {data[:16].hex()}")
    nonce, protocol, internal, external, packed = _MAP_DATA.unpack_from(data, _RESPONSE_HEADER.size)
    if (nonce, protocol, internal) != (wanted.nonce, wanted.protocol, wanted.internal_port):
        raise PcpError(f"an answer for protocol {protocol}, port {internal}, or another nonce")
    address = IPv6Address(packed)
    return Mapping(protocol, internal, external, address.ipv4_mapped or address, lifetime, epoch)


def has_lost_state(before: Epoch, now: Epoch) -> bool:
    """Tell whether the server has forgotten its mappings in between (RFC 6887 8.5)."""
    if now.server < before.server - 1:
        return True
    client = now.client - before.client
    server = now.server - before.server
    return client + 2 < server - server / 16 or server + 2 < client - client / 16


def _knows_nat_pmp_only(data: bytes) -> bool:
    """Tell whether a NAT-PMP server answers that it does not know this version.

    RFC 6886 3.5 draws that answer with opcode 0; a server may set the response's bit as well.
    """
    answers = len(data) >= 4 and data[0] == _NAT_PMP and data[1] >= _RESPONSE
    return answers or data[:4] == _NAT_PMP_REFUSES


def _mapped(address: IPv4Address) -> bytes:
    """Return an IPv4 address as PCP has it, in 16 bytes (RFC 6887 5)."""
    return bytes(10) + b"\xff\xff" + address.packed
