"""NAT-PMP messages (RFC 6886)."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from enum import IntEnum
from ipaddress import IPv4Address
from typing import Final

PORT: Final = 5351
"""The UDP port of a gateway's server (RFC 6886 3)."""

FIRST_RETRY: Final = 0.25
"""Seconds before the first repetition; it doubles each time (RFC 6886 3.1)."""

_VERSION = 0
_EXTERNAL_ADDRESS = 0
_MAP_TCP = 2
_RESPONSE = 128
_MAP_REQUEST = struct.Struct("!BBHHHI")


class Result(IntEnum):
    """Result codes (RFC 6886 3.5)."""

    SUCCESS = 0
    UNSUPPORTED_VERSION = 1
    NOT_AUTHORIZED = 2
    NETWORK_FAILURE = 3
    OUT_OF_RESOURCES = 4
    UNSUPPORTED_OPCODE = 5


class NatPmpError(ValueError):
    """The gateway refused, or what it sent is no answer to the request."""


class NatPmpRefusal(NatPmpError):
    """The gateway refused: ``result`` is its code, also one that has no name here."""

    def __init__(self, result: int) -> None:
        """Name the code."""
        name = Result(result).name if result in set(Result) else str(result)
        super().__init__(f"the gateway refused: {name.lower().replace('_', ' ')}")
        self.result = result


@dataclass(frozen=True)
class TcpMapping:
    """A mapping as asked for or as granted: ports, and the lifetime in seconds."""

    internal_port: int
    external_port: int
    lifetime: int


def external_address_request() -> bytes:
    """Ask for the gateway's external address (RFC 6886 3.2)."""
    return struct.pack("!BB", _VERSION, _EXTERNAL_ADDRESS)


def map_tcp_request(internal_port: int, external_port: int, lifetime: int) -> bytes:
    """Ask for a mapping, suggesting the external port (RFC 6886 3.3).

    ``lifetime`` is in seconds; with 0 for it and for the external port, the mapping is destroyed
    (RFC 6886 3.4).
    """
    return _MAP_REQUEST.pack(_VERSION, _MAP_TCP, 0, internal_port, external_port, lifetime)


def is_external_address_request(data: bytes) -> bool:
    """Tell whether a client sent :func:`external_address_request`."""
    return data[:2] == bytes((_VERSION, _EXTERNAL_ADDRESS))


def read_map_tcp_request(data: bytes) -> TcpMapping | None:
    """Read what a client sent; None where it is no :func:`map_tcp_request`."""
    if data[:2] != bytes((_VERSION, _MAP_TCP)) or len(data) < _MAP_REQUEST.size:
        return None
    *_, internal, external, lifetime = _MAP_REQUEST.unpack_from(data)
    return TcpMapping(internal, external, lifetime)


def read_external_address(data: bytes) -> IPv4Address:
    """Read the answer to :func:`external_address_request`.

    Raises:
        NatPmpRefusal: the gateway refused.
        NatPmpError: it is none.
    """
    (address,) = struct.unpack("!4s", _body(data, _EXTERNAL_ADDRESS, 4))
    return IPv4Address(address)


def read_tcp_mapping(data: bytes) -> TcpMapping:
    """Read the answer to :func:`map_tcp_request`.

    Raises:
        NatPmpRefusal: the gateway refused.
        NatPmpError: it is none.
    """
    return TcpMapping(*struct.unpack("!HHI", _body(data, _MAP_TCP, 8)))


def read_epoch(data: bytes) -> int:
    """Return the seconds since the server began to keep its mappings, of any answer of a server.

    Raises:
        NatPmpError: it is too short to be an answer.
    """
    if len(data) < 8:
        raise NatPmpError(f"an answer of {len(data)} bytes is too short")
    (epoch,) = struct.unpack_from("!I", data, 4)
    return int(epoch)


def has_lost_state(before: int, now: int, elapsed: float) -> bool:
    """Tell whether the server has forgotten its mappings in between (RFC 6886 3.6).

    ``before`` and ``now`` are two epochs, ``elapsed`` the seconds between them by the own clock.
    """
    return now < before + elapsed * 7 / 8 - 2


def _body(data: bytes, opcode: int, size: int) -> bytes:
    if len(data) < 8:
        raise NatPmpError(f"an answer of {len(data)} bytes is too short")
    version, answered, result, _ = struct.unpack_from("!BBHI", data)
    if result != Result.SUCCESS:
        raise NatPmpRefusal(result)
    if (version, answered) != (_VERSION, _RESPONSE + opcode) or len(data) < 8 + size:
        raise NatPmpError(f"not an answer to opcode {opcode}: {data[:16].hex()}")
    return data[8 : 8 + size]
