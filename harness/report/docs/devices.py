"""``docs/devices.md``: each device, what it stands for, and what it does in the RFCs' words."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final

from harness.report.docs.markup import GENERATED, items, page, paragraph, said, table
from harness.topology.model import (
    Device,
    Filtering,
    Firewall,
    HostFirewall,
    Mapping,
    Nat,
    Proxy,
    ProxyProtocol,
    Unsolicited,
)

_INTRODUCTION: Final = (
    "A device is what a host can stand behind. Each is one file under `topologies/devices`; rules "
    "and daemons are generated from it, and before a scenario counts, controls measure that the "
    "device does what is said here. [adding-a-device.md](adding-a-device.md) adds one of your own, "
    "[topologies.md](topologies.md) has every key."
)
_COMMON: Final = (
    "All of them are made of Linux: nftables and its connection tracking, which keeps TCP states "
    "and forgets them by the kernel's own timers. No NAT here sends a packet back into its own LAN "
    "(hairpinning, RFC 5382 REQ-8); Remote Assistance does not need it. Only TCP matters: RFC 4787 "
    "names the behaviours, RFC 5382 applies them to TCP."
)

_MAPPING: Final = {
    Mapping.ENDPOINT_INDEPENDENT: (
        "a host's port is seen as the same external port by everybody that it dials"
    ),
    Mapping.ADDRESS_AND_PORT_DEPENDENT: (
        "each connection is seen as another external port; often called symmetric"
    ),
}
_FILTERING: Final = {
    Filtering.ENDPOINT_INDEPENDENT: "to a port in use anybody may connect",
    Filtering.ADDRESS_DEPENDENT: "to a port in use an address that was dialled from it may connect",
    Filtering.ADDRESS_AND_PORT_DEPENDENT: (
        "through a port in use comes only what belongs to a connection that the host dialled"
    ),
}
_UNSOLICITED: Final = {
    Unsolicited.DROP: "is dropped without a word",
    Unsolicited.REJECT: "is answered by an ICMP error, port unreachable",
}
_NAT_UNSOLICITED: Final = {
    Unsolicited.DROP: "(RFC 5382 REQ-4, a)",
    Unsolicited.REJECT: "at once (RFC 5382 REQ-4 would have it wait six seconds)",
}


def devices_page(devices: Iterable[Device]) -> str:
    """Return the page: NATs first, then firewalls, those on the host, and proxies."""
    known = sorted(devices, key=lambda device: (_kind(device), device.name))
    return page(
        [
            "# Devices",
            GENERATED,
            paragraph(_INTRODUCTION),
            paragraph(_COMMON),
            table(("device", "stands for", "in short"), map(_row, known)),
            *(block for device in known for block in _device(device)),
        ]
    )


def _row(device: Device) -> tuple[str, str, str]:
    model = " (**a model**)" if device.note else ""
    return f"[`{device.name}`](#{device.name})", f"{device.title}{model}", _short(device)


def _kind(device: Device) -> int:
    kinds = (device.nat, device.firewall, device.host_firewall, device.proxy)
    return next(place for place, kind in enumerate(kinds) if kind is not None)


def _short(device: Device) -> str:
    """Say in a few words what the device is."""
    if device.nat is not None:
        words = ["NAT", *_special(device.nat)]
        if device.upnp is not None:
            words.append("UPnP")
        if device.nat_pmp is not None:
            words.append("NAT-PMP")
        return ", ".join(words if len(words) > 1 else [*words, "no port mapping"])
    if device.firewall is not None:
        return f"firewall, in: {_ports(device.firewall.inbound)}, out: {_out(device.firewall)}"
    if device.host_firewall is not None:
        return "firewall on the host itself"
    ports = device.proxy.connect_ports if device.proxy is not None else None
    protocol = _protocol(device)
    return f"{protocol} proxy, " + ("to any port" if ports is None else f"to {_ports(ports)}")


def _special(nat: Nat) -> Iterator[str]:
    """Name what is not so with the usual NAT."""
    if nat.mapping is not Mapping.ENDPOINT_INDEPENDENT:
        yield f"{nat.mapping} mapping"
    if nat.filtering is not Filtering.ADDRESS_AND_PORT_DEPENDENT:
        yield f"{nat.filtering} filtering"
    if nat.unsolicited is Unsolicited.REJECT:
        yield "rejects"
    if nat.forward:
        yield f"forwards {_ports(forward.port for forward in nat.forward)}"


def _device(device: Device) -> Iterator[str]:
    yield f"## {device.name}"
    file = f"{device.name}.toml"
    yield paragraph(
        f"**{device.title}**, defined in [{file}](../topologies/devices/{file}). "
        f"Source: {said(device.source)}"
    )
    if device.note:
        yield paragraph(f"**This is a model.** {said(device.note)} Every report repeats it.")
    yield items(_behaviour(device))


def _behaviour(device: Device) -> Iterator[str]:
    if device.lan is not None:
        yield (
            f"LAN: its own address is {device.lan.address}, whoever is next inward gets "
            f"{device.lan.host}."
        )
    if device.nat is not None:
        yield from _nat(device.nat)
        yield from _port_mapping(device)
    if device.firewall is not None:
        yield from _firewall(device.firewall, own_lan=device.lan is not None)
    if device.host_firewall is not None:
        yield from _host_firewall(device.host_firewall)
    if device.proxy is not None:
        yield from _proxy(device.proxy, _protocol(device))


def _nat(nat: Nat) -> Iterator[str]:
    yield (f"Mapping: {nat.mapping} (RFC 4787 4.1, RFC 5382 REQ-1): {_MAPPING[nat.mapping]}.")
    yield (f"Filtering: {nat.filtering} (RFC 4787 5, RFC 5382 REQ-3): {_FILTERING[nat.filtering]}.")
    yield (
        f"A SYN from outside that nobody asked for {_UNSOLICITED[nat.unsolicited]} "
        f"{_NAT_UNSOLICITED[nat.unsolicited]}."
    )
    for forward in nat.forward:
        yield (
            f"TCP {forward.port} of its WAN address is forwarded by hand to TCP {forward.to_port} "
            "of the next host inward."
        )


def _port_mapping(device: Device) -> Iterator[str]:
    if device.upnp is not None:
        yield (
            "Port mapping: UPnP InternetGatewayDevice:1, by miniupnpd in secure mode (a host may "
            f"have ports mapped to itself only), its HTTP on TCP {device.upnp.http_port} of the "
            "LAN address."
        )
    if device.nat_pmp is not None:
        yield "Port mapping: NAT-PMP (RFC 6886), by miniupnpd on UDP 5351 of the LAN address."
        if device.upnp is None:
            yield "UPnP is off."
    if not device.maps_ports:
        yield "Port mapping: none."


def _firewall(firewall: Firewall, own_lan: bool) -> Iterator[str]:
    if not own_lan:
        yield "LAN: 256 addresses of the block that the internet routes to its site."
    yield "It translates nothing: hosts behind it are seen by their own addresses."
    yield f"Outbound: {_out(firewall)}. Inbound: {_ports(firewall.inbound)}."
    yield f"Every other SYN {_UNSOLICITED[firewall.unsolicited]}."


def _host_firewall(firewall: HostFirewall) -> Iterator[str]:
    yield "It is on the host itself, so it has no LAN, and it comes first in a chain."
    yield "Outbound: everything. A SYN from outside " + _UNSOLICITED[firewall.unsolicited] + "."
    if firewall.opened_by_remote_assistance:
        yield "Remote Assistance opens its own port in it for as long as an invitation is open."


def _proxy(proxy: Proxy, protocol: str) -> Iterator[str]:
    specification = {
        ProxyProtocol.HTTP: "CONNECT (RFC 9110 9.3.6), by tinyproxy",
        ProxyProtocol.SOCKS5: "SOCKS 5 (RFC 1928), by microsocks",
    }[proxy.protocol]
    ports = "any port" if proxy.connect_ports is None else _ports(proxy.connect_ports)
    yield f"{protocol} proxy: {specification}, on TCP {proxy.port} of the LAN address."
    yield f"It connects its clients to {ports}."
    yield "It forwards nothing: its host has no other way out. A SYN from outside is dropped."


def _protocol(device: Device) -> str:
    http = device.proxy is not None and device.proxy.protocol is ProxyProtocol.HTTP
    return "HTTP" if http else "SOCKS"


def _out(firewall: Firewall) -> str:
    return "everything" if firewall.outbound is None else _ports(firewall.outbound)


def _ports(ports: Iterable[int]) -> str:
    named = ", ".join(map(str, ports))
    return f"TCP {named}" if named else "nothing"
