"""Says whether a NIC may be taken, and if not, why and what to do about it.

Nothing is changed here, so that nothing has been when one of several NICs is refused.
"""

from __future__ import annotations

import errno
import os
import socket
from collections.abc import Collection
from dataclasses import dataclass
from ipaddress import ip_address

from pyroute2 import IPRoute
from pyroute2.netlink.exceptions import NetlinkError

from harness.errors import MachineError
from harness.runtime.netns import NetNs
from harness.runtime.nics.addressing import SCOPE_LINK, way_to
from harness.runtime.nics.facts import ETHERNET, IFF_PROMISC, Facts, Wanted, facts_of, names
from harness.runtime.nics.owners import (
    SshSession,
    has_dhcp_client,
    managed_by_network_manager,
    managed_by_networkd,
    ssh_session,
)

# A VLAN number for asking the kernel whether it knows VLANs at all.
_ANY_VLAN = 1


@dataclass(frozen=True)
class Users:
    """Who else uses an interface now; ``ssh``: the session that the command was called from."""

    ssh: bool = False
    network_manager: bool = False
    networkd: bool = False
    dhcp_client: bool = False


def examined(wanted: Collection[Wanted], *, move: bool) -> dict[str, Facts]:
    """Return each wanted NIC's facts by its name, all of them fit to be taken.

    With ``move`` the NICs themselves are to go to another namespace; otherwise something is put on
    them. Call it in the network namespace that the NICs are in.

    Raises:
        MachineError: one of them may not be taken, or this process may take none.
    """
    if os.geteuid() != 0:
        raise MachineError("only root may take a NIC: run the command with sudo")
    if any(each.vlan is not None for each in wanted):
        _check_vlans(move=move)
    session = ssh_session(os.getpid())
    found: dict[str, Facts] = {}
    with IPRoute() as netlink:
        for name in dict.fromkeys(each.name for each in wanted):
            facts = facts_of(netlink, name)
            if facts is None:
                there = ", ".join(names(netlink))
                raise MachineError(f"there is no NIC {name}; there are: {there}")
            users = Users(
                ssh=session is not None and _carries(netlink, facts, session),
                network_manager=managed_by_network_manager(name),
                networkd=managed_by_networkd(facts.index),
                dhcp_client=has_dhcp_client(facts.index),
            )
            reason = refusal(facts, users, move=move)
            if reason is not None:
                raise MachineError(f"{name}: {reason}")
            found[name] = facts
    return found


def refusal(facts: Facts, users: Users, *, move: bool) -> str | None:
    """Return why the NIC may not be taken and what to do, or None where it may."""
    return (
        _is_no_spare_nic(facts)
        or _carries_the_host(facts, users)
        or _is_managed(facts, users)
        or _is_in_use(facts)
        or (_cannot_be_moved(facts) if move else None)
    )


def _is_no_spare_nic(facts: Facts) -> str | None:
    if facts.loopback:
        return "this is the loopback; name a NIC that a cable can be plugged into"
    if facts.hardware != ETHERNET:
        return "this is no Ethernet interface; name one that is"
    if facts.wireless:
        # A station sends under its own address only, and the kernel moves no wireless NIC alone.
        return "this NIC is wireless; plug the router into a wired one"
    return None


def _carries_the_host(facts: Facts, users: Users) -> str | None:
    if users.ssh:
        return "the ssh session that called this command goes through it; name another NIC"
    default = next((route for route in facts.routes if route.default), None)
    if default is not None:
        return (
            f"this machine's default route (table {default.table}) goes through it; name another "
            f"NIC, or remove the route: ip {_option(default.family)}route del default "
            f"dev {facts.name} table {default.table}"
        )
    return None


def _is_managed(facts: Facts, users: Users) -> str | None:
    if users.network_manager:
        return f"NetworkManager manages it; release it: nmcli device set {facts.name} managed no"
    if users.networkd:
        return (
            "systemd-networkd manages it; release it by a .network file with "
            f"[Match] Name={facts.name} and [Link] Unmanaged=yes, then networkctl reload"
        )
    if users.dhcp_client:
        return "a DHCP client is at work on it; stop it (ss -0lp shows which)"
    return None


def _is_in_use(facts: Facts) -> str | None:
    if facts.over is not None:
        master, kind = facts.over
        return f"it is a port of {master} ({kind}); take it out: ip link set {facts.name} nomaster"
    if facts.uppers:
        uppers = ", ".join(facts.uppers)
        return f"{uppers} stands on it; remove that first: ip link del {facts.uppers[0]}"
    address = next((each for each in facts.addresses if each.scope != SCOPE_LINK), None)
    if address is not None:
        return (
            f"it has the address {address} in use; name another NIC, or remove it: "
            f"ip addr del {address} dev {facts.name}"
        )
    partial = next((each for each in facts.routes if not each.whole and not each.passing), None)
    if partial is not None:
        return f"{partial} goes through it and others, or by a nexthop object; remove that first"
    return None


def _cannot_be_moved(facts: Facts) -> str | None:
    by_hand = 1 if facts.flags & IFF_PROMISC else 0
    if facts.promiscuity > by_hand:
        return "a capture runs on it and would not survive --move; end it, or leave --move out"
    return None


def _option(family: int) -> str:
    return "-6 " if family == socket.AF_INET6 else ""


def _carries(netlink: IPRoute, facts: Facts, session: SshSession) -> bool:
    server, _, zone = session.server.partition("%")
    if zone:
        return zone == facts.name
    own = {ip_address(each.local) for each in facts.addresses}
    return ip_address(server) in own or way_to(netlink, session.client) == facts.index


def _check_vlans(*, move: bool) -> None:
    if move:
        raise MachineError("--move takes a whole NIC and not one VLAN of it: leave one of them out")
    # In a namespace of its own, which ends with it: a kernel without 802.1Q cannot make a VLAN
    # device on anything, and one that has it as a module loads it now.
    namespace = NetNs.create()
    try:
        with namespace.entered(), IPRoute() as netlink:
            netlink.link("add", ifname="trunk", kind="veth", peer={"ifname": "far"})
            (trunk,) = netlink.link("get", ifname="trunk")
            netlink.link("add", ifname="vlan", kind="vlan", link=trunk["index"], vlan_id=_ANY_VLAN)
    except NetlinkError as error:
        if error.code != errno.EOPNOTSUPP:
            raise MachineError(
                f"root may not make interfaces here: {os.strerror(error.code)}; "
                "in a container, allow NET_ADMIN and SYS_ADMIN"
            ) from error
        raise MachineError(
            "this kernel has no VLANs (802.1Q): load the module 8021q, or give each side a NIC of "
            "its own and leave vlan out"
        ) from error
    finally:
        namespace.close()
