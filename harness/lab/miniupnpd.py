"""miniupnpd, the UPnP and NAT-PMP daemon of a device, and its configuration.

Facts about the daemon: Debian's package miniupnpd-nftables, version 2.3.1. It refuses to map where
the WAN address is reserved, as a carrier's 100.64.0.0/10 is.
"""

from __future__ import annotations

import uuid

from harness.lab import daemon
from harness.lab.daemon import Service
from harness.lab.ruleset import FORWARD_CHAIN, POSTROUTING_CHAIN, PREROUTING_CHAIN, TABLE
from harness.protocol import natpmp, ssdp
from harness.topology.model import Device

PROGRAM = "miniupnpd"
CONTROL = "mapping daemon listens"
_CONFIG = "miniupnpd.conf"


def find() -> str:
    """Return the daemon's path.

    Raises:
        MachineError: it is not installed.
    """
    return daemon.find(PROGRAM, "miniupnpd-nftables")


def service(node: str, device: Device) -> Service:
    """Say what to start, with which configuration."""
    # In the foreground: it stays the node's child, and its log is ours.
    command = (PROGRAM, "-d", "-f", _CONFIG, "-P", "miniupnpd.pid")
    files = {_CONFIG: configuration(node, device)}
    return Service(PROGRAM, CONTROL, command, _listens(device), files)


def configuration(node: str, device: Device) -> str:
    """Return the configuration file that makes the daemon what the device is."""
    network = device.subnet.network
    settings = {
        "ext_ifname": "wan",
        "listening_ip": "lan",
        "enable_upnp": _yes(device.upnp is not None),
        "enable_natpmp": _yes(device.nat_pmp is not None),
        "http_port": device.upnp.http_port if device.upnp is not None else 0,
        "secure_mode": "yes",
        "force_igd_desc_v1": "yes",
        # Unique for each node: discovery merges devices of one uuid.
        "uuid": uuid.uuid5(uuid.NAMESPACE_DNS, f"{node}.ra-harness"),
        "system_uptime": "no",
        "upnp_table_name": TABLE,
        "upnp_nat_table_name": TABLE,
        "upnp_forward_chain": FORWARD_CHAIN,
        "upnp_nat_chain": PREROUTING_CHAIN,
        "upnp_nat_postrouting_chain": POSTROUTING_CHAIN,
    }
    lines = [f"{key}={value}" for key, value in settings.items()]
    lines += [f"allow 1024-65535 {network} 1024-65535", "deny 0-65535 0.0.0.0/0 0-65535"]
    return "\n".join(lines) + "\n"


def _listens(device: Device) -> tuple[str, ...]:
    sockets = []
    if device.upnp is not None:
        sockets += [f"UDP {ssdp.PORT}", f"TCP {device.upnp.http_port}"]
    if device.nat_pmp is not None:
        sockets.append(f"UDP {natpmp.PORT}")
    return tuple(sockets)


def _yes(value: bool) -> str:
    return "yes" if value else "no"
