"""A router whose NAT is a user's program: slirp4netns, with libslirp's own TCP, DHCP and DNS.

Its kernel forwards nothing. The LAN is bridged to a tap device; libslirp ends every connection of
the LAN there and makes another one of its own on the WAN.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from ipaddress import IPv4Interface

from routers.base import GearRouter
from routers.machine import Service

_SLIRP4NETNS = (
    "slirp4netns", "--netns-type=path", "--disable-host-loopback", "/proc/self/ns/net", "tap",
)  # fmt: skip


class SlirpRouter(GearRouter):
    """A bridge, and slirp4netns on it. An unsolicited SYN on its WAN is refused with a RST."""

    name = "slirp"
    model = "slirp4netns user-mode NAT"
    claims = "nat"
    packages = ("slirp4netns", "busybox")
    version_command = ("slirp4netns", "--version")
    # libslirp's own choice; it gives 10.0.2.15 and up to its clients.
    lan = IPv4Interface("10.0.2.2/24")

    def interfaces(self) -> Sequence[str]:
        """Bridge the LAN to the tap device. The kernel has no address there and answers no ARP."""
        return (
            "echo 0 > /proc/sys/net/ipv4/ip_forward",
            "ip link set lo up",
            "ip tuntap add dev tap mode tap",
            "ip link add bridge type bridge",
            "ip link set lan master bridge",
            "ip link set tap master bridge",
            "ip link set bridge up arp off",
            "ip link set lan up",
            "ip link set tap up",
            "ip link set wan up",
        )

    def files(self) -> Mapping[str, str]:
        """It has no configuration."""
        return {}

    def boot(self) -> Sequence[str]:
        """It has no rules."""
        return ()

    def services(self) -> Sequence[Service]:
        """Run the NAT."""
        return (_SLIRP4NETNS,)
