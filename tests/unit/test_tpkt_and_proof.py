"""The bytes that open a Remote Desktop connection, and the proofs that follow them."""

from __future__ import annotations

import hashlib
import hmac
import struct
from collections.abc import Callable
from dataclasses import replace

import pytest

from harness.protocol import tpkt
from harness.protocol.proof import MAC_BYTES, NONCE_BYTES, Exchange, same
from harness.protocol.tpkt import TpktError

# [MS-RDPBCGR] 2.2.1.1: TPKT header, x224Crq, RDP_NEG_REQ (type 1, flags 0, length 8, standard RDP
# security). TPKT counts in network order, the negotiation in Intel's.
REQUEST = bytes.fromhex("03000013 0e e0 0000 0000 00 01 00 0800 00000000")
# [MS-RDPBCGR] 2.2.1.2: x224Ccf, RDP_NEG_RSP (type 2).
CONFIRM = bytes.fromhex("03000013 0e d0 0000 0000 00 02 00 0800 00000000")


def body(packet: bytes) -> bytes:
    """Return what follows a packet's TPKT header, once its length is seen to be right."""
    header, rest = packet[: tpkt.HEADER_BYTES], packet[tpkt.HEADER_BYTES :]
    assert tpkt.body_length(header) == len(rest)
    return rest


def test_a_connection_is_requested_as_the_specification_lays_it_out() -> None:
    assert tpkt.connection_request() == REQUEST


def test_a_connection_is_confirmed_as_the_specification_lays_it_out() -> None:
    assert tpkt.connection_confirm() == CONFIRM


def test_each_side_recognises_what_the_other_sends() -> None:
    tpkt.check_request(body(tpkt.connection_request()))
    tpkt.check_confirm(body(tpkt.connection_confirm()))


def test_a_request_with_a_cookie_or_without_a_negotiation_is_one_too() -> None:
    cookie = b"Cookie: mstshash=jeff\r\n"
    tpkt.check_request(bytes((6 + len(cookie), 0xE0, 0, 0, 0, 0, 0)) + cookie)
    tpkt.check_request(bytes((6, 0xE0, 0, 0, 0, 0, 0)))


@pytest.mark.parametrize(
    ("check", "wrong"),
    [
        pytest.param(tpkt.check_request, CONFIRM[4:], id="a confirm for a request"),
        pytest.param(tpkt.check_confirm, REQUEST[4:], id="a request for a confirm"),
        pytest.param(tpkt.check_request, tpkt.data(bytes(16))[4:], id="data for a request"),
        pytest.param(tpkt.check_confirm, tpkt.data(bytes(16))[4:], id="data for a confirm"),
        pytest.param(tpkt.check_confirm, bytes.fromhex("0680000000000000"), id="disconnect"),
        pytest.param(tpkt.check_request, REQUEST[4:-1], id="shorter than its indicator"),
        pytest.param(tpkt.check_request, REQUEST[4:] + b"\0", id="longer than its indicator"),
        pytest.param(tpkt.check_request, bytes((5, 0xE0, 0, 0, 0, 0)), id="fixed part cut short"),
        pytest.param(tpkt.check_confirm, b"", id="nothing"),
        pytest.param(tpkt.check_confirm, b"P/1.1 400 Bad Request\r\n", id="HTTP"),
    ],
)
def test_another_pdu_is_refused(check: Callable[[bytes], None], wrong: bytes) -> None:
    with pytest.raises(TpktError, match=r"^not an X\.224 Connection (Request|Confirm): "):
        check(wrong)


@pytest.mark.parametrize("payload", [b"", b"x", bytes(range(256)), bytes(tpkt.MAX_DATA)])
def test_data_travels_in_one_data_tpdu(payload: bytes) -> None:
    packet = tpkt.data(payload)
    header = struct.pack("!BBH", 3, 0, len(payload) + 7)
    assert packet == header + bytes.fromhex("02f080") + payload
    assert tpkt.read_data(body(packet)) == payload


def test_the_most_data_fills_a_packet_to_its_last_byte() -> None:
    assert len(tpkt.data(bytes(tpkt.MAX_DATA))) == 0xFFFF


@pytest.mark.parametrize(
    "wrong",
    [
        pytest.param(REQUEST[4:], id="a request"),
        pytest.param(bytes.fromhex("02f000") + b"more to come", id="no end of its TSDU"),
        pytest.param(bytes.fromhex("03f080") + b"x", id="another indicator"),
        pytest.param(bytes.fromhex("02f0"), id="cut short"),
        pytest.param(b"", id="nothing"),
    ],
)
def test_another_pdu_carries_no_data(wrong: bytes) -> None:
    with pytest.raises(TpktError, match=r"^not an X\.224 Data TPDU: "):
        tpkt.read_data(wrong)


@pytest.mark.parametrize(
    ("header", "length"),
    [("03000007", 3), ("03000013", 15), ("03ff0100", 252), ("0300ffff", 65531)],
)
def test_a_header_says_how_much_follows_it(header: str, length: int) -> None:
    assert tpkt.body_length(bytes.fromhex(header)) == length


@pytest.mark.parametrize(
    "header",
    [
        pytest.param(b"HTTP", id="HTTP"),
        pytest.param(b"SSH-", id="SSH"),
        pytest.param(bytes.fromhex("02000013"), id="another version"),
        pytest.param(bytes.fromhex("00000000"), id="nothing but zeros"),
        pytest.param(bytes.fromhex("03000006"), id="no room for a PDU"),
        pytest.param(bytes.fromhex("03000000"), id="shorter than itself"),
    ],
)
def test_what_is_no_header_is_refused(header: bytes) -> None:
    with pytest.raises(TpktError, match=r"^not a TPKT header: "):
        tpkt.body_length(header)


# --- the proofs

KEY = bytes(range(32))
EXCHANGE = Exchange(KEY, b"d" * NONCE_BYTES, b"l" * NONCE_BYTES)


def test_a_proof_is_the_mac_of_label_and_nonces_under_the_key() -> None:
    for label, mac in (
        (b"dialler", EXCHANGE.dialler_mac()),
        (b"listener", EXCHANGE.listener_mac()),
    ):
        message = label + b"\0" + b"d" * 32 + b"l" * 32
        assert mac == hmac.new(KEY, message, hashlib.sha256).digest()
        assert len(mac) == MAC_BYTES


def test_proofs_differ_by_label_key_and_each_nonce() -> None:
    exchanges = [
        EXCHANGE,
        replace(EXCHANGE, key=KEY[::-1]),
        replace(EXCHANGE, dialler_nonce=b"e" * NONCE_BYTES),
        replace(EXCHANGE, listener_nonce=b"m" * NONCE_BYTES),
        # One who sends the other's nonces back the other way round gains nothing.
        Exchange(KEY, EXCHANGE.listener_nonce, EXCHANGE.dialler_nonce),
    ]
    macs = {mac for each in exchanges for mac in (each.dialler_mac(), each.listener_mac())}
    assert len(macs) == 2 * len(exchanges)


def test_both_sides_name_a_session_alike_and_every_session_differently() -> None:
    assert EXCHANGE.session == replace(EXCHANGE).session
    others = [
        replace(EXCHANGE, dialler_nonce=b"e" * NONCE_BYTES),
        replace(EXCHANGE, listener_nonce=b"m" * NONCE_BYTES),
        Exchange(KEY, EXCHANGE.listener_nonce, EXCHANGE.dialler_nonce),
    ]
    assert len({EXCHANGE.session, *(each.session for each in others)}) == 4


def test_macs_are_the_same_only_byte_for_byte() -> None:
    mac = EXCHANGE.dialler_mac()
    assert same(mac, bytes(mac))
    assert not same(mac, EXCHANGE.listener_mac())
    assert not same(mac, mac[:-1])
    assert not same(mac, mac[:-1] + bytes((mac[-1] ^ 1,)))
    assert not same(b"", mac)
