"""Checks that a mapping ends when it should, and that what ends is really closed."""

from __future__ import annotations

import time

from harness.gear.card.check import Check, Finding, NotTested
from harness.gear.card.control import Igd, fresh_port, told, with_igd
from harness.gear.card.reach import (
    closed,
    connection,
    dial_until,
    exchange,
    greeting,
    is_connected,
    is_not_connected,
)
from harness.judge.card import Level
from harness.protocol.igd.errors import UpnpFault
from harness.protocol.igd.soap import Code
from harness.words import End

_SHORT = 4
"""Seconds of the lease that is waited out."""

_GRACE = 35.0
"""Seconds after its end in which a mapping must be gone; routers look only now and then."""

_DEADLINE = 90.0


@with_igd
async def _expires(igd: Igd) -> Finding:
    """Map a port for some seconds and dial it until it is closed."""
    rig = igd.attempt.rig
    host = await igd.host()
    external = fresh_port()
    try:
        await igd.add(external, host.port, lease=_SHORT)
    except UpnpFault as fault:
        raise NotTested(f"a lease of {_SHORT} s is not taken: {fault}") from fault
    granted = time.monotonic()
    arrival = await igd.opened(external, host)
    if not is_connected(arrival):
        raise NotTested(f"the mapping of port {external} let nobody in: {arrival}")
    end = await dial_until(
        igd.attempt, rig.far, external, host, wanted=is_not_connected, seconds=_SHORT + _GRACE
    )
    # When the last dial began: silence is known only after an answer's time.
    after = time.monotonic() - granted - (rig.answer if end.end is End.TIMEOUT else 0)
    if is_connected(end):
        return Finding(False, f"still open {after:.0f} s after a lease of {_SHORT} s")
    if after < _SHORT - 1:
        return Finding(False, f"closed after {after:.1f} s of a lease of {_SHORT} s: {end}")
    entry = await igd.entry(external)
    if entry is not None:
        return Finding(False, f"closed after {after:.1f} s, but still listed: {entry.lease} s left")
    return Finding(True, f"closed after {after:.1f} s of a lease of {_SHORT} s: {end}")


@with_igd
async def _deleted(igd: Igd) -> Finding:
    host = await igd.host()
    external = await igd.open_mapping(host)
    await igd.lan.delete_port_mapping(external, "TCP")
    arrival = await closed(igd.attempt, external, host)
    if is_connected(arrival):
        return Finding(False, f"port {external} is still open: {arrival}")
    if await igd.entry(external) is not None:
        return Finding(False, f"port {external} is closed, but still listed")
    return Finding(True, f"port {external} is closed: {arrival}")


@with_igd
async def _delete_unknown(igd: Igd) -> Finding:
    external = fresh_port()
    if await igd.entry(external) is not None:
        raise NotTested(f"port {external}, taken at random, is mapped")
    try:
        await igd.lan.delete_port_mapping(external, "TCP")
    except UpnpFault as fault:
        return Finding(fault.code == Code.NO_SUCH_ENTRY, told(fault))
    return Finding(False, "accepted; 714 is due")


@with_igd
async def _live_connection(igd: Igd) -> Finding:
    """Delete a mapping under a connection, and see whether that lives on."""
    rig = igd.attempt.rig
    host = await igd.host()
    external = await igd.open_mapping(host)
    try:
        async with connection(rig.far, rig.external, external, rig.answer) as sock:
            await greeting(sock, rig.answer)
            if not await exchange(sock, rig.answer):
                raise NotTested("the connection carried nothing before the deletion")
            await igd.lan.delete_port_mapping(external, "TCP")
            lives = await exchange(sock, rig.answer)
    except OSError as error:
        raise NotTested(f"no second connection through port {external}: {error}") from error
    return Finding(True, f"a connection {'lives on' if lives else 'dies'} when its mapping goes")


CHECKS: tuple[Check, ...] = (
    Check(
        id="lease-expiry",
        title="A mapping's end of lease closes its port",
        source="WANIPConnection:2 2.5.16.2",
        level=Level.REQUIRED,
        make=_expires,
        deadline=_DEADLINE,
    ),
    Check(
        id="delete-closes",
        title="The deletion of a mapping closes its port",
        source="WANIPConnection:2 2.5.18.5",
        level=Level.REQUIRED,
        make=_deleted,
    ),
    Check(
        id="delete-unknown",
        title="The deletion of an unknown mapping is refused (714)",
        source="WANIPConnection:2 2.5.18.6",
        level=Level.REQUIRED,
        make=_delete_unknown,
    ),
    Check(
        id="delete-live-connection",
        title="What becomes of a connection when its mapping is deleted",
        source="WANIPConnection:2 2.5.18.5 speaks of new connections only",
        level=Level.INFORMATIONAL,
        make=_live_connection,
    ),
)
