"""Which tables a node has, and what is in the rules of every device alike."""

from __future__ import annotations

import re

import pytest
from definitions import (
    device,
    firewall,
    host_firewall,
    neighbour,
    plan_of,
    proxy,
    site,
    three_devices,
)
from rulesets import each_device, each_nat, gateway, node_of, tables

from harness.judge.evidence import ENDED, SENT
from harness.lab.ruleset import (
    FORWARD_CHAIN,
    LOG_GROUP,
    POSTROUTING_CHAIN,
    PREROUTING_CHAIN,
    TABLE,
    ruleset,
)
from harness.topology.model import Device, Unsolicited
from harness.topology.plan import NodePlan

MAX_LOG_PREFIX = 127
"""The kernel's NF_LOG_PREFIXLEN, less the terminating zero."""

MAPPED_CHAINS = (FORWARD_CHAIN, PREROUTING_CHAIN, POSTROUTING_CHAIN)


# Which tables a node has


def test_a_host_is_watched_and_has_no_rules() -> None:
    lab = plan_of(novice=site(device(), neighbours=(neighbour("laptop", "10.1.1.8", 3389),)))
    for name in ("novice", "novice.laptop", "expert", "services"):
        assert set(tables(lab.node(name))) == {"watch"}


def test_the_internet_has_the_core_s_table_and_is_watched() -> None:
    assert set(tables(plan_of().node("internet"))) == {"watch", "core"}


def test_a_device_has_a_table_of_its_own_and_is_watched() -> None:
    assert set(tables(node_of(device()))) == {"watch", TABLE}


@each_device
def test_whoever_plays_a_device_of_any_kind_has_a_table_of_its_own(own: Device) -> None:
    assert set(tables(node_of(own))) == {"watch", TABLE}


def test_the_host_behind_a_box_is_watched_and_has_no_rules_unless_it_has_a_firewall() -> None:
    lab = plan_of(novice=site(host_firewall(), device()), expert=site(device()))
    assert set(tables(lab.node("novice"))) == {"watch", TABLE}
    assert set(tables(lab.node("expert"))) == {"watch"}


def test_every_node_is_watched_in_the_same_way() -> None:
    lab = plan_of(novice=site(host_firewall(), *three_devices()), expert=site(proxy()))
    watches = [tables(node)["watch"] for node in lab.nodes]
    assert all(watch == watches[0] for watch in watches)
    syn_and_rst, icmp = watches[0]["output"][1:]
    assert syn_and_rst == (f'tcp flags & (syn | rst) != 0 log group {LOG_GROUP} prefix "{SENT}"')
    assert icmp == f'icmp type destination-unreachable log group {LOG_GROUP} prefix "{SENT}"'


def test_what_watches_a_node_lets_everything_pass() -> None:
    (rules,) = tables(plan_of().node("novice"))["watch"].values()
    assert rules[0].endswith("policy accept;")
    assert not any(re.search(r"\b(drop|reject)\b", rule) for rule in rules)


def test_the_internet_says_at_once_that_it_has_no_route() -> None:
    (rules,) = tables(plan_of().node("internet"))["core"].values()
    assert rules[-1] == (
        f'fib daddr oif missing log group {LOG_GROUP} prefix "{ENDED}no route" '
        "reject with icmp type net-unreachable"
    )


# What the rules are made from


@each_device
def test_the_rules_name_no_device(own: Device) -> None:
    """They are made from what a device is, not from what it is called."""
    renamed = own.model_copy(update={"name": "other", "title": "Other", "source": "", "note": ""})
    assert ruleset(node_of(renamed)) == ruleset(node_of(own))


@each_nat
def test_no_rule_opens_what_the_daemon_has_not_mapped(own: Device) -> None:
    """A device that maps ports has the rules of one that does not, until someone asks."""
    plain = own.model_copy(update={"upnp": None, "nat_pmp": None})
    assert ruleset(node_of(own)) == ruleset(node_of(plain))


@each_nat
def test_the_mapped_chains_are_there_and_empty(own: Device) -> None:
    chains = gateway(own)
    assert [chains[name] for name in MAPPED_CHAINS] == [[], [], []]


@each_nat
def test_each_mapped_chain_is_reached_from_its_hook(own: Device) -> None:
    chains = gateway(own)
    assert f"jump {FORWARD_CHAIN}" in chains["forward"]
    assert f"jump {PREROUTING_CHAIN}" in chains["prerouting"]
    assert f"jump {POSTROUTING_CHAIN}" in chains["postrouting"]


@pytest.mark.parametrize("policy", Unsolicited)
def test_what_ends_a_packet_logs_it_first(policy: Unsolicited) -> None:
    """A "No" is proven by the log of the rule that made it."""
    for node in every_kind(policy):
        for chains in tables(node).values():
            rules = [rule for rules in chains.values() for rule in rules if "policy" not in rule]
            for rule in rules:
                if re.search(r"\b(drop|reject)\b", rule):
                    assert f'log group {LOG_GROUP} prefix "{ENDED}' in rule


def every_kind(policy: Unsolicited) -> list[NodePlan]:
    """Return the nodes of a lab with a device of each kind."""
    lab = plan_of(
        novice=site(
            host_firewall(unsolicited=policy),
            device(unsolicited=policy),
            firewall(unsolicited=policy, outbound=(25,)),
        ),
        expert=site(proxy()),
    )
    assert len([node for node in lab.nodes if node.device is not None]) == 4
    return list(lab.nodes)


def test_the_kernel_keeps_every_log_prefix_whole() -> None:
    rules = "".join(map(ruleset, every_kind(Unsolicited.DROP)))
    prefixes = re.findall(r'prefix "([^"]*)"', rules)
    assert prefixes
    assert max(map(len, prefixes)) <= MAX_LOG_PREFIX
