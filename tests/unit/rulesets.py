"""The rules that are generated for a node, read chain by chain."""

from __future__ import annotations

import re

import pytest
from definitions import direct_site, firewall, plan_of, project, site

from harness.judge.evidence import ENDED
from harness.lab.ruleset import LOG_GROUP, TABLE, ruleset
from harness.topology.model import Device, Unsolicited
from harness.topology.plan import NodePlan

PROJECT = tuple(project().devices.values())
NATS = tuple(own for own in PROJECT if own.nat is not None)
each_device = pytest.mark.parametrize("own", PROJECT, ids=lambda own: own.name)
each_nat = pytest.mark.parametrize("own", NATS, ids=lambda own: own.name)
each_end = pytest.mark.parametrize(
    ("policy", "end"),
    [
        (Unsolicited.DROP, "drop"),
        (Unsolicited.REJECT, "reject with icmpx port-unreachable"),
    ],
)

Tables = dict[str, dict[str, list[str]]]


def node_of(own: Device) -> NodePlan:
    """Return the node that plays the device, with the novice behind it or on it."""
    if own.host_firewall is not None:
        return plan_of(novice=direct_site("21.0.0.2", own)).node("novice")
    if own.lan is None:
        own = own.model_copy(update={"lan": firewall().lan})
    return plan_of(novice=site(own)).node(f"novice.{own.name}")


def tables(node: NodePlan) -> Tables:
    """Read a node's ruleset: the rules of each chain of each table, in order.

    A set or map is there beside the chains, by ``set NAME`` or ``map NAME``.
    """
    found: Tables = {}
    chain: list[str] = []
    for line in filter(None, map(str.strip, ruleset(node).splitlines())):
        if match := re.fullmatch(r"table inet (\w+) \{", line):
            found[match[1]] = {}
        elif match := re.fullmatch(r"(?:chain )?((?:set |map )?\w+) \{", line):
            chain = found[list(found)[-1]][match[1]] = []
        elif line != "}":
            chain.append(line)
    return found


def gateway(own: Device) -> dict[str, list[str]]:
    """Return the chains of a device's own table."""
    return tables(node_of(own))[TABLE]


def unsolicited(end: str) -> str:
    """Return the rule that ends, in this way, what comes in by the WAN unasked."""
    return f'iifname "wan" log group {LOG_GROUP} prefix "{ENDED}unsolicited packet on wan" {end}'
