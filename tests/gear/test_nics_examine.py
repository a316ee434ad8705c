"""A NIC that may not be taken is refused before anything is touched, with what to do about it."""

from __future__ import annotations

import os
import socket
import struct
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from hosts import addresses, await_true, nic, on_host, run, state

from harness.errors import MachineError
from harness.runtime.netns import NetNs
from harness.runtime.nics.examine import examined
from harness.runtime.nics.taking import Place, taken
from harness.topology.bench import Nic

both_ways = pytest.mark.parametrize("move", [False, True], ids=["macvlan", "move"])

Prepare = Callable[[], object]


def wanted(*names: str) -> list[Nic]:
    return [Nic(name=name) for name in names]


def refusal(prepare: Prepare, name: str = "n0", *, move: bool = False) -> str:
    """Return the refusal of a NIC on a host where ``prepare`` was run."""

    def work() -> str:
        nic("n0", up=True)
        prepare()
        await_true(lambda: not any("tentative" in each for each in addresses("n0")))
        before = state("n0")
        with pytest.raises(MachineError) as refused:
            examined(wanted(name), move=move)
        assert state("n0") == before
        return str(refused.value)

    text: str = on_host(work)
    assert "\n" not in text
    return text


def runs(*commands: str) -> Prepare:
    return lambda: [run(command) for command in commands]


@both_ways
def test_a_spare_nic_may_be_taken_with_link_local_addresses_or_none(move: bool) -> None:
    def work() -> list[str]:
        nic("n0", up=True)
        nic("n1", up=False)
        run("ip addr add 169.254.7.7/16 dev n0 scope link")
        return list(examined(wanted("n0", "n1"), move=move))

    assert on_host(work) == ["n0", "n1"]


@both_ways
def test_a_nic_that_is_not_there_is_refused_with_those_that_are(move: bool) -> None:
    text = refusal(runs(), "eth7", move=move)
    assert text == "there is no NIC eth7; there are: lo, n0"


def test_the_loopback_is_refused() -> None:
    assert "lo: this is the loopback" in refusal(runs(), "lo")


def test_an_interface_that_is_no_ethernet_is_refused() -> None:
    assert "tun0: this is no Ethernet interface" in refusal(
        runs("ip tuntap add tun0 mode tun"), "tun0"
    )


@both_ways
@pytest.mark.parametrize(
    ("route", "table", "remedy"),
    [
        ("ip route add default dev n0", 254, "ip route del default dev n0 table 254"),
        ("ip route add default dev n0 table 77", 77, "ip route del default dev n0 table 77"),
        (
            "ip -6 route add default via fe80::1 dev n0 table 88",
            88,
            "ip -6 route del default dev n0 table 88",
        ),
    ],
)
def test_a_nic_with_a_default_route_in_any_table_is_refused(
    route: str, table: int, remedy: str, move: bool
) -> None:
    text = refusal(runs(route), move=move)
    assert f"n0: this machine's default route (table {table}) goes through it" in text
    assert remedy in text


def test_a_default_route_over_several_nics_is_refused_on_each() -> None:
    def several() -> None:
        nic("n1", up=True)
        run("ip route add default nexthop dev n1 nexthop dev n0")

    assert "default route (table 254) goes through it" in refusal(several)


def test_a_route_that_could_not_be_given_back_is_refused() -> None:
    def several() -> None:
        nic("n1", up=True)
        run("ip route add 198.18.0.0/15 nexthop dev n1 nexthop dev n0")

    assert "n0: the route to 198.18.0.0/15 goes through it and others" in refusal(several)


@both_ways
@pytest.mark.parametrize("address", ["192.0.2.9/24", "169.254.1.1/16", "2001:db8::1/64"])
def test_a_nic_with_an_address_in_use_is_refused(address: str, move: bool) -> None:
    text = refusal(runs(f"ip addr add {address} dev n0"), move=move)
    assert f"n0: it has the address {address} in use" in text
    assert f"ip addr del {address} dev n0" in text


@both_ways
def test_a_port_of_a_bridge_is_refused(move: bool) -> None:
    text = refusal(runs("ip link add br0 type bridge", "ip link set n0 master br0"), move=move)
    assert text == "n0: it is a port of br0 (bridge); take it out: ip link set n0 nomaster"


@both_ways
def test_a_nic_that_something_stands_on_is_refused(move: bool) -> None:
    text = refusal(runs("ip link add link n0 name m0 type macvlan mode bridge"), move=move)
    assert text == "n0: m0 stands on it; remove that first: ip link del m0"


def test_a_wireless_nic_is_refused() -> None:
    def wireless() -> None:
        # No kernel can be relied on to have a wireless NIC; this is where one shows that it is.
        run("mount -t tmpfs none /sys/class")
        Path("/sys/class/net/n0/phy80211").mkdir(parents=True)

    assert refusal(wireless) == "n0: this NIC is wireless; plug the router into a wired one"


def test_a_nic_with_a_capture_on_it_is_not_moved_but_something_may_be_put_on_it() -> None:
    def work() -> list[str]:
        nic("n0", up=True)
        with _capture_on("n0"):
            with pytest.raises(MachineError, match="a capture runs on it"):
                examined(wanted("n0"), move=True)
            return list(examined(wanted("n0"), move=False))

    assert on_host(work) == ["n0"]


def _capture_on(name: str) -> socket.socket:
    """Listen as tcpdump does: to every packet, the NIC promiscuous while the socket is open."""
    sock = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3))
    sock.bind((name, 0))
    promiscuous = struct.pack("iHH8s", socket.if_nametoindex(name), 1, 0, b"")
    sock.setsockopt(263, 1, promiscuous)  # SOL_PACKET, PACKET_ADD_MEMBERSHIP
    return sock


@both_ways
def test_a_nic_with_a_dhcp_client_at_work_is_refused(move: bool) -> None:
    held = []

    def client() -> None:
        sock = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(0x0800))
        sock.bind(("n0", 0x0800))
        held.append(sock)

    assert "n0: a DHCP client is at work on it" in refusal(client, move=move)


@pytest.mark.parametrize(
    ("state_file", "managed"),
    [
        ("ADMIN_STATE=configured\nOPER_STATE=routable\n", True),
        ("ADMIN_STATE=configuring\n", True),
        ("ADMIN_STATE=unmanaged\nOPER_STATE=off\n", False),
    ],
)
def test_a_nic_that_networkd_manages_is_refused(state_file: str, managed: bool) -> None:
    def work() -> str:
        nic("n0", up=True)
        links = Path("/run/systemd/netif/links")
        links.mkdir(parents=True)
        (links / str(socket.if_nametoindex("n0"))).write_text(state_file, encoding="ascii")
        try:
            examined(wanted("n0"), move=False)
        except MachineError as error:
            return str(error)
        return ""

    assert on_host(work).startswith("n0: systemd-networkd manages it") is managed


@pytest.mark.parametrize(
    ("connection", "refused"),
    [
        ("fe80::2%n0 50000 fe80::1%n0 22", True),
        ("fe80::2%n1 50000 fe80::1%n1 22", False),
        ("169.254.7.9 50000 169.254.7.7 22", True),
        ("198.18.0.5 50000 192.0.2.1 22", True),
        ("203.0.113.5 50000 192.0.2.1 22", False),
    ],
)
def test_the_nic_that_the_ssh_session_goes_through_is_refused_also_under_sudo(
    connection: str, refused: bool
) -> None:
    def work() -> str:
        nic("n0", up=True)
        run("ip addr add 169.254.7.7/16 dev n0 scope link")
        run("ip route add 198.18.0.0/16 via 169.254.7.8 dev n0")
        # sshd gave the shell the variable, and sudo took it away.
        program = (
            "from harness.runtime.nics.examine import examined;"
            "from harness.topology.bench import Nic;"
            "examined([Nic(name='n0')], move=False)"
        )
        shell = 'env -u SSH_CONNECTION "$@"; true'
        done = subprocess.run(
            [
                "env",
                f"SSH_CONNECTION={connection}",
                "sh",
                "-c",
                shell,
                "-",
                sys.executable,
                "-c",
                program,
            ],
            cwd=Path(__file__).parents[2],
            capture_output=True,
            text=True,
            check=False,
        )
        return done.stderr

    said = on_host(work)
    assert ("the ssh session that called this command goes through it" in said) is refused
    assert refused or said == ""


def test_an_ordinary_user_is_told_to_use_sudo() -> None:
    def work() -> str:
        nic("n0", up=False)
        os.setuid(65534)
        with pytest.raises(MachineError) as refused:
            examined(wanted("n0"), move=False)
        return str(refused.value)

    assert on_host(work) == "only root may take a NIC: run the command with sudo"


def test_nothing_is_done_to_any_nic_when_the_second_is_refused() -> None:
    def work() -> None:
        nic("n0", up=False)
        nic("n1", up=True)
        run("ip addr add 192.0.2.9/24 dev n1")
        before = state("n0"), state("n1")
        places = {each: Place(NetNs.create(), "eth0") for each in wanted("n0", "n1")}
        with pytest.raises(MachineError, match="n1: it has the address"), taken(places, move=False):
            pass
        assert (state("n0"), state("n1")) == before

    on_host(work)


def test_one_vlan_of_a_nic_is_not_moved() -> None:
    def work() -> str:
        nic("n0", up=True)
        with pytest.raises(MachineError) as refused:
            examined([Nic(name="n0", vlan=10)], move=True)
        return str(refused.value)

    assert on_host(work).startswith("--move takes a whole NIC and not one VLAN of it")


def test_two_vlans_of_one_trunk_go_to_two_places_or_are_refused_by_a_kernel_without() -> None:
    def work() -> None:
        cable = nic("n0", up=False)
        before = state("n0")
        places = {Nic(name="n0", vlan=number): Place(NetNs.create(), "eth0") for number in (10, 20)}
        if _kernel_has_vlans():
            with taken(places, move=False):
                for wanted_nic, place in places.items():
                    _ping_through(wanted_nic.vlan, place.namespace, cable.far)
        else:
            with pytest.raises(MachineError) as refused, taken(places, move=False):
                pass
            assert str(refused.value) == (
                "this kernel has no VLANs (802.1Q): load the module 8021q, or give each side a NIC "
                "of its own and leave vlan out"
            )
        await_true(lambda: state("n0") == before)

    on_host(work)


def _kernel_has_vlans() -> bool:
    """Ask the kernel by other means than the harness's."""
    with NetNs.create().entered():
        run("ip link add trunk type veth peer name far")
        vlan = "ip link add link trunk name vlan type vlan id 1"
        return subprocess.run(vlan.split(), capture_output=True, check=False).returncode == 0


def _ping_through(vlan: int | None, near: NetNs, far: NetNs) -> None:
    network = f"192.0.{vlan}"
    run(f"ip link add link port name v{vlan} type vlan id {vlan}", far)
    run(f"ip addr add {network}.1/24 dev v{vlan}", far)
    run(f"ip link set v{vlan} up", far)
    run("ip link set eth0 up", near)
    run(f"ip addr add {network}.2/24 dev eth0", near)
    run(f"ping -c 1 -W 5 {network}.1", near)
