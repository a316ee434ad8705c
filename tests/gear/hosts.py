"""A throw-away host: a process in namespaces of its own, with veth ends that play its NICs.

Behind each NIC is a namespace with the cable's far end, where a router would be.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from not_run import not_run
from tenacity import retry, retry_if_result, stop_after_delay, wait_fixed

from harness.runtime import syscalls
from harness.runtime.child import finish
from harness.runtime.netns import NetNs
from harness.runtime.syscalls import die_with_parent, mount, unshare

# Seconds for whatever the kernel or another process does by itself, which is some milliseconds.
DEADLINE = 12.0

SYSCTLS = Path("/proc/sys/net")

# With these, duplicate address detection takes some 10 ms in place of 1 to 2 s.
_QUICK_DETECTION = {
    "ipv6/conf/{name}/router_solicitation_delay": "0",
    "ipv6/neigh/{name}/retrans_time_ms": "10",
}


@dataclass(frozen=True)
class Nic:
    """A NIC's name, and the namespace at the cable's far end, where the interface is ``port``."""

    name: str
    far: NetNs


def need_root() -> None:
    """Do not run the test where this is not root."""
    if os.geteuid() != 0:
        not_run("NICs are taken by root only: run the tests as root (sudo make test)")


def on_host(work: Callable[[], object]) -> Any:
    """Run ``work`` on a new host, as root; return what it returned, by way of JSON.

    What fails there fails the test that called this, with the inner traceback.
    """
    need_root()
    reading, writing = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.close(reading)
        _be_host(work, writing)
    os.close(writing)
    with open(reading, encoding="utf-8") as answer:  # noqa: PTH123 - it has no path
        said = json.loads(answer.readline() or '{"failed": "the host ended without a word"}')
    os.waitpid(pid, 0)
    assert "failed" not in said, said["failed"]
    return said["result"]


def _be_host(work: Callable[[], object], writing: int) -> None:
    """Make the namespaces, and be the parent of the first process in them; never returns."""
    try:
        die_with_parent()
        unshare(syscalls.CLONE_NEWNET | syscalls.CLONE_NEWNS | syscalls.CLONE_NEWPID)
        pid = os.fork()
        if pid == 0:
            _be_first_process(work, writing)
        os.waitpid(pid, 0)
    finally:
        os._exit(0)


def _be_first_process(work: Callable[[], object], writing: int) -> None:
    """Do the work; every process of the host ends with this one."""
    try:
        die_with_parent()
        mount("none", "/", "", syscalls.MS_REC | syscalls.MS_PRIVATE)
        mount("proc", "/proc", "proc", syscalls.MS_NOSUID)
        # Its own interfaces, and nobody's managers.
        mount("sysfs", "/sys", "sysfs", syscalls.MS_NOSUID)
        mount("tmpfs", "/run", "tmpfs", syscalls.MS_NOSUID)
        run("ip link set lo up")
        said: dict[str, object] = {"result": work()}
    except BaseException:  # noqa: BLE001 - it is told where the test can fail with it
        said = {"failed": traceback.format_exc()}
    os.write(writing, (json.dumps(said) + "\n").encode())
    os._exit(0)


def run(command: str, namespace: NetNs | None = None) -> str:
    """Run a command in the host's namespace, or in another one, and return what it printed."""
    if namespace is not None:
        with namespace.entered():
            return run(command)
    done = subprocess.run(command.split(), capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{command}: {done.stderr}"
    return done.stdout


def nic(name: str, *, up: bool) -> Nic:
    """Plug in a NIC; where it is up, wait until it has its IPv6 link-local address."""
    far = NetNs.create()
    with far.entered():
        (SYSCTLS / "ipv6/conf/default/disable_ipv6").write_text("1", encoding="ascii")
    run(f"ip link add {name} type veth peer name port netns /proc/{os.getpid()}/fd/{far.fd}")
    for path, value in _QUICK_DETECTION.items():
        (SYSCTLS / path.format(name=name)).write_text(value, encoding="ascii")
    run("ip link set lo up", far)
    run("ip link set port up", far)
    if up:
        run(f"ip link set {name} up")
        await_true(lambda: [each for each in addresses(name) if "tentative" not in each])
    return Nic(name, far)


def addresses(name: str) -> list[dict[str, Any]]:
    """Return the addresses as ip tells them."""
    told: list[dict[str, Any]] = _links()[name]["addr_info"]
    return told


def state(name: str) -> dict[str, Any]:
    """Return all that ip and /proc/sys tell of the interface; nothing where there is none.

    This is the tests' own view, by other means than the harness's.
    """
    link = _links().get(name)
    if link is None:
        return {}
    kept = ("ifindex", "flags", "mtu", "operstate", "address", "promiscuity", "allmulti", "txqlen")
    routes = [
        route
        for family in ("-4", "-6")
        for route in json.loads(run(f"ip -j {family} route show table all"))
        if route.get("dev") == name
    ]
    files = [file for folder in ("ipv4", "ipv6") for file in SYSCTLS.glob(f"{folder}/*/{name}/*")]
    return {
        **{key: link.get(key) for key in kept},
        "addresses": link["addr_info"],
        "routes": sorted(map(str, routes)),
        **{str(file): _content(file) for file in sorted(files)},
    }


def _links() -> dict[str, dict[str, Any]]:
    return {each["ifname"]: each for each in json.loads(run("ip -j -d addr")) if each}


def _content(file: Path) -> str:
    try:
        return file.read_text(encoding="ascii")
    except OSError as error:
        return str(error)


def child(work: Callable[[], object]) -> int:
    """Fork a process of the host that does some work; its signals are as a shell would set them."""
    pid = os.fork()
    if pid == 0:
        finish(partial(_heed_interrupts, work))
    return pid


def _heed_interrupts(work: Callable[[], object]) -> None:
    signal.signal(signal.SIGINT, signal.default_int_handler)
    work()


@retry(
    retry=retry_if_result(lambda result: not result),
    stop=stop_after_delay(DEADLINE),
    wait=wait_fixed(0.01),
)
def await_true(ask: Callable[[], Any]) -> Any:
    """Ask until the answer is true, and return it."""
    return ask()
