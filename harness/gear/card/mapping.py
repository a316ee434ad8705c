"""Checks of port mappings that UPnP makes: that they let the right host be reached, and no other.

"2.5.16" and the like are sections of WANIPConnection:2, which says more than WANIPConnection:1.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from functools import partial

from harness.gear.card.check import Attempt, Check, Finding, NotOffered, NotTested
from harness.gear.card.control import (
    DESCRIPTION,
    LEASE,
    NO_LEASES,
    RDP,
    TAKEN,
    Igd,
    fresh_port,
    told,
    with_igd,
)
from harness.gear.card.reach import dial
from harness.judge.card import Level
from harness.protocol.igd.errors import UpnpFault
from harness.protocol.igd.soap import Code, PortMapping
from harness.words import End

_WEEK = 604800
"""Seconds of the longest lease (WANIPConnection:2 2.5.16.2)."""

# Refusals that WANIPConnection:1 allows and WANIPConnection:2 does not.
_SAME_PORTS = 724
_ANY_REMOTE_HOST = 726

_RENEWED = f"{DESCRIPTION}, renewed"


# --- 3389/TCP, as Remote Assistance asks for it ---


def _rdp(lease: int) -> Callable[[Attempt], Awaitable[Finding]]:
    """Map 3389 for so many seconds, read it back, and connect through it."""

    @with_igd
    async def make(igd: Igd) -> Finding:
        host = await igd.host(port=RDP)
        try:
            await igd.add(RDP, RDP, lease=lease)
        except UpnpFault as fault:
            return await _refused(igd, lease, fault)
        entry = await igd.entry(RDP)
        wrong = _differs(igd, entry, RDP, lease)
        arrival = await igd.opened(RDP, host)
        if arrival.end is not End.CONNECTED:
            return Finding(False, f"accepted, but the internet does not get in: {arrival}")
        if wrong:
            return Finding(False, f"the internet gets in, but {wrong}")
        left = entry.lease if entry is not None else 0
        return Finding(True, f"{arrival} from the internet; read back with {left} s left")

    return make


async def _refused(igd: Igd, lease: int, fault: UpnpFault) -> Finding:
    """Judge a refusal; where it is of the lease, see whether it is taken without one."""
    if fault.code in TAKEN:
        return await _occupied(igd, fault)
    if not lease or fault.code not in NO_LEASES:
        return Finding(False, str(fault))
    await igd.add(RDP, RDP, lease=0)
    if igd.version > 1:
        return Finding(False, f"{fault}; taken without a lease, which an IGD:2 must not ask for")
    raise NotOffered(f"leases: {told(fault)}; it is taken without an end (lease 0)")


async def _occupied(igd: Igd, fault: UpnpFault) -> Finding:
    """Judge a refusal that says that the port is another's."""
    try:
        entry = await igd.entry(RDP)
    except UpnpFault as hidden:
        raise NotTested(f"{told(fault)}; whose the port is, is not said: {told(hidden)}") from fault
    if entry is None:
        return Finding(False, f"{told(fault)}, though the port is nobody's (714)")
    place = f"{entry.internal_client}:{entry.internal_port}"
    raise NotTested(
        f"port {RDP} is mapped to {place} from before: remove it, or restart the router"
    )


def _differs(igd: Igd, entry: PortMapping | None, internal: int, lease: int) -> str:
    """Say how a mapping of the rig's ``lan`` reads back otherwise than it was asked for."""
    if entry is None:
        return "it reads back as unknown (714)"
    client = str(igd.attempt.rig.lan.address)
    if (entry.internal_client, entry.internal_port) != (client, internal):
        return f"it reads back as {entry.internal_client}:{entry.internal_port}"
    if not entry.enabled:
        return "it reads back as not enabled"
    # An IGD:1 keeps 0 as it is; an IGD:2 has no mapping without an end and takes it for a week.
    longest = lease or _WEEK
    if not 0 < entry.lease <= longest and not (igd.version == 1 and lease == entry.lease == 0):
        return f"its lease of {lease} s reads back as {entry.lease} s"
    return ""


# --- Other ports, other hosts ---


@with_igd
async def _other_port(igd: Igd) -> Finding:
    host = await igd.host(port=RDP)
    external = fresh_port()
    try:
        await igd.add_lasting(external, RDP)
    except UpnpFault as fault:
        if fault.code != _SAME_PORTS or igd.version > 1:
            raise
        raise NotOffered(told(fault)) from fault
    arrival = await igd.opened(external, host)
    return Finding(arrival.end is End.CONNECTED, f"port {external} to {RDP}: {arrival}")


@with_igd
async def _renewed(igd: Igd) -> Finding:
    """Ask again for a mapping that the same host has, with another lease and description."""
    host = await igd.host()
    external = await igd.open_mapping(host)
    before = await igd.entry(external)
    lease = 0 if before is not None and before.lease == 0 else 2 * LEASE
    await igd.add(external, host.port, lease=lease, description=_RENEWED)
    after = await igd.entry(external)
    arrival = await igd.opened(external, host)
    if arrival.end is not End.CONNECTED:
        return Finding(False, f"after the renewal: {arrival}")
    if after is None:
        return Finding(False, "after the renewal it reads back as unknown (714)")
    if lease and not LEASE < after.lease <= lease:
        return Finding(False, f"asked for {lease} s, it reads back with {after.lease} s left")
    name = "new" if after.description == _RENEWED else "old"
    return Finding(True, f"{after.lease} s left, the {name} description; {arrival}")


@with_igd
async def _conflict(igd: Igd) -> Finding:
    """Have a second host ask for a port that the first one has; see whose it is then."""
    rig = igd.attempt.rig
    first = await igd.host(rig.lan)
    second = await igd.host(rig.neighbour)
    external = await igd.open_mapping(first)
    refused: int | None = None
    answer = "accepted"
    try:
        await igd.add_lasting(external, second.port, station=rig.neighbour)
    except UpnpFault as fault:
        refused, answer = fault.code, told(fault)
    arrival = await igd.opened(external, first, second)
    if arrival.host == rig.neighbour.name:
        said = "silently" if refused is None else f"though it answered {answer}"
        return Finding(False, f"the second host stole the port, {said}: {arrival}")
    if arrival.end is not End.CONNECTED:
        return Finding(False, f"{answer}, and the first host lost its port: {arrival}")
    if refused != Code.CONFLICT:
        return Finding(False, f"{answer}, 718 is due; still {arrival}")
    return Finding(True, f"{answer}; still {arrival}")


@with_igd
async def _any_port(igd: Igd) -> Finding:
    """Have a second host ask for a port that is taken, or another one."""
    if igd.version < 2:
        raise NotOffered("AddAnyPortMapping is of IGD:2; this is an IGD:1")
    rig = igd.attempt.rig
    first = await igd.host(rig.lan)
    second = await igd.host(rig.neighbour)
    taken = await igd.open_mapping(first)
    asker = igd.of(rig.neighbour)
    reserved = await asker.add_any_port_mapping(
        taken, "TCP", second.port, rig.neighbour.address, LEASE, DESCRIPTION
    )
    igd.forget_later(rig.neighbour, reserved)
    if reserved == taken:
        arrival = await igd.opened(taken, first, second)
        return Finding(False, f"port {taken}, which was taken, was given again: {arrival}")
    arrivals = [
        await igd.opened(taken, first, second),
        await igd.opened(reserved, first, second),
    ]
    right = [arrival.host for arrival in arrivals] == [rig.lan.name, rig.neighbour.name]
    detail = f"{taken} was taken, {reserved} given: {arrivals[0]}, {arrivals[1]}"
    return Finding(right, detail)


# --- Whom it lets in ---


@with_igd
async def _remote_host(igd: Igd) -> Finding:
    """Map a port for ``far`` alone; ``other`` must not get in."""
    rig = igd.attempt.rig
    host = await igd.host()
    external = fresh_port()
    remote = str(rig.far.address)
    try:
        await igd.add_lasting(external, host.port, remote_host=remote)
    except UpnpFault as fault:
        if fault.code != _ANY_REMOTE_HOST or igd.version > 1:
            raise
        raise NotOffered(told(fault)) from fault
    named = await igd.opened(external, host)
    others = await asyncio.gather(
        dial(igd.attempt, rig.other, external, host), dial(igd.attempt, rig.wan, external, host)
    )
    if named.end is not End.CONNECTED:
        return Finding(False, f"{remote}, which it is for: {named}")
    for station, arrival in zip((rig.other, rig.wan), others, strict=True):
        if arrival.end is End.CONNECTED:
            return Finding(False, f"for {remote} alone, and {station.address} gets in too")
    return Finding(True, f"{remote} gets in; {rig.other.address}: {others[0]}")


# --- The router's list ---

_MOST_ENTRIES = 1024


@with_igd
async def _enumerated(igd: Igd) -> Finding:
    """Read the list from its beginning to its end; a mapping that was just made is in it."""
    external = await igd.map_any(RDP)
    seen = False
    for index in range(_MOST_ENTRIES):
        try:
            entry = await igd.lan.get_generic(index)
        except UpnpFault as fault:
            listed = f"{index} entries"
            if fault.code == Code.NOT_AUTHORIZED:
                continue  # another host's, which IGD:2 recommends not to show (2.5.14.3)
            if fault.code != Code.INDEX_INVALID:
                return Finding(False, f"{listed}, then {told(fault)}; 713 is due")
            if not seen:
                return Finding(False, f"{listed}, then 713; port {external} is not among them")
            return Finding(True, f"{listed}, then 713")
        seen = seen or (entry.external_port, entry.protocol) == (external, "TCP")
    return Finding(False, f"no end after {_MOST_ENTRIES} entries")


_required = partial(Check, level=Level.REQUIRED)
_add = "WANIPConnection:2 2.5.16"

CHECKS: tuple[Check, ...] = (
    *(
        _required(
            id=f"map-3389-lease-{lease}",
            title=f"3389/TCP is mapped with lease {lease}, read back, and lets the internet in",
            source=f"{_add}.2; KB301529",
            make=_rdp(lease),
        )
        for lease in (0, LEASE, _WEEK)
    ),
    _required(
        id="map-other-port",
        title="An external port leads to another internal one",
        source=_add,
        make=_other_port,
    ),
    _required(
        id="map-renewal",
        title="The same host's second request renews its mapping",
        source=f"{_add}.2, figure 2-3",
        make=_renewed,
    ),
    _required(
        id="map-conflict",
        title="A second host does not get a port that is taken (718)",
        source=f"{_add}.2, figure 2-3; 2.5.16.6",
        make=_conflict,
    ),
    _required(
        id="map-any-port",
        title="AddAnyPortMapping gives another port where one is taken",
        source="WANIPConnection:2 2.5.17, figure 2-4",
        make=_any_port,
    ),
    _required(
        id="map-remote-host",
        title="A mapping for one remote host lets no other in",
        source=_add,
        make=_remote_host,
    ),
    _required(
        id="map-enumeration",
        title="The list of mappings has them, and ends with 713",
        source="WANIPConnection:2 2.5.14",
        make=_enumerated,
    ),
)
