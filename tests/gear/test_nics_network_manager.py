"""A NIC that NetworkManager manages is refused, and may be taken when it was released as told.

A real NetworkManager runs on the throw-away host, with a message bus of its own.
"""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from hosts import await_true, nic, on_host, run, state

from harness.errors import MachineError
from harness.runtime.netns import NetNs
from harness.runtime.nics.examine import examined
from harness.runtime.nics.owners import managed_by_network_manager
from harness.runtime.nics.taking import Place, taken
from harness.topology.bench import Nic

needs_network_manager = pytest.mark.skipif(
    shutil.which("NetworkManager", path="/usr/sbin") is None,
    reason="not run: NetworkManager is not installed (apt-get install network-manager; it takes "
    "over this machine's own NICs, so do it where that does no harm)",
)

# Nothing of this machine's own NetworkManager is read or written.
_ITS_FOLDERS = ("/etc/NetworkManager", "/var/lib/NetworkManager")

_BUS = Path("/run/dbus/system_bus_socket")


@contextmanager
def network_manager() -> Iterator[None]:
    """Run a message bus and NetworkManager on the host that this is called on."""
    for folder in _ITS_FOLDERS:
        run(f"mount -t tmpfs none {folder}")
    # Where it cannot be written, NetworkManager waits for no udev.
    run("mount -o remount,ro /sys")
    _BUS.parent.mkdir()
    bus = subprocess.Popen(["dbus-daemon", "--system", "--nofork", "--nopidfile"])
    await_true(_BUS.exists)
    manager = subprocess.Popen(
        ["/usr/sbin/NetworkManager", "--no-daemon"], stderr=subprocess.DEVNULL
    )
    try:
        await_true(lambda: _running() == "running")
        yield
    finally:
        for each in (manager, bus):
            each.terminate()
            each.wait()


def _running() -> str:
    asked = ["nmcli", "-g", "RUNNING", "general"]
    return subprocess.run(asked, capture_output=True, text=True, check=False).stdout.strip()


@needs_network_manager
@pytest.mark.parametrize("move", [False, True], ids=["macvlan", "move"])
def test_a_nic_is_refused_until_it_is_released_as_the_refusal_says(move: bool) -> None:
    def work() -> str:
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


@needs_network_manager
def test_a_nic_is_nobodys_where_network_manager_does_not_run() -> None:
    def work() -> bool:
        nic("n0", up=False)
        return managed_by_network_manager("n0")

    assert on_host(work) is False
