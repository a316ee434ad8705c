"""Links, addresses and routes, by netlink. It works on any node's namespace, whatever made it.

Both ends of a veth are made where they belong: moving one into a namespace costs 16 ms under the
kernel's RTNL lock.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

from pyroute2 import IPRoute
from tenacity import retry, retry_if_result, stop_after_delay, wait_fixed

from harness.errors import ScenarioError
from harness.runtime.netns import NetNs
from harness.runtime.stack import Link, Stack

# How long a veth may take to report that it is up; it takes microseconds on an idle machine.
LINK_DEADLINE = 5.0

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
    stacks: Mapping[str, Stack], links: Iterable[Link], namespaces: Mapping[str, NetNs]
) -> None:
    """Make every link, address and route; return when all links carry packets.

    Raises:
        ScenarioError: a link did not come up before :data:`LINK_DEADLINE` seconds.
    """
    for name, stack in stacks.items():
        with namespaces[name].entered():
            _set_sysctls(stack)
    starts: dict[str, list[Link]] = {}
    for link in links:
        starts.setdefault(link.a.node, []).append(link)
    for name, own in starts.items():
        with namespaces[name].entered(), IPRoute() as netlink:
            for link in own:
                far = {"ifname": link.b.interface, "net_ns_fd": namespaces[link.b.node].fd}
                netlink.link("add", ifname=link.a.interface, kind="veth", peer=far)
    for name, stack in stacks.items():
        with namespaces[name].entered(), IPRoute() as netlink:
            _configure(netlink, stack)
    for name, stack in stacks.items():
        with namespaces[name].entered(), IPRoute() as netlink:
            _await_links(netlink, name, stack)


def _set_sysctls(stack: Stack) -> None:
    settings = {**_SYSCTLS, "ipv4/ip_forward": "1" if stack.forwards else "0"}
    bridges = any(interface.ports for interface in stack.interfaces)
    if bridges and (_SYSCTL_ROOT / _BRIDGE_SYSCTL).exists():
        settings[_BRIDGE_SYSCTL] = "0"
    for key, value in settings.items():
        (_SYSCTL_ROOT / key).write_text(value, encoding="ascii")


def _configure(netlink: IPRoute, stack: Stack) -> None:
    index = _indices(netlink)
    netlink.link("set", index=index["lo"], state="up")
    for interface in stack.interfaces:
        if interface.ports:
            netlink.link("add", ifname=interface.name, kind="bridge")
            index = _indices(netlink)
            for port in interface.ports:
                netlink.link("set", index=index[port], master=index[interface.name])
                netlink.link("set", index=index[port], state="up")
        netlink.addr(
            "add",
            index=index[interface.name],
            address=str(interface.address.ip),
            prefixlen=interface.address.network.prefixlen,
        )
        netlink.link("set", index=index[interface.name], state="up")
    if stack.gateway is not None:
        netlink.route("add", dst="default", gateway=str(stack.gateway))


def _indices(netlink: IPRoute) -> dict[str, int]:
    return {link.get_attr("IFLA_IFNAME"): link["index"] for link in netlink.get_links()}


def _await_links(netlink: IPRoute, name: str, stack: Stack) -> None:
    """Wait until each interface carries packets: a veth opened before its twin drops at first."""
    for interface in stack.interfaces:
        for link in (*interface.ports, interface.name):
            if not _await_up(netlink, link):
                raise ScenarioError(f"{name}/{link} did not come up within {LINK_DEADLINE:g} s")


@retry(
    retry=retry_if_result(lambda up: not up),
    stop=stop_after_delay(LINK_DEADLINE),
    wait=wait_fixed(0.001),
    retry_error_callback=lambda _: False,
)
def _await_up(netlink: IPRoute, link: str) -> bool:
    # Asking for one link makes the kernel settle its state first; a dump of all does not, and
    # would show the state of up to a second ago.
    (answer,) = netlink.link("get", ifname=link)
    return bool(answer.get_attr("IFLA_OPERSTATE") == "UP")
