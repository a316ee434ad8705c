"""nftables rules, generated from a node's plan. The one place that knows nft syntax.

Every node gets the ``watch`` table: the kernel logs each SYN, SYN-ACK, RST and ICMP error that the
node itself sends. A device also gets the ``device`` table, whose drop and reject rules log the
packet before they end it. Together they name the packet, the node and the rule of a "No".
"""

from __future__ import annotations

from harness.topology.model import Nat, Unsolicited
from harness.topology.plan import Kind, NodePlan

LOG_GROUP = 3389
"""The NFLOG group that every rule logs to, in its own namespace."""

SENT = "sent"
"""Prefix of what a node itself sent."""

ENDED = "ended "
"""Prefix, followed by the reason, of what a rule ended."""

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
    if node.device is not None:
        return _WATCH + _device(node.device.nat, node)
    return _WATCH + _CORE if node.kind is Kind.INTERNET else _WATCH


def _device(nat: Nat, node: NodePlan) -> str:
    forwards = "\n        ".join(
        f'iifname "wan" tcp dport {forward.port} dnat ip to {node.inward}:{forward.to_port}'
        for forward in nat.forward
    )
    unasked = _end("unsolicited packet on wan", nat.unsolicited)
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
        iifname "lan" oifname "wan" accept
        jump {FORWARD_CHAIN}
        iifname "wan" ct status dnat accept
        iifname "wan" {unasked}
        {_end("not from lan to wan", nat.unsolicited)}
    }}
    chain prerouting {{
        type nat hook prerouting priority dstnat; policy accept;
        {forwards}
        jump {PREROUTING_CHAIN}
    }}
    chain postrouting {{
        type nat hook postrouting priority srcnat; policy accept;
        jump {POSTROUTING_CHAIN}
        oifname "wan" masquerade
    }}
    chain {FORWARD_CHAIN} {{
    }}
    chain {PREROUTING_CHAIN} {{
    }}
    chain {POSTROUTING_CHAIN} {{
    }}
}}
"""


def _end(reason: str, policy: Unsolicited) -> str:
    log = f'log group {LOG_GROUP} prefix "{ENDED}{reason}"'
    if policy is Unsolicited.DROP:
        return f"{log} drop"
    return f"{log} reject with icmpx port-unreachable"
