"""What all routers have in common: how they boot, get an address on the WAN and serve the LAN."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from functools import cached_property
from ipaddress import IPv4Interface
from typing import ClassVar, Literal

from harness.runtime.netns import NetNs
from routers.machine import Machine, Service
from routers.software import layer

Claims = Literal["nat", "upnp-nat"]

WAN_SCRIPT = "/etc/router/wan.sh"
"""What udhcpc calls when it has an address, and when it has lost it."""

# It asks for ever: three times a second apart, a second's rest, and again.
_UDHCPC_PID = "/run/udhcpc.pid"
_UDHCPC = (
    "busybox", "udhcpc", "-f", "-i", "wan", "-s", WAN_SCRIPT, "-p", _UDHCPC_PID,
    "-t", "3", "-T", "1", "-A", "1",
)  # fmt: skip

_CABLE_SCRIPT = "/etc/router/cable.sh"

# udhcpc does not see its cable; firmware does. The signals make it drop its lease, and ask anew.
_WATCH_CABLE = f"""\
#!/bin/sh -u
cable=out
ip monitor link dev wan | while read -r line; do
    case $cable,$line in
    out,*LOWER_UP*) cable=in; signal=USR1 ;;
    in,*NO-CARRIER*) cable=out; signal=USR2 ;;
    *) continue ;;
    esac
    kill -s "$signal" "$(cat {_UDHCPC_PID})"
done
"""


LEASE_SCRIPT = """\
#!/bin/sh -eu
case $1 in
deconfig)
    ip addr flush dev "$interface"
    ip link set "$interface" up
    ;;
bound|renew)
    ip addr replace "$ip/$mask" dev "$interface"
    for gateway in ${router:-}; do
        ip route replace default via "$gateway" dev "$interface" onlink
        break
    done
    rm -f /etc/resolv.conf
    for server in ${dns:-}; do
        echo "nameserver $server" >> /etc/resolv.conf
    done
    ;;
esac
"""
"""Does as a lease says, for udhcpc. A provider's gateway need not be in the lease's own subnet."""

# The router sees the system's files: not the names and name servers that the system knows.
_FORGET_THE_SYSTEM = (
    "rm -f /etc/resolv.conf /etc/hosts",
    ": > /etc/resolv.conf",
    "echo 127.0.0.1 localhost > /etc/hosts",
)


class GearRouter(ABC):
    """A router that the harness does not manage: only its two interfaces are reached.

    ``name`` is good for a bench file; ``model`` says what it is made of; ``claims`` is what its
    maker would say that it is. It is plugged in by a :class:`routers.bench.TestBench`.
    """

    name: ClassVar[str]
    model: str
    claims: ClassVar[Claims]
    packages: ClassVar[tuple[str, ...]]
    version_command: ClassVar[tuple[str, ...]]
    lan: ClassVar[IPv4Interface]

    def __init__(self) -> None:
        """Fetch its software.

        Raises:
            MachineError: it cannot be had.
        """
        self._machine = Machine(layer(*self.packages))

    @cached_property
    def firmware(self) -> str:
        """The version that its software gives of itself."""
        return self._machine.ask(*self.version_command)

    def start(self, namespace: NetNs) -> None:
        """Boot in a namespace that has the interfaces ``lan`` and ``wan``, both down.

        When this returns its rules are loaded and its services are started; its WAN has an
        address when something there gives it one.

        Raises:
            MachineError: it does not boot.
        """
        files = {
            WAN_SCRIPT: LEASE_SCRIPT + self.when_online(),
            _CABLE_SCRIPT: _WATCH_CABLE,
            **self.files(),
        }
        script = "\n".join((*_FORGET_THE_SYSTEM, *self.interfaces(), *self.boot()))
        services = (_UDHCPC, (_CABLE_SCRIPT,), *self.services())
        self._machine.boot(namespace, files, script, services)

    def stop(self) -> None:
        """Switch it off; it does not start again."""
        self._machine.stop()

    def log(self) -> str:
        """Return what its services have said."""
        return self._machine.log()

    def interfaces(self) -> Sequence[str]:
        """Return the shell commands that bring the interfaces up and let packets through."""
        return (
            "echo 1 > /proc/sys/net/ipv4/ip_forward",
            "ip link set lo up",
            f"ip addr add {self.lan} dev lan",
            "ip link set lan up",
            "ip link set wan up",
        )

    def when_online(self) -> str:
        """Return what the shell does each time the WAN has been given an address: nothing."""
        return ""

    @abstractmethod
    def files(self) -> Mapping[str, str]:
        """Return its configuration: path and content."""

    @abstractmethod
    def boot(self) -> Sequence[str]:
        """Return the shell commands that load its rules."""

    @abstractmethod
    def services(self) -> Sequence[Service]:
        """Return what runs as long as it is on, beside the DHCP client of its WAN."""


def dnsmasq(lan: IPv4Interface) -> str:
    """Return a configuration of dnsmasq that serves DHCP and DNS on ``lan``."""
    hosts = list(lan.network.hosts())
    return "\n".join(
        (
            "interface=lan",
            "bind-interfaces",
            "user=root",
            "group=root",
            f"dhcp-range={hosts[99]},{hosts[198]},12h",
            "dhcp-authoritative",
            "dhcp-leasefile=/run/dnsmasq.leases",
            "no-ping",
            "log-facility=-",
            "",
        )
    )


DNSMASQ_CONFIG = "/etc/router/dnsmasq.conf"

DNSMASQ = ("dnsmasq", "--keep-in-foreground", f"--conf-file={DNSMASQ_CONFIG}", "--pid-file")
