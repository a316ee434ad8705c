"""A bench without hardware: a namespace that plays the lab machine, and routers cabled to it."""

from __future__ import annotations

import os
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType

from pyroute2 import IPRoute

from harness.runtime.netns import NetNs
from routers.base import GearRouter

_SYSCTL = Path("/proc/sys/net")


class TestBench:
    """The lab machine, ``host``: a namespace without a default route, to enter and run things in.

    Everything ends with the ``with`` block, and with the process, however that ends: namespaces
    are held by descriptors only, and the routers' processes die with it. Needs root.
    ``namespaces`` are all that it has made, the lab machine's first.
    """

    __test__ = False  # its name is no test's

    def __init__(self) -> None:
        """Nothing is made yet."""
        self.host: NetNs
        self.namespaces: list[NetNs] = []
        self._open = ExitStack()
        self._routers = 0

    def __enter__(self) -> TestBench:
        """Make the lab machine's namespace."""
        self.host = self._namespace()
        with self.host.entered(), IPRoute() as netlink:
            netlink.link("set", ifname="lo", state="up")
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Switch the routers off; the kernel removes the rest."""
        self._open.close()

    def plug(self, router: GearRouter) -> tuple[str, str]:
        """Cable a router to two new NICs of the lab machine and switch it on.

        Returns the names of the NIC on its LAN side and of that on its WAN side. Both are down and
        have no address.

        Raises:
            MachineError: the router does not boot.
        """
        inside = self._namespace()
        number, self._routers = self._routers, self._routers + 1
        nics = f"lan{number}", f"wan{number}"
        with self.host.entered(), IPRoute() as netlink:
            for nic, far in zip(nics, ("lan", "wan"), strict=True):
                peer = {"ifname": far, "net_ns_fd": inside.fd}
                netlink.link("add", ifname=nic, kind="veth", peer=peer)
        self._open.callback(router.stop)
        router.start(inside)
        return nics

    def _namespace(self) -> NetNs:
        namespace = NetNs.create()
        self._open.callback(namespace.close)
        self.namespaces.append(namespace)
        with namespace.entered():
            # A new namespace copies these from the machine it is made on.
            (_SYSCTL / "ipv4/ip_forward").write_text("0", encoding="ascii")
            for name in ("all", "default"):
                (_SYSCTL / f"ipv6/conf/{name}/disable_ipv6").write_text("1", encoding="ascii")
        return namespace


def inode(namespace: NetNs) -> int:
    """Return the number by which the kernel knows a namespace, as in /proc/PID/ns/net."""
    return os.fstat(namespace.fd).st_ino
