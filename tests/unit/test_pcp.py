"""PCP's MAP messages are as RFC 6887 has them, and NAT-PMP's refusals and epochs are told."""

from __future__ import annotations

import struct
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from ipaddress import IPv4Address, IPv6Address

import pytest
from hostile import ROUTER, SOCKETS, run, says, udp_server
from loopback import reserved_port

from harness.nodes import pmp
from harness.protocol import natpmp, pcp
from harness.protocol.natpmp import NatPmpError, NatPmpRefusal
from harness.protocol.pcp import Epoch, Mapping, MapRequest, PcpError, PcpRefusal

NONCE = bytes(range(12))
WANTED = MapRequest(IPv4Address("192.168.0.9"), NONCE, pcp.TCP, 3389, 3600)
MAPPED = "00000000000000000000ffff"
REQUEST = bytes.fromhex(
    # version 2, MAP, lifetime 3600, client 192.168.0.9
    "02 01 0000 00000e10"
    + MAPPED
    + "c0a80009"
    # nonce, TCP, internal port 3389, any external port, any external address
    + "000102030405060708090a0b 06 000000 0d3d 0000"
    + MAPPED
    + "00000000"
)
ANSWER = bytes.fromhex(
    # version 2, MAP answered, success, lifetime 600, epoch 77
    "02 81 00 00 00000258 0000004d 000000000000000000000000"
    # nonce, TCP, 3389, external 49152 at 17.2.2.2
    "000102030405060708090a0b 06 000000 0d3d c000" + MAPPED + "11020202"
)
GRANTED = Mapping(pcp.TCP, 3389, 49152, IPv4Address("17.2.2.2"), 600, 77)


def test_a_request_is_as_the_rfc_has_it() -> None:
    assert pcp.map_request(WANTED) == REQUEST


def test_a_suggestion_is_in_the_request() -> None:
    suggested = replace(
        WANTED, external_port=49152, external_address=IPv4Address("17.2.2.2"), lifetime=0
    )
    request = pcp.map_request(suggested)
    assert request[4:8] == bytes(4)
    assert request[42:44] == bytes.fromhex("c000")
    assert request[44:] == bytes.fromhex(MAPPED + "11020202")


@pytest.mark.parametrize(
    ("changes", "options"),
    [
        ({"prefer_failure": True}, "02 00 0000"),
        ({"third_party": IPv4Address("192.168.0.7")}, "01 00 0010" + MAPPED + "c0a80007"),
        (
            {"third_party": IPv4Address("192.168.0.7"), "prefer_failure": True},
            "01 00 0010" + MAPPED + "c0a80007 02 00 0000",
        ),
    ],
)
def test_options_follow_the_request(changes: dict[str, bool | IPv4Address], options: str) -> None:
    wanted = replace(WANTED, **changes)  # type: ignore[arg-type]
    assert pcp.map_request(wanted) == REQUEST + bytes.fromhex(options)


def test_a_request_is_read_as_it_was_written() -> None:
    suggested = replace(
        WANTED, external_port=49152, external_address=IPv4Address("17.2.2.2"), lifetime=0
    )
    assert pcp.read_map_request(REQUEST) == WANTED
    assert pcp.read_map_request(pcp.map_request(suggested)) == suggested
    assert pcp.read_map_request(ANSWER) is None
    assert all(pcp.read_map_request(REQUEST[:length]) is None for length in range(60))


def test_a_granted_mapping_is_read() -> None:
    assert pcp.read_mapping(ANSWER, WANTED) == GRANTED


def test_options_after_an_answer_are_passed_over() -> None:
    assert pcp.read_mapping(ANSWER + bytes.fromhex("02000000"), WANTED) == GRANTED


def test_an_external_ipv6_address_is_read() -> None:
    answer = ANSWER[:44] + IPv6Address("2001:db8::1").packed
    assert pcp.read_mapping(answer, WANTED).external_address == IPv6Address("2001:db8::1")


REFUSALS = {
    1: "unsupported version",
    2: "not authorized",
    5: "unsupported option",
    7: "network failure",
    8: "no resources",
    11: "cannot provide external",
    12: "address mismatch",
    99: "99",
}


@pytest.mark.parametrize(("code", "name"), REFUSALS.items())
@pytest.mark.parametrize("size", [24, 60])
def test_a_refusal_is_named_by_its_code(code: int, name: str, size: int) -> None:
    answer = (ANSWER[:3] + bytes([code]) + ANSWER[4:])[:size]
    with pytest.raises(PcpRefusal, match=rf"^the gateway refused: {name}$") as refused:
        pcp.read_mapping(answer, WANTED)
    assert (refused.value.result, refused.value.lifetime) == (code, 600)


@pytest.mark.parametrize("answered", ["00 00 0001 0000004d", "00 81 0001 0000004d"])
def test_a_server_that_knows_only_nat_pmp_is_named(answered: str) -> None:
    """RFC 6886 3.5: version 0, opcode 0 and "unsupported version" in answer to another version."""
    answer = bytes.fromhex(answered)
    assert pcp.is_answer(answer, WANTED)
    with pytest.raises(PcpError, match=r"^the gateway knows NAT-PMP and not PCP$"):
        pcp.read_mapping(answer, WANTED)


@pytest.mark.parametrize("length", [*range(60), 61, 1104])
def test_an_answer_of_a_wrong_length_is_none(length: int) -> None:
    with pytest.raises(PcpError):
        pcp.read_mapping((ANSWER + bytes(2000))[:length], WANTED)


@pytest.mark.parametrize(
    ("alien", "why"),
    [
        (ANSWER[:1] + b"\x01" + ANSWER[2:], "not an answer to MAP: "),
        (ANSWER[:1] + b"\x82" + ANSWER[2:], "not an answer to MAP: "),
        (b"\x03" + ANSWER[1:], "not an answer to MAP: "),
        (ANSWER[:24] + bytes(12) + ANSWER[36:], "an answer for protocol 6, port 3389, or another"),
        (ANSWER[:36] + b"\x11" + ANSWER[37:], "an answer for protocol 17, port 3389, "),
        (ANSWER[:40] + b"\x0d\x3e" + ANSWER[42:], "an answer for protocol 6, port 3390, "),
    ],
)
def test_an_answer_to_something_else_is_none(alien: bytes, why: str) -> None:
    with pytest.raises(PcpError, match=f"^{why}"):
        pcp.read_mapping(alien, WANTED)


@pytest.mark.parametrize(
    ("data", "taken"),
    [
        (ANSWER, True),
        (ANSWER[:3] + b"\x02" + ANSWER[4:], True),
        (bytes.fromhex("00 81 0001"), True),
        (REQUEST, False),
        (ANSWER[:24] + bytes(12) + ANSWER[36:], False),
        (ANSWER[:1] + b"\x82" + ANSWER[2:], False),
        (ANSWER[:24], False),
        (b"", False),
        (bytes(60), False),
    ],
)
def test_what_answers_somebody_else_is_known_by_its_nonce(data: bytes, taken: bool) -> None:
    assert pcp.is_answer(data, WANTED) is taken


@pytest.mark.parametrize(
    ("server", "seconds", "lost"),
    [
        (1100, 100.0, False),
        (1000, 0.5, False),
        (999, 0.5, False),
        (998, 0.5, True),
        (5, 100.0, True),
        (1090, 100.0, True),
        (1093, 100.0, False),
        (1110, 100.0, True),
        (1108, 100.0, False),
    ],
)
def test_a_server_that_forgot_is_known_by_its_epoch(
    server: int, seconds: float, lost: bool
) -> None:
    before, now = Epoch(1000, 50.0), Epoch(server, 50.0 + seconds)
    assert pcp.has_lost_state(before, now) is lost


# --- NAT-PMP


def test_the_code_of_a_nat_pmp_refusal_is_told() -> None:
    with pytest.raises(NatPmpRefusal) as refused:
        natpmp.read_tcp_mapping(bytes.fromhex("00 82 0004 0000000a"))
    assert refused.value.result == natpmp.Result.OUT_OF_RESOURCES


def test_the_epoch_of_a_nat_pmp_server_is_read() -> None:
    assert natpmp.read_epoch(bytes.fromhex("00 80 0003 0000000a")) == 10
    with pytest.raises(NatPmpError, match=r"^an answer of 7 bytes is too short$"):
        natpmp.read_epoch(bytes(7))


@pytest.mark.parametrize(
    ("now", "lost"), [(1080, False), (1068, False), (1067, True), (0, True), (2000, False)]
)
def test_a_nat_pmp_server_that_forgot_is_known_by_its_epoch(now: int, lost: bool) -> None:
    """RFC 6886 3.6: less than 7/8 of the time that went by, with two seconds for rounding."""
    assert natpmp.has_lost_state(1000, now, 80.0) is lost


# --- the client


async def mapped(first_retry: float, deadline: float) -> Mapping | None:
    """Ask for the mapping as a client does."""
    fits = partial(pcp.is_answer, wanted=WANTED)
    answer = await pmp.ask(SOCKETS, ROUTER, REQUEST, first_retry, deadline, fits)
    return None if answer is None else pcp.read_mapping(answer, WANTED)


def asking(
    monkeypatch: pytest.MonkeyPatch, *datagrams: bytes, heard: list[bytes] | None = None
) -> Mapping | None:
    async def answer(data: bytes, send: Callable[[bytes], None]) -> None:
        if heard is not None:
            heard.append(data)
        await says(*datagrams)(data, send)

    async def play() -> Mapping | None:
        async with udp_server(answer) as port:
            monkeypatch.setattr(pcp, "PORT", port)
            return await mapped(0.1, 0.5)

    return run(play)


def test_a_mapping_is_asked_for_and_others_answers_are_passed_over(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    heard: list[bytes] = []
    other = ANSWER[:24] + bytes(12) + ANSWER[36:]
    assert asking(monkeypatch, b"", b"junk", other, ANSWER, heard=heard) == GRANTED
    assert heard == [REQUEST]


def test_a_refusal_ends_the_question(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(PcpRefusal, match=r"^the gateway refused: not authorized$"):
        asking(monkeypatch, ANSWER[:3] + b"\x02" + ANSWER[4:])


def test_a_silent_server_is_asked_again_and_then_left(monkeypatch: pytest.MonkeyPatch) -> None:
    heard: list[bytes] = []
    assert asking(monkeypatch, heard=heard) is None
    # At 0, 0.1 and 0.3 s, the last perhaps too late to be heard; the next would be at 0.7 s.
    assert heard in ([REQUEST] * 2, [REQUEST] * 3)


def test_a_server_that_is_not_there_is_told_from_a_silent_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with reserved_port() as port:
        monkeypatch.setattr(pcp, "PORT", port)
        with pytest.raises(ConnectionRefusedError):
            run(lambda: mapped(5.0, 5.0))


def test_a_datagram_longer_than_any_answer_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(PcpError, match=r"^an answer of 2048 bytes is none$"):
        asking(monkeypatch, ANSWER + struct.pack("60000x"))
