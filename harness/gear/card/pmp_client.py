"""What the checks of NAT-PMP and PCP share: asking the router over UDP, and mappings that end."""

from __future__ import annotations

import secrets
import struct
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import wraps
from ipaddress import IPv4Address
from typing import Final
from weakref import WeakKeyDictionary

from harness.gear.card.check import Attempt, Finding, NotOffered
from harness.gear.rig import Rig, Station
from harness.nodes import pmp
from harness.protocol import natpmp, pcp
from harness.protocol.natpmp import NatPmpError, TcpMapping
from harness.protocol.pcp import Mapping, MapRequest, PcpError

LIFETIME: Final = 3600
"""Seconds that a mapping is asked for."""

NAT_PMP_VERSION: Final = 0

_LEAST_PATIENCE = 1.75
"""Seconds that an answer is waited for at the least: three requests (RFC 6886 3.1)."""

_ANNOUNCE = struct.Struct("!BBHI10xBB4s")

# What a router answers by is asked once: to be sure of silence takes seconds.
_VERSIONS: WeakKeyDictionary[Rig, dict[bytes, bytes | None]] = WeakKeyDictionary()

Fits = Callable[[bytes], bool]


class Silence(Exception):
    """The server does not answer any more; the text says what it was asked for."""


async def ask(
    attempt: Attempt, station: Station, request: bytes, what: str, fits: Fits | None = None
) -> bytes:
    """Ask the router for ``what``; return the first answer that fits.

    Raises:
        Silence: none came.
    """
    answer = await _ask(attempt, station, request, what, fits)
    if answer is None:
        raise Silence(f"no answer to {what}")
    return answer


async def _ask(
    attempt: Attempt, station: Station, request: bytes, what: str, fits: Fits | None
) -> bytes | None:
    rig = attempt.rig
    patience = max(rig.answer, _LEAST_PATIENCE)
    try:
        answer = await pmp.ask(
            station,
            rig.gateway,
            request,
            natpmp.FIRST_RETRY,
            patience,
            *([] if fits is None else [fits]),
        )
    except OSError as error:
        attempt.note(f"{station.name}: {what} {request.hex()} -> {error.strerror}")
        return None
    shown = "silence" if answer is None else answer[:64].hex()
    attempt.note(f"{station.name}: {what} {request.hex()} -> {shown}")
    return answer


async def _first_answer(attempt: Attempt, request: bytes, what: str) -> bytes | None:
    """Ask a question that tells whether there is a server; a router is asked it once."""
    known = _VERSIONS.setdefault(attempt.rig, {})
    if request not in known:
        known[request] = await _ask(attempt, attempt.rig.lan, request, what, None)
    return known[request]


# --- NAT-PMP ---


@dataclass(frozen=True)
class NatPmp:
    """The router's NAT-PMP server in one check."""

    attempt: Attempt

    async def external_address(self) -> tuple[IPv4Address, int]:
        """Return the external address, and the server's epoch in seconds.

        Raises:
            NatPmpError: the server refused, or what came is no answer.
        """
        request = natpmp.external_address_request()
        answer = await ask(self.attempt, self.attempt.rig.lan, request, "external address")
        return natpmp.read_external_address(answer), natpmp.read_epoch(answer)

    async def map(
        self, station: Station, internal: int, external: int, lifetime: int = LIFETIME
    ) -> TcpMapping:
        """Ask for a TCP mapping; it ends with the check.

        Raises:
            NatPmpError: the server refused, or what came is no answer.
        """
        self.attempt.cleanup.push_async_callback(self._forget, station, internal)
        request = natpmp.map_tcp_request(internal, external, lifetime)
        return natpmp.read_tcp_mapping(await ask(self.attempt, station, request, "map TCP"))

    async def unmap(self, station: Station, internal: int) -> TcpMapping:
        """Remove a station's mapping of an internal port (RFC 6886 3.4).

        Raises:
            NatPmpError: the server refused, or what came is no answer.
        """
        request = natpmp.map_tcp_request(internal, 0, 0)
        return natpmp.read_tcp_mapping(await ask(self.attempt, station, request, "unmap TCP"))

    async def _forget(self, station: Station, internal: int) -> None:
        try:
            await self.unmap(station, internal)
        except (NatPmpError, Silence) as error:
            self.attempt.note(f"port {internal} of {station.name} may be left mapped: {error}")


def with_nat_pmp(
    body: Callable[[NatPmp], Awaitable[Finding]],
) -> Callable[[Attempt], Awaitable[Finding]]:
    """Make a check of what is to be done with the router's NAT-PMP server."""

    @wraps(body)
    async def made(attempt: Attempt) -> Finding:
        request = natpmp.external_address_request()
        answer = await _first_answer(attempt, request, "external address")
        if answer is None:
            raise NotOffered("no NAT-PMP: nothing answers on UDP port 5351")
        if answer[:1] != bytes([NAT_PMP_VERSION]):
            raise NotOffered(f"no NAT-PMP: what answers speaks version {answer[:1].hex()}")
        try:
            return await body(NatPmp(attempt))
        except (NatPmpError, Silence) as error:
            return Finding(False, str(error))

    return made


# --- PCP ---


@dataclass(frozen=True)
class Pcp:
    """The router's PCP server in one check."""

    attempt: Attempt

    async def map(self, wanted: MapRequest) -> Mapping:
        """Send a request for a mapping; the mapping ends with the check.

        Raises:
            PcpRefusal: the server refused.
            PcpError: what came is no answer.
        """
        self.attempt.cleanup.push_async_callback(self._forget, wanted)
        return await self.send(wanted)

    async def send(self, wanted: MapRequest) -> Mapping:
        """Send a request from the rig's ``lan`` as it is, and leave what comes of it.

        Raises:
            PcpRefusal: the server refused.
            PcpError: what came is no answer.
        """
        answer = await ask(
            self.attempt,
            self.attempt.rig.lan,
            pcp.map_request(wanted),
            "MAP",
            lambda data: pcp.is_answer(data, wanted),
        )
        return pcp.read_mapping(answer, wanted)

    async def _forget(self, wanted: MapRequest) -> None:
        try:
            await self.send(removal(wanted))
        except (PcpError, Silence) as error:
            # One that was refused is not there: then this is refused, too.
            self.attempt.note(f"the removal of port {wanted.internal_port}: {error}")


def with_pcp(body: Callable[[Pcp], Awaitable[Finding]]) -> Callable[[Attempt], Awaitable[Finding]]:
    """Make a check of what is to be done with the router's PCP server."""

    @wraps(body)
    async def made(attempt: Attempt) -> Finding:
        own = attempt.rig.lan.address
        request = _ANNOUNCE.pack(pcp.VERSION, 0, 0, 0, 0xFF, 0xFF, own.packed)
        answer = await _first_answer(attempt, request, "ANNOUNCE")
        if answer is None:
            raise NotOffered("no PCP: nothing answers on UDP port 5351")
        if answer[:1] != bytes([pcp.VERSION]):
            raise NotOffered(f"no PCP: what answers speaks version {answer[:1].hex()}")
        try:
            return await body(Pcp(attempt))
        except (PcpError, Silence) as error:
            return Finding(False, str(error))

    return made


def wanted(station: Station, internal: int, external: int) -> MapRequest:
    """Return a request for a TCP mapping to a station, with a nonce of its own."""
    nonce = secrets.token_bytes(pcp.NONCE_BYTES)
    return MapRequest(station.address, nonce, pcp.TCP, internal, LIFETIME, external)


def removal(request: MapRequest) -> MapRequest:
    """Return the request that removes what another asked for (RFC 6887 15)."""
    return MapRequest(
        request.client,
        request.nonce,
        request.protocol,
        request.internal_port,
        lifetime=0,
        third_party=request.third_party,
    )
