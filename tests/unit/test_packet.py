"""What is read from a packet's head, on packets built byte by byte."""

from __future__ import annotations

import struct
from ipaddress import IPv4Address

import pytest

from harness.protocol.packet import Flags, Segment, Unreachable, parse

EXPERT = IPv4Address("17.1.1.2")
NOVICE = IPv4Address("192.168.0.2")
ROUTER = IPv4Address("17.1.1.1")
TCP, UDP, ICMP = 6, 17, 1
FIN, SYN, RST, PSH, ACK, URG, ECE, CWR = (1 << bit for bit in range(8))
SEQUENCE = 0xFEDCBA98

# Router alert (RFC 2113), then an end of options and padding.
IP_OPTIONS = bytes.fromhex("94040000 00000000")
# MSS 1460, SACK permitted, timestamps, no operation, window scale 7: what Linux sends.
TCP_OPTIONS = bytes.fromhex("020405b4 0402 080a 11223344 00000000 01 030307")


def ip(
    protocol: int,
    body: bytes,
    source: IPv4Address = EXPERT,
    destination: IPv4Address = NOVICE,
    options: bytes = b"",
) -> bytes:
    """Return an IPv4 packet (RFC 791 3.1)."""
    words = 5 + len(options) // 4
    fixed = struct.pack(
        "!BBHHHBBH4s4s",
        0x40 | words,
        0,
        words * 4 + len(body),
        0x1234,
        0x4000,
        63,
        protocol,
        0,
        source.packed,
        destination.packed,
    )
    return fixed + options + body


def tcp(flags: int, sequence: int = SEQUENCE, acknowledgement: int = 0) -> bytes:
    """Return a TCP header with options, from port 49152 to port 3389 (RFC 9293 3.1)."""
    words = 5 + len(TCP_OPTIONS) // 4
    return (
        struct.pack(
            "!HHIIBBHHH",
            49152,
            3389,
            sequence,
            acknowledgement,
            words << 4,
            flags,
            64240,
            0,
            0,
        )
        + TCP_OPTIONS
    )


def unreachable(code: int, quoted: bytes) -> bytes:
    """Return an ICMP Destination Unreachable from the router (RFC 792)."""
    return ip(ICMP, struct.pack("!BBHI", 3, code, 0, 0) + quoted, ROUTER, EXPERT)


def segment(flags: Flags, acknowledgement: int = 0) -> Segment:
    return Segment(EXPERT, 49152, NOVICE, 3389, SEQUENCE, acknowledgement, flags)


@pytest.mark.parametrize(
    ("sent", "meant", "opens"),
    [
        pytest.param(SYN, Flags.SYN, True, id="SYN"),
        pytest.param(SYN | ECE | CWR, Flags.SYN, True, id="SYN that offers ECN"),
        pytest.param(SYN | ACK, Flags.SYN | Flags.ACK, False, id="SYN-ACK"),
        pytest.param(RST | ACK, Flags.RST | Flags.ACK, False, id="RST of a closed port"),
        pytest.param(RST, Flags.RST, False, id="RST of a lost connection"),
        pytest.param(SYN | RST, Flags.SYN | Flags.RST, False, id="SYN and RST"),
        pytest.param(FIN | PSH | URG | ACK, Flags.FIN | Flags.ACK, False, id="FIN with data"),
        pytest.param(0, Flags(0), False, id="no flag at all"),
    ],
)
@pytest.mark.parametrize("options", [b"", IP_OPTIONS], ids=["plain", "with IP options"])
def test_a_segment_is_read_field_by_field(
    sent: int, meant: Flags, opens: bool, options: bytes
) -> None:
    packet = parse(ip(TCP, tcp(sent, acknowledgement=0x01020304), options=options))
    assert packet == segment(meant, 0x01020304)
    assert isinstance(packet, Segment)
    assert packet.opens is opens


def test_what_follows_the_headers_does_not_matter() -> None:
    assert parse(ip(TCP, tcp(SYN) + b"cookie" * 20)) == segment(Flags.SYN)


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        (0, "network unreachable"),
        (1, "host unreachable"),
        (2, "protocol unreachable"),
        (3, "port unreachable"),
        (9, "network administratively prohibited"),
        (10, "host administratively prohibited"),
        (13, "communication administratively prohibited"),
        (4, "unreachable, code 4"),
        (255, "unreachable, code 255"),
    ],
)
def test_an_icmp_error_names_its_sender_its_reason_and_the_syn(code: int, reason: str) -> None:
    assert parse(unreachable(code, ip(TCP, tcp(SYN)))) == Unreachable(
        ROUTER, reason, 49152, SEQUENCE
    )


def test_an_icmp_error_that_quotes_no_more_than_rfc_792_asks_is_enough() -> None:
    quoted = ip(TCP, tcp(SYN))[:28]
    assert parse(unreachable(1, quoted)) == Unreachable(ROUTER, "host unreachable", 49152, SEQUENCE)


def test_the_quoted_packet_may_have_ip_options() -> None:
    quoted = ip(TCP, tcp(SYN), options=IP_OPTIONS)[:36]
    assert parse(unreachable(1, quoted)) == Unreachable(ROUTER, "host unreachable", 49152, SEQUENCE)


IPV6_SYN = (
    struct.pack("!IHBB", 0x60000000, len(tcp(SYN)), TCP, 64)
    + bytes.fromhex("20010db8000000000000000000000001")
    + bytes.fromhex("20010db8000000000000000000000002")
    + tcp(SYN)
)


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(IPV6_SYN, id="IPv6"),
        pytest.param(ip(UDP, struct.pack("!HHHH", 49152, 3389, 20, 0) + bytes(12)), id="UDP"),
        pytest.param(ip(ICMP, bytes.fromhex("0800f7ff 00000000") + bytes(40)), id="echo request"),
        pytest.param(
            ip(ICMP, bytes.fromhex("0b000000 00000000") + ip(TCP, tcp(SYN))), id="time exceeded"
        ),
        pytest.param(
            unreachable(3, ip(UDP, struct.pack("!HHHH", 49152, 5351, 20, 0))),
            id="unreachable for UDP",
        ),
        pytest.param(
            unreachable(3, ip(ICMP, bytes.fromhex("0800f7ff 00000000"))),
            id="unreachable for ICMP",
        ),
    ],
)
def test_any_other_packet_is_neither_kind(data: bytes) -> None:
    assert parse(data) is None


SEGMENT = ip(TCP, tcp(SYN), options=IP_OPTIONS)
ERROR = unreachable(3, ip(TCP, tcp(SYN), options=IP_OPTIONS))


@pytest.mark.parametrize(
    ("whole", "needed"),
    [
        # The last byte that is looked at is a segment's flags, or a quoted sequence number's end.
        pytest.param(SEGMENT, 28 + 14, id="segment"),
        pytest.param(ERROR, 20 + 8 + 28 + 8, id="ICMP error"),
    ],
)
def test_a_packet_cut_short_anywhere_is_no_packet_and_no_error(whole: bytes, needed: int) -> None:
    read = {length: parse(whole[:length]) for length in range(len(whole) + 1)}
    assert [length for length, packet in read.items() if packet is None] == list(range(needed))
    assert {packet for packet in read.values() if packet is not None} == {parse(whole)}


@pytest.mark.parametrize(
    ("acknowledgement", "flags", "answers"),
    [
        pytest.param(1001, Flags.SYN | Flags.ACK, True, id="SYN-ACK"),
        pytest.param(1001, Flags.RST | Flags.ACK, True, id="RST"),
        pytest.param(1001, Flags.SYN, False, id="no ACK flag"),
        pytest.param(1001, Flags.RST, False, id="RST that acknowledges nothing"),
        pytest.param(1000, Flags.SYN | Flags.ACK, False, id="one too low"),
        pytest.param(1002, Flags.SYN | Flags.ACK, False, id="one too high"),
        pytest.param(0, Flags.SYN | Flags.ACK, False, id="nothing"),
    ],
)
def test_a_segment_answers_the_syn_whose_number_it_acknowledges(
    acknowledgement: int, flags: Flags, answers: bool
) -> None:
    assert segment(flags, acknowledgement).answers(1000) is answers


def test_the_answer_to_the_last_sequence_number_acknowledges_zero() -> None:
    answer = segment(Flags.SYN | Flags.ACK, 0)
    assert answer.answers(0xFFFFFFFF)
    assert not answer.answers(0)
    assert not segment(Flags.SYN | Flags.ACK, 0xFFFFFFFF).answers(0xFFFFFFFF)
