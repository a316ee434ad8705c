"""A NIC that NetworkManager manages is refused, and may be taken when it was released as told.

A real NetworkManager runs on the throw-away host, with a message bus of its own. Its packages are
unpacked and laid over the host's folders: installed it would take over this machine's own NICs.
"""

from __future__ import annotations

import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from hosts import await_true, need_root, nic, on_host, run, state
from not_run import not_run
from routers.software import layer

from harness.errors import MachineError, RunError
from harness.runtime.netns import NetNs
from harness.runtime.nics import owners
from harness.runtime.nics.examine import examined
from harness.runtime.nics.owners import managed_by_network_manager
from harness.runtime.nics.taking import Place, taken
from harness.runtime.syscalls import mount
from harness.topology.bench import Nic

_FOLDERS = ("etc", "usr", "var")

# Nothing of this machine's own NetworkManager is read, and it must be able to write here.
_ITS_FOLDERS = ("/etc/NetworkManager", "/var/lib/NetworkManager")

_BUS = Path("/run/dbus/system_bus_socket")
# The system's own would change its user, and ask each package for its rules.
_BUS_CONFIGURATION = f"""
<busconfig>
  <type>system</type>
  <listen>unix:path={_BUS}</listen>
  <policy context="default">
    <allow user="*"/> <allow own="*"/> <allow send_type="*"/> <allow receive_type="*"/>
  </policy>
</busconfig>
"""


@pytest.fixture(scope="module")
def unpacked() -> Path:
    """Return a folder with the files of NetworkManager and of all that the system lacks for it."""
    need_root()
    try:
        return layer("network-manager", "dbus")
    except MachineError as error:
        not_run(error)


def lay_over(unpacked: Path) -> None:
    """Lay the files over those of the host that this is called on."""
    for name in _FOLDERS:
        if (unpacked / name).is_dir():
            mount("overlay", f"/{name}", "overlay", 0, f"lowerdir={unpacked}/{name}:/{name}")


@contextmanager
def network_manager() -> Iterator[subprocess.Popen[bytes]]:
    """Run a message bus and NetworkManager on the host that this is called on; yield that."""
    for folder in _ITS_FOLDERS:
        mount("tmpfs", folder, "tmpfs", 0)
    # Where it cannot be written, NetworkManager waits for no udev.
    run("mount -o remount,ro /sys")
    _BUS.parent.mkdir()
    rules = _BUS.with_name("rules.conf")
    rules.write_text(_BUS_CONFIGURATION, encoding="ascii")
    bus = subprocess.Popen(["dbus-daemon", f"--config-file={rules}", "--nofork", "--nopidfile"])
    await_true(_BUS.exists)
    manager = subprocess.Popen(
        ["/usr/sbin/NetworkManager", "--no-daemon"], stderr=subprocess.DEVNULL
    )
    try:
        await_true(lambda: _running() == "running")
        yield manager
    finally:
        manager.send_signal(signal.SIGCONT)
        for each in (manager, bus):
            each.terminate()
            each.wait()


def _running() -> str:
    asked = ["nmcli", "-g", "RUNNING", "general"]
    return subprocess.run(asked, capture_output=True, text=True, check=False).stdout.strip()


@pytest.mark.parametrize("move", [False, True], ids=["macvlan", "move"])
def test_a_nic_is_refused_until_it_is_released_as_the_refusal_says(
    unpacked: Path, move: bool
) -> None:
    def work() -> str:
        lay_over(unpacked)
        nic("n0", up=False)
        with network_manager():
            await_true(lambda: managed_by_network_manager("n0"))
            with pytest.raises(MachineError) as refused:
                examined([Nic(name="n0")], move=move)
            run(str(refused.value).partition("release it: ")[2])
            await_true(lambda: not managed_by_network_manager("n0"))
            before = state("n0")
            with taken({Nic(name="n0"): Place(NetNs.create(), "eth0")}, move):
                pass
            assert not managed_by_network_manager("n0")
            await_true(lambda: state("n0") == before)
        return str(refused.value)

    text = on_host(work)
    assert text == "n0: NetworkManager manages it; release it: nmcli device set n0 managed no"


def test_a_nic_is_given_back_as_it_was_also_where_network_manager_hangs(
    unpacked: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(owners, "_PATIENCE", 1.0)

    def work() -> str:
        lay_over(unpacked)
        nic("n0", up=False)
        run("sysctl -q -w net.ipv4.conf.n0.arp_filter=1")
        with network_manager() as manager:
            await_true(lambda: managed_by_network_manager("n0"))
            run("nmcli device set n0 managed no")
            await_true(lambda: not managed_by_network_manager("n0"))
            before = state("n0")
            where = {Nic(name="n0"): Place(NetNs.create(), "eth0")}
            with pytest.raises(RunError) as raised, taken(where, move=True):
                manager.send_signal(signal.SIGSTOP)
            assert state("n0") == before
        return str(raised.value)

    assert "n0: NetworkManager does not answer within 1 s" in on_host(work)


def test_a_nic_is_nobodys_where_network_manager_does_not_run(unpacked: Path) -> None:
    def work() -> bool:
        lay_over(unpacked)
        nic("n0", up=False)
        assert _running() == ""
        return managed_by_network_manager("n0")

    assert on_host(work) is False
