"""What is generated for a node from its plan: its nftables rules, its daemon's configuration."""

from __future__ import annotations

import re
from dataclasses import replace
from ipaddress import IPv4Address, ip_network
from uuid import UUID

import pytest
from definitions import (
    device,
    direct_site,
    firewall,
    host_firewall,
    neighbour,
    plan_of,
    project,
    proxy,
    site,
    three_devices,
)

from harness.judge.evidence import ENDED, SENT
from harness.lab.miniupnpd import configuration
from harness.lab.ruleset import (
    FORWARD_CHAIN,
    LOG_GROUP,
    POSTROUTING_CHAIN,
    PREROUTING_CHAIN,
    TABLE,
    closing,
    opening,
    ruleset,
)
from harness.topology.model import Device, Filtering, Mapping, ProxyProtocol, Unsolicited
from harness.topology.plan import NodePlan

MAX_LOG_PREFIX = 127
"""The kernel's NF_LOG_PREFIXLEN, less the terminating zero."""

MAPPED_CHAINS = (FORWARD_CHAIN, PREROUTING_CHAIN, POSTROUTING_CHAIN)

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


def forwards(node: NodePlan) -> list[str]:
    """Return the rules that send what comes to the WAN elsewhere."""
    return [rule for rule in tables(node)[TABLE]["prerouting"] if "dnat" in rule]


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


# What a device does with what nobody asked for


@pytest.mark.parametrize("chain", ["input", "forward"])
@each_end
def test_a_device_ends_the_unsolicited_as_its_definition_says(
    policy: Unsolicited, end: str, chain: str
) -> None:
    rule = f'iifname "wan" log group {LOG_GROUP} prefix "{ENDED}unsolicited packet on wan" {end}'
    assert rule in gateway(device(unsolicited=policy))[chain]


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
    unsolicited = (
        f'iifname "wan" log group {LOG_GROUP} prefix "{ENDED}unsolicited packet on wan" {end}'
    )
    chains = gateway(firewall(unsolicited=policy))
    assert chains["forward"][-2] == chains["input"][-1] == unsolicited


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
        f'iifname "wan" log group {LOG_GROUP} prefix "{ENDED}unsolicited packet on wan" drop',
    ]


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


# miniupnpd's configuration


def lines(own: Device, node: str = "novice.box") -> list[str]:
    return configuration(node, own).splitlines()


def settings(own: Device, node: str = "novice.box") -> dict[str, str]:
    """Read the configuration's settings, each given once."""
    pairs = [line.split("=") for line in lines(own, node) if "=" in line]
    found = dict(pairs)
    assert len(found) == len(pairs)
    return found


each_kind = pytest.mark.parametrize(
    "own",
    [
        pytest.param(device(http_port=5000), id="UPnP"),
        pytest.param(device(nat_pmp=True), id="NAT-PMP"),
        pytest.param(device(http_port=5000, nat_pmp=True), id="both"),
    ],
)


@each_kind
def test_a_host_may_map_ports_for_itself_only(own: Device) -> None:
    assert settings(own)["secure_mode"] == "yes"


@each_kind
def test_the_daemon_is_an_internet_gateway_device_of_version_1(own: Device) -> None:
    assert settings(own)["force_igd_desc_v1"] == "yes"


@pytest.mark.parametrize("nat_pmp", [True, False])
def test_upnp_is_on_for_a_device_with_upnp_at_its_own_port(nat_pmp: bool) -> None:
    found = settings(device(http_port=2869, nat_pmp=nat_pmp))
    assert (found["enable_upnp"], found["http_port"]) == ("yes", "2869")


def test_upnp_is_off_for_a_device_without_it() -> None:
    assert settings(device(nat_pmp=True))["enable_upnp"] == "no"


@pytest.mark.parametrize("http_port", [5000, None])
def test_nat_pmp_is_on_for_a_device_with_nat_pmp(http_port: int | None) -> None:
    assert settings(device(http_port=http_port, nat_pmp=True))["enable_natpmp"] == "yes"


def test_nat_pmp_is_off_for_a_device_without_it() -> None:
    assert settings(device(http_port=5000))["enable_natpmp"] == "no"


def test_the_project_s_devices_speak_the_protocols_that_they_are_named_for() -> None:
    spoken = {
        own.name: (settings(own)["enable_upnp"], settings(own)["enable_natpmp"])
        for own in PROJECT
        if own.maps_ports
    }
    assert spoken == {"me-ics": ("no", "yes"), "upnp-nat": ("yes", "no"), "xp-ics": ("yes", "no")}


def test_every_node_has_a_uuid_of_its_own() -> None:
    """Discovery merges devices of one uuid, in a chain as well as at both sites."""
    nodes = ("novice.box", "novice.box.2", "expert.box", "expert.crate")
    uuids = {UUID(settings(device(http_port=5000), node)["uuid"]) for node in nodes}
    assert len(uuids) == len(nodes)


def test_a_node_keeps_its_uuid_from_run_to_run() -> None:
    own = device(http_port=5000)
    assert configuration("novice.box", own) == configuration("novice.box", own)


@each_kind
def test_mappings_are_allowed_to_the_lan_and_denied_to_everyone_else(own: Device) -> None:
    lan = own.model_copy(update={"lan": three_devices()[1].lan})
    rules = [line for line in lines(lan) if "=" not in line]
    assert rules == [
        "allow 1024-65535 10.2.2.0/25 1024-65535",
        "deny 0-65535 0.0.0.0/0 0-65535",
    ]


@pytest.mark.parametrize("own", [own for own in NATS if own.maps_ports], ids=lambda own: own.name)
def test_remote_assistance_s_port_may_be_mapped_by_the_device_s_host(own: Device) -> None:
    verb, external, network, internal = next(line for line in lines(own) if "=" not in line).split()
    assert verb == "allow"
    assert own.subnet.host in ip_network(network)
    for ports in (external, internal):
        first, last = map(int, ports.split("-"))
        assert first <= 3389 <= last


@each_kind
def test_the_daemon_has_the_interfaces_that_its_node_has(own: Device) -> None:
    found = settings(own)
    lan, wan = node_of(own).stack.interfaces
    assert (found["listening_ip"], found["ext_ifname"]) == (lan.name, wan.name)


@each_kind
def test_the_daemon_writes_to_the_chains_that_the_rules_jump_to(own: Device) -> None:
    """Into a chain that no rule jumps to, it would map without any effect."""
    found, rules = settings(own), tables(node_of(own))
    nat, filters = rules[found["upnp_nat_table_name"]], rules[found["upnp_table_name"]]
    assert f"jump {found['upnp_forward_chain']}" in filters["forward"]
    assert f"jump {found['upnp_nat_chain']}" in nat["prerouting"]
    assert f"jump {found['upnp_nat_postrouting_chain']}" in nat["postrouting"]
