"""miniupnpd, the UPnP and NAT-PMP daemon of a device: its configuration, its start, its readiness.

Facts about the daemon: Debian's package miniupnpd-nftables, version 2.3.1. It refuses to map where
the WAN address is reserved, as a carrier's 100.64.0.0/10 is.
"""

from __future__ import annotations

import shutil
import subprocess
import uuid
from pathlib import Path

from tenacity import RetryCallState, Retrying, retry_if_result, stop_after_delay, wait_fixed

from harness.errors import MachineError
from harness.judge.model import Control
from harness.lab.ruleset import FORWARD_CHAIN, POSTROUTING_CHAIN, PREROUTING_CHAIN, TABLE
from harness.protocol import natpmp, ssdp
from harness.runtime.netns import NetNs
from harness.runtime.process import spawn_daemon
from harness.topology.model import Device
from harness.topology.plan import NodePlan

CONTROL = "mapping daemon listens"

READY_DEADLINE = 3.0
"""Seconds the daemon has to listen; it needs about 6 ms."""

_SYSTEM_PATH = "/usr/local/sbin:/usr/sbin:/sbin"


def find() -> str:
    """Return the daemon's path.

    Raises:
        MachineError: it is not installed.
    """
    path = shutil.which("miniupnpd") or shutil.which("miniupnpd", path=_SYSTEM_PATH)
    if path is None:
        raise MachineError(
            "miniupnpd is missing: install Debian's package miniupnpd-nftables (make setup does)"
        )
    return path


class Daemon:
    """The daemon of one device node."""

    def __init__(self, node: NodePlan, namespace: NetNs, folder: Path) -> None:
        """Start it; what it says goes to ``folder``."""
        if node.device is None:
            raise ValueError(f"{node.name} is no device")
        self.node = node.name
        self._device = node.device
        self._log = folder / "miniupnpd.log"
        config = folder / "miniupnpd.conf"
        config.write_text(configuration(node.name, node.device), encoding="ascii")
        # In the foreground: it stays our child, and its log is ours.
        command = [find(), "-d", "-f", str(config), "-P", str(folder / "miniupnpd.pid")]
        self.process: subprocess.Popen[bytes] = spawn_daemon(namespace, command, self._log)

    def control(self) -> Control:
        """Wait until it listens where its device should, and say whether it does."""
        missing = self._await_listening()
        if not missing:
            return Control(name=CONTROL, node=self.node, passed=True, detail="it listens")
        status = self.process.poll()
        state = "it runs" if status is None else f"it ended with status {status}"
        said = self.log().strip().splitlines()
        last = f"; its last words: {said[-1]}" if said else ""
        detail = f"nothing listens on {', '.join(missing)}; {state}{last}"
        return Control(name=CONTROL, node=self.node, passed=False, detail=detail)

    def log(self) -> str:
        """Return what the daemon has said so far."""
        return self._log.read_text(encoding="utf-8", errors="replace")

    def _await_listening(self) -> list[str]:
        """Return what nothing listens on at the deadline, or when the daemon has ended."""
        wait = Retrying(
            retry=retry_if_result(lambda missing: bool(missing) and self.process.poll() is None),
            stop=stop_after_delay(READY_DEADLINE),
            wait=wait_fixed(0.001),
            retry_error_callback=_last_result,
        )
        missing: list[str] = wait(self._missing)
        return missing

    def _missing(self) -> list[str]:
        return [name for name in _wanted(self._device) if not self._listens(name)]

    def _listens(self, name: str) -> bool:
        protocol, port = name.split()
        suffix = f":{int(port):04X}"
        for table in (protocol.lower(), f"{protocol.lower()}6"):
            path = Path(f"/proc/{self.process.pid}/net/{table}")
            rows = path.read_text(encoding="ascii").splitlines()[1:] if path.exists() else []
            if any(row.split()[1].endswith(suffix) for row in rows):
                return True
        return False


def configuration(node: str, device: Device) -> str:
    """Return the configuration file that makes the daemon what the device is."""
    network = device.lan.network
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


def _last_result(state: RetryCallState) -> list[str]:
    if state.outcome is None:
        raise ValueError("no attempt was made")
    result: list[str] = state.outcome.result()
    return result


def _wanted(device: Device) -> list[str]:
    sockets = []
    if device.upnp is not None:
        sockets += [f"UDP {ssdp.PORT}", f"TCP {device.upnp.http_port}"]
    if device.nat_pmp is not None:
        sockets.append(f"UDP {natpmp.PORT}")
    return sockets


def _yes(value: bool) -> str:
    return "yes" if value else "no"
