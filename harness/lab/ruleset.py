"""nftables rules, generated from a node's plan. The one place that knows nft syntax.

Every node gets the ``watch`` table: the kernel logs each SYN, SYN-ACK, RST and ICMP error that the
node itself sends. A device also gets the ``device`` table, whose drop and reject rules log the
packet before they end it. Together they name the packet, the node and the rule of a "No".
"""

from __future__ import annotations

from dataclasses import dataclass

from harness.judge.evidence import ENDED, SENT
from harness.topology.model import (
    Filtering,
    Firewall,
    HostFirewall,
    Mapping,
    Nat,
    Unsolicited,
)
from harness.topology.plan import Kind, NodePlan

LOG_GROUP = 3389
"""The NFLOG group that every rule logs to, in its own namespace."""

TABLE = "gateway"
"""The table of a device's own rules; its UPnP daemon adds to the chains below."""

FORWARD_CHAIN = "mapped_forward"
PREROUTING_CHAIN = "mapped_prerouting"
POSTROUTING_CHAIN = "mapped_postrouting"

_WATCH = f"""
table inet watch {{
    chain output {{
        type filter hook output priority 300; policy accept;
        tcp flags & (syn | rst) != 0 log group {LOG_GROUP} prefix "{SENT}"
        icmp type destination-unreachable log group {LOG_GROUP} prefix "{SENT}"
    }}
}}
"""
# The kernel answers what it has no route for by itself, but not more often than once a second to
# one host, whatever the sysctls of a namespace say. A rule answers every time.
_NO_ROUTE = "reject with icmp type net-unreachable"
_CORE = f"""
table inet core {{
    chain prerouting {{
        type filter hook prerouting priority filter; policy accept;
        fib daddr type != unicast accept
        fib daddr oif missing log group {LOG_GROUP} prefix "{ENDED}no route" {_NO_ROUTE}
    }}
}}
"""


def ruleset(node: NodePlan) -> str:
    """Return every rule of a node."""
    device = node.device
    if device is None:
        return _WATCH + _CORE if node.kind is Kind.INTERNET else _WATCH
    if device.nat is not None:
        return _WATCH + _nat(device.nat, node)
    if device.firewall is not None:
        return _WATCH + _firewall(device.firewall)
    if device.host_firewall is not None:
        return _WATCH + _host_firewall(device.host_firewall)
    return _WATCH + _PROXY


def opening(port: int) -> str:
    """Return the command that opens a TCP port in a host firewall."""
    return f"add element inet {TABLE} {_OPENED} {{ {port} }}"


def closing(port: int) -> str:
    """Return the command that closes it again."""
    return f"delete element inet {TABLE} {_OPENED} {{ {port} }}"


def _nat(nat: Nat, node: NodePlan) -> str:
    forwards = [
        f'iifname "wan" tcp dport {forward.port} dnat ip to {node.inward}:{forward.to_port}'
        for forward in nat.forward
    ]
    unasked = _end(_UNSOLICITED, nat.unsolicited)
    # Without a better reason the kernel keeps the source port, whatever the destination.
    how = "masquerade" if nat.mapping is Mapping.ENDPOINT_INDEPENDENT else "masquerade fully-random"
    filtering = _FILTERINGS[nat.filtering]
    return f"""
table inet {TABLE} {{{filtering.declarations}
    chain input {{
        type filter hook input priority filter; policy accept;
        iifname "wan" ct state established,related accept
        iifname "wan" {unasked}
    }}
    chain forward {{
        type filter hook forward priority filter; policy drop;
        ct state established,related accept
        iifname "lan" oifname "wan" accept
        jump {FORWARD_CHAIN}
        iifname "wan" ct status dnat accept
        iifname "wan" {unasked}
        {_end(_NOT_OUTWARD, nat.unsolicited)}
    }}
    chain prerouting {{
        type nat hook prerouting priority dstnat; policy accept;
        {_lines(forwards)}
        jump {PREROUTING_CHAIN}
        {filtering.inward}
    }}
    chain postrouting {{
        type nat hook postrouting priority srcnat; policy accept;
        jump {POSTROUTING_CHAIN}
        oifname "wan" {how}
    }}
    chain remember {{
        type filter hook postrouting priority srcnat + 1; policy accept;
        {filtering.outward}
    }}
    chain {FORWARD_CHAIN} {{
    }}
    chain {PREROUTING_CHAIN} {{
    }}
    chain {POSTROUTING_CHAIN} {{
    }}
}}
"""


def _firewall(firewall: Firewall) -> str:
    inbound = [f'iifname "wan" oifname "lan" tcp dport {port} accept' for port in firewall.inbound]
    if firewall.outbound is None:
        outbound = ['iifname "lan" oifname "wan" accept']
    else:
        outbound = [
            f'iifname "lan" oifname "wan" tcp dport {port} accept' for port in firewall.outbound
        ]
        outbound.append(f'iifname "lan" {_end("outbound port not allowed", firewall.unsolicited)}')
    unasked = _end(_UNSOLICITED, firewall.unsolicited)
    return f"""
table inet {TABLE} {{
    chain input {{
        type filter hook input priority filter; policy accept;
        iifname "wan" ct state established,related accept
        iifname "wan" {unasked}
    }}
    chain forward {{
        type filter hook forward priority filter; policy drop;
        ct state established,related accept
        {_lines(inbound)}
        {_lines(outbound)}
        iifname "wan" {unasked}
        {_end(_NOT_OUTWARD, firewall.unsolicited)}
    }}
}}
"""


def _host_firewall(firewall: HostFirewall) -> str:
    return f"""
table inet {TABLE} {{
    set {_OPENED} {{
        type inet_service
    }}
    chain input {{
        type filter hook input priority filter; policy accept;
        iifname "lo" accept
        ct state established,related accept
        tcp dport @{_OPENED} accept
        {_end("unsolicited packet to the host", firewall.unsolicited)}
    }}
}}
"""


_UNSOLICITED = "unsolicited packet on wan"
_NOT_OUTWARD = "not from lan to wan"
_OPENED = "opened"

# A proxy's box passes nothing on, and takes nothing from the WAN that it did not ask for.
_PROXY = f"""
table inet {TABLE} {{
    chain input {{
        type filter hook input priority filter; policy accept;
        iifname "wan" ct state established,related accept
        iifname "wan" log group {LOG_GROUP} prefix "{ENDED}{_UNSOLICITED}" drop
    }}
    chain forward {{
        type filter hook forward priority filter; policy drop;
        log group {LOG_GROUP} prefix "{ENDED}a proxy forwards nothing" drop
    }}
}}
"""


@dataclass(frozen=True)
class _FilteringRules:
    """What a NAT remembers of outbound connections, and whom it lets in for them.

    It is read off the packet once that is translated: where two hosts of the LAN use one port, the
    second is given another.
    """

    declarations: str = ""
    outward: str = ""
    inward: str = ""


_REMEMBERED = """
    map mapped_ports {
        type inet_service : ipv4_addr . inet_service
        flags dynamic,timeout
        timeout 4m
    }"""
_CONTACTED = """
    set contacted {
        type ipv4_addr . inet_service
        flags dynamic,timeout
        timeout 4m
    }"""
_OUTBOUND = 'oifname "wan" meta l4proto tcp ct direction original'
_REMEMBER = (
    f"{_OUTBOUND} update @mapped_ports "
    "{ tcp sport : ct original ip saddr . ct original proto-src }"
)
_CONTACT = f"{_OUTBOUND} update @contacted {{ ip daddr . tcp sport }}"
_ADMIT = "dnat ip to tcp dport map @mapped_ports"

_FILTERINGS = {
    Filtering.ENDPOINT_INDEPENDENT: _FilteringRules(
        _REMEMBERED, _REMEMBER, f'iifname "wan" meta l4proto tcp {_ADMIT}'
    ),
    Filtering.ADDRESS_DEPENDENT: _FilteringRules(
        _REMEMBERED + _CONTACTED,
        f"{_REMEMBER}\n        {_CONTACT}",
        f'iifname "wan" meta l4proto tcp ip saddr . tcp dport @contacted {_ADMIT}',
    ),
    # Connection tracking by itself.
    Filtering.ADDRESS_AND_PORT_DEPENDENT: _FilteringRules(),
}


def _lines(rules: list[str]) -> str:
    return "\n        ".join(rules)


def _end(reason: str, policy: Unsolicited) -> str:
    log = f'log group {LOG_GROUP} prefix "{ENDED}{reason}"'
    if policy is Unsolicited.DROP:
        return f"{log} drop"
    return f"{log} reject with icmpx port-unreachable"
