"""Checks of how a router guards its mappings: against other hosts, too many, and foreign events."""

from __future__ import annotations

import time
from contextlib import suppress

from tenacity import AsyncRetrying, RetryError, retry_if_result, stop_after_delay, wait_fixed

from harness.gear.card.check import Check, Finding, NotOffered
from harness.gear.card.control import (
    DESCRIPTION,
    LEASE,
    NO_LEASES,
    RDP,
    Igd,
    fresh_port,
    told,
    with_igd,
)
from harness.gear.card.reach import Host
from harness.gear.rig import Station
from harness.judge.card import Level
from harness.nodes.igd.control import ControlPoint
from harness.protocol.igd.errors import IgdError, UpnpFault
from harness.protocol.igd.soap import Code
from harness.words import End

_MOST = 256
"""Mappings that are asked for before a table counts as large enough."""

_FILLING = 20.0
"""Seconds after which no more are asked for."""

_FULL_DEADLINE = 180.0
_FULL = (Code.NO_PORT_MAPS_AVAILABLE, Code.ACTION_FAILED)
_FIRST_PORTS = range(20000, 60000 - _MOST)
_ACCEPTED = 200
_PRECONDITION_FAILED = 412


@with_igd
async def _delete_of_another(igd: Igd) -> Finding:
    """Have the neighbour delete a mapping that is not its own."""
    rig = igd.attempt.rig
    host = await igd.host()
    external = await igd.open_mapping(host)
    refused: int | None = None
    answer = "accepted"
    try:
        await igd.of(rig.neighbour).delete_port_mapping(external, "TCP")
    except UpnpFault as fault:
        refused, answer = fault.code, told(fault)
    arrival = await igd.opened(external, host)
    if arrival.end is not End.CONNECTED:
        return Finding(False, f"{answer}, and the mapping is gone: {arrival}")
    if refused != Code.NOT_AUTHORIZED:
        return Finding(False, f"{answer}, 606 is due; the mapping stays: {arrival}")
    return Finding(True, f"{answer}; the mapping stays: {arrival}")


# --- The table ---


@with_igd
async def _table_full(igd: Igd) -> Finding:
    """Add mappings until the router refuses one, and remove them all again."""
    rig = igd.attempt.rig
    # Not noted exchange by exchange: they are hundreds, and all the same.
    control = ControlPoint(rig.lan, rig.gateway, igd.location, igd.description, igd.service)
    first = fresh_port(_FIRST_PORTS)
    added: list[int] = []
    refusal: UpnpFault | IgdError | None = None
    began = time.monotonic()
    try:
        for external in range(first, first + _MOST):
            if time.monotonic() - began > _FILLING:
                break
            added.append(external)
            await _add_bare(control, rig.lan, external)
    except (UpnpFault, IgdError) as error:
        refusal = error
    finally:
        kept = await _remove(control, added)
    count = len(added) if refusal is None else len(added) - 1
    took = time.monotonic() - began
    igd.attempt.note(f"ports {first} to {added[-1]}: {count} mapped, {refusal or 'none refused'}")
    if kept:
        return Finding(False, f"{count} mappings, of which {kept} cannot be removed")
    again = await igd.map_any(RDP)
    igd.attempt.note(f"after the removal, port {again} can be mapped")
    if refusal is None:
        return Finding(True, f"{count} mappings, none refused; made and removed in {took:.0f} s")
    if isinstance(refusal, UpnpFault) and refusal.code in _FULL:
        return Finding(True, f"{count} mappings, then {told(refusal)}")
    return Finding(False, f"{count} mappings, then {refusal}; 728 or 501 is due")


async def _add_bare(control: ControlPoint, lan: Station, external: int) -> None:
    """Ask for a mapping that the caller removes."""
    try:
        await control.add_port_mapping(external, "TCP", RDP, lan.address, LEASE, DESCRIPTION)
    except UpnpFault as fault:
        if fault.code not in NO_LEASES:
            raise
        await control.add_port_mapping(external, "TCP", RDP, lan.address, 0, DESCRIPTION)


async def _remove(control: ControlPoint, ports: list[int]) -> int:
    """Remove mappings, the last of which may have been refused; return how many would not go."""
    kept = 0
    for external in ports:
        try:
            await control.delete_port_mapping(external, "TCP")
        except UpnpFault as fault:
            kept += fault.code != Code.NO_SUCH_ENTRY and external != ports[-1]
        except IgdError:
            kept += 1
    return kept


# --- Events ---


@with_igd
async def _subscribe_foreign(igd: Igd) -> Finding:
    """Ask for events to be sent to a host of the internet (CallStranger)."""
    status, heard = await _subscribe(igd, await igd.host(igd.attempt.rig.far))
    if heard:
        return Finding(False, f"{status}, and the router called the internet at {heard}")
    if 200 <= status < 300:
        return Finding(False, f"accepted ({status}); {_PRECONDITION_FAILED} is due")
    due = "" if status == _PRECONDITION_FAILED else f"; {_PRECONDITION_FAILED} is due"
    return Finding(not due, f"refused by {status}{due}")


@with_igd
async def _subscribe_own(igd: Igd) -> Finding:
    """Ask for events to be sent to the asking host itself."""
    status, heard = await _subscribe(igd, await igd.host())
    event = f"the first event came from {heard}" if heard else "no event came"
    return Finding(status == _ACCEPTED and bool(heard), f"{status}; {event}")


async def _subscribe(igd: Igd, host: Host) -> tuple[int, str]:
    """Subscribe with a callback to a host; return the status, and who called it then, if any."""
    if not igd.lan.wan_service.event:
        raise NotOffered("its service has no eventSubURL")
    status = await igd.lan.subscribe(_callback(host.station, host.port))
    wait = AsyncRetrying(
        retry=retry_if_result(lambda visitors: not visitors),
        stop=stop_after_delay(igd.attempt.rig.answer),
        wait=wait_fixed(0.02),
    )

    async def visitors() -> list[str]:
        return host.visitors

    with suppress(RetryError):
        await wait(visitors)
    heard = next(iter(host.visitors), "")
    igd.attempt.note(f"SUBSCRIBE for {host.station.name} -> {status}; called by {heard or 'none'}")
    return status, heard


def _callback(station: Station, port: int) -> str:
    return f"http://{station.address}:{port}/event"


CHECKS: tuple[Check, ...] = (
    Check(
        id="delete-of-another",
        title="A host cannot delete another host's mapping (606)",
        source="WANIPConnection:2 2.5.18.2, the policy that [IGD2] recommends",
        level=Level.RECOMMENDED,
        make=_delete_of_another,
    ),
    Check(
        id="table-full",
        title="A full table is told by 728 or 501, and can be emptied",
        source="WANIPConnection:2 2.5.16.6",
        level=Level.INFORMATIONAL,
        make=_table_full,
        deadline=_FULL_DEADLINE,
    ),
    Check(
        id="subscribe-foreign",
        title="Events for a host elsewhere are refused (412)",
        source="UDA 2.0 (2020) 4.1.1; CVE-2020-12695 (CallStranger)",
        level=Level.REQUIRED,
        make=_subscribe_foreign,
    ),
    Check(
        id="subscribe-own",
        title="Events for the asking host are sent",
        source="UDA 1.0 4.1.1",
        level=Level.INFORMATIONAL,
        make=_subscribe_own,
    ),
)
