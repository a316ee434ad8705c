"""What stands on both sides of a router in its own tests: an internet, and hosts on the LAN.

Nothing of this is the harness's: addresses come from dnsmasq and go to udhcpc, as with any router.
"""

from __future__ import annotations

import socket
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from ipaddress import IPv4Address, IPv4Network
from typing import Any, Final

import miniupnpc
from pyroute2 import IPRoute
from tenacity import retry, retry_if_exception_type, retry_if_result, stop_after_delay, wait_fixed

from harness.runtime.netns import NetNs
from routers.base import DNSMASQ, DNSMASQ_CONFIG, LEASE_SCRIPT, GearRouter
from routers.bench import TestBench
from routers.machine import Machine
from routers.software import layer

SERVER: Final = IPv4Address("17.1.1.1")
"""A host on the internet, behind the provider's gateway."""

PATIENCE: Final = 20.0
"""Seconds that a router has to come up, get an address and serve. It takes about 2."""

PROVIDERS: Final = (IPv4Network("24.1.2.0/24"), IPv4Network("24.7.6.0/24"))
"""The networks of the provider that is there at first, and of the next."""

_LOOPBACK = 1
_DNSMASQ = """\
interface=wan
bind-interfaces
user=root
group=root
dhcp-authoritative
dhcp-leasefile=/run/dnsmasq.leases
no-ping
log-facility=-
"""

# Ends with the first lease; without one it fails after some tries.
_ASK = f"busybox udhcpc -n -q -f -i eth0 -s /etc/router/lease.sh -t {PATIENCE:.0f} -T 1"


class Host:
    """A host: a namespace with sockets to open in it."""

    def __init__(self, namespace: NetNs, address: IPv4Address) -> None:
        """``address`` is the one that others reach it at."""
        self.namespace = namespace
        self.address = address

    @contextmanager
    def listening(self, port: int) -> Iterator[socket.socket]:
        """Listen on a TCP port; ``accept`` on what this yields fails after 5 s."""
        with self.namespace.entered():
            listener = socket.create_server(("", port))
        with listener:
            listener.settimeout(5)
            yield listener

    def connect(self, address: IPv4Address, port: int, seconds: float = 3) -> socket.socket:
        """Open a TCP connection.

        Raises:
            OSError: TimeoutError after that many seconds, or the answer that came.
        """
        with self.namespace.entered():
            return socket.create_connection((str(address), port), seconds)

    @retry(
        retry=retry_if_exception_type(OSError),
        stop=stop_after_delay(PATIENCE),
        wait=wait_fixed(0.1),
        reraise=True,
    )
    def connect_in_time(self, address: IPv4Address, port: int) -> socket.socket:
        """Open a TCP connection, when the way there is up."""
        return self.connect(address, port, 1)

    def igd(self) -> Any:
        """Return the UPnP gateway that miniupnpc finds, when there is one.

        Its calls must be made inside the namespace: see :meth:`call`.
        """
        found = miniupnpc.UPnP()
        found.discoverdelay = 300
        self._select(found)
        return found

    @retry(
        retry=retry_if_exception_type(Exception),  # miniupnpc has no type of its own
        stop=stop_after_delay(PATIENCE),
        wait=wait_fixed(0.1),
        reraise=True,
    )
    def _select(self, found: Any) -> None:
        self.call(found.discover)
        self.call(found.selectigd)

    def call(self, function: Any, *arguments: object) -> Any:
        """Call a function inside the namespace."""
        with self.namespace.entered():
            return function(*arguments)

    def map(self, igd: Any, external: int, internal: int, lease: int = 0) -> None:
        """Map a TCP port of a gateway to this host; the lease is in seconds, 0 for ever."""
        arguments = external, "TCP", str(self.address), internal, "a test", "", lease
        assert self.call(igd.addportmapping, *arguments)


class Neighbours:
    """A router on a bench, hosts on its LAN, and the internet on its WAN."""

    def __init__(self, router: GearRouter, hosts: int = 1) -> None:
        """That many hosts will ask for an address on the LAN."""
        self.router = router
        self._count = hosts
        self._open = ExitStack()
        self.bench = TestBench()
        self.internet: Host
        self._provider: Machine
        self.hosts: list[Host] = []

    def __enter__(self) -> Neighbours:
        """Plug everything in; return when every host has an address.

        Raises:
            MachineError: something does not boot, or a host gets no address.
        """
        with ExitStack() as opening:
            opening.enter_context(self.bench)
            lan, wan = self.bench.plug(self.router)
            self._open = opening
            self.internet = self._connect_internet(wan)
            cables = self._bridge(lan)
            self.hosts = [self._ask_for_address(cable) for cable in cables]
            self._open = opening.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        """End everything."""
        self._open.close()

    def wan_address(self) -> IPv4Address:
        """Return the address that the first host is seen with on the internet."""
        with (
            self.internet.listening(8080) as listener,
            self.hosts[0].connect_in_time(SERVER, 8080),
        ):
            accepted, (seen, _) = listener.accept()
            accepted.close()
        return IPv4Address(seen)

    def change_provider(self) -> None:
        """Pull the WAN's cable and put it into another provider's box."""
        self._provider.stop()
        with self.internet.namespace.entered(), IPRoute() as netlink:
            (index,) = netlink.link_lookup(ifname="wan")
            netlink.link("set", index=index, state="down")
        with self.bench.namespaces[1].entered(), IPRoute() as netlink:
            _await_no_carrier(netlink, netlink.link_lookup(ifname="wan")[0])
        self._provider = self._provide(self.internet.namespace, PROVIDERS[1])

    def _connect_internet(self, nic: str) -> Host:
        """Move the NIC into the internet's namespace, and serve DHCP there."""
        namespace = self._namespace()
        with self.bench.host.entered(), IPRoute() as netlink:
            (index,) = netlink.link_lookup(ifname=nic)
            netlink.link("set", index=index, net_ns_fd=namespace.fd)
        with namespace.entered(), IPRoute() as netlink:
            netlink.link("set", index=index, ifname="wan")
            netlink.link("set", ifname="lo", state="up")
            netlink.addr("add", index=_LOOPBACK, address=str(SERVER), prefixlen=32)
        self._provider = self._provide(namespace, PROVIDERS[0])
        return Host(namespace, SERVER)

    def _provide(self, namespace: NetNs, provider: IPv4Network) -> Machine:
        """Serve DHCP on the WAN, in another network than before."""
        gateway, first, last = provider[1], provider[50], provider[99]
        script = (
            "ip addr flush dev wan",
            f"ip addr add {gateway}/{provider.prefixlen} dev wan",
            "ip link set wan up",
        )
        served = f"{_DNSMASQ}dhcp-range={first},{last},1h\n"
        return self._boot(namespace, ("dnsmasq-base",), {DNSMASQ_CONFIG: served}, script, DNSMASQ)

    def _bridge(self, nic: str) -> list[NetNs]:
        """Put a switch on the NIC; return the namespaces of the hosts on it, each with ``eth0``."""
        namespaces = [self._namespace() for _ in range(self._count)]
        with self.bench.host.entered(), IPRoute() as netlink:
            netlink.link("add", ifname="switch", kind="bridge")
            (switch,) = netlink.link_lookup(ifname="switch")
            for number, namespace in enumerate(namespaces):
                peer = {"ifname": "eth0", "net_ns_fd": namespace.fd}
                netlink.link("add", ifname=f"port{number}", kind="veth", peer=peer)
            for name in (nic, *(f"port{number}" for number in range(self._count))):
                (index,) = netlink.link_lookup(ifname=name)
                netlink.link("set", index=index, master=switch, state="up")
            netlink.link("set", index=switch, state="up")
        return namespaces

    def _ask_for_address(self, namespace: NetNs) -> Host:
        script = ("ip link set lo up", "ip link set eth0 up", _ASK)
        self._boot(namespace, ("busybox",), {"/etc/router/lease.sh": LEASE_SCRIPT}, script)
        with namespace.entered(), IPRoute() as netlink:
            (address,) = (
                IPv4Address(entry.get_attr("IFA_ADDRESS"))
                for entry in netlink.get_addr(family=socket.AF_INET, label="eth0")
            )
        return Host(namespace, address)

    def _boot(
        self,
        namespace: NetNs,
        packages: tuple[str, ...],
        files: Mapping[str, str],
        script: tuple[str, ...],
        *services: tuple[str, ...],
    ) -> Machine:
        machine = Machine(layer(*packages))
        self._open.callback(machine.stop)
        machine.boot(namespace, files, "\n".join(script), services)
        return machine

    def _namespace(self) -> NetNs:
        namespace = NetNs.create()
        self._open.callback(namespace.close)
        return namespace


@retry(
    retry=retry_if_result(lambda up: up),
    stop=stop_after_delay(PATIENCE),
    wait=wait_fixed(0.01),
)
def _await_no_carrier(netlink: IPRoute, index: int) -> bool:
    """Wait until a router has seen that a cable is out: a kernel that is not asked takes 1 s."""
    (link,) = netlink.link("get", index=index)
    return bool(link.get_attr("IFLA_OPERSTATE") == "UP")
