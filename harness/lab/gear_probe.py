"""Shows that a site behind a real router can be judged: the router passes its host's packets on.

What else the router does, its filtering and what it offers, is what its scenarios are about, so it
makes none of them invalid. But a router that is booting, or has no cable, would say "No" to all.

A router may be a user's program that makes connections of its own for its hosts. So nothing here
follows a SYN by its sequence number: the services' answer is known by the port that was dialled.
"""

from __future__ import annotations

import asyncio
import errno
import itertools
import socket
from collections.abc import Mapping
from dataclasses import dataclass
from ipaddress import IPv4Address

from tenacity import AsyncRetrying, retry_if_result, stop_after_delay, wait_fixed

from harness.judge.journey import Event
from harness.judge.model import Control
from harness.lab.probes import FIRST_PORT, REACHES, TRANSLATION
from harness.lab.syns import Endpoint
from harness.lab.watch import Watch
from harness.protocol.packet import Flags, Segment
from harness.runtime.netns import NetNs
from harness.topology.plan import SERVICES, LabPlan
from harness.words import Role

PATIENCE = 20.0
"""Seconds that a router has to pass a packet on: its neighbours are new to it, its ARP slow."""

# Seconds that one connection has: it crosses the lab twice, and is refused.
_TRY = 1.0

_NO_ANSWER = "no answer"
_ANSWERS = {
    errno.ECONNREFUSED: "a RST",
    errno.ECONNRESET: "a RST",
    errno.EHOSTUNREACH: _NO_ANSWER,
    errno.ENETUNREACH: _NO_ANSWER,
}
"""What a dialler meets, by the error that its kernel gives."""


@dataclass(frozen=True)
class _Tried:
    """What became of a connection: what its dialler met, and its source as the services saw it."""

    to: Endpoint
    source: Endpoint
    met: str
    seen: Endpoint | None

    @property
    def passed_on(self) -> bool:
        """Whether the services answered, and the dialler heard of it."""
        return self.seen is not None and self.met != _NO_ANSWER


async def probe_gear(plan: LabPlan, namespaces: Mapping[str, NetNs], watch: Watch) -> list[Control]:
    """Probe every site with a real router, while no invitation is open.

    - REACHES: the services answer the host's connection, and the answer comes back.
    - TRANSLATION: the services see the address that the router has on its WAN.
    """
    controls: list[Control] = []
    for role, site in plan.topology.sites.items():
        if site.gear is not None:
            controls += await _probe_site(plan, role, namespaces[role.value], watch)
    return controls


async def _probe_site(plan: LabPlan, role: Role, namespace: NetNs, watch: Watch) -> list[Control]:
    tried = await _passed_on(plan, namespace, watch)
    answered = "did not answer" if tried.seen is None else "answered"
    detail = f"{tried.to} from {role}: {SERVICES} {answered}, {role} met: {tried.met}"
    reached = Control(name=REACHES, node=role.value, passed=tried.passed_on, detail=detail)
    link = plan.topology.internet.links[role]
    seen = tried.seen
    detail = f"{SERVICES} saw {tried.source} of {role} as {seen}"
    passed = seen is not None and seen.address == link.site
    if not passed:
        detail += f"; the router's WAN address is {link.site}"
    return [reached, Control(name=TRANSLATION, node=role.value, passed=passed, detail=detail)]


async def _passed_on(plan: LabPlan, namespace: NetNs, watch: Watch) -> _Tried:
    """Dial until the services have answered, another port each time; return the last try."""
    tries = AsyncRetrying(
        stop=stop_after_delay(PATIENCE),
        wait=wait_fixed(0.1),
        retry=retry_if_result(lambda tried: not tried.passed_on),
        # What the last of them met is the result, whatever that was.
        retry_error_callback=lambda state: state.outcome and state.outcome.result(),
    )
    ports = itertools.count(FIRST_PORT)

    async def once() -> _Tried:
        # Nobody listens there: the answer is a RST.
        return await _dial(Endpoint(plan.services, next(ports)), namespace, watch)

    tried: _Tried = await tries(once)
    return tried


async def _dial(to: Endpoint, namespace: NetNs, watch: Watch) -> _Tried:
    before = len(watch.sightings)
    with namespace.entered():
        sock = socket.socket(socket.AF_INET, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
    with sock:
        met = await _met(sock, to)
        host, port = sock.getsockname()
    # The services' kernel logs its answer before anybody can have heard of it.
    watch.drain()
    answers = (
        Endpoint(packet.destination, packet.destination_port)
        for sighting in watch.sightings[before:]
        if (sighting.node, sighting.event) == (SERVICES, Event.SENT)
        and isinstance(packet := sighting.packet, Segment)
        and packet.flags & Flags.RST
        and (packet.source, packet.source_port) == to
    )
    return _Tried(to, Endpoint(IPv4Address(host), port), met, next(answers, None))


async def _met(sock: socket.socket, to: Endpoint) -> str:
    """Say what a dialler meets; a router that speaks for others may accept and then hang up."""
    loop = asyncio.get_running_loop()
    try:
        async with asyncio.timeout(_TRY):
            await loop.sock_connect(sock, (str(to.address), to.port))
            return "a connection"
    except TimeoutError:
        return _NO_ANSWER
    except OSError as error:
        if error.errno not in _ANSWERS:
            raise
        return _ANSWERS[error.errno]
