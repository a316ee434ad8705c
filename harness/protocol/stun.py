"""The STUN Binding method over TCP (RFC 8489): what address does the internet see me by?

The answer is a host's server-reflexive address in the words of RFC 8445.
"""

from __future__ import annotations

import secrets
import struct
from ipaddress import IPv4Address
from typing import Final

PORT: Final = 3478
HEADER_BYTES: Final = 20

_REQUEST = 0x0001
_SUCCESS = 0x0101
_COOKIE = 0x2112A442
_XOR_MAPPED_ADDRESS = 0x0020
_IPV4 = 0x01
_HEADER = struct.Struct("!HHI12s")
_ADDRESS = struct.Struct("!HHBBHI")


class StunError(ValueError):
    """What came is not the message that was due."""


def request() -> bytes:
    """Return a Binding request with a fresh transaction id."""
    return _HEADER.pack(_REQUEST, 0, _COOKIE, secrets.token_bytes(12))


def body_length(header: bytes) -> int:
    """Return how many bytes follow a header of :data:`HEADER_BYTES`.

    Raises:
        StunError: it is no STUN header.
    """
    _, length, cookie, _ = _HEADER.unpack(header)
    if cookie != _COOKIE:
        raise StunError(f"not a STUN header: {header.hex()}")
    return int(length)


def response(to: bytes, address: IPv4Address, port: int) -> bytes:
    """Answer a Binding request with the address and port that it came from.

    Raises:
        StunError: it is no Binding request.
    """
    kind, _, cookie, transaction = _HEADER.unpack(to[:HEADER_BYTES])
    if (kind, cookie) != (_REQUEST, _COOKIE):
        raise StunError(f"not a Binding request: {to[:HEADER_BYTES].hex()}")
    mapped = _ADDRESS.pack(
        _XOR_MAPPED_ADDRESS, 8, 0, _IPV4, port ^ (_COOKIE >> 16), int(address) ^ _COOKIE
    )
    return _HEADER.pack(_SUCCESS, len(mapped), _COOKIE, transaction) + mapped


def read_response(data: bytes, to: bytes) -> tuple[IPv4Address, int]:
    """Return the address and port that a response to the request ``to`` names.

    Raises:
        StunError: it answers another request, or names no IPv4 address.
    """
    if len(data) < HEADER_BYTES:
        raise StunError(f"an answer of {len(data)} bytes is too short")
    kind, _, cookie, transaction = _HEADER.unpack(data[:HEADER_BYTES])
    if (kind, cookie, transaction) != (_SUCCESS, _COOKIE, to[8:HEADER_BYTES]):
        raise StunError(f"not an answer to the request: {data[:HEADER_BYTES].hex()}")
    offset = HEADER_BYTES
    while offset + 4 <= len(data):
        attribute, length = struct.unpack_from("!HH", data, offset)
        if attribute == _XOR_MAPPED_ADDRESS and offset + _ADDRESS.size <= len(data):
            _, _, _, family, port, address = _ADDRESS.unpack_from(data, offset)
            if family == _IPV4:
                return IPv4Address(address ^ _COOKIE), port ^ (_COOKIE >> 16)
        offset += 4 + length + (-length % 4)
    raise StunError("the answer names no IPv4 address")
