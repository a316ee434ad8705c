"""A lab's traffic is captured on every interface, in one file that Wireshark's tools read."""

from __future__ import annotations

import io
import os
import shutil
import socket
import subprocess
import threading
from collections import Counter
from collections.abc import Mapping
from ipaddress import IPv4Address, IPv4Interface
from pathlib import Path
from typing import Any

import pytest
from not_run import not_run
from tenacity import retry, retry_if_result, stop_after_delay, wait_fixed
from worlds import in_world

from harness.protocol import packet, pcapng
from harness.protocol.pcapng import Frame
from harness.runtime.capture import WHOLE, Capture
from harness.runtime.netns import NetNs
from harness.runtime.stack import Interface, Link, Plug, Stack
from harness.runtime.wiring import wire

Namespaces = Mapping[str, NetNs]

PORT = 3389
NOVICE, EXPERT = "192.168.0.2", "17.1.1.2"
INTERFACES = [
    *("novice/eth0", "gateway/lan", "gateway/lan0", "gateway/spare", "gateway/wan"),
    *("expert/eth0", "idle/eth0"),
]
HEADS = 128
BULK = 50 << 20
ETHERNET_HEADER = 14


def build() -> Namespaces:
    """Wire a novice behind a gateway whose ``lan`` is a bridge, an expert, and an idle host."""
    gateway = (
        Interface("lan", IPv4Interface("192.168.0.1/24"), ("lan0",)),
        Interface("wan", IPv4Interface("17.1.1.1/24")),
        Interface("spare", IPv4Interface("10.0.0.1/24")),
    )
    stacks = {
        "novice": _host(NOVICE, "192.168.0.1"),
        "gateway": Stack(gateway, None, forwards=True),
        "expert": _host(EXPERT, "17.1.1.1"),
        "idle": _host("10.0.0.2", "10.0.0.1"),
    }
    links = [
        Link(Plug("novice", "eth0"), Plug("gateway", "lan0")),
        Link(Plug("gateway", "wan"), Plug("expert", "eth0")),
        Link(Plug("gateway", "spare"), Plug("idle", "eth0")),
    ]
    namespaces = {name: NetNs.create() for name in stacks}
    wire(stacks, links, namespaces)
    return namespaces


def _host(address: str, gateway: str) -> Stack:
    eth0 = Interface("eth0", IPv4Interface(f"{address}/24"))
    return Stack((eth0,), IPv4Address(gateway), forwards=False)


def connect(namespaces: Namespaces) -> tuple[socket.socket, socket.socket]:
    """Let the novice dial the expert; return both ends."""
    with namespaces["expert"].entered():
        listener = socket.create_server((EXPERT, PORT))
    with namespaces["novice"].entered():
        dialler = socket.create_connection((EXPERT, PORT))
    accepted, _ = listener.accept()
    listener.close()
    return dialler, accepted


def opens(frame: Frame) -> bool:
    """Tell whether a frame is a SYN to the session's port.

    A lab is never quite silent: a bridge joins multicast groups when it likes.
    """
    segment = packet.parse(frame.data[ETHERNET_HEADER:])
    return (
        isinstance(segment, packet.Segment) and segment.opens and segment.destination_port == PORT
    )


def tool(*command: str | Path) -> str:
    """Run one of Wireshark's tools and return what it prints."""
    if shutil.which(str(command[0])) is None:
        pytest.fail(
            f"{command[0]} is missing: install Debian's package tshark (make setup-tests does)"
        )
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def dialled(scratch: Path) -> object:
    """Connect twice under a capture, and return it as a file in hexadecimal."""
    namespaces = build()
    capture = Capture(namespaces)
    for _ in range(2):
        for end in connect(namespaces):
            end.close()
    stream = io.BytesIO()
    pcapng.write(stream, capture.interfaces, capture.read(), comment="a trial")
    assert capture.lost == 0
    capture.close()
    return stream.getvalue().hex()


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("capture") / "lab.pcapng"
    path.write_bytes(bytes.fromhex(in_world(dialled)))
    return path


def frames_in(path: Path) -> list[Frame]:
    with path.open("rb") as stream:
        return list(pcapng.read(stream))


def test_a_syn_is_seen_at_each_interface_on_its_way_in_the_order_of_its_way(file: Path) -> None:
    first, *_ = syns = [frame for frame in frames_in(file) if opens(frame)]
    way = [(each.interface, each.outgoing) for each in syns]
    assert way == 2 * [
        ("novice/eth0", True),
        ("gateway/lan0", False),
        ("gateway/lan", False),
        ("gateway/wan", True),
        ("expert/eth0", False),
    ]
    times = [each.time_ns for each in syns]
    assert times == sorted(set(times))
    assert syns[4].time_ns - first.time_ns < 10**9


def test_tshark_counts_the_syns_of_each_interface_as_we_do(file: Path) -> None:
    fields = ("-e", "frame.interface_name", "-e", "frame.time_epoch", "-e", "frame.packet_flags")
    syn = f"tcp.dstport == {PORT} && tcp.flags.syn == 1 && tcp.flags.ack == 0"
    lines = tool("tshark", "-n", "-r", file, "-Y", syn, "-T", "fields", *fields).splitlines()
    theirs = [line.split("\t") for line in lines]
    ours = [frame for frame in frames_in(file) if opens(frame)]
    assert Counter(name for name, _, _ in theirs) == Counter(each.interface for each in ours)
    assert [int(time.replace(".", "")) for _, time, _ in theirs] == [f.time_ns for f in ours]
    assert [int(flags, 0) for _, _, flags in theirs] == [2 if f.outgoing else 1 for f in ours]


def test_capinfos_lists_every_interface_also_one_that_saw_nothing(file: Path) -> None:
    said = tool("capinfos", file)
    names = [line.split(" = ")[1] for line in said.splitlines() if "Name = " in line]
    assert sorted(names) == sorted(INTERFACES)
    assert said.count("Time precision = nanoseconds (9)") == len(INTERFACES)
    assert "idle/eth0" not in {frame.interface for frame in frames_in(file)}
    assert "a trial" in said


def test_tshark_finds_nothing_malformed(file: Path) -> None:
    wrong = "_ws.malformed || _ws.short || eth.type == 0"
    assert tool("tshark", "-n", "-r", file, "-Y", wrong) == ""


def test_a_capture_that_wireshark_s_tools_rewrote_is_read(file: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy.pcapng"
    tool("editcap", file, copy)
    assert frames_in(copy) == frames_in(file)


def test_what_a_node_says_to_itself_is_not_captured() -> None:
    def work(_: Path) -> object:
        namespaces = build()
        capture = Capture(namespaces)
        with namespaces["novice"].entered():
            listener = socket.create_server((NOVICE, PORT))
            socket.create_connection((NOVICE, PORT)).close()
        listener.close()
        return [frame.interface for frame in capture.read() if opens(frame)]

    assert in_world(work) == []


def test_a_second_reading_returns_only_what_came_since() -> None:
    def work(scratch: Path) -> object:
        namespaces = build()
        capture = Capture(namespaces)

        def read() -> list[str]:
            return [frame.interface for frame in capture.read() if opens(frame)]

        found = []
        for _ in range(2):
            for end in connect(namespaces):
                end.close()
            found.append(read())
        return [*found, read()]

    first, second, rest = in_world(work)
    assert first == second == [*INTERFACES[:1], "gateway/lan0", "gateway/lan", *INTERFACES[4:6]]
    assert rest == []


def test_with_a_snap_length_only_heads_are_kept_and_the_true_length_too() -> None:
    def work(_: Path) -> object:
        namespaces = build()
        capture = Capture(namespaces, HEADS)
        dialler, accepted = connect(namespaces)
        dialler.sendall(bytes(1000))
        dialler.close()
        accepted.close()
        return [(len(frame.data), frame.length) for frame in capture.read()]

    sizes = in_world(work)
    assert max(length for _, length in sizes) >= 1000 + ETHERNET_HEADER
    assert all(kept == min(HEADS, length) for kept, length in sizes)


def transfer(namespaces: Namespaces) -> None:
    """Send :data:`BULK` bytes from the novice to the expert."""
    dialler, accepted = connect(namespaces)

    def send() -> None:
        with dialler:
            for _ in range(BULK >> 20):
                dialler.sendall(bytes(1 << 20))

    sender = threading.Thread(target=send)
    sender.start()
    received = 0
    while data := accepted.recv(1 << 20):
        received += len(data)
    sender.join()
    accepted.close()
    assert received == BULK


def bulk(snaplen: int) -> Any:
    """Capture a bulk transfer; return what was lost, and the bytes seen at each interface."""

    def work(_: Path) -> object:
        namespaces = build()
        capture = Capture(namespaces, snaplen)
        transfer(namespaces)
        seen: Counter[str] = Counter()
        for frame in capture.read():
            seen[frame.interface] += frame.length
        lost = capture.lost
        # It is a count of the whole capture's, however often it is asked for.
        assert capture.lost == lost
        capture.close()
        return lost, seen

    return in_world(work)


def test_a_bulk_transfer_that_no_buffer_holds_is_known_to_be_incomplete() -> None:
    lost, seen = bulk(WHOLE)
    assert lost > 0
    assert min(seen.values()) < BULK


def test_the_heads_of_a_bulk_transfer_are_all_captured() -> None:
    if os.geteuid() != 0:
        not_run("the buffer is net.core.rmem_max for an ordinary user: run as root")
    lost, seen = bulk(HEADS)
    assert lost == 0
    assert len(seen) == len(INTERFACES) - 2
    assert min(seen.values()) > BULK


def test_a_closed_capture_leaves_no_socket_behind() -> None:
    def work(_: Path) -> object:
        namespaces = build()
        capture = Capture(namespaces)
        before = {node: _packet_sockets(namespace) for node, namespace in namespaces.items()}
        capture.close()
        return before, all(_await_none(namespace) for namespace in namespaces.values())

    before, gone = in_world(work)
    assert before == {"novice": 1, "gateway": 1, "expert": 1, "idle": 1}
    assert gone


def _packet_sockets(namespace: NetNs) -> int:
    with namespace.entered():
        _, *sockets = Path("/proc/thread-self/net/packet").read_text(encoding="ascii").splitlines()
    return len(sockets)


@retry(
    retry=retry_if_result(lambda none: not none),
    stop=stop_after_delay(5),
    wait=wait_fixed(0.001),
    retry_error_callback=lambda _: False,
)
def _await_none(namespace: NetNs) -> bool:
    return _packet_sockets(namespace) == 0
