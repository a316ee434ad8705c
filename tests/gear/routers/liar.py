"""A router whose NAT is honest and whose UPnP is not: :mod:`lying_igd` over nftables."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from ipaddress import IPv4Address, IPv4Interface

import lying_igd

from routers.base import DNSMASQ, DNSMASQ_CONFIG, GearRouter, dnsmasq
from routers.lies import Lie
from routers.machine import Service

ELSEWHERE = IPv4Address("17.1.1.1")
"""A host on the internet, if nothing else is said."""

_RULES = "/etc/router/rules"

_NFT = """\
table ip liar {
    chain mapped { }
    chain input {
        type filter hook input priority 0; policy drop;
        iifname { "lo", "lan" } accept
        ct state established,related accept
    }
    chain forward {
        type filter hook forward priority 0; policy drop;
        ct state established,related accept
        iifname "lan" oifname "wan" accept
        iifname "wan" ct status dnat accept
    }
    chain prerouting {
        type nat hook prerouting priority -100;
        iifname "wan" jump mapped
    }
    chain postrouting {
        type nat hook postrouting priority 100;
        oifname "wan" masquerade
    }
}
"""


class LyingRouter(GearRouter):
    """It tells one lie of :class:`Lie`, none with ``Lie.NONE``.

    ``elsewhere`` is the host that it sends its readers to in some of them, at port
    :data:`lying_igd.ELSEWHERE_PORT`.
    """

    name = "liar"
    claims = "upnp-nat"
    packages = ("nftables", "busybox", "dnsmasq-base")
    version_command = ("nft", "--version")
    lan = IPv4Interface("192.168.77.1/24")

    def __init__(self, lie: Lie, elsewhere: IPv4Address = ELSEWHERE) -> None:
        """Fetch its software; see :class:`GearRouter`."""
        super().__init__()
        self.lie = lie
        self.model = f"lying IGD, {lie}"
        self._igd = lying_igd.LyingIgd(lie, self.lan.ip, elsewhere)

    def files(self) -> Mapping[str, str]:
        """Return the rules and the configuration of dnsmasq."""
        return {_RULES: _NFT, DNSMASQ_CONFIG: dnsmasq(self.lan)}

    def boot(self) -> Sequence[str]:
        """Load the rules."""
        return (f"nft -f {_RULES}",)

    def services(self) -> Sequence[Service]:
        """Run dnsmasq, and the gateway that lies."""
        return (DNSMASQ, self._serve)

    def _serve(self) -> None:
        asyncio.run(self._igd.serve())
