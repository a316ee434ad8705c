"""The internet as a real router sees it: DHCP for its WAN, an ISP's router, and a name server.

The server is Debian's dnsmasq. It answers every name with the lab's services: a router that wants
to know whether it is online finds somebody, and nothing leaves the sealed world.
"""

from __future__ import annotations

from collections.abc import Mapping
from ipaddress import IPv4Address, IPv4Interface, IPv4Network
from pathlib import Path

from tenacity import Retrying, retry_if_result, stop_after_delay, wait_fixed

from harness.errors import MachineError
from harness.lab import daemon
from harness.runtime.netns import NetNs
from harness.runtime.process import spawn_daemon
from harness.topology.bench import Addressing, Router
from harness.topology.model import IspLink

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
_CONFIG = "dnsmasq.conf"
_LEASES = "dnsmasq.leases"
_LOG = "dnsmasq.log"
_POLL = 0.05


def find() -> str:
    """Return the server's path.

    Raises:
        MachineError: it is not installed.
    """
    return daemon.find(PROGRAM, "dnsmasq-base")


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


class InternetSide:
    """The DHCP and name server of all ISP links."""

    def __init__(
        self, namespace: NetNs, links: Mapping[str, IPv4Interface], name_is: IPv4Address
    ) -> None:
        """Prepare; ``links`` has the address of each interface that it serves."""
        self._namespace = namespace
        self._links = links
        self._name_is = name_is
        self._folder = Path()

    def start(self, folder: Path) -> None:
        """Start the server; ``folder`` is for its files."""
        folder.mkdir(parents=True)
        self._folder = folder
        (folder / _CONFIG).write_text(self._configuration(), encoding="ascii")
        command = (find(), "--keep-in-foreground", f"--conf-file={_CONFIG}")
        spawn_daemon(self._namespace, command, folder, folder / _LOG, {})

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

    def log(self) -> str:
        """Return what the server has said."""
        path = self._folder / _LOG
        return path.read_text(encoding="utf-8", errors="replace") if path.exists() else ""

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

    def _configuration(self) -> str:
        lines = [
            "user=root",
            "no-resolv",
            "no-hosts",
            "no-poll",
            # A ping before each offer takes three seconds, and a lab has no squatters.
            "no-ping",
            "dhcp-authoritative",
            "log-facility=-",
            "log-dhcp",
            f"dhcp-leasefile={_LEASES}",
            "bind-interfaces",
            "except-interface=lo",
            f"address=/#/{self._name_is}",
        ]
        for interface, address in self._links.items():
            first, last = address.network[2], address.network[20]
            lines += [
                f"interface={interface}",
                f"dhcp-range=set:{interface},{first},{last},{address.netmask},{LEASE_SECONDS}",
                f"dhcp-option=tag:{interface},option:router,{address.ip}",
                f"dhcp-option=tag:{interface},option:dns-server,{address.ip}",
            ]
        return "\n".join(lines) + "\n"
