"""Finds out what stands on the bench: waits until each router is up on both sides, and looks.

Real things take their time: a link negotiates for seconds, spanning tree holds packets back for
thirty, a router boots for minutes. Each step has a deadline that the bench file can raise.
"""

from __future__ import annotations

import asyncio
import errno
import socket
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Interface
from pathlib import Path
from typing import Any

from tenacity import AsyncRetrying, RetryError, retry_if_result, stop_after_delay, wait_fixed

from harness.errors import MachineError
from harness.gear import lan_side, stage
from harness.gear.internet_side import InternetSide
from harness.gear.lan_side import Lease
from harness.gear.look import look_at
from harness.gear.rig import Station
from harness.gear.stage import ETH0, NIC, Dock, Stage
from harness.runtime.netns import NetNs
from harness.topology.bench import Bench, Claims, Router

Say = Callable[[str], None]

# A port of the ISP's router on which nobody listens: a RST is an answer too.
_QUIET_PORT = 20000
_TRY_SECONDS = 1.0

# How often a router whose maker claims UPnP is searched for, if need be: each takes three seconds.
_SEARCHES = 5


@dataclass(frozen=True)
class Surveyed:
    """What was found of one router.

    ``lan`` and ``neighbour`` are two hosts' addresses on its LAN, ``router`` its own there with the
    prefix, ``external`` its address on the WAN, ``isp`` the ISP's on that link. ``http_port`` is
    where its UPnP web server listens, 0 where it said nothing of one.
    """

    name: str
    lan: IPv4Address
    neighbour: IPv4Address
    router: IPv4Interface
    external: IPv4Address
    isp: IPv4Interface
    http_port: int = 0

    def facts(self) -> dict[str, str]:
        """Write it down for a message."""
        return {key: str(value) for key, value in vars(self).items()}

    @classmethod
    def read(cls, facts: Mapping[str, Any]) -> Surveyed:
        """Read what :meth:`facts` wrote."""
        return cls(
            name=facts["name"],
            lan=IPv4Address(facts["lan"]),
            neighbour=IPv4Address(facts["neighbour"]),
            router=IPv4Interface(facts["router"]),
            external=IPv4Address(facts["external"]),
            isp=IPv4Interface(facts["isp"]),
            http_port=int(facts["http_port"]),
        )


@dataclass(frozen=True)
class Stood:
    """A router that stood the survey, and what it said of itself: files for every bundle."""

    surveyed: Surveyed
    files: dict[str, bytes]


def survey(
    bench: Bench,
    stands: Stage,
    links: Mapping[str, IPv4Interface],
    services: IPv4Address,
    folder: Path,
    say: Say,
) -> list[Stood]:
    """Bring the stage to life and wait for every router.

    ``links`` has the ISP's address on each router's WAN link, by the router's name. ``folder`` is
    for the files of the DHCP server and clients, which go on running.

    Raises:
        MachineError: a router did not come up; the text says on which side, and what to look at.
    """
    wans = {stands.docks[name].wan: address for name, address in links.items()}
    internet = InternetSide(stands.internet, wans, services)
    for router in bench.routers:
        dock = stands.docks[router.name]
        stage.wire_lan(dock)
        stage.wire_wan(stands, dock, links[router.name])
    for router in bench.routers:
        _await_links(bench, router, stands)
    internet.start(folder / "internet")
    for router in bench.routers:
        if router.lan.address is None:
            dock = stands.docks[router.name]
            for place, namespace in _hosts(dock):
                lan_side.ask(namespace, folder / router.name / place, f"ra-{place}")
    found = []
    for router in bench.routers:
        say(f"{router.name}: waiting for its WAN address and its LAN's")
        dock = stands.docks[router.name]
        external = internet.await_lease(dock.wan, router, bench.patience.lease)
        host, neighbour = _addressed(bench, router, dock, folder)
        isp = links[router.name]
        own = Station(router.name, dock.host, host.address.ip)
        _await_passage(bench, router, dock.host, host.address.ip, isp.ip)
        searches = _SEARCHES if router.claims is Claims.UPNP_NAT else 1
        said = asyncio.run(look_at(own, host.gateway, router.name, searches))
        say(
            f"{router.name}: LAN {host.router}, our host {host.address.ip}; "
            f"WAN {external} beside {isp.ip}; {said.summary}"
        )
        surveyed = Surveyed(
            name=router.name,
            lan=host.address.ip,
            neighbour=neighbour,
            router=host.router,
            external=external,
            isp=isp,
            http_port=said.http_port,
        )
        found.append(Stood(surveyed, said.files))
    return found


def _hosts(dock: Dock) -> tuple[tuple[str, NetNs], tuple[str, NetNs]]:
    return ("host", dock.host), ("neighbour", dock.neighbour)


def _await_links(bench: Bench, router: Router, stands: Stage) -> None:
    dock, seconds = stands.docks[router.name], bench.patience.link
    stage.await_carrier(dock.switch, NIC, seconds, f"{router.lan_nic}, LAN of {router.name},")
    stage.await_carrier(
        stands.internet, dock.wan, seconds, f"{router.wan_nic}, WAN of {router.name},"
    )
    for _, namespace in _hosts(dock):
        stage.await_carrier(namespace, ETH0, seconds, f"our host on the LAN of {router.name}")


def _addressed(bench: Bench, router: Router, dock: Dock, folder: Path) -> tuple[Lease, IPv4Address]:
    """Give both LAN hosts their addresses; return the host's lease and the neighbour's address."""
    if router.lan.address is not None and router.lan.gateway is not None:
        leases = [
            Lease(address, router.lan.gateway)
            for address in (router.lan.address, _beside(router.lan.address, router.lan.gateway))
        ]
    else:
        leases = [
            lan_side.await_lease(folder / router.name / place, bench.patience.lease, router.name)
            for place, _ in _hosts(dock)
        ]
    host, neighbour = leases
    if host.gateway not in host.address.network:
        raise MachineError(
            f"{router.name} says that the gateway of {host.address} is {host.gateway}, which is "
            "on another network"
        )
    if host.address == neighbour.address:
        raise MachineError(f"{router.name} gave two hosts the same address {host.address.ip}")
    for (_, namespace), lease in zip(_hosts(dock), leases, strict=True):
        stage.add_address(namespace, ETH0, lease.address)
        stage.set_gateway(namespace, lease.gateway)
    return host, neighbour.address.ip


def _beside(address: IPv4Interface, gateway: IPv4Address) -> IPv4Interface:
    """Return the next free address of a LAN after a host's."""
    network = address.network
    for step in range(1, network.num_addresses):
        first = int(network.network_address)
        other = network[(int(address.ip) - first + step) % network.num_addresses]
        if other not in (gateway, network.network_address, network.broadcast_address):
            return IPv4Interface((other, network.prefixlen))
    raise MachineError(f"the LAN {network} has no room for a second host")


def _await_passage(
    bench: Bench, router: Router, host: NetNs, source: IPv4Address, isp: IPv4Address
) -> None:
    """Wait until the router passes a connection on, or rather the refusal of one."""
    tries = AsyncRetrying(
        retry=retry_if_result(lambda passed: not passed),
        stop=stop_after_delay(bench.patience.boot),
        wait=wait_fixed(0.1),
    )
    try:
        asyncio.run(tries(_is_refused, host, source, isp))
    except RetryError as error:
        raise MachineError(
            f"{router.name} has addresses on both sides and passed nothing from {source} to {isp} "
            f"within {bench.patience.boot:g} s (patience.boot in the bench file)"
        ) from error


async def _is_refused(host: NetNs, source: IPv4Address, isp: IPv4Address) -> bool:
    """Whether a connection to the ISP's router is answered; it refuses."""
    with host.entered():
        sock = socket.socket(socket.AF_INET, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
    with sock:
        sock.bind((str(source), 0))
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(_TRY_SECONDS):
                await loop.sock_connect(sock, (str(isp), _QUIET_PORT))
        except ConnectionRefusedError:
            return True
        except TimeoutError:
            return False
        except OSError as error:
            if error.errno in (errno.EHOSTUNREACH, errno.ENETUNREACH):
                return False
            raise
    return True
