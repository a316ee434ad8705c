"""Who else uses an interface: its manager, a DHCP client on it, and the ssh session we are in."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tenacity import retry, retry_if_result, stop_after_delay, wait_fixed

from harness.errors import MachineError

# Where root's programs are, also for a sudo that keeps the user's own PATH.
_PROGRAMS = "/usr/sbin:/usr/bin:/sbin:/bin"

# Seconds for NetworkManager's answer; it gives it in milliseconds.
_PATIENCE = 10.0

# NMDeviceState: NetworkManager leaves the device alone.
_NM_UNMANAGED = 10

# systemd-networkd writes one file a link it knows, named by the interface's index.
_NETWORKD_LINKS = Path("/run/systemd/netif/links")
_NETWORKD_LEAVES_ALONE = ("unmanaged", "linger")

_PACKET_SOCKETS = Path("/proc/net/packet")
# ETH_P_IP: a client that has no address yet sends and receives DHCP on a socket for IP packets.
_ETH_P_IP = 0x0800

_PROC = Path("/proc")


@dataclass(frozen=True)
class SshSession:
    """The ends of the ssh connection that the command was called from, each with its zone if any.

    ``server`` is on this machine (sshd(8), SSH_CONNECTION).
    """

    client: str
    server: str


def managed_by_network_manager(name: str) -> bool:
    """Ask NetworkManager, where it runs, whether it manages the interface.

    Raises:
        MachineError: it runs and cannot be asked.
    """
    nmcli = _nmcli()
    if nmcli is None:
        return False
    state = _state(nmcli, name)
    if state is None:
        raise MachineError(
            f"{name}: NetworkManager does not say whether it manages it; see what "
            f"`nmcli device show {name}` says"
        )
    return state != _NM_UNMANAGED


def released_by_network_manager(name: str) -> bool:
    """Have NetworkManager, where it runs, leave alone an interface that came just now.

    It takes an interface that comes for a new one, and manages it even if it was told not to.
    Return whether it leaves it alone.

    Raises:
        MachineError: it runs and cannot be asked.
    """
    nmcli = _nmcli()
    return nmcli is None or _released(nmcli, name)


@retry(
    retry=retry_if_result(lambda released: not released),
    stop=stop_after_delay(_PATIENCE),
    wait=wait_fixed(0.05),
    retry_error_callback=lambda _: False,
)
def _released(nmcli: str, name: str) -> bool:
    """Tell NetworkManager, which may not know of the interface yet, and wait until it obeys."""
    _ask(nmcli, "GENERAL.STATE", "device", "set", name, "managed", "no")
    return _state(nmcli, name) == _NM_UNMANAGED


def managed_by_networkd(index: int, links: Path = _NETWORKD_LINKS) -> bool:
    """Read whether systemd-networkd manages the interface with this index."""
    try:
        lines = (links / str(index)).read_text(encoding="utf-8").splitlines()
    except FileNotFoundError:
        return False
    state = dict(line.split("=", 1) for line in lines if "=" in line).get("ADMIN_STATE")
    return state is not None and state not in _NETWORKD_LEAVES_ALONE


def has_dhcp_client(index: int) -> bool:
    """Say whether a packet socket for IP is bound to the interface with this index."""
    _, *rows = _PACKET_SOCKETS.read_text(encoding="ascii").splitlines()
    # sk RefCnt Type Proto Iface R Rmem User Inode
    cells = (row.split() for row in rows)
    return any(int(row[3], 16) == _ETH_P_IP and int(row[4]) == index for row in cells)


def ssh_session(pid: int) -> SshSession | None:
    """Return the ssh session that a process was called from: its own, or its nearest ancestor's.

    The ancestors are asked because sudo takes SSH_CONNECTION away.
    """
    for each in _with_ancestors(pid):
        for entry in _environment(each):
            name, _, value = entry.partition("=")
            ends = value.split()
            if name == "SSH_CONNECTION" and len(ends) == 4:
                return SshSession(client=ends[0], server=ends[2])
    return None


def _nmcli() -> str | None:
    """Return NetworkManager's own client, where NetworkManager runs."""
    nmcli = shutil.which("nmcli", path=_PROGRAMS)
    runs = nmcli is not None and _ask(nmcli, "RUNNING", "general") == "running"
    return nmcli if runs else None


def _state(nmcli: str, name: str) -> int | None:
    # "100 (connected)": the words may be translated, the number is NMDeviceState.
    number = _ask(nmcli, "GENERAL.STATE", "device", "show", name).partition(" ")[0]
    return int(number) if number.isdigit() else None


def _ask(nmcli: str, field: str, *what: str) -> str:
    try:
        answer = subprocess.run(
            [nmcli, "--get-values", field, *what],
            env={"LC_ALL": "C", "PATH": _PROGRAMS},
            capture_output=True,
            text=True,
            check=False,
            timeout=_PATIENCE,
        )
    except subprocess.TimeoutExpired as error:
        raise MachineError(
            f"NetworkManager does not answer within {_PATIENCE:g} s; "
            "see `systemctl status NetworkManager`"
        ) from error
    return answer.stdout.strip()


def _with_ancestors(pid: int) -> Iterator[int]:
    while pid > 0:
        yield pid
        pid = _parent(pid)


def _parent(pid: int) -> int:
    try:
        stat = (_PROC / str(pid) / "stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        # It ended, or /proc does not show it to us: nobody further up can be asked.
        return 0
    # The name, in parentheses, may hold spaces and parentheses; state and parent come after it.
    return int(stat.rpartition(")")[2].split()[1])


def _environment(pid: int) -> list[str]:
    try:
        content = (_PROC / str(pid) / "environ").read_bytes()
    except OSError:
        return []
    return content.decode("utf-8", errors="replace").split("\0")
