"""The rules of a NAT: what they end, what they translate and whom they let in."""

from __future__ import annotations

import re
from dataclasses import replace
from ipaddress import IPv4Address

import pytest
from definitions import device, plan_of, site, three_devices
from rulesets import each_end, gateway, node_of, tables, unsolicited

from harness.judge.evidence import ENDED
from harness.lab.ruleset import FORWARD_CHAIN, LOG_GROUP, POSTROUTING_CHAIN, PREROUTING_CHAIN, TABLE
from harness.topology.model import Device, Filtering, Mapping, Unsolicited
from harness.topology.plan import NodePlan


def forwards(node: NodePlan) -> list[str]:
    """Return the rules that send what comes to the WAN elsewhere."""
    return [rule for rule in tables(node)[TABLE]["prerouting"] if "dnat" in rule]


# What a device does with what nobody asked for


@pytest.mark.parametrize("chain", ["input", "forward"])
@each_end
def test_a_device_ends_the_unsolicited_as_its_definition_says(
    policy: Unsolicited, end: str, chain: str
) -> None:
    assert unsolicited(end) in gateway(device(unsolicited=policy))[chain]


@each_end
def test_whatever_else_would_cross_a_device_is_ended_too(policy: Unsolicited, end: str) -> None:
    last = gateway(device(unsolicited=policy))["forward"][-1]
    assert last.startswith(f'log group {LOG_GROUP} prefix "{ENDED}')
    assert last.endswith(f'" {end}')


@pytest.mark.parametrize("policy", Unsolicited)
def test_unsolicited_decides_nothing_else(policy: Unsolicited) -> None:
    def without_ends(own: Device) -> dict[str, list[str]]:
        end = re.compile(r" (drop|reject with icmpx port-unreachable)$")
        return {name: [end.sub("", rule) for rule in rules] for name, rules in gateway(own).items()}

    assert without_ends(device(unsolicited=policy)) == without_ends(device())


def test_only_packets_from_the_wan_are_ended_at_the_device_itself() -> None:
    """Its LAN must reach its daemon."""
    head, *rules = gateway(device())["input"]
    assert head.endswith("policy accept;")
    assert all(rule.startswith('iifname "wan" ') for rule in rules)


@pytest.mark.parametrize("policy", Unsolicited)
def test_nothing_crosses_a_device_that_no_rule_lets_through(policy: Unsolicited) -> None:
    assert gateway(device(unsolicited=policy))["forward"][0].endswith("policy drop;")


def test_a_device_lets_out_everything_and_in_what_was_asked_for_or_mapped() -> None:
    _, *rules = gateway(device())["forward"]
    ends = [rule for rule in rules if f'prefix "{ENDED}' in rule]
    assert ends
    assert rules == [
        "ct state established,related accept",
        'iifname "lan" oifname "wan" accept',
        f"jump {FORWARD_CHAIN}",
        'iifname "wan" ct status dnat accept',
        *ends,
    ]


def test_a_device_translates_what_leaves_by_its_wan_and_only_that() -> None:
    head, *rules = gateway(device())["postrouting"]
    assert "type nat hook postrouting" in head
    assert rules == [f"jump {POSTROUTING_CHAIN}", 'oifname "wan" masquerade']


# The axes of a NAT


def axes(mapping: Mapping, filtering: Filtering) -> dict[str, list[str]]:
    """Return the chains, sets and maps of a NAT with these axes."""
    return gateway(device(mapping=mapping, filtering=filtering))


def test_mapping_that_depends_on_the_peer_takes_a_random_port_for_each_connection() -> None:
    dependent = Mapping.ADDRESS_AND_PORT_DEPENDENT
    symmetric = axes(dependent, Filtering.ADDRESS_AND_PORT_DEPENDENT)
    assert symmetric["postrouting"][-1] == 'oifname "wan" masquerade fully-random'


@pytest.mark.parametrize("filtering", Filtering)
def test_mapping_that_does_not_keeps_the_source_port(filtering: Filtering) -> None:
    cone = axes(Mapping.ENDPOINT_INDEPENDENT, filtering)
    assert cone["postrouting"][-1] == 'oifname "wan" masquerade'


@pytest.mark.parametrize("mapping", Mapping)
def test_a_nat_that_admits_only_whom_it_knows_remembers_nothing_more(mapping: Mapping) -> None:
    chains = axes(mapping, Filtering.ADDRESS_AND_PORT_DEPENDENT)
    assert not [name for name in chains if name.startswith(("set ", "map "))]
    assert "@" not in "".join(rule for rules in chains.values() for rule in rules)


@pytest.mark.parametrize("filtering", [Filtering.ENDPOINT_INDEPENDENT, Filtering.ADDRESS_DEPENDENT])
def test_what_a_nat_remembers_comes_after_hand_made_forwards_and_the_daemon_s(
    filtering: Filtering,
) -> None:
    """A mapping that someone asked for is worth more than one that an outbound packet made."""
    own = device(filtering=filtering, forward=((3389, 3389),))
    _, hand_made, mapped, admitted = gateway(own)["prerouting"]
    assert hand_made.startswith('iifname "wan" tcp dport 3389 dnat ip to ')
    assert mapped == f"jump {PREROUTING_CHAIN}"
    assert admitted.startswith('iifname "wan" ')
    assert "@mapped_ports" in admitted


def test_only_the_peer_s_address_counts_where_filtering_depends_on_the_address() -> None:
    anyone = axes(Mapping.ENDPOINT_INDEPENDENT, Filtering.ENDPOINT_INDEPENDENT)
    known = axes(Mapping.ENDPOINT_INDEPENDENT, Filtering.ADDRESS_DEPENDENT)
    assert "set contacted" not in anyone
    assert "type ipv4_addr . inet_service" in known["set contacted"]
    assert "ip saddr . tcp dport @contacted" in known["prerouting"][-1]
    assert "saddr" not in anyone["prerouting"][-1]


@pytest.mark.parametrize("mapping", Mapping)
def test_the_axes_change_neither_what_is_let_through_nor_how_the_rest_is_ended(
    mapping: Mapping,
) -> None:
    plain = gateway(device())
    for filtering in Filtering:
        if mapping is Mapping.ENDPOINT_INDEPENDENT or filtering is (
            Filtering.ADDRESS_AND_PORT_DEPENDENT
        ):
            chains = axes(mapping, filtering)
            assert (chains["input"], chains["forward"]) == (plain["input"], plain["forward"])


# Hand-made forwards


def test_a_device_without_hand_made_forwards_sends_nothing_inward() -> None:
    assert forwards(node_of(device())) == []


def test_a_forward_goes_to_the_host_s_own_address() -> None:
    own = device(forward=((3389, 3389), (8080, 80)))
    lab = plan_of(novice=site(own, address="10.1.1.50"))
    assert forwards(lab.node("novice.box")) == [
        'iifname "wan" tcp dport 3389 dnat ip to 10.1.1.50:3389',
        'iifname "wan" tcp dport 8080 dnat ip to 10.1.1.50:80',
    ]


def test_a_forward_of_an_outer_device_goes_to_the_next_device_s_wan() -> None:
    inner, middle, outer = (
        own.model_copy(update={"nat": device(forward=((port, 3389),)).nat})
        for own, port in zip(three_devices(), (1001, 1002, 1003), strict=True)
    )
    lab = plan_of(expert=site(inner, middle, outer))
    assert [forwards(lab.node(f"expert.{name}")) for name in ("inner", "middle", "outer")] == [
        ['iifname "wan" tcp dport 1001 dnat ip to 10.1.1.2:3389'],
        ['iifname "wan" tcp dport 1002 dnat ip to 10.2.2.9:3389'],
        ['iifname "wan" tcp dport 1003 dnat ip to 10.3.3.3:3389'],
    ]


def test_a_hand_made_forward_comes_before_those_of_the_daemon() -> None:
    rules = gateway(device(forward=((3389, 3389),)))["prerouting"]
    assert "type nat hook prerouting priority dstnat" in rules[0]
    assert rules[2:] == [f"jump {PREROUTING_CHAIN}"]


def test_a_forward_goes_where_the_plan_says() -> None:
    node = replace(node_of(device(forward=((3389, 3389),))), inward=IPv4Address("10.1.1.77"))
    assert forwards(node) == ['iifname "wan" tcp dport 3389 dnat ip to 10.1.1.77:3389']
