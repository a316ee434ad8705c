"""Checks of PCP (RFC 6887), NAT-PMP's successor on the same port."""

from __future__ import annotations

import secrets
import time
from dataclasses import replace
from functools import partial

from tenacity import AsyncRetrying, RetryError, retry_if_result, stop_after_delay, wait_fixed

from harness.gear.card.check import Check, Finding, NotTested
from harness.gear.card.control import RDP, fresh_port
from harness.gear.card.pmp import EPOCH_SECONDS
from harness.gear.card.pmp_client import LIFETIME, Pcp, removal, wanted, with_pcp
from harness.gear.card.reach import (
    Host,
    closed,
    dial,
    host_on,
    is_connected,
    opened,
    seen_from_wan,
)
from harness.judge.card import Level
from harness.protocol.pcp import (
    NONCE_BYTES,
    Epoch,
    Mapping,
    MapRequest,
    PcpRefusal,
    Result,
    has_lost_state,
)

_NO_THIRD_PARTY = (Result.UNSUPPORTED_OPTION, Result.NOT_AUTHORIZED)


@with_pcp
async def _map(server: Pcp) -> Finding:
    attempt, rig = server.attempt, server.attempt.rig
    host = await host_on(attempt, rig.lan, RDP)
    granted = await server.map(wanted(rig.lan, RDP, RDP))
    arrival = await opened(attempt, granted.external_port, host)
    detail = f"{granted.external_address}:{granted.external_port} for {granted.lifetime} s"
    if not is_connected(arrival):
        return Finding(False, f"{detail}: {arrival}")
    seen = await seen_from_wan(attempt, rig.lan)
    if granted.external_address != seen:
        return Finding(False, f"{detail}: {arrival}, but the internet sees {seen}")
    return Finding(0 < granted.lifetime <= LIFETIME, f"{detail}: {arrival}")


@with_pcp
async def _suggested(server: Pcp) -> Finding:
    port = fresh_port()
    granted = await server.map(wanted(server.attempt.rig.lan, RDP, port))
    detail = f"{port} was suggested, {granted.external_port} given"
    return Finding(granted.external_port == port, detail)


@with_pcp
async def _renewed(server: Pcp) -> Finding:
    attempt = server.attempt
    host, request, first = await _open(server)
    again = await server.map(replace(request, lifetime=2 * LIFETIME))
    arrival = await opened(attempt, again.external_port, host)
    detail = f"port {first.external_port}, then {again.external_port} for {again.lifetime} s"
    right = again.external_port == first.external_port and again.lifetime >= first.lifetime
    return Finding(right and is_connected(arrival), f"{detail}: {arrival}")


@with_pcp
async def _deleted(server: Pcp) -> Finding:
    host, request, granted = await _open(server)
    await server.send(removal(request))
    after = await closed(server.attempt, granted.external_port, host)
    return Finding(not is_connected(after), f"port {granted.external_port}: {after}")


@with_pcp
async def _nonce(server: Pcp) -> Finding:
    """Ask for an existing mapping, and for its removal, with another nonce than its own."""
    attempt = server.attempt
    host, request, granted = await _open(server)
    other = replace(request, nonce=secrets.token_bytes(NONCE_BYTES))
    for what, forged in (("renewal", other), ("removal", removal(other))):
        try:
            # Where it is taken, the mapping's nonce may be this one from now on.
            await server.map(forged)
        except PcpRefusal as refusal:
            if refusal.result != Result.NOT_AUTHORIZED:
                return Finding(False, f"{what} with another nonce: {refusal}; 2 is due")
        else:
            after = await opened(attempt, granted.external_port, host)
            return Finding(False, f"{what} with another nonce: accepted; the mapping: {after}")
    after = await opened(attempt, granted.external_port, host)
    detail = f"renewal and removal with another nonce are refused; the mapping: {after}"
    return Finding(is_connected(after), detail)


@with_pcp
async def _third_party(server: Pcp) -> Finding:
    """Ask for a mapping to the neighbour."""
    attempt, rig = server.attempt, server.attempt.rig
    host = await host_on(attempt, rig.neighbour)
    request = replace(wanted(rig.lan, host.port, fresh_port()), third_party=rig.neighbour.address)
    try:
        granted = await server.map(request)
    except PcpRefusal as refusal:
        arrival = await dial(attempt, rig.far, request.external_port, host)
        right = refusal.result in _NO_THIRD_PARTY and not is_connected(arrival)
        return Finding(right, f"{refusal}; port {request.external_port}: {arrival}")
    arrival = await opened(attempt, granted.external_port, host)
    return Finding(False, f"accepted; port {granted.external_port}: {arrival}")


@with_pcp
async def _epoch(server: Pcp) -> Finding:
    """Renew a mapping until the server's clock has moved, and hold it against this one."""
    request = wanted(server.attempt.rig.lan, RDP, fresh_port())
    first = Epoch((await server.map(request)).epoch, time.monotonic())

    async def read() -> Epoch:
        granted = await server.send(request)
        return Epoch(granted.epoch, time.monotonic())

    wait = AsyncRetrying(
        retry=retry_if_result(lambda now: now.server < first.server + 2),
        stop=stop_after_delay(EPOCH_SECONDS),
        wait=wait_fixed(0.25),
    )
    try:
        now: Epoch = await wait(read)
    except RetryError:
        return Finding(False, f"it stands at {first.server} s for {EPOCH_SECONDS:g} s")
    detail = f"from {first.server} to {now.server} s in {now.client - first.client:.1f} s"
    return Finding(not has_lost_state(first, now), detail)


async def _open(server: Pcp) -> tuple[Host, MapRequest, Mapping]:
    """Make a mapping to a host that listens and see that it lets ``far`` in.

    Raises:
        NotTested: it lets nobody in.
    """
    attempt, rig = server.attempt, server.attempt.rig
    host = await host_on(attempt, rig.lan)
    request = wanted(rig.lan, host.port, fresh_port())
    granted = await server.map(request)
    arrival = await opened(attempt, granted.external_port, host)
    if not is_connected(arrival):
        raise NotTested(f"the mapping of port {granted.external_port} let nobody in: {arrival}")
    return host, request, granted


_required = partial(Check, level=Level.REQUIRED)

CHECKS: tuple[Check, ...] = (
    _required(
        id="pcp-map",
        title="PCP maps 3389/TCP, gives the right address, and lets the internet in",
        source="RFC 6887 11.1, 11.3",
        make=_map,
    ),
    Check(
        id="pcp-suggested-port",
        title="PCP gives the suggested port where it is free",
        source="RFC 6887 11.3",
        level=Level.RECOMMENDED,
        make=_suggested,
    ),
    _required(
        id="pcp-renewal",
        title="PCP renews a mapping with the port that it has",
        source="RFC 6887 11.2.1, 11.3",
        make=_renewed,
    ),
    _required(
        id="pcp-delete",
        title="PCP's deletion closes the port",
        source="RFC 6887 15",
        make=_deleted,
    ),
    _required(
        id="pcp-nonce",
        title="PCP refuses who does not know a mapping's nonce",
        source="RFC 6887 11.3, 18.1",
        make=_nonce,
    ),
    _required(
        id="pcp-third-party",
        title="PCP refuses a mapping to another host (THIRD_PARTY)",
        source="RFC 6887 13.1",
        make=_third_party,
    ),
    _required(
        id="pcp-epoch",
        title="PCP's clock advances by the second",
        source="RFC 6887 8.5",
        make=_epoch,
    ),
)
