"""Checks of how a router is found, and of what it says of itself.

UDA is the UPnP Device Architecture, WANIPConnection the service of IGD:1 and IGD:2.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import partial
from ipaddress import IPv4Address

from harness.gear.card.check import Attempt, Check, Finding, NotOffered, NotTested
from harness.gear.card.control import Igd, find, service_in_use, with_igd
from harness.gear.card.exchanges import noting
from harness.gear.card.reach import seen_from_wan
from harness.gear.card.searching import (
    GROUP,
    IGD_1,
    IGD_2,
    MX,
    ROOT_DEVICE,
    SEARCHES,
    WAN_IP,
    WAN_PPP,
)
from harness.judge.card import Level
from harness.nodes.igd.control import fetch_description
from harness.nodes.igd.discovery import search
from harness.protocol.igd.answer import SsdpAnswer
from harness.protocol.igd.errors import IgdError, quoted

_ACTIONS = frozenset(
    {
        "AddPortMapping",
        "DeletePortMapping",
        "GetExternalIPAddress",
        "GetGenericPortMappingEntry",
        "GetSpecificPortMappingEntry",
        "GetStatusInfo",
    }
)


async def _answers(attempt: Attempt, to: IPv4Address, *targets: str) -> list[SsdpAnswer]:
    """Search for each target until the router answers; a search that is lost is sent again."""
    rig = attempt.rig
    for _ in range(SEARCHES):
        for target in targets:
            found = await search(
                rig.lan, to, target, MX, MX + rig.answer, only_from=rig.gateway, most=1
            )
            for answer in found:
                shown = answer.problem or f"200, LOCATION {quoted(answer.header('LOCATION') or '')}"
                attempt.note(f"{rig.lan.name}: M-SEARCH {target} to {to} -> {shown}")
            if found:
                return found
    attempt.note(f"{rig.lan.name}: M-SEARCH {', '.join(targets)} to {to} -> silence")
    return []


async def _require_upnp(attempt: Attempt) -> None:
    """Leave the check where the router has no UPnP at all."""
    try:
        await find(attempt)
    except NotTested as reason:
        attempt.note(str(reason))  # something answers: that is enough for a search


def _found_by(*targets: str) -> Callable[[Attempt], Awaitable[Finding]]:
    async def make(attempt: Attempt) -> Finding:
        await _require_upnp(attempt)
        answers = await _answers(attempt, GROUP, *targets)
        if not answers:
            return Finding(False, f"no answer within {MX + attempt.rig.answer:g} s")
        return _valid(answers[0])

    return make


async def _found_as_igd_2(attempt: Attempt) -> Finding:
    await _require_upnp(attempt)
    answers = await _answers(attempt, GROUP, IGD_2)
    if not answers:
        raise NotOffered("it answers no search for IGD:2: an IGD:1")
    described = (await find(attempt)).description.device_type
    if described != IGD_2:
        return Finding(False, f"it answers for IGD:2, and describes {quoted(described)}")
    return _valid(answers[0])


async def _found_by_unicast(attempt: Attempt) -> Finding:
    await _require_upnp(attempt)
    answers = await _answers(attempt, attempt.rig.gateway, IGD_1, ROOT_DEVICE)
    if answers:
        return _valid(answers[0])
    by_group = await _answers(attempt, GROUP, IGD_1, ROOT_DEVICE)
    server = (by_group[0].header("SERVER") or "") if by_group else ""
    if "UPnP/1.0" in server:
        raise NotOffered("no answer; UPnP 1.0, which it says it is, knows no unicast search")
    return Finding(False, f"no answer within {MX + attempt.rig.answer:g} s")


def _valid(answer: SsdpAnswer) -> Finding:
    if answer.problem is not None:
        return Finding(False, answer.problem)
    server = quoted(answer.header("SERVER") or "")
    return Finding(True, f"{quoted(answer.header('ST') or '')} by {server}")


async def _location_is_its_own(attempt: Attempt) -> Finding:
    await _require_upnp(attempt)
    rig = attempt.rig
    answers = await _answers(attempt, GROUP, IGD_1, IGD_2, ROOT_DEVICE)
    if not answers:
        raise NotTested("no search to the group was answered")
    try:
        return Finding(True, answers[0].location(rig.gateway))
    except IgdError as error:
        return Finding(False, str(error))


async def _describes_itself(attempt: Attempt) -> Finding:
    """See the description and the service's own, fetched anew."""
    await _require_upnp(attempt)
    rig = attempt.rig
    answers = await _answers(attempt, GROUP, IGD_1, IGD_2, ROOT_DEVICE)
    answers = answers or await _answers(attempt, rig.gateway, IGD_1)
    if not answers:
        raise NotTested("no search was answered")
    try:
        location = answers[0].location(rig.gateway)
        description = await fetch_description(
            rig.lan, location, rig.gateway, on_exchange=noting(attempt, rig.lan)
        )
        if not description.wan_services:
            return Finding(False, "no WANIPConnection and no WANPPPConnection is described")
        service = await service_in_use(attempt, location, description)
        lacks = _ACTIONS - await Igd(attempt, location, description, service).lan.actions()
    except IgdError as error:
        return Finding(False, str(error))
    kind = service.type.removeprefix("urn:schemas-upnp-org:service:")
    name = f"{description.manufacturer} {description.model_name} {description.model_number}"
    if lacks:
        return Finding(False, f"{kind} lacks {', '.join(sorted(lacks))}")
    return Finding(True, f"{kind} of {quoted(' '.join(name.split()))}")


@with_igd
async def _external_address(igd: Igd) -> Finding:
    said = await igd.lan.external_address()
    seen = await seen_from_wan(igd.attempt, igd.attempt.rig.lan)
    if seen is None:
        raise NotTested(f"it says {said}; no connection to the internet side to compare with")
    if said != seen:
        return Finding(False, f"it says {said}; the internet sees {seen}")
    return Finding(True, f"it says {said}, and the internet sees {seen}")


@with_igd
async def _status(igd: Igd) -> Finding:
    info = await igd.lan.call("GetStatusInfo")
    status = info.get("NewConnectionStatus", "")
    return Finding(status == "Connected", f"its status is {quoted(status)}")


_SEARCH = "UDA 1.0 1.2.3"
_required = partial(Check, level=Level.REQUIRED)

CHECKS: tuple[Check, ...] = (
    _required(
        id="discovery-igd1",
        title="A search for InternetGatewayDevice:1 is answered",
        source=_SEARCH,
        make=_found_by(IGD_1),
    ),
    _required(
        id="discovery-igd2",
        title="A search for InternetGatewayDevice:2 is answered",
        source="TR-124 MGMT.UPnP.IGD.4; UDA 1.1 1.3.3",
        make=_found_as_igd_2,
    ),
    _required(
        id="discovery-root-device",
        title="A search for upnp:rootdevice is answered",
        source=_SEARCH,
        make=_found_by(ROOT_DEVICE),
    ),
    _required(
        id="discovery-wan-connection",
        title="A search for WANIPConnection:1 or WANPPPConnection:1 is answered",
        source=_SEARCH,
        make=_found_by(WAN_IP, WAN_PPP),
    ),
    Check(
        id="discovery-unicast",
        title="A search sent to the router alone is answered",
        source="UDA 1.1 1.3.2, 1.3.3",
        level=Level.RECOMMENDED,
        make=_found_by_unicast,
    ),
    _required(
        id="discovery-location",
        title="LOCATION is a URL on the router itself",
        source=_SEARCH,
        make=_location_is_its_own,
    ),
    _required(
        id="description",
        title="The description can be fetched and has a service that maps ports",
        source="UDA 1.0 2.1, 2.3; WANIPConnection:1 2.4",
        make=_describes_itself,
    ),
    _required(
        id="external-address",
        title="GetExternalIPAddress gives the address that the internet sees",
        source="WANIPConnection:2 2.5.20",
        make=_external_address,
    ),
    _required(
        id="connection-status",
        title="GetStatusInfo says Connected while connections work",
        source="WANIPConnection:2 2.5.9",
        make=_status,
    ),
)
