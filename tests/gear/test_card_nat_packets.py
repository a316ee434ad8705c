"""Packets by hand are what a kernel takes them for, and no packet that comes does harm."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Iterator
from functools import partial
from ipaddress import IPv4Address

import pytest
from rigs import MASQUERADE, rig

from harness.gear.card import tap as tapping
from harness.gear.card.check import NotTested
from harness.gear.card.flows import end_of
from harness.gear.card.packets import (
    PORT_UNREACHABLE,
    TOO_BIG,
    Options,
    icmp_error,
    read_icmp_error,
    read_options,
    tcp,
)
from harness.gear.card.tap import Seen, send, tap
from harness.gear.rig import Rig
from harness.lab.syns import Endpoint
from harness.protocol.packet import Flags, Segment, parse

HERE = Endpoint(IPv4Address("80.100.10.2"), 40000)
THERE = Endpoint(IPv4Address("91.30.30.10"), 3389)
SYN = tcp(HERE, THERE, 7)
IP_AND_TCP = 40


def with_options(options: bytes) -> bytes:
    """Return a SYN with these options, of which there are whole words."""
    head = bytearray(SYN[:IP_AND_TCP])
    head[32] = (20 + len(options)) // 4 << 4
    return bytes(head) + options


def test_a_syn_by_hand_reads_back() -> None:
    segment = Segment(*HERE, *THERE, sequence=7, acknowledgement=0, flags=Flags.SYN)
    assert parse(SYN) == segment
    assert read_options(SYN) == Options(mss=1460, scale=None, sack=True, timestamps=False)


def test_an_icmp_error_quotes_whom_it_is_about() -> None:
    data = icmp_error(THERE.address, HERE.address, SYN, PORT_UNREACHABLE)
    error = read_icmp_error(data)
    assert error is not None
    assert (error.source, error.type, error.code, error.mtu) == (THERE.address, 3, 3, 0)
    assert (error.quoted_source, error.quoted_destination) == (HERE, THERE)


def test_packet_too_big_tells_its_mtu() -> None:
    error = read_icmp_error(icmp_error(THERE.address, HERE.address, SYN, TOO_BIG, mtu=1280))
    assert error is not None
    assert error.mtu == 1280


def test_all_four_options_are_read() -> None:
    options = bytes([2, 4, 5, 180, 3, 3, 7, 1, 4, 2, 8, 10]) + bytes(8)
    assert read_options(with_options(options)) == Options(1460, 7, sack=True, timestamps=True)


@pytest.mark.parametrize(
    "options",
    [bytes([99, 0, 0, 0]), bytes([99, 1, 0, 0]), bytes([1, 1, 1, 99]), bytes([1] * 8)[:6]],
    ids=["length 0", "length 1", "no length", "cut short"],
)
def test_options_that_are_none_have_an_end(options: bytes) -> None:
    padded = with_options(options + bytes(-len(options) % 4))[: IP_AND_TCP + len(options)]
    assert read_options(padded) in (None, Options(None, None, sack=False, timestamps=False))


def test_no_packet_whatever_it_holds_is_an_error_of_its_reader() -> None:
    chance = random.Random(7)
    whole = [SYN, icmp_error(THERE.address, HERE.address, SYN, TOO_BIG, mtu=1280)]
    for _ in range(20_000):
        data = bytearray(chance.choice(whole))
        for _ in range(chance.randrange(1, 6)):
            data[chance.randrange(len(data))] = chance.randrange(256)
        cut = bytes(data[: chance.randrange(len(data) + 1)])
        read_options(cut)
        read_icmp_error(cut)


@pytest.fixture(scope="module")
def plain() -> Iterator[Rig]:
    with rig(MASQUERADE) as here:
        yield here


def test_a_kernel_answers_a_syn_by_hand(plain: Rig) -> None:
    lan, neighbour = plain.lan, plain.neighbour

    async def answers(*sequences: int) -> list[Flags]:
        flags = []
        with (
            lan.tcp() as own,
            neighbour.tcp() as open_,
            neighbour.tcp() as closed,
            tap(lan) as seen,
        ):
            open_.listen()
            for sequence, sock in zip(sequences, (open_, closed), strict=True):
                send(lan, tcp(end_of(own), end_of(sock), sequence))
                answer = await seen.first(partial(_answers, sequence), 2.0)
                assert answer is not None
                assert isinstance(answer.packet, Segment)
                flags.append(answer.packet.flags)
        return flags

    assert asyncio.run(answers(7, 8)) == [Flags.SYN | Flags.ACK, Flags.RST | Flags.ACK]


def _answers(sequence: int, seen: Seen) -> bool:
    return seen.answers(sequence)


def test_a_wire_that_is_too_busy_tells_nothing(plain: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tapping, "MOST", 16)

    async def flooded() -> int:
        with tap(plain.lan) as seen, plain.neighbour.udp() as sock:
            for _ in range(2 * tapping.MOST):
                sock.sendto(b"flood", (str(plain.lan.address), 9))
            with pytest.raises(NotTested, match="more than 16 packets"):
                await seen.first(lambda _: False, 2.0)
            return len(seen.seen)

    assert asyncio.run(flooded()) == tapping.MOST
