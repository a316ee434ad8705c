"""Links, addresses and routes, by netlink. It works on any node's namespace, whatever made it.

Both ends of a veth are made where they belong: moving one into a namespace costs 16 ms under the
kernel's RTNL lock.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

from pyroute2 import IPRoute
from tenacity import retry, retry_if_result, stop_after_delay, wait_fixed

from harness.errors import ScenarioError
from harness.runtime.netns import NetNs
from harness.runtime.stack import Link, Plug, Stack

# How long a veth may take to report that it is up; it takes microseconds on an idle machine.
LINK_DEADLINE = 5.0

# The kernel's index of lo in every new namespace.
_LOOPBACK = 1

_SYSCTL_ROOT = Path("/proc/sys/net")

# IPv4 settings that a new namespace copies from the host it was made on: a lab must not depend on
# them. Docker, for one, leaves ip_forward at 1.
_SYSCTLS = {
    "ipv6/conf/all/disable_ipv6": "1",
    "ipv6/conf/default/disable_ipv6": "1",
    "ipv4/conf/all/rp_filter": "0",
    "ipv4/conf/default/rp_filter": "0",
    "ipv4/conf/all/accept_local": "0",
    "ipv4/conf/all/route_localnet": "0",
    # An endpoint learns of a closed port by ICMP; the kernel's limit of one a second to a host
    # would turn the second such answer into a time-out.
    "ipv4/icmp_ratelimit": "0",
}

# Where br_netfilter is loaded, frames that a bridge passes on would go through the rules of IP
# forwarding too. It is there only then.
_BRIDGE_SYSCTL = "bridge/bridge-nf-call-iptables"


def wire(
    stacks: Mapping[str, Stack],
    links: Sequence[Link],
    namespaces: Mapping[str, NetNs],
    there: Collection[Plug] = (),
) -> None:
    """Make every link, address and route; return when all links carry packets.

    Each link starts at a node that comes before its other end's: so a node's interfaces are all
    there when its turn comes. Interfaces that are ``there`` already have their address, and the
    routes of a node that has no others.

    Raises:
        ScenarioError: a link did not come up before :data:`LINK_DEADLINE` seconds.
    """
    numbers = _numbers(stacks, links)
    busy = {plug.node for plug in there}
    with ExitStack() as sockets:
        netlinks = {}
        for name, stack in stacks.items():
            with namespaces[name].entered():
                # Before any link is made: an interface copies its settings when it is.
                set_sysctls(stack)
                netlinks[name] = sockets.enter_context(IPRoute())
        for name, stack in stacks.items():
            for link in links:
                if link.a.node == name:
                    _add_veth(netlinks[name], link, numbers, namespaces[link.b.node])
            if name in busy:
                numbers |= _asked(netlinks[name], name, numbers)
            new = tuple(each for each in stack.interfaces if Plug(name, each.name) not in there)
            if new:
                _configure(netlinks[name], name, replace(stack, interfaces=new), numbers)
        for plug, number in numbers.items():
            if not _await_up(netlinks[plug.node], number):
                where = f"{plug.node}/{plug.interface}"
                raise ScenarioError(f"{where} did not come up within {LINK_DEADLINE:g} s")


def _asked(netlink: IPRoute, name: str, numbers: Mapping[Plug, int]) -> dict[Plug, int]:
    """Ask for the indices of a node's own interfaces, where others were there before them."""
    plugs = [plug for plug in numbers if plug.node == name]
    return {plug: netlink.link_lookup(ifname=plug.interface)[0] for plug in plugs}


def _numbers(stacks: Mapping[str, Stack], links: Sequence[Link]) -> dict[Plug, int]:
    """Tell every interface's index, so that the kernel need not be asked for it.

    A link's first end and a bridge are made with it; to a link's other end the kernel gives it: a
    new namespace numbers its interfaces from 2 in the order in which they are made.
    """
    plugs = [plug for link in links for plug in (link.a, link.b)]
    plugs += [
        Plug(name, interface.name)
        for name, stack in stacks.items()
        for interface in stack.interfaces
        if interface.ports
    ]
    taken = dict.fromkeys(stacks, _LOOPBACK)
    numbers = {}
    for plug in plugs:
        taken[plug.node] += 1
        numbers[plug] = taken[plug.node]
    return numbers


def _add_veth(netlink: IPRoute, link: Link, numbers: Mapping[Plug, int], far: NetNs) -> None:
    peer = {"ifname": link.b.interface, "net_ns_fd": far.fd}
    netlink.link("add", ifname=link.a.interface, index=numbers[link.a], kind="veth", peer=peer)


def set_sysctls(stack: Stack) -> None:
    """Set what the calling thread's namespace must not have from the host it was made on.

    Raises:
        OSError: the kernel refuses.
    """
    settings = {**_SYSCTLS, "ipv4/ip_forward": "1" if stack.forwards else "0"}
    bridges = any(interface.ports for interface in stack.interfaces)
    if bridges and (_SYSCTL_ROOT / _BRIDGE_SYSCTL).exists():
        settings[_BRIDGE_SYSCTL] = "0"
    for key, value in settings.items():
        (_SYSCTL_ROOT / key).write_text(value, encoding="ascii")


def _configure(netlink: IPRoute, name: str, stack: Stack, numbers: Mapping[Plug, int]) -> None:
    netlink.link("set", index=_LOOPBACK, state="up")
    for interface in stack.interfaces:
        number = numbers[Plug(name, interface.name)]
        if interface.ports:
            netlink.link("add", ifname=interface.name, index=number, kind="bridge")
        for port in interface.ports:
            port_number = numbers[Plug(name, port)]
            netlink.link("set", index=port_number, master=number, state="up")
        netlink.addr(
            "add",
            index=number,
            address=str(interface.address.ip),
            prefixlen=interface.address.network.prefixlen,
        )
        netlink.link("set", index=number, state="up")
    if stack.gateway is not None:
        netlink.route("add", dst="default", gateway=str(stack.gateway))
    for route in stack.routes:
        netlink.route("add", dst=str(route.to), gateway=str(route.via))


@retry(
    retry=retry_if_result(lambda up: not up),
    stop=stop_after_delay(LINK_DEADLINE),
    wait=wait_fixed(0.001),
    retry_error_callback=lambda _: False,
)
def _await_up(netlink: IPRoute, number: int) -> bool:
    """Wait until an interface carries packets: a veth opened before its twin drops at first."""
    # Asking for one link makes the kernel settle its state first; a dump of all does not, and
    # would show the state of up to a second ago.
    (answer,) = netlink.link("get", index=number)
    return bool(answer.get_attr("IFLA_OPERSTATE") == "UP")
