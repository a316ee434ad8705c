"""Checks that a router refuses what it should not map, and opens nothing by it.

"2.5.16" and the like are sections of WANIPConnection:2. What [IGD2] recommends there, ports from
1024 and mappings to the asker's own address only, is called its policy here.
"""

from __future__ import annotations

from collections.abc import Awaitable, Collection
from functools import partial
from typing import Final

from harness.gear.card.check import Check, Finding
from harness.gear.card.control import DESCRIPTION, LEASE, RDP, Igd, fresh_port, told, with_igd
from harness.gear.card.reach import Host, dial
from harness.gear.rig import Station
from harness.judge.card import Level
from harness.protocol.igd.errors import IgdError, UpnpFault, quoted
from harness.protocol.igd.url import check
from harness.words import End

# UPnP error codes that a refusal may have, whatever is refused: invalid arguments (402, 600),
# a value out of range (601), and not authorized (606).
_PLAIN: Final = frozenset({402, 600, 601, 606})
_OUT_OF_RANGE = 601
_NO_SOURCE_WILDCARD = 715
_NO_PORT_WILDCARD = 716
_NO_INNER_WILDCARD = 732
_INVALID_ACTION = 401
_INVALID_ARGS = 402

_LOW_PORT = 1023
_LONG_TEXT = 100_000 * "x"
_NO_HOSTS = ("0.0.0.0", "127.0.0.1", "255.255.255.255", "239.255.255.250")


async def _judged(
    igd: Igd,
    asked: Awaitable[None],
    port: int,
    *hosts: Host,
    codes: Collection[int] = _PLAIN,
    dialler: Station | None = None,
    strangers: bool = False,
) -> Finding:
    """Await a request that must be refused; then dial the port and see that the router lives.

    ``codes`` are the refusals that say what is wrong. With ``strangers``, whatever answers at the
    port was opened by the request: the hosts of the rig are not the only ones behind it.
    """
    refusal: UpnpFault | None = None
    try:
        await asked
    except UpnpFault as fault:
        refusal = fault
    except IgdError as error:
        return await _alive(igd, Finding(False, f"no refusal, but {error}"))
    arrival = await dial(igd.attempt, dialler or igd.attempt.rig.far, port, *hosts)
    answer = "accepted" if refusal is None else told(refusal)
    opened = arrival.end is End.CONNECTED or (strangers and arrival.end is End.WRONG_PEER)
    if opened:
        return Finding(False, f"{answer}, and it opens port {port}: {arrival}")
    if refusal is None:
        return await _alive(igd, Finding(False, f"accepted; port {port}: {arrival}"))
    if refusal.code not in codes:
        due = ", ".join(str(code) for code in sorted(codes))
        detail = f"refused, but by {answer}, which says something else (due: {due})"
        return await _alive(igd, Finding(False, detail))
    return await _alive(igd, Finding(True, f"{answer}; port {port}: {arrival}"))


async def _alive(igd: Igd, finding: Finding) -> Finding:
    """Return the finding, or that the router answers no more."""
    try:
        await igd.lan.external_address()
    except (UpnpFault, IgdError) as error:
        return Finding(False, f"{finding.detail}; and it answers no more: {error}")
    return finding


# --- Ports and protocols ---


@with_igd
async def _external_port_0(igd: Igd) -> Finding:
    host = await igd.host()
    asked = igd.add(0, host.port)
    return await _judged(igd, asked, host.port, host, codes=_PLAIN | {_NO_PORT_WILDCARD})


@with_igd
async def _internal_port_0(igd: Igd) -> Finding:
    external = fresh_port()
    # A router that takes 0 for "the same port" would lead there.
    host = await igd.host(port=external)
    asked = igd.add(external, 0)
    return await _judged(igd, asked, external, host, codes=_PLAIN | {_NO_INNER_WILDCARD})


@with_igd
async def _protocol(igd: Igd) -> Finding:
    host = await igd.host()
    external = fresh_port()
    # Some map TCP instead.
    igd.forget_later(igd.attempt.rig.lan, external)
    codes = {_OUT_OF_RANGE} if igd.version > 1 else {_INVALID_ARGS, 600, _OUT_OF_RANGE}
    asked = igd.add(external, host.port, protocol="SCTP")
    return await _judged(igd, asked, external, host, codes=codes)


@with_igd
async def _low_port(igd: Igd) -> Finding:
    host = await igd.host()
    return await _judged(igd, igd.add(_LOW_PORT, host.port), _LOW_PORT, host)


# --- Whom a mapping leads to ---


@with_igd
async def _to_neighbour(igd: Igd) -> Finding:
    host = await igd.host(igd.attempt.rig.neighbour)
    external = fresh_port()
    asked = igd.add(external, host.port, client=host.station.address)
    return await _judged(igd, asked, external, host)


@with_igd
async def _to_router(igd: Igd) -> Finding:
    """Ask for a mapping to the router's own UPnP server, which would be open to the internet."""
    gateway = igd.attempt.rig.gateway
    external = fresh_port()
    server = check(igd.location, gateway, "LOCATION").port
    asked = igd.add(external, server, client=gateway)
    return await _judged(igd, asked, external, strangers=True)


@with_igd
async def _to_internet(igd: Igd) -> Finding:
    """Ask for a mapping to a host of the internet: the router would relay for anybody."""
    rig = igd.attempt.rig
    host = await igd.host(rig.far)
    external = fresh_port()
    asked = igd.add(external, host.port, client=rig.far.address)
    return await _judged(igd, asked, external, host, dialler=rig.other)


@with_igd
async def _to_nobody(igd: Igd) -> Finding:
    """Ask for mappings to addresses that are no host's."""
    details = []
    for client in _NO_HOSTS:
        external = fresh_port()
        asked = igd.add(external, RDP, client=client)
        finding = await _judged(
            igd, asked, external, codes=_PLAIN | {_NO_SOURCE_WILDCARD}, strangers=True
        )
        if not finding.compliant:
            return Finding(False, f"{client}: {finding.detail}")
        details.append(f"{client}: {finding.detail.partition(';')[0]}")
    return Finding(True, "; ".join(details))


# --- Requests that are wrong as such ---


@with_igd
async def _long_description(igd: Igd) -> Finding:
    """Send a description of 100 kB: it may be taken, cut or refused, and the router must live."""
    host = await igd.host()
    external = fresh_port()
    try:
        await igd.add(external, host.port, description=_LONG_TEXT)
    except UpnpFault as fault:
        return await _alive(igd, Finding(True, f"{told(fault)}; the router answers afterwards"))
    except IgdError as error:
        return await _alive(igd, Finding(True, f"not taken: {error}; it answers afterwards"))
    try:
        entry = await igd.entry(external)
    except IgdError as error:
        return await _alive(igd, Finding(False, f"accepted, and unreadable ever after: {error}"))
    kept = "" if entry is None else entry.description
    if not _LONG_TEXT.startswith(kept):
        strange = quoted(kept.strip(_LONG_TEXT[0]))
        return await _alive(igd, Finding(False, f"accepted, reads back with {strange} in it"))
    return await _alive(igd, Finding(True, f"accepted, reads back as {len(kept)} characters"))


@with_igd
async def _unknown_action(igd: Igd) -> Finding:
    return await _called(igd, "AddNoPortMapping", {}, _INVALID_ACTION)


@with_igd
async def _missing_argument(igd: Igd) -> Finding:
    external = fresh_port()
    igd.forget_later(igd.attempt.rig.lan, external)
    arguments = {
        "NewRemoteHost": "",
        "NewExternalPort": str(external),
        "NewProtocol": "TCP",
        "NewInternalClient": str(igd.attempt.rig.lan.address),
        "NewEnabled": "1",
        "NewPortMappingDescription": DESCRIPTION,
        "NewLeaseDuration": str(LEASE),
    }
    return await _called(igd, "AddPortMapping", arguments, _INVALID_ARGS)


async def _called(igd: Igd, action: str, arguments: dict[str, str], due: int) -> Finding:
    """Call an action that must be refused by one code."""
    try:
        await igd.lan.call(action, **arguments)
    except UpnpFault as fault:
        finding = Finding(fault.code == due, told(fault))
    except IgdError as error:
        finding = Finding(False, f"{error}; {due} is due")
    else:
        finding = Finding(False, f"accepted; {due} is due")
    return await _alive(igd, finding)


_required = partial(Check, level=Level.REQUIRED)
_recommended = partial(Check, level=Level.RECOMMENDED)
_POLICY = "WANIPConnection:2 2.5.16.2, the policy that [IGD2] recommends"

CHECKS: tuple[Check, ...] = (
    _recommended(
        id="bad-external-port-0",
        title="External port 0, every port at once, is refused",
        source=f"{_POLICY}; 2.5.16.6 (716)",
        make=_external_port_0,
    ),
    _required(
        id="bad-internal-port-0",
        title="Internal port 0 is refused",
        source="WANIPConnection:2 2.5.16.6 (732)",
        make=_internal_port_0,
    ),
    _required(
        id="bad-protocol",
        title="A protocol that is neither TCP nor UDP is refused (601)",
        source="WANIPConnection:2 2.5.16.2",
        make=_protocol,
    ),
    _recommended(
        id="bad-low-port",
        title="An external port below 1024 is refused",
        source=_POLICY,
        make=_low_port,
    ),
    _recommended(
        id="bad-client-neighbour",
        title="Secure mode: a mapping to another host than the asker is refused (606)",
        source=_POLICY,
        make=_to_neighbour,
    ),
    _recommended(
        id="bad-client-router",
        title="A mapping to the router itself is refused",
        source=_POLICY,
        make=_to_router,
    ),
    _recommended(
        id="bad-client-internet",
        title="A mapping to a host of the internet is refused",
        source=_POLICY,
        make=_to_internet,
    ),
    _recommended(
        id="bad-client-nobody",
        title="Mappings to loopback, broadcast, multicast and no address are refused",
        source=f"{_POLICY}; 2.5.16.6 (715)",
        make=_to_nobody,
    ),
    _recommended(
        id="bad-long-description",
        title="A description of 100 kB does no harm",
        source="UDA 1.0 3.2.2",
        make=_long_description,
    ),
    _required(
        id="bad-unknown-action",
        title="An unknown action is refused (401)",
        source="UDA 1.0 3.2.2",
        make=_unknown_action,
    ),
    _required(
        id="bad-missing-argument",
        title="A request without the internal port is refused (402)",
        source="UDA 1.0 3.2.2",
        make=_missing_argument,
    ),
)
