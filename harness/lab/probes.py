"""Shows by real packets that each site of a lab is what its definition says, before it counts.

What should happen is read off the plan by :func:`harness.prediction.walk.walk`; what does happen is
read off the kernels' logs.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address
from itertools import count, islice

from harness.judge.model import Control
from harness.lab.nat_class import LEAST_PEER_PORTS, NatClass, defined, filtering_of, mapping_of
from harness.lab.syns import Endpoint, Found, Probe, send
from harness.lab.watch import Watch
from harness.prediction.network import Network
from harness.prediction.ticket import RDP_PORT
from harness.prediction.walk import WAN, Fate, Journey, World, walk
from harness.runtime.netns import NetNs
from harness.topology.model import Device, Site, Topology
from harness.topology.plan import INTERNET, SERVICES, LabPlan, box_nodes, proxy_node
from harness.words import End, Role

REACHES = "the internet is reached exactly as it should be"
TRANSLATION = "the internet sees the address that it should"
UNSOLICITED = "an unasked SYN to port 3389 ends where and how it should"
NAT_CLASS = "the site's translation maps and filters as defined"

FIRST_PORT = 20000
"""Ports from here on are used: below the ephemeral ones, and far from 3389."""


async def probe_sites(
    plan: LabPlan, namespaces: Mapping[str, NetNs], watch: Watch
) -> list[Control]:
    """Probe the sites of a lab in which no invitation is open and no mapping was asked for.

    A site with a real router is for :mod:`harness.lab.gear_probe`: what its router does is no
    precondition of a scenario but what the scenario is about.

    - REACHES: whoever speaks for the site, its host or else its proxy, is answered by the services'
      address and by the internet router's. Where a firewall lets only named ports out, every such
      port is, and another one ends where it should. A host whose way out is a proxy has no other.
    - TRANSLATION: the speaker sends from its own address, and the services see the public one.
    - UNSOLICITED: a SYN from the services to port 3389 of that address ends at the right node, in
      the right way: dropped, rejected by ICMP, or refused by the host, on which nobody listens.
    - NAT_CLASS: the boxes outward of the speaker, where one is a NAT, map and filter TCP together
      as the strictest of them should: which one does it is not told apart. Boxes inward of a proxy
      send nothing to the internet.

    It takes two rounds of :data:`harness.lab.syns.DEADLINE` seconds at the most. No socket stays.
    No program is told, unless it listens on the port of the services that was chosen; it then sees
    a connection that is reset. What stays are neighbours' link addresses, tracked connections that
    a RST has closed (10 s), and elements of a NAT's dynamic sets: all for ports from
    :data:`FIRST_PORT` on, but for the SYN that a definition lets in at 3389. Rules that are to be
    compared are listed before. The watch has seen all this, and its caller lets it forget.
    """
    network = Network(plan)
    ports = _Ports.of(plan.topology)
    ours = [role for role, site in plan.topology.sites.items() if site.gear is None]
    sites = [_lay_out(network, role, ports) for role in ours]
    found = await send([probe for site in sites for probe in site.first], namespaces, watch)
    inward = [probe for site in sites for probe in _inward(site, found, ports)]
    if inward:
        found |= await send(inward, namespaces, watch)
    world = World(network)
    return [control for site in sites for control in _controls(site, world, found, ports)]


@dataclass(frozen=True)
class _Ports:
    """The TCP ports that probes use; none is named by any device of the topology."""

    main: int
    contact: int
    caller: int
    shut: int
    open: tuple[int, ...]

    @classmethod
    def of(cls, topology: Topology) -> _Ports:
        named = {port for device in topology.devices for port in _named(device)}
        free = (port for port in count(FIRST_PORT) if port not in named)
        main, contact, caller, shut, *others = islice(free, 4 + LEAST_PEER_PORTS)
        return cls(main, contact, caller, shut, tuple(others))


def _named(device: Device) -> Iterable[int]:
    if device.nat is not None:
        for forward in device.nat.forward:
            yield from (forward.port, forward.to_port)
    if device.firewall is not None:
        yield from device.firewall.inbound
        yield from device.firewall.outbound or ()


@dataclass(frozen=True)
class _Site:
    """What is sent for a site at first, and how its boxes should map and filter.

    ``speaker`` is the node that speaks to the internet. ``to_services`` and ``to_peer``, several
    ports of another address, are let out from one port of it; ``ended`` are not. ``contact`` opens
    another port to that other address only. Where no port is let out, there is none of these.
    """

    role: Role
    speaker: str
    to_services: Probe | None
    to_peer: tuple[Probe, ...]
    ended: tuple[Probe, ...]
    contact: Probe | None
    unasked: Probe
    should_be: NatClass | None

    @property
    def outward(self) -> list[Probe]:
        """All that says how the internet is reached."""
        first = [self.to_services] if self.to_services is not None else []
        return [*first, *self.to_peer, *self.ended]

    @property
    def first(self) -> list[Probe]:
        """All that is sent before anything is known."""
        contact = [self.contact] if self.contact is not None else []
        return [*self.outward, *contact, self.unasked]


def _lay_out(network: Network, role: Role, ports: _Ports) -> _Site:
    plan = network.lab
    site = plan.topology.sites[role]
    proxy = proxy_node(role, site)
    speaker = proxy or role.value
    # Nobody listens on the router, so no port of it disturbs anybody.
    router = plan.topology.internet.services.router.ip
    boxes = _boxes_outward(site)
    let_out, ended = _ways_out(boxes, ports)
    to_peer, blocked = (
        tuple(Probe(speaker, ports.main, Endpoint(router, port)) for port in chosen)
        for chosen in (let_out, ended)
    )
    to_services, contact = None, None
    if let_out:
        # Of the services' own ports 3389 is none.
        quiet = RDP_PORT if RDP_PORT in let_out else let_out[0]
        to_services = Probe(speaker, ports.main, Endpoint(plan.services, quiet))
    should_be = defined(boxes)
    if should_be is not None and len(let_out) >= LEAST_PEER_PORTS:
        contact = Probe(speaker, ports.contact, to_peer[0].to)
    past_proxy = Probe(role.value, ports.main, Endpoint(plan.services, ports.open[0]))
    public = Endpoint(_public_address(network, role, site), RDP_PORT)
    return _Site(
        role=role,
        speaker=speaker,
        to_services=to_services,
        to_peer=to_peer,
        ended=(*blocked, past_proxy) if proxy is not None else blocked,
        contact=contact,
        unasked=Probe(SERVICES, ports.caller, public),
        should_be=should_be,
    )


def _boxes_outward(site: Site) -> list[Device]:
    """Return the boxes between the internet and whoever speaks for the site."""
    boxes = list(site.boxes)
    return boxes[boxes.index(site.proxy) + 1 :] if site.proxy is not None else boxes


def _ways_out(boxes: Iterable[Device], ports: _Ports) -> tuple[Sequence[int], Sequence[int]]:
    """Return ports that all boxes let out, and ports that one of them ends."""
    lists = [
        set(box.firewall.outbound)
        for box in boxes
        if box.firewall is not None and box.firewall.outbound is not None
    ]
    if not lists:
        return ports.open, ()
    let_out = set.intersection(*lists)
    # What one of several firewalls names is not yet let out by the others.
    return sorted(let_out), [*sorted(set.union(*lists) - let_out), ports.shut]


def _public_address(network: Network, role: Role, site: Site) -> IPv4Address:
    """Return the WAN address of the outermost box that translates, or the host's own."""
    for name, device in reversed(list(box_nodes(role, site))):
        if device.firewall is None:
            interfaces = network.node(name).stack.interfaces
            return next(each.address.ip for each in interfaces if each.name == WAN)
    return site.address


def _inward(site: _Site, found: Mapping[Probe, Found], ports: _Ports) -> Iterable[Probe]:
    """Return the SYNs to the port that the contact has opened: its peer's, and another's."""
    seen = found[site.contact].seen if site.contact is not None else None
    if site.contact is None or seen is None:
        return []
    peer = Probe(INTERNET, ports.caller, seen, source=site.contact.to.address)
    return [peer, Probe(SERVICES, ports.caller, seen)]


def _controls(
    site: _Site, world: World, found: Mapping[Probe, Found], ports: _Ports
) -> Iterable[Control]:
    yield _reaches(site, world, found)
    yield _translation(site, world, found)
    yield _unsolicited(site, world, found)
    if site.should_be is not None:
        yield _nat_class(site, site.should_be, found, ports)


def _reaches(site: _Site, world: World, found: Mapping[Probe, Found]) -> Control:
    wrong, told = [], dict[str, list[str]]()
    for probe in site.outward:
        should = _journey(world, probe)
        meets = found[probe]
        told.setdefault(f"{probe.node}: {meets}", []).append(str(probe.to))
        if not _as_planned(should, meets):
            wrong.append(f"{probe.to} from {probe.node}: {meets}; should be {_planned(should)}")
    detail = "; ".join(f"{', '.join(to)} from {how}" for how, to in told.items())
    return _control(REACHES, site, not wrong, wrong[0] if wrong else detail)


def _translation(site: _Site, world: World, found: Mapping[Probe, Found]) -> Control:
    probe = site.to_services
    if probe is None:
        return _control(TRANSLATION, site, True, "not measured: no port is let out")
    meets = found[probe]
    if meets.left_from is None or meets.seen is None or meets.ending.node != SERVICES:
        detail = f"{SERVICES} saw nothing of {site.speaker}: {meets}"
        return _control(TRANSLATION, site, False, detail)
    way = world.network.way(world.network.node(probe.node), probe.to.address)
    own = way.out.address.ip if way is not None else None
    public = _journey(world, probe).syn.source
    passed = (meets.left_from.address, meets.seen.address) == (own, public)
    detail = f"{SERVICES} saw {meets.left_from} of {site.speaker} as {meets.seen}"
    return _control(
        TRANSLATION, site, passed, detail if passed else f"{detail}; should be {own} as {public}"
    )


def _unsolicited(site: _Site, world: World, found: Mapping[Probe, Found]) -> Control:
    should = _journey(world, site.unasked)
    meets = found[site.unasked]
    # Nobody listens there yet: what is accepted was accepted by somebody else.
    stranger = should.taken and meets.ending.end is not End.REFUSED
    passed = _as_planned(should, meets) and not stranger
    detail = f"{site.unasked.to} from {SERVICES}: {meets}"
    if not passed:
        detail += f"; should be {'refused by ' + should.node if should.taken else _planned(should)}"
    return _control(UNSOLICITED, site, passed, detail)


def _nat_class(
    site: _Site, should_be: NatClass, found: Mapping[Probe, Found], ports: _Ports
) -> Control:
    if site.contact is None or site.to_services is None:
        few = f"fewer than {LEAST_PEER_PORTS} ports are let out"
        return _control(NAT_CLASS, site, True, f"not measured: {few}")
    by_services = found[site.to_services].seen
    by_peer = [seen for probe in site.to_peer if (seen := found[probe].seen) is not None]
    inward = [found[probe] for probe in _inward(site, found, ports)]
    if by_services is None or len(by_peer) < len(site.to_peer) or not inward:
        return _control(
            NAT_CLASS, site, False, "nothing to tell it by: a SYN outward had no answer"
        )
    if unseen := next((each for each in inward if not each.ending.node), None):
        return _control(NAT_CLASS, site, False, f"a SYN to an open port: {unseen}")
    to_peer, to_others = (each.ending.node == site.speaker for each in inward)
    measured = NatClass(mapping_of(by_peer, by_services), filtering_of(to_peer, to_others))
    endpoints = ", ".join(str(each) for each in dict.fromkeys([*by_peer, by_services]))
    detail = (
        f"{measured}: {site.speaker}:{ports.main} was seen as {endpoints}; to another port of the "
        f"peer: {inward[0]}; to another address: {inward[1]}"
    )
    passed = measured == should_be
    return _control(
        NAT_CLASS, site, passed, detail if passed else f"{detail}; defined: {should_be}"
    )


def _journey(world: World, probe: Probe) -> Journey:
    return walk(world, probe.node, probe.to.address, probe.to.port)


def _as_planned(should: Journey, meets: Found) -> bool:
    if meets.ending.node != should.node:
        return False
    if should.taken:
        return meets.answered
    return meets.ending.end is (End.UNREACHABLE if should.rejected else End.TIMEOUT)


def _planned(should: Journey) -> str:
    if should.taken:
        return f"answered by {should.node}"
    if should.fate is Fate.NO_ROUTE:
        return f"without a route at {should.node}"
    return f"{'rejected' if should.rejected else 'dropped'} by {should.node}"


def _control(name: str, site: _Site, passed: bool, detail: str) -> Control:
    return Control(name=name, node=site.role.value, passed=passed, detail=detail)
