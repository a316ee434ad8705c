"""What decided a scenario: the one dial of several that counts, and who let it in or ended it."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Network, ip_address
from itertools import pairwise
from typing import Final

from harness.judge.model import Attempt, ScenarioResult, Winner
from harness.judge.trace import SYN, Trace
from harness.report.wording import endpoint, plain
from harness.topology.model import Device, Topology
from harness.topology.plan import box_nodes
from harness.words import Answer, End, Role, Verdict

Journeys = Sequence[tuple[Attempt, Trace]]

# RFC 1918 3: nobody outside of a site has a route to these.
_PRIVATE: Final = tuple(
    map(IPv4Network, ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16")),
)


@dataclass(frozen=True)
class Cause:
    """Who decided a scenario, as a sentence: ``what``, then ``node``, then ``rest``.

    ``node`` is empty where no node did, and ``rest`` has its own punctuation. ``attempt`` is the
    dial that counts; None where the harness or a control failed, or where nobody dialled. ``at``
    are the nodes as a topology names them. All words are safe to show.
    """

    what: str
    node: str = ""
    rest: str = ""
    attempt: Attempt | None = None
    at: tuple[str, ...] = ()

    @property
    def key(self) -> tuple[str, str, str]:
        """What scenarios that were decided alike have in common."""
        return self.what, self.node, self.rest

    def is_of(self, made: Attempt) -> bool:
        """Say whether a dial is the one that counts; a bundle may have it in other words."""
        return self.attempt is not None and _to(made) == _to(self.attempt)


def cause_of(result: ScenarioResult, topology: Topology | None, journeys: Journeys) -> Cause:
    """Say what decided a scenario.

    ``topology`` and ``journeys`` are its bundle's. Without them a Yes is known to have connected,
    but not who let it in.
    """
    if result.verdict is Verdict.INVALID:
        failed = next(control for control in result.controls if not control.passed)
        name, node = plain(failed.name), plain(failed.node)
        return Cause("a control failed at", node, f": {name}", at=(failed.node,))
    if result.verdict is Verdict.ERROR or result.observed is None:
        return Cause("the harness failed", rest=f": {plain(result.why)}")
    attempt = deciding(result)
    if attempt is None:
        return Cause(plain(result.why))
    if attempt.end is not End.CONNECTED:
        return _ended(attempt, topology)
    trace = next((trace for made, trace in journeys if _to(made) == _to(attempt)), None)
    if trace is None or topology is None:
        node = plain(attempt.ended_at)
        return Cause("connected at", node, attempt=attempt, at=(attempt.ended_at,))
    return _let_in(attempt, trace, topology)


def deciding(result: ScenarioResult) -> Attempt | None:
    """Return the dial that settles the answer; None where nobody dialled.

    Of a Yes it is the one that counted. Of a No it is the one that the model's reason is about,
    then one that a device ended, then the expert's: the rest could hardly have worked.
    """
    seen = result.observed
    if seen is None or not seen.attempts:
        return None
    if seen.answer is Answer.YES:
        connected = [each for each in seen.attempts if each.end is End.CONNECTED]
        won = (each for each in connected if seen.winner and _to(each) == _to(seen.winner))
        return next(won, connected[0] if connected else None)
    why = result.predicted.why if result.predicted is not None else ""
    return min(
        seen.attempts,
        key=lambda each: (
            not _names(why, each.address),
            "." not in each.ended_at,
            each.dialler is not Role.EXPERT,
        ),
    )


def dial(attempt: Attempt) -> str:
    """Name a dial in words."""
    return f"the {attempt.dialler}'s dial to {endpoint(attempt.address, attempt.port)}"


def is_private(attempt: Attempt) -> bool:
    """Say whether a dial was to an address that has no meaning outside of its site (RFC 1918).

    A ticket has such addresses too, and from another site a dial to one is bound to fail.
    """
    try:
        address = ip_address(attempt.address)
    except ValueError:  # A results file may say anything.
        return False
    return any(address in network for network in _PRIVATE)


def _ended(attempt: Attempt, topology: Topology | None) -> Cause:
    """Say in the kernel's words who ended a dial, and why its gateway let nothing in."""
    node, how = plain(attempt.ended_at), plain(attempt.how)
    if not node:
        return Cause("ended nobody knows where", rest=f": {how}", attempt=attempt)
    at = (attempt.ended_at,)
    # One site's nodes may begin with another node's name: novice, novice.nat, novice.nat.2.
    named = re.search(rf"(?<=\S ){re.escape(node)}(?![\w-]|\.\w)", how)
    if named is None:
        return Cause("ended at", node, f": {how}", attempt, at)
    rest = how[named.end() :]
    device = None if topology is None else _boxes_of_dialled(attempt, topology).get(node)
    if device is not None and _is_closed(device):
        rest += ", which maps no port"
    return Cause(how[: named.start() - 1], node, rest, attempt, at)


def _let_in(attempt: Attempt, trace: Trace, topology: Topology) -> Cause:
    """Say which devices before the person dialled let the SYN in, and by what."""
    target = _dialled(attempt)
    site = topology.sites[target]
    boxes = _boxes_of_dialled(attempt, topology)
    passed = [node for node in trace.nodes if node in boxes]
    changed = {node: ends for node, ends in _redirected(trace).items() if node in boxes}
    helpers = list(changed) or passed
    if helpers:
        first = helpers[0]
        rest = f", which {_helps(boxes[first], attempt, changed.get(first))}"
        names = " and ".join(map(plain, helpers))
        return Cause("let in by", names, rest if len(helpers) == 1 else "", attempt, tuple(helpers))
    if site.host_firewall is not None:
        return Cause("let in by", target.value, ", by the firewall on it", attempt, (target.value,))
    if trace.nodes[0] != attempt.dialler:
        proxy = trace.nodes[0]
        return Cause("dialled by", plain(proxy), f", to the {target}", attempt, (proxy,))
    return Cause("connected at", target.value, ", before which nothing stands", attempt, (target,))


def _is_closed(device: Device) -> bool:
    """Say whether it is a NAT of ours that by its definition lets nothing in by itself."""
    if device.nat is None or device.gear is not None or device.firewall is not None:
        return False
    return not device.maps_ports and not device.nat.forward


def _dialled(attempt: Attempt) -> Role:
    return Role.NOVICE if attempt.dialler is Role.EXPERT else Role.EXPERT


def _boxes_of_dialled(attempt: Attempt, topology: Topology) -> Mapping[str, Device]:
    """Return the devices before the person dialled, by node."""
    target = _dialled(attempt)
    return dict(box_nodes(target, topology.sites[target]))


def _redirected(trace: Trace) -> Mapping[str, tuple[str, str]]:
    """Return the nodes that gave the SYN another destination: which it had, and got, ``ip:port``.

    They stand in the order of the path.
    """
    way = (step for step in trace.steps if step.what == SYN)
    return {
        step.node: (step.destination, further.destination)
        for step, further in pairwise(way)
        if step.node == further.node and step.destination != further.destination
    }


def _helps(device: Device, attempt: Attempt, changed: tuple[str, str] | None) -> str:
    """Say what of a device's definition lets a SYN in; else only what it was seen to do.

    ``changed`` is the destination that the SYN had before the device and got there, if another.
    """
    if changed is None:
        opened = device.firewall is not None and attempt.port in device.firewall.inbound
        return f"opens {attempt.port}" if opened else "passed it on"
    had, got = changed
    port = int(had.rpartition(":")[2])
    if device.nat is not None and any(each.port == port for each in device.nat.forward):
        return f"forwards {port}"
    if device.maps_ports:
        return "maps a port when asked"
    return f"passed {port} on to {got}"


def _names(why: str, address: str) -> bool:
    return re.search(rf"(?<![\d.]){re.escape(address)}(?!\.?\d)", why) is not None


def _to(dialled: Attempt | Winner) -> tuple[Role, str, int]:
    return dialled.dialler, dialled.address, dialled.port
