"""The rules of firewalls, of firewalls on the host, and of a proxy's box."""

from __future__ import annotations

import re

import pytest
from definitions import firewall, host_firewall, proxy
from rulesets import each_end, gateway, node_of, unsolicited

from harness.judge.evidence import ENDED
from harness.lab.ruleset import LOG_GROUP, TABLE, closing, opening, ruleset
from harness.topology.model import ProxyProtocol, Unsolicited

# Firewalls


def only_wan_to_lan(port: int) -> str:
    return f'iifname "wan" oifname "lan" tcp dport {port} accept'


def test_a_firewall_translates_nothing() -> None:
    chains = gateway(firewall(inbound=(3389,), outbound=(25,)))
    assert set(chains) == {"input", "forward"}
    assert not re.search(r"\b(dnat|snat|masquerade|redirect)\b", ruleset(node_of(firewall())))


def test_a_firewall_lets_out_everything_and_in_what_was_asked_for() -> None:
    _, *rules = gateway(firewall())["forward"]
    ends = [rule for rule in rules if f'prefix "{ENDED}' in rule]
    assert len(ends) == 2
    assert rules == [
        "ct state established,related accept",
        'iifname "lan" oifname "wan" accept',
        *ends,
    ]


@each_end
def test_a_firewall_ends_the_unsolicited_as_its_definition_says(
    policy: Unsolicited, end: str
) -> None:
    chains = gateway(firewall(unsolicited=policy))
    assert chains["forward"][-2] == chains["input"][-1] == unsolicited(end)


def test_a_firewall_opens_the_inbound_ports_that_are_named_and_no_others() -> None:
    rules = gateway(firewall(inbound=(3389, 80)))["forward"]
    assert [rule for rule in rules if 'iifname "wan" oifname "lan"' in rule] == [
        only_wan_to_lan(3389),
        only_wan_to_lan(80),
    ]


def test_a_firewall_that_opens_a_port_opens_it_to_its_lan_and_not_to_itself() -> None:
    assert gateway(firewall(inbound=(3389,)))["input"] == gateway(firewall())["input"]


@each_end
def test_a_firewall_that_names_outbound_ports_ends_what_else_leaves_in_its_own_words(
    policy: Unsolicited, end: str
) -> None:
    rules = gateway(firewall(unsolicited=policy, outbound=(25, 1863)))["forward"]
    assert [rule for rule in rules if rule.startswith('iifname "lan"')] == [
        'iifname "lan" oifname "wan" tcp dport 25 accept',
        'iifname "lan" oifname "wan" tcp dport 1863 accept',
        f'iifname "lan" log group {LOG_GROUP} prefix "{ENDED}outbound port not allowed" {end}',
    ]


def test_a_firewall_that_names_no_outbound_port_lets_nothing_out() -> None:
    rules = gateway(firewall(outbound=()))["forward"]
    assert not [rule for rule in rules if rule.endswith("accept") and "ct state" not in rule]


@pytest.mark.parametrize("outbound", [None, (), (25,)])
def test_nothing_crosses_a_firewall_that_no_rule_lets_through(
    outbound: tuple[int, ...] | None,
) -> None:
    assert gateway(firewall(outbound=outbound))["forward"][0].endswith("policy drop;")


# Host firewalls


@each_end
def test_a_host_firewall_lets_in_what_was_asked_for_or_opened_and_ends_the_rest(
    policy: Unsolicited, end: str
) -> None:
    head, *rules = gateway(host_firewall(unsolicited=policy))["input"]
    assert head.startswith("type filter hook input ")
    assert rules == [
        'iifname "lo" accept',
        "ct state established,related accept",
        "tcp dport @opened accept",
        f'log group {LOG_GROUP} prefix "{ENDED}unsolicited packet to the host" {end}',
    ]


def test_a_host_firewall_has_nothing_opened_at_first_and_no_word_on_what_leaves() -> None:
    chains = gateway(host_firewall())
    assert set(chains) == {"set opened", "input"}
    assert chains["set opened"] == ["type inet_service"]


@pytest.mark.parametrize("opens", [True, False])
def test_who_opens_a_host_firewall_is_not_in_its_rules(opens: bool) -> None:
    """Remote Assistance does it, or nobody does, while an invitation is open."""
    own = host_firewall(opened_by_remote_assistance=opens)
    assert ruleset(node_of(own)) == ruleset(node_of(host_firewall()))


def test_opening_and_closing_name_the_set_that_the_rules_ask() -> None:
    assert opening(3389) == f"add element inet {TABLE} opened {{ 3389 }}"
    assert closing(3389) == f"delete element inet {TABLE} opened {{ 3389 }}"
    assert "set opened" in gateway(host_firewall())


# Proxies


@pytest.mark.parametrize("protocol", ProxyProtocol)
def test_a_proxy_s_box_forwards_nothing_and_says_so(protocol: ProxyProtocol) -> None:
    chains = gateway(proxy(protocol=protocol))
    assert set(chains) == {"input", "forward"}
    assert chains["forward"] == [
        "type filter hook forward priority filter; policy drop;",
        f'log group {LOG_GROUP} prefix "{ENDED}a proxy forwards nothing" drop',
    ]


def test_a_proxy_is_reached_from_its_lan_and_from_the_wan_only_by_answers() -> None:
    head, *rules = gateway(proxy())["input"]
    assert head.endswith("policy accept;")
    assert rules == [
        'iifname "wan" ct state established,related accept',
        unsolicited("drop"),
    ]
