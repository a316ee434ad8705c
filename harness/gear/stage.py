"""What stays while scenarios come and go: the wires to real routers, and the hosts on them.

A router must not see its cables pulled between scenarios. So the internet's own network stack,
which has the routers' WAN wires, and the hosts on their LANs live as long as the run. What stands
behind a LAN wire is a switch with two hosts, each with a MAC address of its own::

    host eth0 ------ .
                     switch ---- nic (LAN)  router  (WAN) to-NAME ---- internet
    neighbour eth0 - '
"""

from __future__ import annotations

import errno
import hashlib
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from functools import partial
from ipaddress import IPv4Address, IPv4Interface

from pyroute2 import IPRoute
from pyroute2.netlink.exceptions import NetlinkError
from tenacity import Retrying, retry_if_result, stop_after_delay, wait_fixed

from harness.errors import MachineError
from harness.runtime import nftables
from harness.runtime.netns import NetNs
from harness.runtime.stack import Stack
from harness.runtime.wiring import set_sysctls

NIC = "nic"
"""What a router's LAN NIC is called in the switch."""

ETH0 = "eth0"

_SWITCH = "switch"
_LOOPBACK = 1
_HOSTS = ("host", "neighbour")


@dataclass(frozen=True)
class Dock:
    """The namespaces on the LAN side of one router."""

    name: str
    switch: NetNs
    host: NetNs
    neighbour: NetNs

    @property
    def wan(self) -> str:
        """What its WAN NIC is called in the internet's namespace."""
        return f"to-{self.name}"


@dataclass(frozen=True)
class Stage:
    """Every namespace that stays, held by descriptor."""

    internet: NetNs
    docks: Mapping[str, Dock]

    @classmethod
    def make(cls, routers: Collection[str]) -> Stage:
        """Make empty namespaces: for the internet, and for the LAN side of each router."""
        internet = _empty(forwards=True)
        docks = {name: Dock(name, *(_empty(forwards=False) for _ in range(3))) for name in routers}
        return cls(internet, docks)

    def close(self) -> None:
        """Let go of all."""
        self.internet.close()
        for dock in self.docks.values():
            for namespace in (dock.switch, dock.host, dock.neighbour):
                namespace.close()


def wire_lan(dock: Dock) -> None:
    """Join a router's LAN NIC and two hosts by a switch; nobody has an address yet."""
    with dock.switch.entered(), IPRoute() as netlink:
        # Forwarding begins at once: there is no loop to look for.
        netlink.link("add", ifname=_SWITCH, kind="bridge", br_forward_delay=0, br_stp_state=0)
        switch = _index(netlink, _SWITCH)
        for place, namespace in zip(_HOSTS, (dock.host, dock.neighbour), strict=True):
            peer = {"ifname": ETH0, "net_ns_fd": namespace.fd, "address": _mac(dock.name, place)}
            netlink.link("add", ifname=place, kind="veth", peer=peer)
        netlink.link("set", index=switch, state="up")
        for port in map(partial(_index, netlink), (NIC, *_HOSTS)):
            # In this order: a port that is up has a macvlan's NIC count it as allmulti, and the
            # kernel does not take that back when the macvlan is deleted.
            netlink.link("set", index=port, master=switch)
            netlink.link("set", index=port, state="up")
    for namespace in (dock.host, dock.neighbour):
        with namespace.entered(), IPRoute() as netlink:
            netlink.link("set", index=_LOOPBACK, state="up")
            netlink.link("set", index=_index(netlink, ETH0), state="up")


def wire_wan(stage: Stage, dock: Dock, address: IPv4Interface) -> None:
    """Give the internet's end of a router's WAN wire its address."""
    with stage.internet.entered(), IPRoute() as netlink:
        netlink.link("set", index=_LOOPBACK, state="up")
        netlink.link("set", index=_index(netlink, dock.wan), state="up")
    add_address(stage.internet, dock.wan, address)


def add_address(namespace: NetNs, interface: str, address: IPv4Interface) -> None:
    """Give an interface one more address."""
    with namespace.entered(), IPRoute() as netlink:
        netlink.addr(
            "add",
            index=_index(netlink, interface),
            address=str(address.ip),
            prefixlen=address.network.prefixlen,
        )


def set_gateway(namespace: NetNs, gateway: IPv4Address) -> None:
    """Set the default route."""
    with namespace.entered(), IPRoute() as netlink:
        netlink.route("replace", dst="default", gateway=str(gateway))


def await_carrier(namespace: NetNs, interface: str, seconds: float, what: str) -> None:
    """Wait until an interface carries packets.

    Raises:
        MachineError: it does not within that many seconds; ``what`` names it for people.
    """
    wait = Retrying(
        retry=retry_if_result(lambda up: not up),
        stop=stop_after_delay(seconds),
        wait=wait_fixed(0.05),
        retry_error_callback=lambda _: False,
    )
    with namespace.entered(), IPRoute() as netlink:
        if not wait(_is_up, netlink, _index(netlink, interface)):
            raise MachineError(
                f"{what} has no link after {seconds:g} s: is the cable in, and the router on? "
                "(patience.link in the bench file)"
            )


def sweep(namespace: NetNs, keep: Collection[str]) -> None:
    """Remove what an earlier scenario left: its rules, and its ends of wires.

    The kernel removes the wires by itself when it has time, which may be after the next lab's.
    """
    with namespace.entered():
        nftables.load("flush ruleset")
        with IPRoute() as netlink:
            for link in list(netlink.get_links()):
                if link.get_attr("IFLA_IFNAME") not in {"lo", *keep}:
                    _remove(netlink, link["index"])


def _empty(forwards: bool) -> NetNs:
    namespace = NetNs.create()
    with namespace.entered():
        set_sysctls(Stack((), None, forwards=forwards))
    return namespace


def _remove(netlink: IPRoute, index: int) -> None:
    try:
        netlink.link("del", index=index)
    except NetlinkError as error:
        if error.code != errno.ENODEV:  # the kernel was quicker
            raise


def _index(netlink: IPRoute, name: str) -> int:
    (index,) = netlink.link_lookup(ifname=name)
    return int(index)


def _is_up(netlink: IPRoute, index: int) -> bool:
    (answer,) = netlink.link("get", index=index)
    return bool(answer.get_attr("IFLA_OPERSTATE") == "UP")


def _mac(router: str, place: str) -> str:
    """Return a host's MAC address: the same in every run, so that a router knows it again."""
    digest = hashlib.sha256(f"ra-harness/{router}/{place}".encode()).digest()
    # Locally administered, unicast (IEEE 802-2014 8.2.2).
    return ":".join(f"{byte:02x}" for byte in (0x02, *digest[:5]))
