"""The ticket inside an invitation: "Remote Assistance Connection String 1", [MS-RAI] 2.2.1.

Eight fields joined by commas, of which three say something: where the inviting side may be
reached, the session's identifier, and parameters of the session's protocol.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterable
from dataclasses import dataclass
from ipaddress import AddressValueError, IPv4Address
from typing import Final

from harness.protocol.incident_xml import IncidentError, shown

__all__ = ["DECIMAL", "MAX_CANDIDATES", "Candidate", "Ticket", "each_once", "parse_ticket"]

MAX_CANDIDATES: Final = 64
"""The most addresses one ticket may name, so that a hostile file cannot order a port scan."""

# FreeRDP reads numbers as C does, where a leading zero means octal; nobody may read two numbers.
DECIMAL: Final = re.compile(r"0|[1-9][0-9]{0,9}")
"""A number as it may stand in a file: at most ten digits and no leading zero."""

_FIELDS: Final = 8
_FIXED_FIELDS: Final = (
    (0, "ProtocolVersion", "65538"),
    (1, "protocolType", "1"),
    (3, "assistantAccountPwd", "*"),
    (5, "RASessionName", "*"),
    (6, "RASessionPwd", "*"),
)

_BROADCAST: Final = IPv4Address("255.255.255.255")
_LABEL: Final = r"[A-Za-z0-9_](?:[A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?"
# A last label that is a number makes the name another spelling of an IPv4 address to resolvers.
_COMPUTER_NAME: Final = re.compile(
    rf"(?=.{{1,253}}\Z)(?:{_LABEL}\.)*(?!(?:[0-9]+|0[xX][0-9A-Fa-f]*)\Z){_LABEL}"
)


@dataclass(frozen=True)
class Candidate:
    """One place where the inviting side may be reached: an entry of ``machineAddressList``."""

    address: str
    """An IPv4 address in dotted form, or a computer name."""
    port: int

    @property
    def ip(self) -> IPv4Address | None:
        """The address, or None where the ticket gives a computer name."""
        try:
            return IPv4Address(self.address)
        except AddressValueError:
            return None

    def __str__(self) -> str:
        """Return ``address:port``, as the ticket writes it."""
        return f"{self.address}:{self.port}"


@dataclass(frozen=True)
class Ticket:
    """The fields of a connection string that are not constants."""

    candidates: tuple[Candidate, ...]
    session_id: str
    """``RASessionID``, in base64."""
    parameters: str
    """``protocolSpecificParms``, in base64."""

    def __str__(self) -> str:
        """Return the connection string."""
        addresses = ";".join(map(str, self.candidates))
        return f"65538,1,{addresses},*,{self.session_id},*,*,{self.parameters}"


def each_once(candidates: Iterable[Candidate]) -> tuple[Candidate, ...]:
    """Keep each candidate once, in its first place."""
    return tuple(dict.fromkeys(candidates))


def parse_ticket(text: str) -> Ticket:
    """Read a connection string; raises :class:`IncidentError` for any other text."""
    parts = text.split(",")
    if len(parts) != _FIELDS:
        raise IncidentError(
            f"invitation: RCTICKET has {len(parts)} comma-separated fields, not {_FIELDS}"
        )
    for index, name, value in _FIXED_FIELDS:
        if parts[index] != value:
            raise IncidentError(
                f"invitation: RCTICKET has {name} {shown(parts[index])}, not '{value}'"
            )
    return Ticket(
        candidates=_parse_candidates(parts[2]),
        session_id=_parse_base64("RASessionID", parts[4]),
        parameters=_parse_base64("protocolSpecificParms", parts[7]),
    )


def _parse_candidates(text: str) -> tuple[Candidate, ...]:
    if not text:
        raise IncidentError("invitation: RCTICKET names no address at all")
    entries = text.split(";")
    if len(entries) > MAX_CANDIDATES:
        raise IncidentError(
            f"invitation: RCTICKET names {len(entries)} addresses, more than {MAX_CANDIDATES}"
        )
    return each_once(map(_parse_candidate, entries))


def _parse_candidate(text: str) -> Candidate:
    address, colon, port = text.rpartition(":")
    if not colon:
        raise IncidentError(f"invitation: RCTICKET names {shown(text)}; an entry is address:port")
    if not DECIMAL.fullmatch(port) or not 1 <= int(port) <= 65535:
        number = port if DECIMAL.fullmatch(port) else shown(port)
        raise IncidentError(f"invitation: RCTICKET names port {number}; a port is 1 to 65535")
    candidate = Candidate(address, int(port))
    ip = candidate.ip
    if ip is None and not _COMPUTER_NAME.fullmatch(address):
        raise IncidentError(
            f"invitation: RCTICKET names {shown(address)}, "
            "which is neither an IPv4 address nor a computer name"
        )
    if ip is not None and (ip.is_unspecified or ip.is_multicast or ip == _BROADCAST):
        raise IncidentError(f"invitation: RCTICKET names {ip}, which is no host's address")
    return candidate


def _parse_base64(name: str, text: str) -> str:
    try:
        raw = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raw = b""
    if not raw or base64.b64encode(raw).decode() != text:
        raise IncidentError(f"invitation: RCTICKET has {name} {shown(text)}, which is not base64")
    return text
