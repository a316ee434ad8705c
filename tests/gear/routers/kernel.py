"""Routers that forward in the kernel, by rules written here: iptables-legacy and nftables."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from ipaddress import IPv4Interface
from types import MappingProxyType
from typing import ClassVar

from routers.base import (
    DNSMASQ,
    DNSMASQ_CONFIG,
    GearRouter,
    dnsmasq,
)
from routers.machine import Service

_RULES = "/etc/router/rules"
_UDHCPD_CONFIG = "/etc/router/udhcpd.conf"
_MINIUPNPD_CONFIG = "/etc/router/miniupnpd.conf"

# What most home routers' firmware loads. {nat} and {forward} are where a daemon maps ports.
_IPTABLES = """\
*nat
:PREROUTING ACCEPT
:INPUT ACCEPT
:OUTPUT ACCEPT
:POSTROUTING ACCEPT
:MINIUPNPD -
:MINIUPNPD-POSTROUTING -
-A PREROUTING -i wan -j MINIUPNPD
-A POSTROUTING -o wan -j MINIUPNPD-POSTROUTING
-A POSTROUTING -o wan -j MASQUERADE
COMMIT
*filter
:INPUT DROP
:FORWARD DROP
:OUTPUT ACCEPT
:MINIUPNPD -
-A INPUT -i lo -j ACCEPT
-A INPUT -i lan -j ACCEPT
-A INPUT -m conntrack --ctstate ESTABLISHED,RELATED -j ACCEPT
-A FORWARD -m conntrack --ctstate ESTABLISHED,RELATED -j ACCEPT
-A FORWARD -i lan -o wan -j ACCEPT
-A FORWARD -i wan -o lan -j MINIUPNPD
COMMIT
*mangle
:PREROUTING ACCEPT
:INPUT ACCEPT
:FORWARD ACCEPT
:OUTPUT ACCEPT
:POSTROUTING ACCEPT
:MINIUPNPD -
COMMIT
"""

_NFT = """\
table inet router {
    chain mapped_forward { }
    chain mapped_prerouting { }
    chain mapped_postrouting { }
    chain input {
        type filter hook input priority 0; policy drop;
        iifname { "lo", "lan" } accept
        ct state established,related accept
    }
    chain forward {
        type filter hook forward priority 0; policy drop;
        ct state established,related accept
        iifname "lan" oifname "wan" accept
        iifname "wan" jump mapped_forward
    }
    chain prerouting {
        type nat hook prerouting priority -100;
        iifname "wan" jump mapped_prerouting
    }
    chain postrouting {
        type nat hook postrouting priority 100;
        oifname "wan" jump mapped_postrouting
        oifname "wan" masquerade
    }
}
"""

# The daemon reads its WAN's address when it starts: firmware restarts it with each new one.
_START_MINIUPNPD = f"""
if [ "$1" = bound ]; then
    if [ -f /run/miniupnpd.pid ]; then
        old=$(cat /run/miniupnpd.pid)
        kill "$old" || true
        while kill -0 "$old"; do sleep 0.05; done
    fi
    miniupnpd -d -f {_MINIUPNPD_CONFIG} -P /run/miniupnpd.pid &
fi
"""


def _miniupnpd(lan: IPv4Interface, uuid: str, settings: Mapping[str, str]) -> str:
    """Return a configuration of miniupnpd: the common settings and the router's own."""
    every = {
        "ext_ifname": "wan",
        "listening_ip": "lan",
        "enable_upnp": "yes",
        "secure_mode": "yes",
        "system_uptime": "yes",
        "uuid": uuid,
        **settings,
    }
    lines = [f"{key}={value}" for key, value in every.items()]
    lines += [f"allow 1024-65535 {lan.network} 1024-65535", "deny 0-65535 0.0.0.0/0 0-65535"]
    return "\n".join(lines) + "\n"


class LegacyRouter(GearRouter):
    """Masquerade by iptables-legacy, no UPnP; DHCP by busybox, which probes an address first."""

    name = "legacy"
    model = "iptables-legacy masquerade"
    claims = "nat"
    packages = ("iptables", "busybox")
    version_command = ("iptables-legacy", "--version")
    lan = IPv4Interface("192.168.1.1/24")

    def files(self) -> Mapping[str, str]:
        """Return the rules and the configuration of udhcpd."""
        network = self.lan.network
        udhcpd = (
            f"start {network[100]}",
            f"end {network[199]}",
            "max_leases 100",
            "interface lan",
            "lease_file /run/udhcpd.leases",
            f"option subnet {network.netmask}",
            f"option router {self.lan.ip}",
            "option lease 3600",
            "",
        )
        return {_RULES: _IPTABLES, _UDHCPD_CONFIG: "\n".join(udhcpd)}

    def boot(self) -> Sequence[str]:
        """Load the rules."""
        return ("touch /run/udhcpd.leases", f"iptables-legacy-restore {_RULES}")

    def services(self) -> Sequence[Service]:
        """Run busybox's DHCP server."""
        return (("busybox", "udhcpd", "-f", "-a", "200", _UDHCPD_CONFIG),)


class _IgdRouter(GearRouter):
    """Rules from above, dnsmasq, and a build of miniupnpd that maps ports in those rules.

    ``settings`` are miniupnpd's beside those that both routers have in common.
    """

    claims = "upnp-nat"
    version_command = ("miniupnpd", "--version")
    rules: ClassVar[str]
    uuid: ClassVar[str]
    settings: ClassVar[Mapping[str, str]]

    def files(self) -> Mapping[str, str]:
        """Return the rules and the configurations of miniupnpd and dnsmasq."""
        return {
            _RULES: self.rules,
            DNSMASQ_CONFIG: dnsmasq(self.lan),
            _MINIUPNPD_CONFIG: _miniupnpd(self.lan, self.uuid, self.settings),
        }

    def when_online(self) -> str:
        """Start miniupnpd."""
        return _START_MINIUPNPD

    def services(self) -> Sequence[Service]:
        """Run dnsmasq."""
        return (DNSMASQ,)


class LegacyIgdRouter(_IgdRouter):
    """The same rules and the iptables build of miniupnpd, as an IGD:1."""

    name = "legacy-igd"
    model = "iptables-legacy and miniupnpd-iptables"
    packages = ("iptables", "miniupnpd-iptables", "busybox", "dnsmasq-base")
    lan = IPv4Interface("192.168.10.1/24")
    rules = _IPTABLES
    uuid = "6d1f9c2a-52b0-4c0e-9a2e-1f5a4d3b7c01"
    settings = MappingProxyType(
        {
            "enable_natpmp": "no",
            "force_igd_desc_v1": "yes",
            "upnp_nat_postrouting_chain": "MINIUPNPD-POSTROUTING",
        }
    )

    def boot(self) -> Sequence[str]:
        """Load the rules."""
        return (f"iptables-legacy-restore {_RULES}",)


class NftIgdRouter(_IgdRouter):
    """What the harness's own upnp-nat is made of, otherwise set up: IGD:2, and NAT-PMP and PCP."""

    name = "nft-igd"
    model = "nftables and miniupnpd-nftables, with NAT-PMP and PCP"
    packages = ("nftables", "miniupnpd-nftables", "busybox", "dnsmasq-base")
    lan = IPv4Interface("192.168.178.1/24")
    rules = _NFT
    uuid = "6d1f9c2a-52b0-4c0e-9a2e-1f5a4d3b7c02"
    settings = MappingProxyType(
        {
            "enable_natpmp": "yes",
            "force_igd_desc_v1": "no",
            "upnp_table_name": "router",
            "upnp_nat_table_name": "router",
            "upnp_forward_chain": "mapped_forward",
            "upnp_nat_chain": "mapped_prerouting",
            "upnp_nat_postrouting_chain": "mapped_postrouting",
        }
    )

    def boot(self) -> Sequence[str]:
        """Load the rules."""
        return (f"nft -f {_RULES}",)
