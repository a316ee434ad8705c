"""The bench that routers are plugged into: what it has, what it says, and what it leaves."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest
from pyroute2 import IPRoute
from reaching import Make
from routers import LegacyRouter, SlirpRouter, TestBench
from routers.software import layer
from tenacity import retry, retry_if_result, stop_after_delay, wait_fixed

from harness.errors import MachineError

pytest_plugins = ["plugging"]
pytestmark = pytest.mark.usefixtures("root")


def test_the_lab_machine_has_two_nics_a_router_that_are_down_and_bare_and_no_way_out(
    make: Make,
) -> None:
    with TestBench() as bench:
        nics = [bench.plug(make(kind)) for kind in (LegacyRouter, SlirpRouter)]
        with bench.host.entered(), IPRoute() as netlink:
            links = {link.get_attr("IFLA_IFNAME"): link for link in netlink.get_links()}
            addresses = [entry.get_attr("IFA_LABEL") for entry in netlink.get_addr(family=2)]
            assert not netlink.get_default_routes(family=socket.AF_INET)
    assert nics == [("lan0", "wan0"), ("lan1", "wan1")]
    assert set(links) == {"lo", "lan0", "wan0", "lan1", "wan1"}
    assert {name for name, link in links.items() if link["state"] == "up"} == {"lo"}
    assert addresses == ["lo"]


@pytest.mark.parametrize("end", [signal.SIGKILL, signal.SIGTERM])
def test_nothing_is_left_of_a_bench_whose_process_is_killed(end: signal.Signals) -> None:
    before = sorted(Path("/run/netns").glob("*")), _mounts()
    program = """
        import json, sys
        from routers import LegacyIgdRouter, Lie, LyingRouter, SlirpRouter, TestBench
        from routers.bench import inode
        with TestBench() as bench:
            for router in (LegacyIgdRouter(), LyingRouter(Lie.NONE), SlirpRouter()):
                bench.plug(router)
            print(json.dumps([inode(space) for space in bench.namespaces]), flush=True)
            sys.stdin.read()
    """
    running = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(program)],
        cwd=Path(__file__).parent,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    with running:
        assert running.stdout is not None
        spaces = set(json.loads(running.stdout.readline()))
        alive = _processes_in(spaces)
        running.send_signal(end)
    assert len(alive) > 6, "the routers' services were not seen at all"
    assert _left_in(spaces) == []
    assert (sorted(Path("/run/netns").glob("*")), _mounts()) == before


@retry(
    retry=retry_if_result(bool),
    stop=stop_after_delay(5),
    wait=wait_fixed(0.01),
    retry_error_callback=lambda state: state.outcome and state.outcome.result(),
)
def _left_in(spaces: set[int]) -> list[int]:
    return _processes_in(spaces)


def _processes_in(spaces: set[int]) -> list[int]:
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            inside = (folder / "ns" / "net").stat().st_ino in spaces
        except (FileNotFoundError, ProcessLookupError, PermissionError):
            continue  # it has ended, or is somebody else's
        if inside:
            found.append(int(folder.name))
    return found


def _mounts() -> str:
    return Path("/proc/self/mounts").read_text(encoding="utf-8")


def test_a_router_that_does_not_boot_says_its_last_words(make: Make) -> None:
    class Broken(LegacyRouter):
        def boot(self) -> tuple[str, ...]:
            return ("echo no such rules >&2", "false")

    with TestBench() as bench, pytest.raises(MachineError, match="no such rules"):
        bench.plug(make(Broken))


def test_software_that_apt_does_not_know_is_named() -> None:
    with pytest.raises(MachineError, match="no-such-package-at-all"):
        layer("no-such-package-at-all")
