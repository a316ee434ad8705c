"""NICs are in their places while the block lasts and as they were after it, however it ends."""

from __future__ import annotations

import os
import select
import signal
import socket
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from hosts import Nic, addresses, await_true, child, nic, on_host, run, state
from tenacity import RetryError

from harness.errors import MachineError, RunError
from harness.runtime.netns import NetNs
from harness.runtime.nics.taking import Place, taken
from harness.topology import bench

both_ways = pytest.mark.parametrize("move", [False, True], ids=["macvlan", "move"])


def up_with_link_addresses(name: str) -> Nic:
    """Plug in a NIC that has all that a spare NIC may have."""
    cable, number = nic(name, up=True), int(name.removeprefix("n"))
    run(f"ip link set {name} mtu 1400 txqueuelen 500 address 02:00:00:00:00:1{number}")
    run(f"ip addr add 169.254.{number}.3/24 dev {name} scope link")
    run(f"ip -6 addr add fe80::77/64 dev {name}")
    via = f"via 169.254.{number}.9 dev {name}"
    run(f"ip route add 198.18.{number}.0/24 {via} metric 7 mtu 1300 table 77")
    run(f"ip -6 route add 2001:db8:{number}::/64 via fe80::99 dev {name} metric 5")
    run(f"sysctl -q -w net.ipv4.conf.{name}.arp_filter=1 net.ipv6.conf.{name}.hop_limit=70")
    await_true(lambda: not any("tentative" in each for each in addresses(name)))
    return cable


def down(name: str) -> Nic:
    return nic(name, up=False)


def places(*names: str) -> dict[bench.Nic, Place]:
    """Return a new namespace for each NIC, where it is called ``eth0``."""
    return {bench.Nic(name=name): Place(NetNs.create(), "eth0") for name in names}


def a_place(name: str) -> tuple[dict[bench.Nic, Place], NetNs]:
    """Return a new namespace for one NIC, and the namespace itself."""
    where = places(name)
    (place,) = where.values()
    return where, place.namespace


State = dict[str, dict[str, Any]]


def states(*names: str) -> State:
    return {name: state(name) for name in names}


def differences(before: State) -> list[str]:
    """Say what is not as it was."""
    return [
        f"{name}: {key} is {now.get(key)}, was {was.get(key)}"
        for name, was in before.items()
        for now in (state(name),)
        for key in {**was, **now}
        if now.get(key) != was.get(key)
    ]


def check_as_before(before: State) -> None:
    """Wait for it: of a command that was killed nobody says when its NICs are given back."""
    with suppress(RetryError):
        await_true(lambda: not differences(before))
    assert differences(before) == []


def holder(before: State, move: bool) -> int:
    """Start a command, in a process group of its own; return its pid when it has the NICs."""
    reading, writing = os.pipe()

    def command() -> None:
        os.setpgid(0, 0)
        with taken(places(*before), move):
            os.write(writing, b"!")
            signal.pause()

    pid = child(command)
    os.close(writing)
    assert os.read(reading, 1) == b"!"
    os.close(reading)
    return pid


@both_ways
@pytest.mark.parametrize("plug", [down, up_with_link_addresses])
def test_nics_are_as_before_when_the_block_is_left(plug: Callable[[str], Nic], move: bool) -> None:
    def work() -> None:
        plug("n0"), plug("n1")
        before = states("n0", "n1")
        with taken(places("n0", "n1"), move):
            assert differences(before)
        # At once: who leaves the block may use them.
        assert differences(before) == []

    on_host(work)


@both_ways
def test_ipv6_addresses_are_checked_on_the_link_again_before_the_block_is_left(move: bool) -> None:
    def work() -> None:
        nic("n0", up=True)
        run("sysctl -q -w net.ipv6.neigh.n0.retrans_time_ms=700")
        before = states("n0")
        with taken(places("n0"), move):
            pass
        assert differences(before) == []

    on_host(work)


@both_ways
def test_nics_are_as_before_when_the_block_raises(move: bool) -> None:
    def work() -> None:
        up_with_link_addresses("n0")
        before = states("n0")
        with pytest.raises(KeyError), taken(places("n0"), move):
            raise KeyError
        check_as_before(before)

    on_host(work)


@both_ways
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL, signal.SIGINT, signal.SIGHUP])
@pytest.mark.parametrize("plug", [down, up_with_link_addresses])
def test_nics_are_as_before_when_the_command_is_ended_by_a_signal(
    plug: Callable[[str], Nic], number: signal.Signals, move: bool
) -> None:
    def work() -> None:
        plug("n0"), plug("n1")
        before = states("n0", "n1")
        pid = holder(before, move)
        assert differences(before)
        os.kill(pid, number)
        os.waitpid(pid, 0)
        check_as_before(before)

    on_host(work)


@both_ways
def test_nics_are_as_before_when_the_command_is_killed_while_it_takes_them(move: bool) -> None:
    def work() -> None:
        up_with_link_addresses("n0"), down("n1"), down("n2")
        before = states("n0", "n1", "n2")

        def command() -> None:
            with taken(places(*before), move):
                signal.pause()

        pid = child(command)
        await_true(lambda: differences(before))
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
        check_as_before(before)

    on_host(work)


@both_ways
def test_an_interrupt_while_the_nics_are_taken_is_one_and_gives_them_back(move: bool) -> None:
    def work() -> None:
        down("n0"), down("n1")
        before = states("n0", "n1")
        here = os.getpid()
        signal.signal(signal.SIGINT, signal.default_int_handler)

        def interrupt() -> None:
            # As soon as there is a keeper beside this process: the command waits for its word.
            while len(_children(here)) < 2:
                os.sched_yield()
            os.kill(here, signal.SIGINT)

        other = child(interrupt)
        with pytest.raises(KeyboardInterrupt), taken(places("n0", "n1"), move):
            signal.pause()
        assert os.waitpid(other, 0)[1] == 0
        assert differences(before) == []

    on_host(work)


@both_ways
def test_a_signal_to_the_whole_terminal_ends_the_command_and_not_the_keeper(move: bool) -> None:
    def work() -> None:
        down("n0")
        before = states("n0")
        pid = holder(before, move)
        for number in (signal.SIGHUP, signal.SIGTERM, signal.SIGKILL):
            os.killpg(pid, number)
        os.waitpid(pid, 0)
        check_as_before(before)

    on_host(work)


@both_ways
def test_the_keeper_does_not_heed_who_ends_all_processes_of_the_command(move: bool) -> None:
    def work() -> None:
        down("n0")
        before = states("n0")
        with taken(places("n0"), move):
            for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT):
                os.kill(_children()[0], number)
        check_as_before(before)

    on_host(work)


def test_a_moved_nic_keeps_its_index_where_its_place_has_that_index_already() -> None:
    def work() -> None:
        down("n0")
        before = states("n0")
        where, there = a_place("n0")
        run(f"ip link add other index {before['n0']['ifindex']} type bridge", there)
        with taken(where, move=True), there.entered():
            assert state("eth0")["ifindex"] != before["n0"]["ifindex"]
        check_as_before(before)

    on_host(work)


@both_ways
def test_a_world_that_outlives_the_command_does_not_keep_the_nics(move: bool) -> None:
    def work() -> None:
        up_with_link_addresses("n0")
        before = states("n0")
        reading, writing = os.pipe()

        def command() -> None:
            with taken(places("n0"), move):
                # As the sealed world it inherits all descriptors that the command has.
                os.write(writing, child(signal.pause).to_bytes(4, "big"))
                signal.pause()

        pid = child(command)
        world = int.from_bytes(os.read(reading, 4), "big")
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
        check_as_before(before)
        os.kill(world, 0)
        os.kill(world, signal.SIGKILL)

    on_host(work)


@both_ways
def test_nics_are_as_before_when_the_world_is_killed(move: bool) -> None:
    def work() -> None:
        up_with_link_addresses("n0")
        before = states("n0")
        where, there = a_place("n0")
        with taken(where, move):
            reading, writing = os.pipe()

            def live() -> None:
                there.enter()
                run("ip link set eth0 up")
                os.write(writing, b"!")
                signal.pause()

            world = child(live)
            os.read(reading, 1)
            # Only the keeper has it open now: without, a veth would be deleted with its namespace.
            there.close()
            os.kill(world, signal.SIGKILL)
            os.waitpid(world, 0)
        check_as_before(before)

    on_host(work)


@both_ways
def test_what_was_done_to_the_interface_in_its_place_is_undone(move: bool) -> None:
    def work() -> None:
        up_with_link_addresses("n0")
        before = states("n0")
        where, there = a_place("n0")
        with taken(where, move):
            run("ip link set eth0 up promisc on", there)
            run("ip link set eth0 mtu 1300", there)
            run("ip link set eth0 address 02:00:00:00:00:99", there)
            run("ip addr add 192.0.2.1/24 dev eth0", there)
            run("ip link set eth0 down", there)
            run("ip link set eth0 name other", there)
        check_as_before(before)

    on_host(work)


@both_ways
def test_in_its_place_the_interface_is_down_and_bare_with_the_mac_of_the_nic(move: bool) -> None:
    def work() -> None:
        up_with_link_addresses("n0")
        was = state("n0")
        where, there = a_place("n0")
        with taken(where, move), there.entered():
            now = state("eth0")
        assert now["address"] == was["address"]
        assert now["addresses"] == []
        assert "UP" not in now["flags"]

    on_host(work)


@both_ways
def test_packets_go_both_ways_between_the_place_and_the_cables_far_end(move: bool) -> None:
    def work() -> None:
        cable = down("n0")
        run("ip addr add 192.0.2.1/24 dev port", cable.far)
        where, there = a_place("n0")
        with taken(where, move):
            run("ip link set eth0 up", there)
            run("ip addr add 192.0.2.2/24 dev eth0", there)
            run("ping -c 1 -W 5 192.0.2.1", there)
            run("ping -c 1 -W 5 192.0.2.2", cable.far)

    on_host(work)


def test_the_host_says_nothing_on_a_nic_that_something_was_put_on() -> None:
    def work() -> None:
        run("ip link add own type veth peer name other")
        run("ip link set own up")
        run("ip addr add 192.0.2.1/24 dev own")
        cable = down("n0")
        run("ip addr add 192.0.2.9/24 dev port", cable.far)
        with cable.far.entered():
            sniffer = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3))
        sniffer.bind(("port", 0))
        with taken(places("n0"), move=False):
            # It asks for an address that the host has on another interface, and would answer for.
            far = child(lambda: _ask_in(cable.far, "192.0.2.1"))
            os.waitpid(far, 0)
            heard = []
            while select.select([sniffer], [], [], 0)[0]:
                frame, (_, _, kind, _, _) = sniffer.recvfrom(2000)
                if kind != socket.PACKET_OUTGOING:
                    heard.append(frame.hex())
        assert heard == []

    on_host(work)


def _ask_in(namespace: NetNs, address: str) -> None:
    """Try to connect: three ARP requests, one second apart, and then EHOSTUNREACH."""
    namespace.enter()
    with socket.socket() as sock, pytest.raises(OSError, match="No route to host"):
        sock.connect((address, 9))


def test_nothing_is_done_to_any_nic_when_the_kernel_refuses_the_second() -> None:
    def work() -> str:
        up_with_link_addresses("n0"), down("n1")
        # A container's macvlan: from here it is not seen.
        container = NetNs.create()
        run(
            "ip link add link n1 name eth0 netns "
            f"/proc/{os.getpid()}/fd/{container.fd} type macvlan mode bridge"
        )
        before = states("n0", "n1")
        said = []
        for move in (False, True):
            with pytest.raises(MachineError) as refused, taken(places("n0", "n1"), move):
                pass
            said.append(str(refused.value))
            check_as_before(before)
            run("ip link show eth0", container)
        return "\n".join(said)

    for line in on_host(work).splitlines():
        assert line.startswith("n1: the kernel puts no macvlan on it (Invalid argument)")
        assert "perhaps a container's macvlan: end that first" in line


def test_a_nic_that_is_gone_at_the_end_is_named() -> None:
    def work() -> str:
        down("n0"), down("n1")
        before = states("n1")
        with pytest.raises(RunError) as raised, taken(places("n0", "n1"), move=False):
            run("ip link del n0")
        check_as_before(before)
        return str(raised.value)

    assert on_host(work) == "not given back as it was: n0 is gone; put it right by hand"


def test_what_the_kernel_does_not_let_be_given_back_is_named() -> None:
    def work() -> str:
        nic("n0", up=True)
        with pytest.raises(RunError) as raised, taken(places("n0"), move=True):
            # Somebody else's interface has its name meanwhile.
            run("ip link add n0 type bridge")
        return str(raised.value)

    assert "n0 is eth0 now: its name is another's (File exists)" in on_host(work)


def test_a_keeper_that_was_killed_is_missed() -> None:
    def work() -> str:
        down("n0")
        with pytest.raises(RunError) as raised, taken(places("n0"), move=False):
            os.kill(_children()[0], signal.SIGKILL)
        return str(raised.value)

    assert on_host(work).startswith("the process that keeps n0 was ended before it gave them back")


def test_the_keeper_is_gone_when_the_block_is_left_and_no_descriptor_stays() -> None:
    def work() -> None:
        down("n0")
        where = places("n0")
        before = _descriptors()
        with taken(where, move=False):
            assert len(_children()) == 1
        assert _children() == []
        assert _descriptors() == before

    on_host(work)


def test_the_keeper_holds_nothing_open_of_the_commands_but_its_errors() -> None:
    def work() -> None:
        down("n0")
        reading, writing = os.pipe()
        with taken(places("n0"), move=False):
            os.close(writing)
            # At once, and not when the keeper has ended.
            assert select.select([reading], [], [], 10)[0]
            assert os.read(reading, 1) == b""

    on_host(work)


def _children(pid: int | None = None) -> list[int]:
    """Return the children of a process of one thread, by default of this one."""
    pid = pid or os.getpid()
    told = Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="ascii")
    return [int(each) for each in told.split()]


def _descriptors() -> list[str]:
    return sorted(entry.name for entry in Path("/proc/self/fd").iterdir())
