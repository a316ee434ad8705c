"""A router by shorewall: a compiler that writes hundreds of rules from tables of zones."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from ipaddress import IPv4Interface

from routers.base import DNSMASQ, DNSMASQ_CONFIG, GearRouter, dnsmasq
from routers.machine import Service

# Its own example of two interfaces, /usr/share/doc/shorewall/examples/two-interfaces.
_TABLES = {
    "zones": "fw firewall\nnet ipv4\nloc ipv4\n",
    "interfaces": (
        "?FORMAT 2\n"
        "net wan dhcp,tcpflags,nosmurfs,routefilter=0,logmartians=0\n"
        "loc lan dhcp,tcpflags,nosmurfs,routefilter=0,logmartians=0\n"
    ),
    "policy": "loc all ACCEPT\n$FW all ACCEPT\nnet all DROP\nall all REJECT\n",
    "snat": "MASQUERADE 0.0.0.0/0 wan\n",
}


class ShorewallRouter(GearRouter):
    """Shorewall's example of two interfaces, on whichever iptables the system prefers."""

    name = "shorewall"
    model = "shorewall two-interface firewall"
    claims = "nat"
    packages = ("shorewall", "busybox", "dnsmasq-base")
    version_command = ("shorewall", "version")
    lan = IPv4Interface("172.16.5.1/24")

    def files(self) -> Mapping[str, str]:
        """Return shorewall's tables and the configuration of dnsmasq."""
        tables = {f"/etc/shorewall/{name}": text for name, text in _TABLES.items()}
        return {**tables, DNSMASQ_CONFIG: dnsmasq(self.lan)}

    def boot(self) -> Sequence[str]:
        """Compile the rules and load them."""
        return ("shorewall start",)

    def services(self) -> Sequence[Service]:
        """Run dnsmasq."""
        return (DNSMASQ,)
