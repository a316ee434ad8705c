"""The article's scenarios with real routers in place of devices."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import replace
from ipaddress import IPv4Address, IPv4Interface

from harness.assistance.people import Terms
from harness.gear.survey import Surveyed
from harness.judge.model import Router as RouterFacts
from harness.runner.scenario import Scenario
from harness.topology.bench import Bench, Router
from harness.topology.load import Library
from harness.topology.model import Device, Gear, Internet, IspLink, Subnet, Upnp
from harness.words import Method, Role

# Where a UPnP router's web server is where it did not say so.
_HTTP_PORT = 5000

# The link of whoever is behind no router, where both routers of a bench have the project's own.
_SPARE = IspLink(router=IPv4Interface("88.210.40.1/24"), site=IPv4Address("88.210.40.2"))

# Seconds that a dialler goes on after what the bench file gives a packet: so that the capture shows
# silence for as long as silence has to be.
_MARGIN = 1.0

# Seconds until a kernel gives up on a neighbour that does not answer ARP: three requests, a second
# apart (arp(7)). A dialler behind one router meets it where the other's LAN has the same network,
# and one that gave up before would not know how its attempt ended.
_ARP = 3.0


def scenarios_of(
    bench: Bench,
    surveyed: Sequence[Surveyed],
    library: Library,
    methods: Collection[Method],
    terms: Terms,
) -> list[Scenario]:
    """Return the scenarios of a bench: each router at the novice's, the expert's, and both sides.

    With one router the other side of "both" is the project's device of the class that is claimed.
    A router's state cannot be cleared between scenarios, so each has addresses of its own on the
    internet's side, and ports are chosen anew anyway.
    """
    devices = {
        router.name: as_built(router, found, library)
        for router, found in zip(bench.routers, surveyed, strict=True)
    }
    links = {
        found.name: _link(router, found)
        for router, found in zip(bench.routers, surveyed, strict=True)
    }
    patience = max(bench.patience.answer, _ARP) + _MARGIN
    patient = replace(terms, patience=patience)
    made: list[Scenario] = []
    for novice, expert in _pairs(bench):
        for method in Method:
            if method not in methods:
                continue
            internet = _internet(library.internet, links, novice, expert, len(made))
            around = library.having(devices.values(), internet)
            topology = around.from_chains(_chain(novice), _chain(expert))
            made.append(Scenario(method, topology, patient))
    return made


def as_built(router: Router, found: Surveyed, library: Library) -> Device:
    """Return the device that a router is claimed to be, at the addresses where it was found."""
    model = library.devices[router.claims.value]
    return Device(
        name=router.name,
        title=f"{router.model}, firmware {router.firmware}",
        source=f"the bench file; its maker claims {router.claims.value}",
        note=_note(router),
        lan=Subnet(address=found.router, host=found.lan),
        nat=model.nat,
        upnp=None if model.upnp is None else Upnp(http_port=found.http_port or _HTTP_PORT),
        gear=Gear(model=router.model, firmware=router.firmware, claims=router.claims.value),
    )


def notes(bench: Bench) -> list[str]:
    """Return what a reader of the results has to know of the bench's routers."""
    return [f"{router.name}: {_note(router)}" for router in bench.routers]


def facts(bench: Bench, surveyed: Sequence[Surveyed]) -> tuple[RouterFacts, ...]:
    """Return what ``results.json`` says of the routers."""
    return tuple(
        RouterFacts(
            name=router.name,
            model=router.model,
            firmware=router.firmware,
            claims=router.claims.value,
            gateway=str(found.router),
            external=str(found.external),
            wan_addressing=router.wan.addressing.value,
        )
        for router, found in zip(bench.routers, surveyed, strict=True)
    )


def _note(router: Router) -> str:
    note = (
        f"a real router, {router.model}, firmware {router.firmware}; "
        f"its maker claims {router.claims.value}"
    )
    if router.wan.kind != "public":
        note += f"; its WAN address is {router.wan.kind}, of which the article does not speak"
    return note


def _pairs(bench: Bench) -> Iterator[tuple[str | None, str | None]]:
    for router in bench.routers:
        yield router.name, None
        yield None, router.name
    first = bench.routers[0]
    second = bench.routers[1].name if len(bench.routers) > 1 else first.claims.value
    yield first.name, second
    yield second, first.name


def _chain(name: str | None) -> tuple[str, ...]:
    return () if name is None else (name,)


def _link(router: Router, found: Surveyed) -> IspLink:
    reserved = router.wan.kind != "public"
    return IspLink(router=found.isp, site=found.external, reserved=reserved)


def _internet(
    public: Internet,
    links: dict[str, IspLink],
    novice: str | None,
    expert: str | None,
    number: int,
) -> Internet:
    """Return the internet of one scenario: whoever is not a router's has an address of its own.

    The routers' links are up in every scenario, theirs or not, so no other link has their network.
    """
    used = {link.router.network for link in links.values()}
    free = iter(
        _moved(link, number)
        for link in (public.expert, public.novice, _SPARE)
        if link.router.network not in used
    )
    sides = {
        role.value: links[name] if name in links else next(free)
        for role, name in ((Role.NOVICE, novice), (Role.EXPERT, expert))
    }
    return Internet(services=_moved(public.services, number), **sides)


def _moved(link: IspLink, number: int) -> IspLink:
    """Return a link whose site has another address than in any other scenario of the run."""
    network = link.router.network
    taken = {link.router.ip, network.network_address, network.broadcast_address}
    offset = int(link.site) - int(network.network_address) + number
    site = IPv4Address(int(network.network_address) + offset % network.num_addresses)
    while site in taken:
        site += 1
    return link.model_copy(update={"site": site})
