"""Shows that a site behind a real router can be judged: the router passes its host's packets on.

What else the router does, its filtering and what it offers, is what its scenarios are about, so it
makes none of them invalid. But a router that is booting, or has no cable, would say "No" to all.
"""

from __future__ import annotations

from collections.abc import Mapping

from tenacity import AsyncRetrying, RetryError, retry_if_result, stop_after_delay, wait_fixed

from harness.judge.model import Control
from harness.lab.probes import FIRST_PORT, REACHES, TRANSLATION
from harness.lab.syns import Endpoint, Found, Probe, send
from harness.lab.watch import Watch
from harness.prediction.ticket import site_of
from harness.runtime.netns import NetNs
from harness.topology.plan import SERVICES, LabPlan
from harness.words import Role

PATIENCE = 20.0
"""Seconds that a router has to pass a packet on: its neighbours are new to it, its ARP slow."""


async def probe_gear(plan: LabPlan, namespaces: Mapping[str, NetNs], watch: Watch) -> list[Control]:
    """Probe every site with a real router, while no invitation is open.

    - REACHES: the host's SYN is answered by the services, and the answer comes back.
    - TRANSLATION: the services see the address that the router has on its WAN.
    """
    controls: list[Control] = []
    for role in Role:
        if site_of(plan.topology, role).gear is not None:
            controls += await _probe_site(plan, role, namespaces, watch)
    return controls


async def _probe_site(
    plan: LabPlan, role: Role, namespaces: Mapping[str, NetNs], watch: Watch
) -> list[Control]:
    found = await _answered(Probe(role.value, FIRST_PORT, _services(plan)), namespaces, watch)
    reached = found.answered and found.ending.node == SERVICES
    controls = [Control(name=REACHES, node=role.value, passed=reached, detail=str(found))]
    link = getattr(plan.topology.internet, role.value)
    seen = found.seen
    detail = f"{SERVICES} saw {found.left_from} of {role} as {seen}"
    passed = seen is not None and seen.address == link.site
    if not passed:
        detail += f"; the router's WAN address is {link.site}"
    controls.append(Control(name=TRANSLATION, node=role.value, passed=passed, detail=detail))
    return controls


def _services(plan: LabPlan) -> Endpoint:
    # Nobody listens there: the answer is a RST.
    return Endpoint(plan.services, FIRST_PORT)


async def _answered(probe: Probe, namespaces: Mapping[str, NetNs], watch: Watch) -> Found:
    """Send until there is an answer, from a new port each time; return the last try's end."""
    found: Found | None = None
    tries = AsyncRetrying(
        stop=stop_after_delay(PATIENCE),
        wait=wait_fixed(0.1),
        retry=retry_if_result(lambda result: not result.answered),
    )
    port = probe.port

    async def once() -> Found:
        nonlocal found, port
        this = Probe(probe.node, port, probe.to)
        port += 1
        found = (await send([this], namespaces, watch))[this]
        return found

    try:
        return await tries(once)
    except RetryError:
        if found is None:
            raise
        return found
