"""What went between a host and its gateway is read off frames as the two sides said it."""

from __future__ import annotations

import struct
from dataclasses import replace
from ipaddress import IPv4Address, IPv6Address

import pytest
from wires import ETHERNET, ip

from harness.protocol import natpmp, pcp, ssdp
from harness.protocol.conversation import (
    Datagram,
    Said,
    answered_in_words,
    asked_in_words,
    conversation,
    datagrams,
    mapping_protocol,
)
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


# --- Datagrams

SEARCH, FOUND = b"M-SEARCH * HTTP/1.1", b"HTTP/1.1 200 OK"


def udp(
    time: int, source: str, destination: str, content: bytes, interface: str = INTERFACE
) -> Frame:
    """Make a frame with a datagram between ``ip:port`` and ``ip:port`` (RFC 768)."""
    (from_ip, from_port), (to_ip, to_port) = (end.split(":") for end in (source, destination))
    header = struct.pack("!HHHH", int(from_port), int(to_port), 8 + len(content), 0)
    data = ETHERNET + ip(17, from_ip, to_ip, header + content)
    return Frame(time, interface, False, data, len(data))


def sent(*frames: Frame, port: int = ssdp.PORT) -> list[Datagram]:
    return list(datagrams(frames, INTERFACE, IPv4Address(CLIENT), port))


ASKED = udp(1, f"{CLIENT}:40000", f"{ssdp.GROUP}:1900", SEARCH)
ANSWERED = udp(2, f"{SERVER}:1900", f"{CLIENT}:40000", FOUND)


def test_a_search_of_the_group_and_its_answer_are_two_datagrams() -> None:
    assert sent(ASKED, ANSWERED) == [
        Datagram(1, False, f"{CLIENT}:40000", f"{ssdp.GROUP}:1900", SEARCH, SEARCH),
        Datagram(2, True, f"{SERVER}:1900", f"{CLIENT}:40000", FOUND, SEARCH),
    ]


def test_each_datagram_counts_at_one_interface_only() -> None:
    elsewhere = [replace(each, interface="host/eth0") for each in (ASKED, ANSWERED)]
    mixed = [elsewhere[0], ASKED, ANSWERED, elsewhere[1]]
    assert sent(*mixed) == sent(ASKED, ANSWERED)


def test_an_answer_counts_from_whatever_port_and_address_it_came() -> None:
    other_port = udp(2, f"{SERVER}:49152", f"{CLIENT}:40000", FOUND)
    other_host = udp(3, f"{OTHER}:1900", f"{CLIENT}:40000", FOUND)
    answers = [each.source for each in sent(ASKED, other_port, other_host) if each.by_server]
    assert answers == [f"{SERVER}:49152", f"{OTHER}:1900"]


def test_a_datagram_sent_twice_is_two() -> None:
    assert len(sent(ASKED, replace(ASKED, time_ns=2))) == 2


def test_an_answer_goes_with_what_its_port_had_asked_last() -> None:
    again = udp(3, f"{CLIENT}:40000", f"{SERVER}:1900", b"again")
    other = udp(4, f"{CLIENT}:40001", f"{SERVER}:1900", b"other")
    (answer,) = (each for each in sent(ASKED, again, other, ANSWERED) if each.by_server)
    assert answer.request == b"again"


def test_nothing_else_of_a_lan_counts() -> None:
    announced = udp(1, f"{SERVER}:40000", f"{ssdp.GROUP}:1900", b"NOTIFY * HTTP/1.1")
    of_another = udp(2, f"{OTHER}:40000", f"{ssdp.GROUP}:1900", SEARCH)
    to_another = udp(3, f"{SERVER}:1900", f"{OTHER}:40000", FOUND)
    unasked = udp(4, f"{SERVER}:1900", f"{CLIENT}:40009", FOUND)
    elsewhere = udp(5, f"{CLIENT}:40000", f"{SERVER}:53", b"?")
    assert sent(announced, of_another, to_another, unasked, elsewhere, asked(6, 1, b"GET")) == []


def test_padding_after_a_datagram_is_no_content() -> None:
    padded = replace(ASKED, data=ASKED.data + bytes(6))
    assert [each.content for each in sent(padded)] == [SEARCH]


def test_a_later_fragment_is_no_datagram() -> None:
    data = bytearray(ASKED.data)
    data[20:22] = struct.pack("!H", 185)
    assert sent(replace(ASKED, data=bytes(data))) == []


def test_datagrams_cut_short_anywhere_are_no_error() -> None:
    for length in range(len(ASKED.data)):
        cut = replace(ASKED, data=ASKED.data[:length])
        assert all(SEARCH.startswith(each.content) for each in sent(cut))


# --- NAT-PMP and PCP in words

NONCE = bytes(range(12))
WANTED = pcp.MapRequest(IPv4Address(CLIENT), NONCE, pcp.TCP, 3389, 3600)
PCP_REQUEST = pcp.map_request(WANTED)
MAPPED = IPv6Address("::ffff:17.2.2.2").packed
ADDRESS_REQUEST = natpmp.external_address_request()
MAP_REQUEST = natpmp.map_tcp_request(3389, 3389, 3600)


def pcp_answer(result: int, lifetime: int, nonce: bytes = NONCE) -> bytes:
    """Answer as RFC 6887 7.2 and 11.1 have it: external port 49152 at 17.2.2.2."""
    head = struct.pack("!BBBBII12x", 2, 129, 0, result, lifetime, 77)
    return head + struct.pack("!12sB3xHH16s", nonce, 6, 3389, 49152, MAPPED)


@pytest.mark.parametrize(
    ("request_", "words"),
    [
        (ADDRESS_REQUEST, "asks for the external address"),
        (MAP_REQUEST, "asks to map TCP port 3389, external port 3389, for 3600 s"),
        (
            natpmp.map_tcp_request(3389, 0, 60),
            "asks to map TCP port 3389, any external port, for 60 s",
        ),
        (natpmp.map_tcp_request(3389, 0, 0), "asks to remove the mapping of TCP port 3389"),
        (PCP_REQUEST, "asks to map TCP port 3389, any external port, for 3600 s"),
        (
            pcp.map_request(replace(WANTED, protocol=17, external_port=9, prefer_failure=True)),
            "asks to map UDP port 3389, external port 9, for 3600 s",
        ),
        (
            pcp.map_request(replace(WANTED, protocol=132)),
            "asks to map protocol 132 port 3389, any external port, for 3600 s",
        ),
        (
            pcp.map_request(replace(WANTED, lifetime=0)),
            "asks to remove the mapping of TCP port 3389",
        ),
        (b"\x07\x01rest", "asks for something else: version 7, opcode 1"),
        (MAP_REQUEST[:11], "asks for something else: version 0, opcode 2"),
        (PCP_REQUEST[:59], "asks for something else: version 2, opcode 1"),
        (b"\x00", "a request of 1 bytes is none"),
        (b"", "a request of 0 bytes is none"),
    ],
)
def test_a_request_says_what_it_asks_for(request_: bytes, words: str) -> None:
    assert asked_in_words(request_) == words


ADDRESS = bytes.fromhex("00 80 0000 0000000a 11020202")
MAPPING = bytes.fromhex("00 82 0000 0000000a 0d3d c000 00000e10")
REMOVED = bytes.fromhex("00 82 0000 0000000a 0d3d 0000 00000000")
REFUSED = bytes.fromhex("00 82 0002 0000000a")
PCP_ONLY = bytes.fromhex("02 80 00 01 00000000 0000000a") + bytes(12)
NAT_PMP_ONLY = bytes.fromhex("00 81 0001 0000000a")


@pytest.mark.parametrize(
    ("request_", "answer", "words"),
    [
        (ADDRESS_REQUEST, ADDRESS, "the external address is 17.2.2.2"),
        (MAP_REQUEST, MAPPING, "maps external TCP port 49152 to port 3389 for 3600 s"),
        (MAP_REQUEST, REMOVED, "has removed the mapping of TCP port 3389"),
        (MAP_REQUEST, REFUSED, "the gateway refused: not authorized"),
        (MAP_REQUEST, PCP_ONLY, "the gateway refused: unsupported version"),
        (MAP_REQUEST, b"\x00", "an answer of 1 bytes is too short"),
        (MAP_REQUEST, ADDRESS + bytes(4), "not an answer to opcode 2: "),
        (
            PCP_REQUEST,
            pcp_answer(0, 600),
            "maps external TCP port 49152 of 17.2.2.2 to port 3389 for 600 s",
        ),
        (PCP_REQUEST, pcp_answer(0, 0), "has removed the mapping of TCP port 3389"),
        (PCP_REQUEST, pcp_answer(8, 30), "the gateway refused: no resources, for 30 s"),
        (PCP_REQUEST, NAT_PMP_ONLY, "the gateway knows NAT-PMP and not PCP"),
        (PCP_REQUEST, pcp_answer(0, 600, bytes(12)), "an answer for protocol 6, port 3389, or an"),
        (b"\x00\x09", ADDRESS, "answers something else"),
        (b"", b"", "answers something else"),
    ],
)
def test_an_answer_says_what_it_grants_to_whoever_asked(
    request_: bytes, answer: bytes, words: str
) -> None:
    assert answered_in_words(request_, answer).startswith(words)


def test_messages_cut_short_anywhere_are_told_of_all_the_same() -> None:
    for request in (ADDRESS_REQUEST, MAP_REQUEST, PCP_REQUEST):
        for answer in (ADDRESS, MAPPING, pcp_answer(0, 600)):
            for length in range(len(answer)):
                assert answered_in_words(request, answer[:length])
        for length in range(len(request)):
            assert asked_in_words(request[:length])


def test_the_protocol_is_the_one_that_the_request_speaks() -> None:
    assert mapping_protocol(MAP_REQUEST) == "nat-pmp"
    assert mapping_protocol(PCP_REQUEST) == "pcp"
    assert mapping_protocol(b"") == "nat-pmp"
