"""Captures survive the file, and files that were cut, altered or made up are refused."""

from __future__ import annotations

import io
import random
import struct
import tracemalloc
from collections import deque
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace

import pytest

from harness.protocol.pcapng import (
    MAX_BLOCK,
    MAX_INTERFACES,
    CaptureError,
    Frame,
    read,
    write,
)

T = 1_795_000_000_123_456_789
LAN, WAN, SILENT = "gateway/lan", "gateway/wan", "novice/eth0"
FRAMES = (
    Frame(T, LAN, False, b"\x01" * 60, 60),
    Frame(T + 1, WAN, True, b"\x02" * 61, 1514),
    Frame(T + 10**9, LAN, True, b"", 70_000),
)

SECTION, INTERFACE, OBSOLETE, SIMPLE, PACKET, STATISTICS = 0x0A0D0D0A, 1, 2, 3, 6, 5
MAGIC = 0x1A2B3C4D
INBOUND = (2, struct.pack("<I", 1))


def written(frames: Sequence[Frame] = FRAMES, interfaces: Sequence[str] = (LAN, WAN)) -> bytes:
    stream = io.BytesIO()
    write(stream, interfaces, frames)
    return stream.getvalue()


def frames_of(data: bytes) -> list[Frame]:
    return list(read(io.BytesIO(data)))


def outcome(data: bytes) -> list[Frame] | str:
    """Read a file; return its frames, or why it was refused."""
    try:
        return frames_of(data)
    except CaptureError as error:
        return str(error)


def block(kind: int, body: bytes, order: str = "<") -> bytes:
    """Return a block (draft-ietf-opsawg-pcapng 3.1); the body is padded already."""
    length = struct.pack(order + "I", len(body) + 12)
    return struct.pack(order + "I", kind) + length + body + length


def options(*each: tuple[int, bytes], order: str = "<") -> bytes:
    """Return options and their end (3.5)."""
    return b"".join(
        struct.pack(order + "HH", code, len(value)) + value + bytes(-len(value) % 4)
        for code, value in (*each, (0, b""))
    )


def section(order: str = "<", version: int = 1) -> bytes:
    return block(SECTION, struct.pack(order + "IHHq", MAGIC, version, 0, -1), order)


def interface(
    *extra: tuple[int, bytes], name: bytes = b"a/b", link: int = 1, order: str = "<"
) -> bytes:
    body = struct.pack(order + "HHI", link, 0, 0)
    return block(INTERFACE, body + options((2, name), *extra, order=order), order)


def packet(
    *extra: tuple[int, bytes], number: int = 0, time: int = 0, captured: int = 4, order: str = "<"
) -> bytes:
    head = struct.pack(order + "IIIII", number, time >> 32, time & 0xFFFFFFFF, captured, 4)
    return block(PACKET, head + b"data" + options(*extra, order=order), order)


def test_frames_are_read_as_they_were_written() -> None:
    assert frames_of(written()) == list(FRAMES)


def test_a_frame_knows_its_node() -> None:
    assert replace(FRAMES[0], interface="novice-nat/lan").node == "novice-nat"


def test_what_is_written_is_what_the_format_asks_for() -> None:
    described = interface((9, b"\x09"), name=b"gateway/lan")
    head = struct.pack("<IIIII", 0, T >> 32, T & 0xFFFFFFFF, 5, 9)
    flags = options((2, struct.pack("<I", 2)))
    said = options((1, b"a note"), (4, b"ra-harness"))
    expected = (
        block(SECTION, struct.pack("<IHHq", MAGIC, 1, 0, -1) + said)
        + described
        + block(PACKET, head + b"hello\0\0\0" + flags)
    )
    stream = io.BytesIO()
    write(stream, [LAN], [Frame(T, LAN, True, b"hello", 9)], comment="a note")
    assert stream.getvalue() == expected


def test_an_interface_without_a_frame_is_named_all_the_same() -> None:
    assert SILENT.encode() in written(interfaces=(LAN, WAN, SILENT))


def test_an_interface_that_appears_later_is_named_before_its_first_frame() -> None:
    assert frames_of(written(interfaces=())) == list(FRAMES)


def test_a_file_of_the_other_byte_order_is_read() -> None:
    data = section(">") + interface((9, b"\x09"), order=">")
    data += packet((2, struct.pack(">I", 2)), time=T, order=">")
    assert frames_of(data) == [Frame(T, "a/b", True, b"data", 4)]


@pytest.mark.parametrize(
    ("described", "nanoseconds"),
    [
        pytest.param((), 5_000_000_000, id="microseconds where nothing is said"),
        pytest.param(((9, b"\x03"),), 5_000_000_000_000, id="milliseconds"),
        pytest.param(((9, b"\x8a"),), 4_882_812_500_000, id="1024 a second"),
        pytest.param(((9, b"\x7f"),), 0, id="finer than any clock"),
        pytest.param(
            ((9, b"\x09"), (14, struct.pack("<q", 2))), 2_005_000_000, id="counted from 1970 + 2 s"
        ),
    ],
)
def test_the_clock_of_a_file_may_have_another_unit_and_zero(
    described: tuple[tuple[int, bytes], ...], nanoseconds: int
) -> None:
    (frame,) = frames_of(section() + interface(*described) + packet(INBOUND, time=5_000_000))
    assert frame.time_ns == nanoseconds


def test_blocks_and_options_of_other_kinds_are_passed_over() -> None:
    data = section() + block(STATISTICS, bytes(12)) + interface((3, b"what it is"))
    data += block(0x0BAD, b"") + packet((1, b"a comment"), INBOUND)
    assert [frame.data for frame in frames_of(data)] == [b"data"]


def test_a_second_section_has_interfaces_of_its_own() -> None:
    data = section() + interface(name=b"a/b") + packet(INBOUND)
    data += section() + interface(name=b"c/d") + packet(INBOUND)
    assert [frame.interface for frame in frames_of(data)] == ["a/b", "c/d"]


HUGE = struct.pack("<II", PACKET, 0xFFFFFFF0) + bytes(4)


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        pytest.param(b"", "byte 0: the file is empty", id="empty"),
        pytest.param(b"From: novice@example", "byte 0: not a pcapng file", id="text"),
        pytest.param(bytes.fromhex("d4c3b2a1") + bytes(20), "not a pcapng file", id="old pcap"),
        pytest.param(interface(), "byte 0: not a pcapng file", id="no section"),
        pytest.param(block(SECTION, bytes(16)), "not a pcapng file", id="no byte order"),
        pytest.param(section(version=2), "version 2 of the format", id="another version"),
        pytest.param(section() + HUGE, "byte 28: a block cannot be 4294967280 bytes", id="huge"),
        pytest.param(
            section() + struct.pack("<III", PACKET, 0, 0), "cannot be 0 bytes", id="no length"
        ),
        pytest.param(
            section() + struct.pack("<IIII", 9, 13, 0, 13), "cannot be 13 bytes", id="odd length"
        ),
        pytest.param(
            section() + struct.pack("<IIII", 9, 16, 0, 20), "two lengths differ", id="two lengths"
        ),
        pytest.param(section() + interface(link=101), "link type 101", id="no Ethernet"),
        pytest.param(section() + interface(name=b"eth0"), "a name like NODE/IFACE", id="no node"),
        pytest.param(
            section() + interface(name=b"a/\x1b[2J"), "a name like NODE/IFACE", id="terminal codes"
        ),
        pytest.param(
            section() + interface(name=b"a/" + b"b" * 254), "a name like NODE/IFACE", id="long name"
        ),
        pytest.param(section() + interface(name=b"a/\xff"), "a damaged block", id="no UTF-8"),
        pytest.param(section() + interface((9, b"")), "a damaged block", id="empty option"),
        pytest.param(section() + block(INTERFACE, b""), "a damaged block", id="no body"),
        pytest.param(
            section() + block(INTERFACE, struct.pack("<HHIHH", 1, 0, 0, 2, 200)),
            "an option of 200 bytes that ends after 0",
            id="long option",
        ),
        pytest.param(
            section() + interface() * (MAX_INTERFACES + 1), "more than 1024", id="interfaces"
        ),
        pytest.param(section() + packet(INBOUND), "interface 0, which is not", id="nowhere"),
        pytest.param(
            section() + interface() + packet(INBOUND, captured=0xFFFFFFFF),
            "byte 60: a frame of 4294967295 bytes in a block of 48",
            id="longer than its block",
        ),
        pytest.param(
            section() + interface() + packet(), "neither inbound nor outbound", id="no direction"
        ),
        pytest.param(
            section() + block(SIMPLE, bytes(8)), "without direction or time", id="simple packet"
        ),
        pytest.param(
            section() + block(OBSOLETE, bytes(20)), "without direction or time", id="old packet"
        ),
    ],
)
def test_a_file_that_makes_no_sense_is_refused_with_the_place_and_the_reason(
    data: bytes, reason: str
) -> None:
    with pytest.raises(CaptureError, match=reason) as refused:
        frames_of(data)
    assert "\n" not in str(refused.value)


def test_a_file_that_was_cut_short_is_refused_unless_it_was_between_blocks() -> None:
    data = written()
    found = [outcome(data[:length]) for length in range(1, len(data))]
    between = [frames for frames in found if not isinstance(frames, str)]
    assert between == [[], [], [], [*FRAMES[:1]], [*FRAMES[:2]]]
    refusals = [reason for reason in found if isinstance(reason, str)]
    assert all("ends within a block" in reason for reason in refusals)


def test_any_damage_is_refused_with_the_one_error_or_harms_nothing() -> None:
    chance = random.Random(3389)
    whole = written()
    for _ in range(20_000):
        data = bytearray(whole)
        for _ in range(chance.randint(1, 4)):
            data[chance.randrange(len(data))] = chance.randrange(256)
        found = outcome(bytes(data))
        if isinstance(found, str):
            assert "\n" not in found
        else:
            assert sum(len(frame.data) for frame in found) <= len(data)


def test_memory_is_bounded_by_the_largest_block_whatever_a_file_claims() -> None:
    endless = section() + interface() + packet(INBOUND) * 100_000
    claims = section() + struct.pack("<II", PACKET, MAX_BLOCK) + bytes(100)
    for data in (endless, claims, section() + HUGE):
        stream = io.BytesIO(data)
        tracemalloc.start()
        with suppress(CaptureError):
            deque(read(stream), maxlen=0)
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert peak < 4 * MAX_BLOCK
