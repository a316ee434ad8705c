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
from harness.lab.sockets import TABLES, listeners
from harness.runtime import nftables
from harness.runtime.inside import NamespaceBackend
from harness.runtime.netns import NetNs
from harness.runtime.node import Part
from harness.topology.plan import NodePlan

FORWARDING = "passes packets on exactly where it should"
RULES = "has exactly the generated rules"
LISTENERS = "only what should listens"
DAEMON = "the mapping daemon alone has its ports"
INVITATION = "the invitation's port listens and nothing else"

RULED = (Part.GATEWAY, Part.GATEWAY_UPNP, Part.PROXY, Part.INTERNET)
"""The parts whose rules and forwarding are checked; a host has neither."""

_LIST_RULES = "nft list ruleset"
_FORWARD_SWITCH = "/proc/sys/net/ipv4/ip_forward"
_TABLE_FOLDER = "/proc/net"
# Every file with its name above it; a kernel without IPv6 lacks two of the tables.
_SHOW = "tail -v -n +1 {} 2>/dev/null"
_SHOWN = re.compile(r"^==> (?P<path>\S+) <==$", re.MULTILINE)

# As ss prints it: netid, state, queues, local address and port, peer, and who holds the socket.
_SS = "ss -Hlntup"
_SS_ROW = re.compile(r"^(?P<netid>\S+)(?:\s+\S+){3}\s+\S+:(?P<port>\d+)\s+\S+(?P<holders>.*)$")
_HOLDER = re.compile(r'\("(?P<name>[^"]+)",pid=(?P<pid>\d+)')


@dataclass(frozen=True)
class Seen:
    """What a node was seen to be: its forwarding switch, its listening sockets, its rules.

    ``rules`` is None where nobody looked, or where they could not be listed.
    """

    forwards: str
    listening: Counter[str]
    rules: str | None


def host_of(node: str, namespace: NetNs) -> Host:
    """Return a node as testinfra sees it from outside."""
    return Host(NamespaceBackend(node, namespace))


def look(host: Host, rules: bool) -> Seen:
    """Look at a node, at its rules too where asked, with one command."""
    files = [_FORWARD_SWITCH, *(f"{_TABLE_FOLDER}/{table}" for table in TABLES)]
    command = _SHOW.format(" ".join(files))
    said = host.run(f"{command}; echo '==> rules <=='; {_LIST_RULES}" if rules else command)
    _, *parts = _SHOWN.split(said.stdout)
    shown = {path: text.strip("\n") for path, text in zip(parts[::2], parts[1::2], strict=True)}
    sockets = Counter(
        socket
        for table in TABLES
        for socket in listeners(table, shown.get(f"{_TABLE_FOLDER}/{table}", ""))
    )
    return Seen(
        forwards=shown.get(_FORWARD_SWITCH, ""),
        listening=sockets,
        rules=shown.get("rules") if rules and said.succeeded else None,
    )


def control_node(
    host: Host, node: NodePlan, rules: str, daemon_ports: Collection[str]
) -> Iterator[Control]:
    """Check one node of a lab in which no invitation is open.

    ``rules`` is what nft lists where the generated rules alone are loaded, ``daemon_ports`` where
    the node's own daemon listens.
    """
    if node.part not in RULED:
        return
    seen = look(host, rules=True)
    yield forwarding(seen, node)
    yield loaded_rules(seen, node.name, rules)
    if node.part is Part.GATEWAY_UPNP:
        yield mapping_daemon(host, node.name, daemon_ports)
    else:
        yield only_listening(LISTENERS, seen, node.name, daemon_ports)


def forwarding(seen: Seen, node: NodePlan) -> Control:
    """Check that a gateway forwards, and that a proxy's box does not."""
    wanted = "1" if node.stack.forwards else "0"
    detail = f"ip_forward is {seen.forwards or 'not to be seen'}, planned {wanted}"
    return Control(name=FORWARDING, node=node.name, passed=seen.forwards == wanted, detail=detail)


def loaded_rules(seen: Seen, node: str, rules: str) -> Control:
    """Check that a node has the rules that were generated for it, and no others."""
    if seen.rules is None:
        return Control(name=RULES, node=node, passed=False, detail=f"{_LIST_RULES} failed there")
    lines, wanted = seen.rules.splitlines(), rules.splitlines()
    passed = lines == wanted
    detail = f"{len(lines)} lines as generated" if passed else _first_difference(lines, wanted)
    return Control(name=RULES, node=node, passed=passed, detail=detail)


def mapping_daemon(host: Host, node: str, ports: Collection[str]) -> Control:
    """Check that the mapping daemon runs, and one process of it alone holds all of its ports."""
    rows = [row for line in host.run(_SS).stdout.splitlines() if (row := _SS_ROW.match(line))]
    holders = {
        port: {
            (holder["pid"], holder["name"])
            for row in rows
            if f"{row['netid'].upper()} {row['port']}" == port
            for holder in _HOLDER.finditer(row["holders"])
        }
        for port in ports
    }
    processes = set().union(*holders.values())
    alone = [name for _, name in processes] == [miniupnpd.PROGRAM]
    named = {port: ", ".join(name for _, name in found) for port, found in holders.items()}
    return Control(
        name=DAEMON,
        node=node,
        passed=alone and all(holders.values()),
        detail="; ".join(f"{port}: {names or 'nobody'}" for port, names in named.items()),
    )


def open_invitation(host: Host, node: str, port: int) -> Control:
    """Check that a host with an open invitation listens on its port and nowhere else."""
    return only_listening(INVITATION, look(host, rules=False), node, [f"TCP {port}"])


def only_listening(name: str, seen: Seen, node: str, wanted: Collection[str]) -> Control:
    """Check, by the name of ``name``, that sockets listen where wanted, one each, and no others."""
    passed = seen.listening == Counter(wanted)
    detail = f"listening: {_listed(seen.listening.elements())}"
    if not passed:
        detail += f"; should be: {_listed(wanted)}"
    return Control(name=name, node=node, passed=passed, detail=detail)


@cache
def reference(rules: str) -> str:
    """Return what nft lists where these rules alone are loaded, on this host."""
    scratch = NetNs.create()
    try:
        with scratch.entered():
            nftables.load(rules)
            return nftables.listing().strip("\n")
    finally:
        scratch.close()


def _listed(sockets: Iterable[str]) -> str:
    return ", ".join(sorted(sockets)) or "nothing"


def _first_difference(found: list[str], wanted: list[str]) -> str:
    for number, (is_there, planned) in enumerate(zip(found, wanted, strict=False), start=1):
        if is_there != planned:
            return f"line {number} is {is_there.strip()!r}, generated {planned.strip()!r}"
    return f"{len(found)} lines are loaded, generated {len(wanted)}"
