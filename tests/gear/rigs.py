"""A rig for the checks of a router's card: throw-away namespaces around a router made of rules.

::

    lan  .10 ---+                                            +- wan 80.100.10.1 (its own router)
                +- switch - lan 192.168.0.1 [router] wan .2 -+- far 91.30.30.10
    neighbour --+                           80.100.10.2      +- other 93.40.40.10
          .11

The namespaces are held by descriptors and the programs die with the test's process, so the kernel
removes all of it when that ends, however it ends. Needs root.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from functools import partial
from ipaddress import IPv4Address, IPv4Interface
from pathlib import Path

from not_run import not_run
from pyroute2 import IPRoute
from tenacity import RetryError, Retrying, retry_if_result, stop_after_delay, wait_fixed

from harness.gear.rig import Rig, Station
from harness.runtime.child import finish
from harness.runtime.netns import NetNs
from harness.runtime.process import spawn_daemon
from harness.runtime.sockdiag import listening
from harness.runtime.stack import Interface, Link, Plug, Stack
from harness.runtime.syscalls import die_with_parent
from harness.runtime.wiring import wire

Part = Callable[[NetNs, Path], AbstractContextManager[object]]
"""Something of a router: entered with the router's namespace and a folder to work in."""

ROUTER = IPv4Interface("192.168.0.1/24")
LAN = IPv4Interface("192.168.0.10/24")
NEIGHBOUR = IPv4Interface("192.168.0.11/24")
EXTERNAL = IPv4Interface("80.100.10.2/24")
WAN = IPv4Interface("80.100.10.1/24")
FAR = IPv4Address("91.30.30.10")
OTHER = IPv4Address("93.40.40.10")

HTTP_PORT = 5431
READY_SECONDS = 10.0
"""A program of the router must listen after this time; miniupnpd needs 6 ms."""

PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_LOOPBACK = 1
# The wiring gives each interface an address; the switch's own is of use to nobody.
_SWITCH = IPv4Interface("169.254.200.1/32")

# {prerouting}, {forward}, {postrouting} and {input}: what a test adds in front of the policies.
_RULES = """\
table inet router {{
    chain mapped_forward {{ }}
    chain mapped_prerouting {{ }}
    chain mapped_postrouting {{ }}
    chain input {{
        type filter hook input priority 0; policy drop;
        iifname {{ "lo", "lan" }} accept
        ct state established,related accept
        {input}
    }}
    chain forward {{
        type filter hook forward priority 0; policy drop;
        {forward}
        ct state established,related accept
        iifname "lan" oifname "wan" accept
        iifname "wan" jump mapped_forward
    }}
    chain prerouting {{
        type nat hook prerouting priority -100;
        {prerouting}
        iifname "wan" jump mapped_prerouting
    }}
    chain postrouting {{
        type nat hook postrouting priority 100;
        oifname "wan" jump mapped_postrouting
        {postrouting}
    }}
}}
"""


def rules(
    *,
    input: str = "",  # noqa: A002 - the chain's name
    forward: str = "",
    prerouting: str = "",
    postrouting: str = 'oifname "wan" masquerade',
) -> str:
    """Return nft rules of a router; what is given stands in the chain of that name.

    ``input`` is reached by what comes in from the WAN unasked; it is dropped after it. ``forward``
    and ``prerouting`` stand first in their chains.
    """
    return _RULES.format(
        input=input, forward=forward, prerouting=prerouting, postrouting=postrouting
    )


MASQUERADE = rules()
"""A plain router that drops what nobody asked for, with empty chains for a mapping daemon."""


@contextmanager
def rig(ruleset: str = MASQUERADE, *parts: Part, answer: float = 0.4) -> Iterator[Rig]:
    """Make a router of nft rules and programs, and the rig around it; it ends with the block.

    ``answer`` is the rig's, in seconds. Without root the test is not run; in CI that fails.
    """
    require_root()
    with ExitStack() as open_:
        router = _namespace(open_)
        made = open_.enter_context(rig_around(router, answer=answer))
        with router.entered():
            subprocess.run([_program("nft"), "-f", "-"], input=ruleset, text=True, check=True)
        folder = Path(open_.enter_context(tempfile.TemporaryDirectory(prefix="rig-")))
        for number, part in enumerate(parts):
            place = folder / str(number)
            place.mkdir()
            open_.enter_context(part(router, place))
        yield made


@contextmanager
def rig_around(router: NetNs, *, answer: float = 0.4) -> Iterator[Rig]:
    """Wire a rig to an empty namespace: it gets ``lan`` and ``wan``, addresses, and forwards."""
    with ExitStack() as open_:
        hosts = {name: _namespace(open_) for name in ("lan", "neighbour", "switch", "wan")}
        _wire(hosts | {"router": router})
        with hosts["wan"].entered(), IPRoute() as netlink:
            for address in (FAR, OTHER):
                netlink.addr("add", index=_LOOPBACK, address=str(address), prefixlen=32)
        yield Rig(
            lan=Station("lan", hosts["lan"], LAN.ip),
            neighbour=Station("neighbour", hosts["neighbour"], NEIGHBOUR.ip),
            wan=Station("wan", hosts["wan"], WAN.ip),
            far=Station("far", hosts["wan"], FAR),
            other=Station("other", hosts["wan"], OTHER),
            router=ROUTER,
            external=EXTERNAL.ip,
            answer=answer,
        )


def _wire(namespaces: dict[str, NetNs]) -> None:
    def host(name: str, address: IPv4Interface, gateway: IPv4Address | None) -> Stack:
        return Stack((Interface(name, address),), gateway, forwards=False)

    stacks = {
        "lan": host("eth0", LAN, ROUTER.ip),
        "neighbour": host("eth0", NEIGHBOUR, ROUTER.ip),
        "switch": Stack(
            (Interface("bridge", _SWITCH, ("lan", "neighbour", "router")),), None, forwards=False
        ),
        "router": Stack(
            (Interface("lan", ROUTER), Interface("wan", EXTERNAL)), WAN.ip, forwards=True
        ),
        "wan": host("eth0", WAN, None),
    }
    links = [
        Link(Plug("lan", "eth0"), Plug("switch", "lan")),
        Link(Plug("neighbour", "eth0"), Plug("switch", "neighbour")),
        Link(Plug("switch", "router"), Plug("router", "lan")),
        Link(Plug("router", "wan"), Plug("wan", "eth0")),
    ]
    wire(stacks, links, namespaces)


def require_root() -> None:
    """Do not run the test unless it may make namespaces."""
    if os.geteuid() != 0:
        not_run("the rig's namespaces need root")


# --- Parts of a router ---


def miniupnpd(
    *,
    igd: int = 2,
    secure: bool = True,
    pmp: bool = True,
    low_ports: bool = False,
    upnp: bool = True,
) -> Part:
    """Run Debian's miniupnpd: as IGD:1 or 2, mapping to the asker alone or to any, by which rules.

    ``pmp`` is NAT-PMP and PCP. With ``low_ports`` external ports below 1024 are allowed.
    """
    first = 0 if low_ports else 1024
    lines = (
        "ext_ifname=wan",
        "listening_ip=lan",
        f"enable_upnp={'yes' if upnp else 'no'}",
        f"enable_natpmp={'yes' if pmp else 'no'}",
        f"http_port={HTTP_PORT}",
        f"secure_mode={'yes' if secure else 'no'}",
        f"force_igd_desc_v1={'yes' if igd == 1 else 'no'}",
        "uuid=5f6d1c3e-3b0a-4f0e-9d5c-2b7f5a0c9d01",
        "system_uptime=yes",
        "min_lifetime=1",
        "upnp_table_name=router",
        "upnp_nat_table_name=router",
        "upnp_forward_chain=mapped_forward",
        "upnp_nat_chain=mapped_prerouting",
        "upnp_nat_postrouting_chain=mapped_postrouting",
        f"allow {first}-65535 {ROUTER.network} {first}-65535",
        "deny 0-65535 0.0.0.0/0 0-65535",
    )
    listens = [f"TCP {HTTP_PORT}", "UDP 1900"] * upnp + ["UDP 5351"] * pmp
    return partial(_running, "\n".join(lines) + "\n", listens)


@contextmanager
def _running(configuration: str, listens: list[str], router: NetNs, folder: Path) -> Iterator[None]:
    config = folder / "miniupnpd.conf"
    config.write_text(configuration, encoding="ascii")
    command = [_program("miniupnpd"), "-d", "-f", str(config), "-P", str(folder / "pid")]
    log = folder / "log"
    daemon = spawn_daemon(router, command, folder, log, {"PATH": PATH, "LC_ALL": "C"})
    try:
        _await(router, listens, lambda: log.read_text(encoding="utf-8", errors="replace"))
        yield
    finally:
        daemon.kill()
        daemon.wait()


@contextmanager
def forked(
    body: Callable[[], None], listens: list[str], router: NetNs, folder: Path
) -> Iterator[None]:
    """Run a function in a child process in the router's namespace; wait until it listens.

    ``listens`` is what it listens on, as ``TCP 49000``. Use ``functools.partial`` to make it a
    :data:`Part`. What it prints goes where the test's own output goes.
    """
    parent = os.getpid()
    pid = os.fork()
    if pid == 0:
        finish(partial(_be_child, parent, body, router))
    try:
        _await(router, listens, lambda: f"process {pid}")
        yield
    finally:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)


def _be_child(parent: int, body: Callable[[], None], router: NetNs) -> None:
    die_with_parent()
    if os.getppid() == parent:
        router.enter()
        body()


def _await(router: NetNs, listens: list[str], said: Callable[[], str]) -> None:
    wait = Retrying(
        retry=retry_if_result(bool), stop=stop_after_delay(READY_SECONDS), wait=wait_fixed(0.005)
    )
    try:
        wait(lambda: [name for name in listens if name not in listening(router)])
    except RetryError:
        raise AssertionError(f"nothing listens on {listens}: {said()}") from None


def _program(name: str) -> str:
    path = shutil.which(name, path=PATH)
    if path is None:
        not_run(f"{name} is missing (make setup-gear)")
    return path


def _namespace(open_: ExitStack) -> NetNs:
    namespace = NetNs.create()
    open_.callback(namespace.close)
    return namespace
