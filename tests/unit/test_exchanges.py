"""What hosts and gateways said to each other becomes transcript lines, whatever the gateway is."""

from __future__ import annotations

import json
import struct
import time
from dataclasses import replace
from ipaddress import IPv4Address, IPv4Interface
from typing import Any

import pytest
from wires import ETHERNET, ip

from harness.judge.evidence import mirrored
from harness.protocol import natpmp, ssdp
from harness.protocol.pcapng import Frame
from harness.runner.evidence import exchanges
from harness.topology.load import Library, default_folder
from harness.topology.model import Device, Gear, Neighbour, Subnet, Topology, Upnp
from harness.topology.plan import LabPlan, plan

HOST, ROUTER = "192.168.178.20", "192.168.178.1"
GROUP = f"{ssdp.GROUP}:{ssdp.PORT}"
SEARCH = ssdp.search()
FOUND = b"HTTP/1.1 200 OK\r\nLOCATION: http://192.168.178.1:49000/igd.xml\r\nSERVER: x\r\n\r\n" * 5
MAPPING = bytes.fromhex("00 82 0000 0000000a 0d3d 0d3d 00000e10")
HTTP_PORT = 49000
NOW = time.time_ns()


def udp(at: int, source: str, destination: str, content: bytes, *interfaces: str) -> list[Frame]:
    """Make a datagram between ``ip:port`` and ``ip:port`` as interfaces saw it, ``at`` in us."""
    (from_ip, from_port), (to_ip, to_port) = (end.split(":") for end in (source, destination))
    header = struct.pack("!HHHH", int(from_port), int(to_port), 8 + len(content), 0)
    return on(at, ip(17, from_ip, to_ip, header + content), *interfaces)


def tcp(at: int, source: str, destination: str, content: bytes, *interfaces: str) -> list[Frame]:
    (from_ip, from_port), (to_ip, to_port) = (end.split(":") for end in (source, destination))
    header = struct.pack("!HHIIBBHI", int(from_port), int(to_port), 1, 0, 5 << 4, 0x18, 0, 0)
    return on(at, ip(6, from_ip, to_ip, header + content), *interfaces)


def on(at: int, packet: bytes, *interfaces: str) -> list[Frame]:
    data = ETHERNET + packet
    sent = [interface.endswith(">") for interface in interfaces]
    names = [interface.strip(">") for interface in interfaces]
    return [
        Frame(NOW + at * 1000 + number, name, outgoing, data, len(data))
        for number, (name, outgoing) in enumerate(zip(names, sent, strict=True))
    ]


def told(lab: LabPlan, frames: list[Frame]) -> list[dict[str, Any]]:
    lines = [{"node": node, **line} for node, line in exchanges(lab, mirrored(lab, frames))]
    return sorted(lines, key=lambda line: float(line["t"]))


def behind_a_real_router() -> Topology:
    library = Library(default_folder())
    router = Device(
        name="box",
        title="a router",
        source="a test",
        lan=Subnet(address=IPv4Interface(f"{ROUTER}/24"), host=IPv4Address(HOST)),
        nat=library.devices["upnp-nat"].nat,
        upnp=Upnp(http_port=HTTP_PORT),
        gear=Gear(model="X1", firmware="1", claims="upnp-nat"),
    )
    return library.having([router], library.internet).from_chains(("box",), ())


SEARCHED = [
    *udp(0, f"{HOST}:40000", GROUP, SEARCH, "novice/eth0>"),
    *udp(1, f"{ROUTER}:1900", f"{HOST}:40000", FOUND, ">novice/eth0"),
    *tcp(2, f"{HOST}:40000", f"{ROUTER}:{HTTP_PORT}", b"GET / HTTP/1.1\r\n\r\n", "novice/eth0>"),
    *udp(3, f"{HOST}:40001", f"{ROUTER}:5351", natpmp.map_tcp_request(1, 2, 3), "novice/eth0>"),
    *udp(4, f"{ROUTER}:5351", f"{HOST}:40001", MAPPING, ">novice/eth0"),
]


def test_with_a_real_router_it_is_read_off_the_wire_to_it_each_once() -> None:
    lines = told(plan(behind_a_real_router()), SEARCHED)
    assert [(line["node"], line["event"]) for line in lines] == [
        ("novice.box", "ssdp request"),
        ("novice.box", "ssdp answer"),
        ("novice.box", "upnp request"),
        ("novice.box", "nat-pmp request"),
        ("novice.box", "nat-pmp answer"),
    ]


def test_bodies_are_whole_and_ends_are_named() -> None:
    _, answer, _, request, granted = told(plan(behind_a_real_router()), SEARCHED)
    assert answer["text"] == FOUND.decode()
    assert (answer["from"], answer["to"]) == (f"{ROUTER}:1900", f"{HOST}:40000")
    assert request["hex"] == natpmp.map_tcp_request(1, 2, 3).hex()
    assert request["text"] == "asks to map TCP port 1, external port 2, for 3 s"
    assert granted["text"] == "maps external TCP port 3389 to port 3389 for 3600 s"


def test_times_are_on_the_transcript_s_clock() -> None:
    first, *_, last = told(plan(behind_a_real_router()), SEARCHED)
    now = time.monotonic() - (time.time_ns() - NOW) / 1e9
    assert first["t"] == pytest.approx(now, abs=0.001)
    assert last["t"] - first["t"] == pytest.approx(4e-6, abs=1e-6)


def test_of_a_gateway_with_a_bridge_its_lan_counts_and_not_the_bridge_s_ports() -> None:
    topology = Library(default_folder()).from_chains(("upnp-nat",), ())
    printer = Neighbour(name="printer", address=IPv4Address("192.168.2.9"))
    novice = topology.novice.model_copy(update={"neighbours": (printer,)})
    lab = plan(topology.model_copy(update={"novice": novice}))
    path = ("novice/eth0>", ">novice.upnp-nat/lan-host", ">novice.upnp-nat/lan")
    lines = told(lab, udp(0, "192.168.2.100:40000", GROUP, SEARCH, *path))
    assert [(line["node"], line["event"]) for line in lines] == [
        ("novice.upnp-nat", "ssdp request")
    ]


def test_without_a_device_the_internet_is_the_gateway() -> None:
    topology = Library(default_folder()).from_chains((), ())
    host = str(topology.expert.address)
    path = ("expert/eth0>", ">internet/to-expert")
    lines = told(plan(topology), udp(0, f"{host}:40000", GROUP, SEARCH, *path))
    assert [(line["node"], line["event"]) for line in lines] == [("internet", "ssdp request")]


def test_what_a_second_device_hears_is_no_host_s() -> None:
    """The inner NAT's own address is no host of the site."""
    topology = Library(default_folder()).from_chains(("nat", "upnp-nat"), ())
    packet = udp(0, "192.168.2.100:40000", GROUP, SEARCH, ">novice.upnp-nat/lan")
    assert told(plan(topology), packet) == []


def test_a_flood_of_answers_is_counted_and_not_kept() -> None:
    answer = udp(1, f"{ROUTER}:1900", f"{HOST}:40000", FOUND, ">novice/eth0")[0]
    flood = [replace(answer, time_ns=answer.time_ns + number) for number in range(2000)]
    lines = told(plan(behind_a_real_router()), [*SEARCHED[:1], *flood])
    assert len(lines) == 501
    assert lines[-1]["event"] == "left out"
    assert lines[-1]["text"] == "1501 more, the last of them: ssdp answer"


def test_a_text_without_an_end_fits_into_a_message_all_the_same() -> None:
    """Written as JSON the worst of characters take twelve bytes each."""
    name = "\U0001f4a9".encode() * 10_000
    path = f"{ROUTER}:{HTTP_PORT}", f"{HOST}:40000"
    frames = [
        *tcp(0, *path, name, ">novice/eth0"),
        *[
            replace(frame, data=frame.data[:38] + struct.pack("!I", number) + frame.data[42:])
            for number in range(2, 40)
            for frame in tcp(number, *path, name, ">novice/eth0")
        ],
    ]
    (line,) = told(plan(behind_a_real_router()), frames)
    assert len(line["text"]) == 32768
    assert line["left_out"] == 39 * 10_000 - 32768
    assert len(json.dumps(line)) < 400_000
