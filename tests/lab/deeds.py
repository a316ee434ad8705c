"""What tests do to a node of a running lab, in its own namespace, by nft and by netlink."""

from __future__ import annotations

import socket
from collections.abc import Callable

from pyroute2 import IPRoute

from harness.lab.lab import Lab
from harness.lab.ruleset import TABLE
from harness.runtime import nftables

Deed = Callable[[Lab], object]

SYMMETRIC = 'oifname "wan" masquerade fully-random'
"""The rule of a NAT that takes another port for each connection."""


def nothing(_: Lab) -> None:
    """Leave the lab as it is."""


def rules(node: str, *commands: str) -> Deed:
    """Change a node's rules."""

    def deed(lab: Lab) -> None:
        with lab.namespaces[node].entered():
            nftables.load("\n".join(commands))

    return deed


def instead(node: str, chain: str, *others: str) -> Deed:
    """Have other rules in a chain of a node than were generated."""
    commands = [f"add rule inet {TABLE} {chain} {rule}" for rule in others]
    return rules(node, f"flush chain inet {TABLE} {chain}", *commands)


def also(*deeds: Deed) -> Deed:
    def deed(lab: Lab) -> None:
        for each in deeds:
            each(lab)

    return deed


def address(node: str, interface: str, old: str | None, new: str) -> Deed:
    """Give an interface another address of its /24, beside its own or in its place."""

    def deed(lab: Lab) -> None:
        with lab.namespaces[node].entered(), IPRoute() as netlink:
            (index,) = netlink.link_lookup(ifname=interface)
            if old is not None:
                netlink.addr("del", index=index, address=old, prefixlen=24)
            netlink.addr("add", index=index, address=new, prefixlen=24)

    return deed


def route(node: str, command: str, to: str, via: str) -> Deed:
    def deed(lab: Lab) -> None:
        with lab.namespaces[node].entered(), IPRoute() as netlink:
            netlink.route(command, dst=to, gateway=via)

    return deed


# Sockets that stay open as long as the lab's process.
_OPENED: list[socket.socket] = []


def listens(node: str, port: int) -> Deed:
    def deed(lab: Lab) -> None:
        with lab.namespaces[node].entered():
            _OPENED.append(socket.create_server(("0.0.0.0", port)))

    return deed
