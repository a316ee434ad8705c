"""The internet as a real router sees it: DHCP for its WAN, an ISP's router, and a name server.

Both servers are Debian's dnsmasq. One gives addresses on every link; the other, on the first link's
address, answers every name with the lab's services: a router that wants to know whether it is
online finds somebody, and nothing leaves the sealed world. One process for both would open a socket
for names on each link, and a scenario holds who listens against one each.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from ipaddress import IPv4Address, IPv4Interface, IPv4Network
from pathlib import Path

from tenacity import Retrying, retry_if_result, stop_after_delay, wait_fixed

from harness.errors import DefinitionError, MachineError
from harness.lab import daemon
from harness.runtime.netns import NetNs
from harness.runtime.process import spawn_daemon
from harness.topology.addresses import check_host
from harness.topology.bench import Addressing, Bench, Router
from harness.topology.model import Internet, IspLink

PROGRAM = "dnsmasq"

PREFIX = 24
"""The prefix of every ISP link."""

LEASE_SECONDS = 3600

# 100.64.0.0/10 is a carrier's between its NAT and its customers (RFC 6598), the other a private one
# (RFC 1918) that few routers have as their own LAN.
_RESERVED = {
    "cgnat": (IPv4Network("100.64.10.0/24"), IPv4Network("100.64.20.0/24")),
    "private": (IPv4Network("10.77.10.0/24"), IPv4Network("10.77.20.0/24")),
}
_LEASES = "dnsmasq.leases"
_COMMON = (
    "user=root",
    "no-resolv",
    "no-hosts",
    "no-poll",
    "log-facility=-",
    "bind-interfaces",
    "except-interface=lo",
    "pid-file",
)
_POLL = 0.05


def find() -> str:
    """Return the server's path.

    Raises:
        MachineError: it is not installed.
    """
    return daemon.find(PROGRAM, "dnsmasq-base", "setup-gear")


def isp_router(router: Router, number: int, public: IspLink) -> IPv4Interface:
    """Return the address of the ISP's router on a real router's WAN link.

    ``number`` counts the bench's routers from 0; ``public`` is the project's own link of that
    number, which is used where nothing else is asked for.
    """
    if router.wan.address is not None:
        network = IPv4Network((router.wan.address, PREFIX), strict=False)
        first, last = network[1], network[-2]
        return IPv4Interface((first if router.wan.address != first else last, PREFIX))
    if router.wan.kind in _RESERVED:
        return IPv4Interface((_RESERVED[router.wan.kind][number][1], PREFIX))
    return public.router


def isp_links(bench: Bench, internet: Internet) -> dict[str, IPv4Interface]:
    """Return the ISP's address on each router's WAN link, by the router's name.

    Raises:
        DefinitionError: an address set by hand is no host's, or in a network that another has.
    """
    public = list(internet.links.values())
    links: dict[str, IPv4Interface] = {}
    for number, router in enumerate(bench.routers):
        link = isp_router(router, number, public[number])
        try:
            check_host(router.wan.address or link.network[2], link, "wan.address")
        except ValueError as error:
            raise DefinitionError(f"{router.name}: {error}") from error
        others = {
            **{f"the WAN of {name}": other.network for name, other in links.items()},
            "the internet's services": internet.services.router.network,
            **_blocks(internet),
        }
        for whose, network in others.items():
            if link.network.overlaps(network):
                raise DefinitionError(
                    f"{router.name}: its WAN's network {link.network} overlaps {network} of "
                    f"{whose}; set the router, and wan.address, to another network"
                )
        links[router.name] = link
    return links


def _blocks(internet: Internet) -> dict[str, IPv4Network]:
    """Return the blocks of addresses that are routed to sites of the project's own."""
    return {
        f"the internet's {role} side": link.routed
        for role, link in internet.links.items()
        if link.routed is not None
    }


class InternetSide:
    """The DHCP server and the name server of all ISP links."""

    def __init__(
        self, namespace: NetNs, links: Mapping[str, IPv4Interface], name_is: IPv4Address
    ) -> None:
        """Prepare; ``links`` has the address of each interface that it serves."""
        self._namespace = namespace
        self._links = links
        self._name_is = name_is
        self._folder = Path()

    def start(self, folder: Path) -> None:
        """Start both servers; ``folder`` is for their files."""
        folder.mkdir(parents=True)
        self._folder = folder
        for name, lines in (("dhcp", self._dhcp()), ("names", self._names())):
            config = folder / f"{name}.conf"
            config.write_text("\n".join((*_COMMON, *lines, "")), encoding="ascii")
            command = (find(), "--keep-in-foreground", f"--conf-file={config.name}")
            spawn_daemon(self._namespace, command, folder, folder / f"{name}.log", {})

    def await_lease(self, interface: str, router: Router, seconds: float) -> IPv4Address:
        """Wait until a router has been given an address on a link, and return it.

        Raises:
            MachineError: it did not ask within that many seconds.
        """
        if router.wan.addressing is Addressing.STATIC and router.wan.address is not None:
            return router.wan.address
        wait = Retrying(
            retry=retry_if_result(lambda address: address is None),
            stop=stop_after_delay(seconds),
            wait=wait_fixed(_POLL),
            retry_error_callback=lambda _: None,
        )
        address: IPv4Address | None = wait(self._leased, self._links[interface].network)
        if address is None:
            raise MachineError(
                f"{router.name} took no address by DHCP on its WAN ({router.wan_nic}) within "
                f"{seconds:g} s: is its WAN set to DHCP, and are LAN and WAN not exchanged? "
                "(patience.lease in the bench file)"
            )
        return address

    def _leased(self, network: IPv4Network) -> IPv4Address | None:
        """Return the newest lease of a link: expiry, MAC, address, name and client id a line."""
        path = self._folder / _LEASES
        if not path.exists():
            return None
        rows = [line.split() for line in path.read_text(encoding="ascii").splitlines()]
        leased = [
            (int(row[0]), IPv4Address(row[2]))
            for row in rows
            if len(row) >= 3 and row[0].isdigit() and IPv4Address(row[2]) in network
        ]
        return max(leased)[1] if leased else None

    @property
    def _server(self) -> IPv4Address:
        """The name server's address: the first link's, that every router has a route to."""
        return next(iter(self._links.values())).ip

    def _names(self) -> Iterator[str]:
        yield f"listen-address={self._server}"
        yield f"address=/#/{self._name_is}"

    def _dhcp(self) -> Iterator[str]:
        yield "port=0"
        # A ping before each offer takes three seconds, and a lab has no squatters.
        yield from ("no-ping", "dhcp-authoritative", "log-dhcp", f"dhcp-leasefile={_LEASES}")
        for interface, address in self._links.items():
            first, last = address.network[2], address.network[20]
            yield f"interface={interface}"
            yield f"dhcp-range=set:{interface},{first},{last},{address.netmask},{LEASE_SECONDS}"
            yield f"dhcp-option=tag:{interface},option:router,{address.ip}"
            yield f"dhcp-option=tag:{interface},option:dns-server,{self._server}"
