"""TPKT (RFC 1006, RFC 2126) and the X.224 PDUs that open a Remote Desktop connection.

A firewall that looks inside TCP 3389 expects these first: the dialler's Connection Request with
the RDP Negotiation Request of [MS-RDPBCGR] 2.2.1.1, and the listener's Connection Confirm.
"""

from __future__ import annotations

import struct
from typing import Final

HEADER_BYTES: Final = 4
"""A TPKT header: version, a reserved byte, and the length of the whole packet in two bytes."""

MAX_DATA: Final = 0xFFFF - HEADER_BYTES - 3
"""The most bytes that one Data TPDU carries."""

_VERSION = 3
_REQUEST = 0xE0
_CONFIRM = 0xD0
_DATA = 0xF0
_END_OF_TSDU = 0x80
_FIXED = struct.Struct("!BBHHB")
_NEGOTIATION_REQUEST = struct.pack("<BBHI", 0x01, 0, 8, 0)
_NEGOTIATION_RESPONSE = struct.pack("<BBHI", 0x02, 0, 8, 0)


class TpktError(ValueError):
    """What came is not the TPKT packet or X.224 PDU that was due."""


def connection_request() -> bytes:
    """Return the packet that a dialler opens with."""
    return _connection(_REQUEST, _NEGOTIATION_REQUEST)


def connection_confirm() -> bytes:
    """Return the packet that a listener answers with."""
    return _connection(_CONFIRM, _NEGOTIATION_RESPONSE)


def data(payload: bytes) -> bytes:
    """Wrap up to :data:`MAX_DATA` bytes in one Data TPDU."""
    return _packet(bytes((2, _DATA, _END_OF_TSDU)) + payload)


def body_length(header: bytes) -> int:
    """Return how many bytes follow a TPKT header.

    Raises:
        TpktError: it is no TPKT header.
    """
    version, _, length = struct.unpack("!BBH", header)
    if version != _VERSION or length < HEADER_BYTES + 3:
        raise TpktError(f"not a TPKT header: {header.hex()}")
    return int(length) - HEADER_BYTES


def check_request(body: bytes) -> None:
    """Raise TpktError unless the body is a Connection Request."""
    _check(body, _REQUEST, "Connection Request")


def check_confirm(body: bytes) -> None:
    """Raise TpktError unless the body is a Connection Confirm."""
    _check(body, _CONFIRM, "Connection Confirm")


def read_data(body: bytes) -> bytes:
    """Return what a Data TPDU carries.

    Raises:
        TpktError: it is another PDU.
    """
    if body[:3] != bytes((2, _DATA, _END_OF_TSDU)):
        raise TpktError(f"not an X.224 Data TPDU: {body[:3].hex()}")
    return body[3:]


def _connection(code: int, negotiation: bytes) -> bytes:
    # The length indicator does not count itself.
    fixed = _FIXED.pack(_FIXED.size - 1 + len(negotiation), code, 0, 0, 0)
    return _packet(fixed + negotiation)


def _packet(body: bytes) -> bytes:
    return struct.pack("!BBH", _VERSION, 0, HEADER_BYTES + len(body)) + body


def _check(body: bytes, code: int, name: str) -> None:
    if len(body) < _FIXED.size or body[0] != len(body) - 1 or body[1] & 0xF0 != code:
        raise TpktError(f"not an X.224 {name}: {body[:16].hex()}")
