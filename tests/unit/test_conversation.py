"""HTTP in the clear is read off frames as its two sides said it."""

from __future__ import annotations

import struct
from ipaddress import IPv4Address

from harness.protocol.conversation import Said, conversation
from harness.protocol.pcapng import Frame

SERVER, CLIENT, OTHER = "192.168.0.1", "192.168.0.2", "192.168.0.3"
PORT = 5000
INTERFACE = "gateway/lan"


def frame(
    time: int,
    source: tuple[str, int],
    destination: tuple[str, int],
    sequence: int,
    content: bytes,
    interface: str = INTERFACE,
    options: int = 3,
) -> Frame:
    """Make a frame with ``options`` words of TCP options."""
    tcp = struct.pack(
        "!HHIIBBHHH", source[1], destination[1], sequence, 0, (5 + options) << 4, 0x18, 0, 0, 0
    )
    tcp += bytes(4 * options) + content
    addresses = IPv4Address(source[0]).packed + IPv4Address(destination[0]).packed
    ip = struct.pack("!BBHHHBBH", 0x45, 0, 20 + len(tcp), 0, 0, 64, 6, 0) + addresses
    data = bytes(12) + b"\x08\x00" + ip + tcp
    return Frame(time, interface, False, data, len(data))


def asked(time: int, sequence: int, content: bytes, client: str = CLIENT) -> Frame:
    return frame(time, (client, 40000), (SERVER, PORT), sequence, content)


def answered(time: int, sequence: int, content: bytes, client: str = CLIENT) -> Frame:
    return frame(time, (SERVER, PORT), (client, 40000), sequence, content)


def read(*frames: Frame) -> list[Said]:
    return conversation(frames, INTERFACE, PORT)


def test_a_request_and_its_answer_are_two_turns() -> None:
    said = read(asked(1, 100, b"GET / "), asked(2, 106, b"HTTP/1.1"), answered(3, 7, b"200 OK"))
    assert said == [Said(1, False, "GET / HTTP/1.1"), Said(3, True, "200 OK")]


def test_a_segment_that_was_sent_twice_counts_once() -> None:
    said = read(asked(1, 100, b"GET"), asked(2, 100, b"GET"), answered(3, 7, b"200"))
    assert said == [Said(1, False, "GET"), Said(3, True, "200")]


def test_connections_are_kept_apart() -> None:
    said = read(
        asked(1, 100, b"one"),
        asked(2, 100, b"two", OTHER),
        answered(3, 7, b"for two", OTHER),
        answered(4, 7, b"for one"),
    )
    assert [each.text for each in said] == ["one", "two", "for two", "for one"]


def test_other_ports_interfaces_protocols_and_empty_segments_are_passed_over() -> None:
    elsewhere = frame(1, (CLIENT, 40000), (SERVER, PORT), 1, b"x", interface="gateway/wan")
    to_80 = frame(2, (CLIENT, 40000), (SERVER, 80), 1, b"x")
    arp = Frame(3, INTERFACE, False, bytes(12) + b"\x08\x06" + bytes(28), 42)
    assert read(elsewhere, to_80, arp, asked(4, 100, b"")) == []


def test_padding_after_the_packet_is_no_content() -> None:
    short = asked(1, 100, b"GET")
    padded = Frame(1, INTERFACE, False, short.data + bytes(6), short.length + 6)
    assert read(padded) == [Said(1, False, "GET")]


def test_frames_cut_short_anywhere_are_no_error() -> None:
    whole = asked(1, 100, b"GET")
    for length in range(len(whole.data)):
        cut = Frame(1, INTERFACE, False, whole.data[:length], whole.length)
        assert all("GET".startswith(said.text) for said in read(cut))


def test_bytes_that_are_no_text_are_shown_as_such() -> None:
    assert read(asked(1, 100, b"\xff\xfe"))[0].text == "��"
