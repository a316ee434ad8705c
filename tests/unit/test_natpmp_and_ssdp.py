"""What the novice says to a gateway, and what it believes of the answers."""

from __future__ import annotations

from ipaddress import IPv4Address

import pytest

from harness.protocol import natpmp, ssdp
from harness.protocol.natpmp import NatPmpError, TcpMapping

# --- NAT-PMP, byte by byte as RFC 6886 draws it

# Version 0, response to opcode 0, success, 10 s since the epoch, 17.2.2.2.
ADDRESS = bytes.fromhex("00 80 0000 0000000a 11020202")
# Version 0, response to opcode 2, success, 10 s, internal 3389, external 49152, 3600 s.
MAPPING = bytes.fromhex("00 82 0000 0000000a 0d3d c000 00000e10")


def test_the_external_address_is_asked_for_in_two_bytes() -> None:
    assert natpmp.external_address_request() == bytes.fromhex("0000")


def test_a_tcp_mapping_is_asked_for_in_twelve_bytes() -> None:
    request = natpmp.map_tcp_request(3389, 49152, 3600)
    assert request == bytes.fromhex("00 02 0000 0d3d c000 00000e10")


def test_a_mapping_is_removed_by_asking_for_no_port_and_no_time() -> None:
    assert natpmp.map_tcp_request(3389, 0, 0) == bytes.fromhex("00 02 0000 0d3d 0000 00000000")


def test_the_server_is_asked_on_port_5351_and_again_after_a_quarter_of_a_second() -> None:
    assert (natpmp.PORT, natpmp.FIRST_RETRY) == (5351, 0.25)


def test_the_external_address_is_read() -> None:
    assert natpmp.read_external_address(ADDRESS) == IPv4Address("17.2.2.2")


def test_a_granted_mapping_is_read() -> None:
    granted = TcpMapping(internal_port=3389, external_port=49152, lifetime=3600)
    assert natpmp.read_tcp_mapping(MAPPING) == granted


def test_bytes_after_an_answer_are_passed_over() -> None:
    assert natpmp.read_external_address(ADDRESS + b"more") == IPv4Address("17.2.2.2")
    assert natpmp.read_tcp_mapping(MAPPING + b"more").external_port == 49152


REFUSALS = {
    1: "unsupported version",
    2: "not authorized",
    3: "network failure",
    4: "out of resources",
    5: "unsupported opcode",
    6: "6",
    65535: "65535",
}


@pytest.mark.parametrize(("code", "name"), REFUSALS.items())
def test_a_refusal_is_named_by_its_result_code(code: int, name: str) -> None:
    refused = rf"^the gateway refused: {name}$"
    with pytest.raises(NatPmpError, match=refused):
        natpmp.read_external_address(ADDRESS[:2] + code.to_bytes(2) + ADDRESS[4:])
    with pytest.raises(NatPmpError, match=refused):
        natpmp.read_tcp_mapping(MAPPING[:2] + code.to_bytes(2) + MAPPING[4:])


def test_a_refusal_need_not_have_a_body() -> None:
    with pytest.raises(NatPmpError, match=r"^the gateway refused: network failure$"):
        natpmp.read_external_address(bytes.fromhex("00 80 0003 0000000a"))


def test_a_server_that_knows_only_pcp_is_understood_to_refuse() -> None:
    """RFC 6887 9: version 2 in the answer, and the result code in the fourth byte."""
    answer = bytes.fromhex("02 80 00 01 00000000 0000000a") + bytes(12)
    with pytest.raises(NatPmpError, match=r"^the gateway refused: unsupported version$"):
        natpmp.read_external_address(answer)


@pytest.mark.parametrize("length", range(len(MAPPING)))
def test_a_short_answer_is_none(length: int) -> None:
    with pytest.raises(NatPmpError):
        natpmp.read_tcp_mapping(MAPPING[:length])
    if length < len(ADDRESS):
        with pytest.raises(NatPmpError):
            natpmp.read_external_address(ADDRESS[:length])


@pytest.mark.parametrize(
    "alien",
    [
        pytest.param(bytes.fromhex("01") + MAPPING[1:], id="version 1"),
        pytest.param(bytes.fromhex("00 02") + MAPPING[2:], id="a request"),
        pytest.param(bytes.fromhex("00 81") + MAPPING[2:], id="a UDP mapping"),
        pytest.param(ADDRESS + bytes(4), id="an external address"),
        pytest.param(bytes(16), id="nothing but zeros"),
    ],
)
def test_an_answer_to_something_else_is_none(alien: bytes) -> None:
    with pytest.raises(NatPmpError, match=r"^not an answer to opcode 2: "):
        natpmp.read_tcp_mapping(alien)


def test_a_mapping_is_no_external_address() -> None:
    with pytest.raises(NatPmpError, match=r"^not an answer to opcode 0: "):
        natpmp.read_external_address(MAPPING)


# --- SSDP


def test_the_search_is_the_one_that_windows_xp_sends() -> None:
    assert ssdp.search() == (
        b"M-SEARCH * HTTP/1.1\r\n"
        b"Host:239.255.255.250:1900\r\n"
        b"ST:urn:schemas-upnp-org:device:InternetGatewayDevice:1\r\n"
        b'Man:"ssdp:discover"\r\n'
        b"MX:3\r\n"
        b"\r\n"
    )
