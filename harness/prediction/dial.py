"""How a host dials: by itself, or by the proxy of its site."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import IPv4Address

from harness.prediction.walk import Fate, Journey, Syn, World, walk
from harness.topology.model import Device, Site
from harness.topology.plan import box_nodes
from harness.words import Role


def dial(world: World, role: Role, site: Site, to: IPv4Address, port: int | None) -> Journey:
    """Dial as Remote Assistance does: by the proxy only where it is a client of one."""
    if site.proxy_client:
        return by_proxy(world, role, site, to, port)
    journey = walk(world, role.value, to, port)
    if journey.fate is Fate.NO_ROUTE and journey.node == role.value:
        # Every host has a default gateway but one whose way out is a proxy.
        return replace(journey, fate=Fate.NO_WAY_OUT, proxy=_proxy_node(role, site)[0])
    return journey


def by_proxy(world: World, role: Role, site: Site, to: IPv4Address, port: int | None) -> Journey:
    """Have the site's proxy dial: from its own box, and where its policy allows the port."""
    name, device = _proxy_node(role, site)
    proxy = device.proxy
    if proxy is None:
        raise ValueError(f"{name} is no proxy")
    request = walk(world, role.value, device.subnet.address.ip, proxy.port)
    if request.node != name or not request.taken:
        return replace(request, fate=Fate.NO_PROXY, proxy=name)
    if proxy.connect_ports is not None and port not in proxy.connect_ports:
        return Journey(name, Fate.POLICY, Syn(site.address, to, port), rejected=True, proxy=name)
    return replace(walk(world, name, to, port), proxy=name)


def _proxy_node(role: Role, site: Site) -> tuple[str, Device]:
    for name, device in box_nodes(role, site):
        if device.proxy is not None:
            return name, device
    raise ValueError(f"the {role}'s site has no proxy")
