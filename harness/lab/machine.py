"""What a machine needs for the namespaces runtime, tried for real before a run begins."""

from __future__ import annotations

import errno
from collections.abc import Iterable

from pyroute2 import IPRoute
from pyroute2.netlink.exceptions import NetlinkError

from harness.errors import MachineError
from harness.lab import miniupnpd, proxies
from harness.lab.ruleset import LOG_GROUP
from harness.runtime import nftables
from harness.runtime.netns import NetNs
from harness.runtime.nflog import LogSocket
from harness.topology.model import Topology

PROBE = f"""
table inet probe {{
    chain prerouting {{
        type nat hook prerouting priority dstnat; policy accept;
        iifname "probe" tcp dport 3389 dnat ip to 192.168.0.2:3389
    }}
    chain postrouting {{
        type nat hook postrouting priority srcnat; policy accept;
        oifname "probe" masquerade
    }}
    chain input {{
        type filter hook input priority filter; policy accept;
        iifname "probe" ct state established accept
        fib daddr type unicast fib daddr oif missing accept
        iifname "probe" tcp dport 1 reject with icmpx port-unreachable
        iifname "probe" tcp dport 2 reject with icmp type net-unreachable
        iifname "probe" log group {LOG_GROUP} prefix "probe" drop
    }}
}}
"""
"""A ruleset with each kind of rule that a device needs."""


def check_programs(topologies: Iterable[Topology]) -> None:
    """Check on the host that what the topologies need is installed.

    Raises:
        MachineError: something is missing; the text says how to get it.
    """
    nftables.library()
    devices = [device for topology in topologies for device in topology.devices]
    if any(device.maps_ports for device in devices):
        miniupnpd.find()
    for device in devices:
        if device.proxy is not None:
            proxies.find(device.proxy.protocol)


def probe(ruleset: str = PROBE) -> None:
    """Try in the sealed world what a lab asks of the kernel.

    Raises:
        MachineError: the kernel cannot do it.
    """
    namespace = NetNs.create()
    with namespace.entered():
        try:
            nftables.load(ruleset)
        except nftables.RulesetError as error:
            raise MachineError(
                f"this kernel cannot do nftables NAT ({error}): use one with nf_tables, "
                "nft_chain_nat, nft_masq, nft_log, nft_reject_inet and nft_fib_inet"
            ) from error
        try:
            with IPRoute() as netlink:
                netlink.link("add", ifname="probe", kind="veth", peer={"ifname": "probe-peer"})
        except NetlinkError as error:
            raise MachineError(
                f"this kernel cannot make veth links ({errno.errorcode.get(error.code)}): "
                "use one with the veth module"
            ) from error
    try:
        LogSocket(namespace, LOG_GROUP).close()
    except OSError as error:
        raise MachineError(
            f"this kernel cannot log packets to programs ({error.strerror}): "
            "use one with nfnetlink_log"
        ) from error
