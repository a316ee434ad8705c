"""Checks of how a router maps TCP: which external port a connection gets, and who may share it."""

from __future__ import annotations

import asyncio

from harness.gear.card.check import Attempt, Check, Finding, NotOffered, NotTested
from harness.gear.card.control import find, fresh_port
from harness.gear.card.flows import Call, call, end_of, reaches
from harness.gear.card.reach import Arrival, dial, exchange, host_on
from harness.judge.card import Level
from harness.lab.nat_class import LEAST_PEER_PORTS, mapping_of
from harness.protocol.igd.errors import IgdError, UpnpFault
from harness.topology.model import Mapping
from harness.words import End

_PORTS = 4
"""LAN ports that show whether a router keeps them: one may be kept by chance, or be taken."""


async def _mapping(attempt: Attempt) -> Finding:
    """Connect one LAN port to several ports of ``far``, and to two other hosts."""
    rig = attempt.rig
    hosts = [await host_on(attempt, rig.far) for _ in range(LEAST_PEER_PORTS)]
    hosts += [await host_on(attempt, rig.other), await host_on(attempt, rig.wan)]
    first = await reaches(attempt, hosts[0])
    port = end_of(first.sock).port
    rest = [await reaches(attempt, each, port) for each in hosts[1:]]
    seen = [first.seen, *(each.seen for each in rest)]
    by_far, by_others = seen[:LEAST_PEER_PORTS], seen[LEAST_PEER_PORTS:]
    # The hosts other than far are as good as one another: whoever differs counts.
    by_other = next((each for each in by_others if each != first.seen), by_others[0])
    kind = mapping_of(by_far, by_other)
    independent = kind == Mapping.ENDPOINT_INDEPENDENT.value
    shown = str(first.seen) if independent else ", ".join(str(each.port) for each in seen)
    return Finding(independent, f"{kind}: port {port} to {len(seen)} endpoints is seen as {shown}")


async def _preservation(attempt: Attempt) -> Finding:
    """Tell whether external ports equal the LAN host's own; no document asks for either."""
    far = await host_on(attempt, attempt.rig.far)
    calls = [await reaches(attempt, far) for _ in range(_PORTS)]
    pairs = [(end_of(each.sock).port, each.seen.port) for each in calls]
    kept = sum(1 for own, seen in pairs if own == seen)
    shown = ", ".join(f"{own} as {seen}" for own, seen in pairs)
    return Finding(True, f"{kept} of {len(pairs)} ports are kept: {shown}")


async def _overloading(attempt: Attempt) -> Finding:
    """Have two LAN hosts call the same far port from the same own port."""
    rig = attempt.rig
    far = await host_on(attempt, rig.far)
    first = await reaches(attempt, far)
    port = end_of(first.sock).port
    second = await call(attempt, rig.neighbour, far, port)
    if second is None:
        if await call(attempt, rig.neighbour, far) is None:
            raise NotTested(f"{rig.neighbour.address} does not reach the internet side at all")
        return Finding(False, f"a second host's port {port} gets no connection to {far.port}")
    return await _apart(attempt, first, second, port)


async def _apart(attempt: Attempt, first: Call, second: Call, port: int) -> Finding:
    shown = f"port {port} of two hosts is seen as {first.seen} and {second.seen}"
    if first.seen == second.seen:
        return Finding(False, shown)
    both = await asyncio.gather(
        exchange(first.sock, attempt.rig.answer), exchange(second.sock, attempt.rig.answer)
    )
    if not all(both):
        ended = "the first" if both[1] else "the second"
        return Finding(False, f"{shown}, and {ended} connection no longer carries anything")
    return Finding(True, shown)


# --- Hairpin ---


async def _through_hairpin(attempt: Attempt) -> tuple[int, Arrival]:
    """Have the neighbour dial a mapping of ``lan`` by the router's external address.

    Return the external port and what came of it.

    Raises:
        NotTested: there is no mapping that lets the internet in.
    """
    rig = attempt.rig
    # The same port on both sides: some routers map no other way.
    external = fresh_port()
    try:
        igd = await find(attempt)
        listener = await igd.host(port=external)
        await igd.add_lasting(external, external)
        outer = await igd.opened(external, listener)
    except (NotOffered, UpnpFault, IgdError) as error:
        raise NotTested(f"there is no mapping to dial: {error}") from error
    if outer.end is not End.CONNECTED:
        raise NotTested(f"the mapping of port {external} lets nobody in: {outer}")
    return external, await dial(attempt, rig.neighbour, external, listener)


async def _hairpin(attempt: Attempt) -> Finding:
    external, arrival = await _through_hairpin(attempt)
    to = f"{attempt.rig.external}:{external}, which is mapped"
    return Finding(arrival.end is End.CONNECTED, f"a LAN host dials {to}: {arrival}")


async def _hairpin_source(attempt: Attempt) -> Finding:
    _, arrival = await _through_hairpin(attempt)
    if arrival.end is not End.CONNECTED:
        raise NotTested(f"it has no hairpin: {arrival}")
    address = arrival.source.partition(":")[0]
    external = attempt.rig.external
    due = "" if address == str(external) else f"; {external} is due"
    return Finding(not due, f"the connection comes from {arrival.source}{due}")


CHECKS: tuple[Check, ...] = (
    Check(
        id="nat-mapping",
        title="Mapping is endpoint-independent: one LAN port is one external endpoint for all",
        source="RFC 5382 REQ-1",
        level=Level.REQUIRED,
        make=_mapping,
    ),
    Check(
        id="nat-port-preservation",
        title="Whether an external port equals the LAN host's own",
        source="RFC 4787 4.2.1 asks for neither",
        level=Level.INFORMATIONAL,
        make=_preservation,
    ),
    Check(
        id="nat-port-overloading",
        title="Two LAN hosts with the same port and destination get a connection each",
        source="RFC 5382 REQ-7; RFC 7857 3",
        level=Level.REQUIRED,
        make=_overloading,
    ),
    Check(
        id="nat-hairpin",
        title="A LAN host reaches another one by its external endpoint",
        source="RFC 5382 REQ-8",
        level=Level.REQUIRED,
        make=_hairpin,
    ),
    Check(
        id="nat-hairpin-source",
        title="Such a connection comes from the external address",
        source="RFC 5382 REQ-8a",
        level=Level.REQUIRED,
        make=_hairpin_source,
    ),
)
