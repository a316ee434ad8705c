"""Checks that a node is what its definition says, on any runtime.

A node is looked at through a testinfra ``Host``, so that the same checks hold from outside (in the
node's network namespace with the harness's own programs, which starts nothing in a container) and
from inside (testinfra's docker backend). They are made before a scenario counts, and one that fails
makes it ``invalid``.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from functools import cache

from testinfra.host import Host

from harness.judge.model import Control
from harness.lab import miniupnpd
from harness.lab.ruleset import ruleset
from harness.runtime import nftables
from harness.runtime.inside import LIST_RULES, LIST_SOCKETS, NamespaceBackend
from harness.runtime.netns import NetNs
from harness.runtime.node import Part
from harness.topology.plan import LabPlan, NodePlan

FORWARDING = "passes packets on exactly where it should"
RULES = "has exactly the generated rules"
LISTENERS = "only what should listens"
DAEMON = "the mapping daemon alone has its ports"
INVITATION = "the invitation's port listens and nothing else"

RULED = (Part.GATEWAY, Part.GATEWAY_UPNP, Part.PROXY, Part.INTERNET)
"""The parts that are always checked; of hosts those that have a firewall are."""

_FORWARD_SWITCH = "/proc/sys/net/ipv4/ip_forward"
# As ss prints it: netid, state, queues, local address and port, peer, and who holds the socket.
_SS_WITH_HOLDERS = "ss -Hlntup"
_SS_ROW = re.compile(r"^(?P<netid>\S+)(?:\s+\S+){3}\s+\S+:(?P<port>\d+)\s+\S+(?P<holders>.*)$")
_HOLDER = re.compile(r'\("(?P<name>[^"]+)",pid=(?P<pid>\d+)')


@dataclass(frozen=True)
class Seen:
    """What a node was seen to be: its forwarding switch, its listening sockets, its rules.

    ``listening`` is None where the sockets could not be listed, ``rules`` where the rules could not
    or nobody looked.
    """

    forwards: str
    listening: Counter[str] | None
    rules: str | None


def host_of(node: str, namespace: NetNs) -> Host:
    """Return a node as testinfra sees it from outside."""
    return Host(NamespaceBackend(node, namespace))


def look(host: Host, rules: bool) -> Seen:
    """Look at a node, at its rules too where asked."""
    forwards = host.run("cat %s", _FORWARD_SWITCH)
    listed = host.run(LIST_RULES) if rules else None
    sockets = _list_sockets(host, LIST_SOCKETS)
    return Seen(
        forwards=forwards.stdout.strip() if forwards.succeeded else "",
        listening=None if sockets is None else Counter(map(_socket, sockets)),
        rules=listed.stdout if listed is not None and listed.succeeded else None,
    )


def _list_sockets(host: Host, command: str) -> list[re.Match[str]] | None:
    listed = host.run(command)
    if not listed.succeeded:
        return None
    return [row for line in listed.stdout.splitlines() if (row := _SS_ROW.match(line))]


def _socket(row: re.Match[str]) -> str:
    """Name a socket as definitions of daemons do: ``TCP 5431``."""
    return f"{row['netid'].upper()} {row['port']}"


def control_node(host: Host, node: NodePlan, daemon_ports: Collection[str]) -> Iterator[Control]:
    """Check one node of a lab in which no invitation is open.

    ``daemon_ports`` is where the node's own daemon listens.
    """
    if node.part not in RULED and node.device is None:
        return
    seen = look(host, rules=True)
    yield forwarding(seen, node)
    yield loaded_rules(seen, node.name, reference(ruleset(node)))
    if node.part is Part.GATEWAY_UPNP:
        yield mapping_daemon(host, node.name, daemon_ports)
    else:
        yield only_listening(LISTENERS, seen, node.name, daemon_ports)


def forwarding(seen: Seen, node: NodePlan) -> Control:
    """Check that a gateway forwards, and that a proxy's box and a host do not."""
    wanted = "1" if node.stack.forwards else "0"
    detail = f"ip_forward is {seen.forwards or 'not to be seen'}, planned {wanted}"
    return Control(name=FORWARDING, node=node.name, passed=seen.forwards == wanted, detail=detail)


def loaded_rules(seen: Seen, node: str, rules: str) -> Control:
    """Check that a node has the rules that were generated for it, and no others."""
    if seen.rules is None:
        return _failed(RULES, node, LIST_RULES)
    lines, wanted = seen.rules.splitlines(), rules.splitlines()
    passed = lines == wanted
    detail = f"{len(lines)} lines as generated" if passed else _first_difference(lines, wanted)
    return Control(name=RULES, node=node, passed=passed, detail=detail)


def mapping_daemon(host: Host, node: str, ports: Collection[str]) -> Control:
    """Check that the mapping daemon runs, and one process of it alone has all that listens.

    On ports that the kernel chose it may have sockets beside its own ``ports``.
    """
    sockets = _list_sockets(host, _SS_WITH_HOLDERS)
    if sockets is None:
        return _failed(DAEMON, node, _SS_WITH_HOLDERS)
    holders: dict[str, set[tuple[str, str]]] = {port: set() for port in ports}
    for row in sockets:
        held = holders.setdefault(_socket(row), set())
        held |= {(each["pid"], each["name"]) for each in _HOLDER.finditer(row["holders"])}
    processes = set().union(*holders.values())
    alone = [name for _, name in processes] == [miniupnpd.PROGRAM]
    named = {port: sorted(name for _, name in found) for port, found in holders.items()}
    return Control(
        name=DAEMON,
        node=node,
        passed=alone and all(holders.values()),
        detail="; ".join(
            f"{port}: {', '.join(names) or 'nobody'}"
            for port, names in named.items()
            if port in ports or names != [miniupnpd.PROGRAM]
        ),
    )


def open_invitation(host: Host, node: str, port: int) -> Control:
    """Check that a host with an open invitation listens on its port and nowhere else."""
    return only_listening(INVITATION, look(host, rules=False), node, [f"TCP {port}"])


def only_listening(name: str, seen: Seen, node: str, wanted: Collection[str]) -> Control:
    """Check, by the name of ``name``, that sockets listen where wanted, one each, and no others."""
    if seen.listening is None:
        return _failed(name, node, LIST_SOCKETS)
    passed = seen.listening == Counter(wanted)
    detail = f"listening: {_listed(seen.listening.elements())}"
    if not passed:
        detail += f"; should be: {_listed(wanted)}"
    return Control(name=name, node=node, passed=passed, detail=detail)


def prepare(plan: LabPlan) -> None:
    """Find out in advance what nft lists for the nodes of a lab."""
    for node in plan.own:
        if node.part in RULED:
            reference(ruleset(node))


@cache
def reference(rules: str) -> str:
    """Return what nft lists where these rules alone are loaded, on this host."""
    scratch = NetNs.create()
    try:
        with scratch.entered():
            nftables.load(rules)
            return nftables.listing()
    finally:
        scratch.close()


def _failed(name: str, node: str, command: str) -> Control:
    return Control(name=name, node=node, passed=False, detail=f"{command} failed there")


def _listed(sockets: Iterable[str]) -> str:
    return ", ".join(sorted(sockets)) or "nothing"


def _first_difference(found: list[str], wanted: list[str]) -> str:
    for number, (is_there, planned) in enumerate(zip(found, wanted, strict=False), start=1):
        if is_there != planned:
            return f"line {number} is {is_there.strip()!r}, generated {planned.strip()!r}"
    return f"{len(found)} lines are loaded, generated {len(wanted)}"
