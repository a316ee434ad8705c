"""Checks of what the internet sees of a router: nothing but what is mapped.

A router that takes a sweep for an attack may shut its sender out for a while, so the sweeps come
from the rig's ``other``, and these checks are best made last.
"""

from __future__ import annotations

import asyncio
import secrets
from dataclasses import replace
from ipaddress import IPv4Address

from harness.gear.card.check import Attempt, Check, Finding, NotOffered, NotTested
from harness.gear.card.control import RDP, Igd, find, with_igd
from harness.gear.card.exchanges import noting
from harness.gear.card.flows import bound, end_of, reaches
from harness.gear.card.packets import tcp
from harness.gear.card.reach import host_on
from harness.gear.card.searching import GROUP, IGD_1, MX, ROOT_DEVICE
from harness.gear.card.sweep import MANAGEMENT, WELL_KNOWN, listed, sweep
from harness.gear.card.tap import COPIES, Seen, Tap, tap
from harness.gear.rig import Station
from harness.judge.card import Level
from harness.lab.syns import Endpoint
from harness.nodes.igd.control import ControlPoint, fetch_description
from harness.nodes.igd.discovery import search
from harness.nodes.pmp import ask
from harness.protocol import natpmp
from harness.protocol.igd.description import Description
from harness.protocol.igd.errors import IgdError, UpnpFault
from harness.protocol.igd.reply import HttpLimits
from harness.protocol.igd.url import check, resolve
from harness.protocol.packet import Flags, Segment

# --- Sweeps ---


async def _ports(attempt: Attempt) -> set[int]:
    """Return the ports to sweep: with the one of the router's UPnP server, where it has one."""
    ports = {*WELL_KNOWN, *MANAGEMENT}
    try:
        igd = await find(attempt)
    except (NotOffered, NotTested):
        return ports
    return ports | {check(igd.location, attempt.rig.gateway, "LOCATION").port}


async def _sweep(attempt: Attempt) -> Finding:
    rig = attempt.rig
    # Silence would prove nothing if there were no way between the two sides.
    await reaches(attempt, await host_on(attempt, rig.other))
    swept = await sweep(attempt, rig.other, rig.external, await _ports(attempt))
    return Finding(not swept.open, str(swept))


@with_igd
async def _sweep_mapped(igd: Igd) -> Finding:
    """Sweep while 3389 is mapped, and once more when it is not."""
    attempt = igd.attempt
    rig = attempt.rig
    ports = await _ports(attempt)
    await igd.host(port=RDP)
    try:
        await igd.add_lasting(RDP, RDP)
    except UpnpFault as fault:
        raise NotTested(f"port {RDP} cannot be mapped: {fault}") from fault
    mapped = await sweep(attempt, rig.other, rig.external, ports)
    await igd.lan.delete_port_mapping(RDP, "TCP")
    after = await sweep(attempt, rig.other, rig.external, ports)
    if RDP not in mapped.open:
        raise NotTested(f"the mapping of {RDP} lets nobody in: {mapped}")
    if mapped.open != (RDP,):
        return Finding(False, f"while {RDP} is mapped, {listed(mapped.open)} are open")
    if after.open:
        return Finding(False, f"after the mapping's removal {listed(after.open)} is open")
    return Finding(True, f"{RDP} alone is open while it is mapped, and none afterwards")


# --- Mapping protocols ---


async def _ssdp(attempt: Attempt) -> Finding:
    """Search for the router from the internet, and from its WAN's own link."""
    rig = attempt.rig
    searches = [
        (rig.far, rig.external, ROOT_DEVICE),
        (rig.wan, rig.external, IGD_1),
        (rig.wan, GROUP, ROOT_DEVICE),
    ]
    found = await asyncio.gather(
        *(
            search(station, to, target, MX, MX + rig.answer, only_from=rig.external, most=1)
            for station, to, target in searches
        )
    )
    heard = []
    for (station, to, target), answers in zip(searches, found, strict=True):
        attempt.note(f"{station.name}: M-SEARCH {target} to {to} -> {len(answers)} answers")
        heard += [f"{target} to {to}"] * len(answers)
    if heard:
        return Finding(False, f"it answers the WAN's search for {', '.join(heard)}")
    return Finding(True, f"no search from the WAN is answered within {MX + rig.answer:g} s")


@with_igd
async def _soap(igd: Igd) -> Finding:
    """Ask the UPnP server for its description and an action, by the external address."""
    rig = igd.attempt.rig
    said = await asyncio.gather(*(_asked_from(igd, station) for station in (rig.wan, rig.far)))
    served = [words for words, answered in said if answered]
    if served:
        return Finding(False, "; ".join(served))
    return Finding(True, "; ".join(words for words, _ in said))


async def _asked_from(igd: Igd, station: Station) -> tuple[str, bool]:
    """Return what came, and whether the router served anything."""
    rig = igd.attempt.rig
    limits = HttpLimits(seconds=2 * rig.answer)
    base = check(igd.location, rig.gateway, "LOCATION")
    location = f"http://{rig.external}:{base.port}{base.path}"
    service = igd.lan.wan_service
    inner = igd.description.url_base or igd.location
    control = check(
        resolve(service.control, inner, rig.gateway, "controlURL"), rig.gateway, "controlURL"
    )
    point = ControlPoint(
        station,
        rig.external,
        location,
        replace(igd.description, url_base=""),
        replace(service, control=f"http://{rig.external}:{control.port}{control.path}"),
        limits,
        noting(igd.attempt, station),
    )
    described, told = await asyncio.gather(
        fetch_description(station, location, rig.external, limits, noting(igd.attempt, station)),
        point.external_address(),
        return_exceptions=True,
    )
    for came in (described, told):
        if isinstance(came, BaseException) and not isinstance(came, IgdError | UpnpFault):
            raise came
    if isinstance(told, IPv4Address):
        return f"{station.address} is told the external address, {told}", True
    if isinstance(described, Description):
        return f"{station.address} is given the description", True
    return f"{station.address}: {str(told).rpartition(': ')[2]}", False


async def _nat_pmp(attempt: Attempt) -> Finding:
    """Ask a NAT-PMP or PCP server for the address, which asks for no mapping, from the WAN."""
    rig = attempt.rig
    said = await asyncio.gather(*(_pmp_from(attempt, station) for station in (rig.wan, rig.far)))
    answered = [each for each in said if each is not None]
    if answered:
        return Finding(False, f"UDP port {natpmp.PORT} answers {', '.join(answered)}")
    return Finding(True, f"UDP port {natpmp.PORT} answers nobody on the WAN")


async def _pmp_from(attempt: Attempt, station: Station) -> str | None:
    rig = attempt.rig
    request = natpmp.external_address_request()
    try:
        answer = await ask(station, rig.external, request, natpmp.FIRST_RETRY, rig.answer)
    except OSError as error:
        attempt.note(f"{station.name} -> {rig.external}:{natpmp.PORT}/udp: {error.strerror}")
        return None
    shown = "silence" if answer is None else answer[:16].hex()
    attempt.note(f"{station.name} -> {rig.external}:{natpmp.PORT}/udp: {shown}")
    return None if answer is None else str(station.address)


# --- Packets that have no business on the WAN ---


async def _lan_addresses(attempt: Attempt) -> Finding:
    """Hand the router SYNs on its WAN for its own LAN address, and for a LAN host."""
    rig = attempt.rig
    with tap(rig.wan) as outside, tap(rig.lan) as inside:
        interface, mac = await _link(attempt, outside)
        own = end_of(bound(attempt, rig.wan))
        sequence = secrets.randbits(32)
        ports = await _ports(attempt)
        to_host = Endpoint(rig.lan.address, RDP)
        for to in [to_host, *(Endpoint(rig.gateway, port) for port in ports)] * COPIES:
            outside.put(tcp(own, to, sequence), interface, mac)
        await inside.first(lambda seen: seen.is_syn(sequence), rig.answer)
        passed = any(seen.is_syn(sequence) for seen in inside.seen)
        opened = {port for seen in outside.seen for port in _opened(seen, sequence)}
    if passed:
        return Finding(False, f"a SYN for {to_host} is passed in from the WAN")
    if opened:
        return Finding(False, f"ports {listed(opened)} of {rig.gateway} are open to the WAN")
    return Finding(True, f"SYNs on the WAN for {rig.gateway} and {to_host} lead nowhere")


async def _spoofed(attempt: Attempt) -> Finding:
    """Hand the router SYNs on its WAN whose source is an address of its LAN."""
    rig = attempt.rig
    with tap(rig.wan) as outside, tap(rig.lan) as inside:
        interface, mac = await _link(attempt, outside)
        made = await reaches(attempt, await host_on(attempt, rig.far))
        forged = Endpoint(rig.neighbour.address, RDP)
        sequence = secrets.randbits(32)
        targets = (made.seen, Endpoint(rig.lan.address, end_of(made.sock).port))
        for to in targets * COPIES:
            outside.put(tcp(forged, to, sequence), interface, mac)
            attempt.note(f"on the WAN: SYN from {forged} to {to}")
        came = await inside.first(lambda seen: seen.is_syn(sequence), rig.answer)
    if came is not None and isinstance(came.packet, Segment):
        return Finding(False, f"a SYN from {forged} that came on the WAN is passed in")
    return Finding(True, f"no SYN from {forged} that comes on the WAN is passed in")


async def _link(attempt: Attempt, outside: Tap) -> tuple[str, bytes]:
    """Return the interface that the router's WAN is on, and its MAC address there."""
    rig = attempt.rig
    await reaches(attempt, await host_on(attempt, rig.far))

    def is_its_own(seen: Seen) -> bool:
        packet = seen.packet
        return not seen.leaves and isinstance(packet, Segment) and packet.source == rig.external

    seen = await outside.first(is_its_own, rig.answer)
    if seen is None:
        raise NotTested("no packet of the router was seen on its WAN's link")
    return seen.interface, seen.mac


def _opened(seen: Seen, sequence: int) -> list[int]:
    packet = seen.packet
    if not isinstance(packet, Segment) or not seen.answers(sequence) or packet.flags & Flags.RST:
        return []
    return [packet.source_port]


CHECKS: tuple[Check, ...] = (
    Check(
        id="wan-ssdp",
        title="No search from the WAN is answered",
        source="WANIPConnection:2 1.2; TR-124 LAN.FW.1",
        level=Level.REQUIRED,
        make=_ssdp,
    ),
    Check(
        id="wan-soap",
        title="The UPnP server serves nobody on the WAN",
        source="WANIPConnection:2 1.2; TR-124 LAN.FW.1",
        level=Level.REQUIRED,
        make=_soap,
    ),
    Check(
        id="wan-nat-pmp",
        title="NAT-PMP and PCP answer nobody on the WAN",
        source="RFC 6886 3.3; TR-124 LAN.FW.1",
        level=Level.REQUIRED,
        make=_nat_pmp,
    ),
    Check(
        id="wan-lan-addresses",
        title="LAN addresses cannot be reached from the WAN's link",
        source="TR-124 LAN.FW.1",
        level=Level.REQUIRED,
        make=_lan_addresses,
    ),
    Check(
        id="wan-spoofed-source",
        title="Packets from the WAN with a LAN address as source are dropped",
        source="TR-124 LAN.FW.SPI.2",
        level=Level.RECOMMENDED,
        make=_spoofed,
    ),
    Check(
        id="wan-sweep",
        title="No TCP port of the WAN is open",
        source="TR-124 LAN.FW.1",
        level=Level.REQUIRED,
        make=_sweep,
    ),
    Check(
        id="wan-sweep-mapped",
        title="3389 alone is open while it is mapped, and nothing afterwards",
        source="TR-124 LAN.FW.1; KB301529",
        level=Level.REQUIRED,
        make=_sweep_mapped,
    ),
)
