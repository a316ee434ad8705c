"""Checks of NAT-PMP (RFC 6886), which some routers have instead of UPnP or beside it."""

from __future__ import annotations

import struct
import time
from functools import partial
from typing import Final

from tenacity import AsyncRetrying, RetryError, retry_if_result, stop_after_delay, wait_fixed

from harness.gear.card.check import Attempt, Check, Finding, NotOffered, NotTested
from harness.gear.card.control import RDP, fresh_port
from harness.gear.card.pmp_client import LIFETIME, NatPmp, Silence, ask, with_nat_pmp
from harness.gear.card.reach import closed, host_on, is_connected, opened, seen_from_wan
from harness.judge.card import Level
from harness.protocol import natpmp

EPOCH_SECONDS: Final = 5.0
"""Seconds within which a clock of whole seconds must have moved by two."""

_UNKNOWN_VERSION = 99
_RESPONSE = 128
_ANSWER = struct.Struct("!BBH")


@with_nat_pmp
async def _external_address(server: NatPmp) -> Finding:
    said, _ = await server.external_address()
    seen = await seen_from_wan(server.attempt, server.attempt.rig.lan)
    if seen is None:
        raise NotTested(f"it says {said}; no connection to the internet side to compare with")
    return Finding(said == seen, f"it says {said}; the internet sees {seen}")


@with_nat_pmp
async def _map(server: NatPmp) -> Finding:
    attempt = server.attempt
    host = await host_on(attempt, attempt.rig.lan, RDP)
    granted = await server.map(attempt.rig.lan, RDP, RDP)
    arrival = await opened(attempt, granted.external_port, host)
    detail = f"port {granted.external_port} for {granted.lifetime} s: {arrival}"
    right = granted.internal_port == RDP and 0 < granted.lifetime <= LIFETIME
    return Finding(right and is_connected(arrival), detail)


@with_nat_pmp
async def _suggested(server: NatPmp) -> Finding:
    wanted = fresh_port()
    granted = await server.map(server.attempt.rig.lan, RDP, wanted)
    detail = f"{wanted} was suggested, {granted.external_port} given"
    return Finding(granted.external_port == wanted, detail)


@with_nat_pmp
async def _taken(server: NatPmp) -> Finding:
    """Have a second host suggest a port that the first one has."""
    attempt, rig = server.attempt, server.attempt.rig
    first = await host_on(attempt, rig.lan)
    second = await host_on(attempt, rig.neighbour)
    held = await server.map(rig.lan, first.port, fresh_port())
    before = await opened(attempt, held.external_port, first)
    if not is_connected(before):
        raise NotTested(f"the first mapping let nobody in: {before}")
    try:
        granted = await server.map(rig.neighbour, second.port, held.external_port)
    except natpmp.NatPmpRefusal as refusal:
        after = await opened(attempt, held.external_port, first, second)
        return Finding(after.host == rig.lan.name, f"{refusal}; the first one's port: {after}")
    arrivals = [
        await opened(attempt, port, first, second)
        for port in (held.external_port, granted.external_port)
    ]
    right = [arrival.host for arrival in arrivals] == [rig.lan.name, rig.neighbour.name]
    detail = f"{held.external_port} was taken, {granted.external_port} given"
    return Finding(right, f"{detail}: {arrivals[0]}, {arrivals[1]}")


@with_nat_pmp
async def _renewed(server: NatPmp) -> Finding:
    attempt, rig = server.attempt, server.attempt.rig
    host = await host_on(attempt, rig.lan)
    first = await server.map(rig.lan, host.port, fresh_port())
    again = await server.map(rig.lan, host.port, first.external_port, 2 * LIFETIME)
    arrival = await opened(attempt, again.external_port, host)
    detail = f"port {first.external_port}, then {again.external_port} for {again.lifetime} s"
    right = again.external_port == first.external_port and again.lifetime >= first.lifetime
    return Finding(right and is_connected(arrival), f"{detail}: {arrival}")


@with_nat_pmp
async def _deleted(server: NatPmp) -> Finding:
    attempt, rig = server.attempt, server.attempt.rig
    host = await host_on(attempt, rig.lan)
    granted = await server.map(rig.lan, host.port, fresh_port())
    before = await opened(attempt, granted.external_port, host)
    if not is_connected(before):
        raise NotTested(f"the mapping let nobody in: {before}")
    gone = await server.unmap(rig.lan, host.port)
    after = await closed(attempt, granted.external_port, host)
    if is_connected(after):
        return Finding(False, f"port {granted.external_port} is still open: {after}")
    detail = f"closed: {after}; answered with port {gone.external_port}, {gone.lifetime} s"
    return Finding((gone.external_port, gone.lifetime) == (0, 0), detail)


@with_nat_pmp
async def _epoch(server: NatPmp) -> Finding:
    _, first = await server.external_address()
    began = time.monotonic()

    async def read() -> int:
        return (await server.external_address())[1]

    wait = AsyncRetrying(
        retry=retry_if_result(lambda now: now < first + 2),
        stop=stop_after_delay(EPOCH_SECONDS),
        wait=wait_fixed(0.25),
    )
    try:
        now: int = await wait(read)
    except RetryError:
        return Finding(False, f"it stands at {first} s for {EPOCH_SECONDS:g} s")
    elapsed = time.monotonic() - began
    lost = natpmp.has_lost_state(first, now, elapsed)
    return Finding(not lost, f"from {first} to {now} s in {elapsed:.1f} s")


async def _version(attempt: Attempt) -> Finding:
    """Ask in a version that does not exist; NAT-PMP's and PCP's servers both have an answer."""
    request = bytes([_UNKNOWN_VERSION, 0])
    try:
        # As long as a request of PCP's: a shorter one its servers may drop (RFC 6887 8.2).
        answer = await ask(attempt, attempt.rig.lan, request + bytes(58), "unknown version")
    except Silence as error:
        raise NotOffered("neither NAT-PMP nor PCP answers to an unknown version") from error
    if len(answer) < _ANSWER.size:
        return Finding(False, f"an answer of {len(answer)} bytes")
    version, opcode, result = _ANSWER.unpack_from(answer)
    if version:
        result = answer[3]  # PCP's is one byte, behind a reserved one
    detail = f"version {version}, opcode {opcode}, result {result}"
    right = opcode == _RESPONSE and result == natpmp.Result.UNSUPPORTED_VERSION
    return Finding(right, detail)


_required = partial(Check, level=Level.REQUIRED)

CHECKS: tuple[Check, ...] = (
    _required(
        id="natpmp-external-address",
        title="NAT-PMP gives the address that the internet sees",
        source="RFC 6886 3.2",
        make=_external_address,
    ),
    _required(
        id="natpmp-map",
        title="NAT-PMP maps 3389/TCP and lets the internet in",
        source="RFC 6886 3.3",
        make=_map,
    ),
    Check(
        id="natpmp-suggested-port",
        title="NAT-PMP gives the suggested port where it is free",
        source="RFC 6886 3.3",
        level=Level.RECOMMENDED,
        make=_suggested,
    ),
    _required(
        id="natpmp-port-taken",
        title="NAT-PMP gives a second host another port than one that is taken",
        source="RFC 6886 3.3",
        make=_taken,
    ),
    _required(
        id="natpmp-renewal",
        title="NAT-PMP renews a mapping with the port that it has",
        source="RFC 6886 3.3",
        make=_renewed,
    ),
    _required(
        id="natpmp-delete",
        title="NAT-PMP's deletion closes the port",
        source="RFC 6886 3.4",
        make=_deleted,
    ),
    _required(
        id="natpmp-epoch",
        title="NAT-PMP's clock advances by the second",
        source="RFC 6886 3.6",
        make=_epoch,
    ),
    _required(
        id="pmp-version",
        title="An unknown version is refused by NAT-PMP or PCP",
        source="RFC 6886 3.5; RFC 6887 9",
        make=_version,
    ),
)
