"""What the novice says to a gateway, and what it believes of the answers."""

from __future__ import annotations

import re
from ipaddress import IPv4Address

import pytest

from harness.protocol import natpmp, ssdp
from harness.protocol.natpmp import NatPmpError, TcpMapping
from harness.protocol.ssdp import SsdpError

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

GATEWAY = IPv4Address("192.168.0.1")
DESCRIPTION = "http://192.168.0.1:5000/rootDesc.xml"


def answer(*headers: str, status: str = "HTTP/1.1 200 OK") -> bytes:
    lines = [status, "ST: urn:schemas-upnp-org:device:InternetGatewayDevice:1", *headers, "", ""]
    return "\r\n".join(lines).encode("latin-1")


def location(url: str) -> bytes:
    return answer(f"LOCATION: {url}", "SERVER: Debian UPnP/1.1 MiniUPnPd/2.3.1")


def test_the_search_is_the_one_that_windows_xp_sends() -> None:
    assert ssdp.search() == (
        b"M-SEARCH * HTTP/1.1\r\n"
        b"Host:239.255.255.250:1900\r\n"
        b"ST:urn:schemas-upnp-org:device:InternetGatewayDevice:1\r\n"
        b'Man:"ssdp:discover"\r\n'
        b"MX:3\r\n"
        b"\r\n"
    )


@pytest.mark.parametrize(
    "datagram",
    [
        pytest.param(location(DESCRIPTION), id="as miniupnpd writes it"),
        pytest.param(answer(f"location:{DESCRIPTION}"), id="lower case"),
        pytest.param(answer(f"Location :\t{DESCRIPTION}  "), id="space around"),
        pytest.param(answer("USN: uuid:1", "EXT:", f"LOCATION: {DESCRIPTION}"), id="not first"),
        pytest.param(answer("X-Name: J\xfcrgen", f"LOCATION: {DESCRIPTION}"), id="not ASCII"),
        pytest.param(answer(f"LOCATION: {DESCRIPTION}").rstrip(b"\r\n"), id="cut after it"),
    ],
)
def test_the_descriptions_url_is_read(datagram: bytes) -> None:
    assert ssdp.read_location(datagram, GATEWAY) == DESCRIPTION


@pytest.mark.parametrize(
    "url",
    [
        "http://192.168.0.1/",
        "http://192.168.0.1:1/a?b=c",
        "http://192.168.0.1:65535/",
        "http://192.168.0.1/" + "x" * 1000,
    ],
)
def test_any_http_url_of_the_gateway_is_taken(url: str) -> None:
    assert ssdp.read_location(location(url), GATEWAY) == url


@pytest.mark.parametrize(
    "url",
    [
        pytest.param("http://192.168.0.2/", id="foreign host"),
        pytest.param("http://192.168.0.10/", id="host that begins alike"),
        pytest.param("http://192.168.0.1.evil.example/", id="name that begins alike"),
        pytest.param("http://gateway/", id="name"),
        pytest.param("http:///rootDesc.xml", id="no host"),
        pytest.param("https://192.168.0.1/", id="https"),
        pytest.param("ftp://192.168.0.1/", id="ftp"),
        pytest.param("file://192.168.0.1/etc/hostname", id="file"),
        pytest.param("//192.168.0.1/", id="no scheme"),
        pytest.param("rootDesc.xml", id="relative"),
        pytest.param("", id="empty"),
        pytest.param("http://192.168.0.1@evil/", id="gateway as user"),
        pytest.param("http://192.168.0.1:80@evil/", id="gateway as user with password"),
        pytest.param("http://192.168.0.1\\@evil/", id="gateway before a backslash"),
        # miniupnpc does not know user-information: it would connect to what stands before "@".
        pytest.param("http://17.1.1.1:80@192.168.0.1/", id="foreign host as user"),
        pytest.param("http://evil@192.168.0.1/", id="user of the gateway"),
        pytest.param("http://evil\\@192.168.0.1/", id="foreign host before a backslash"),
        pytest.param("http://[::ffff:192.168.0.1]/", id="IPv4 in IPv6"),
        pytest.param("http://[fe80::1]/", id="IPv6"),
        pytest.param("http://[192.168.0.1]/", id="IPv4 in brackets"),
        pytest.param("http://[192.168.0.1/", id="half a bracket"),
        pytest.param("http://3232235521/", id="one number"),
        pytest.param("http://192.168.1/", id="three numbers"),
        pytest.param("http://192.168.0.01/", id="octal number"),
        pytest.param("http://192.168.0.1:0/", id="port 0"),
        pytest.param("http://192.168.0.1:65536/", id="port out of range"),
        pytest.param("http://192.168.0.1:-1/", id="negative port"),
        pytest.param("http://192.168.0.1:http/", id="port by name"),
        pytest.param("http://192.168.0.1:80:80/", id="two ports"),
        pytest.param("http://192.168.0.1/" + "x" * 1006, id="huge"),
        pytest.param("http://192.168.0.1/\xfc", id="not ASCII"),
        pytest.param("http://192.168.0.1/\0", id="NUL"),
        pytest.param("http://192.168.0.1/\x1b[31m", id="terminal escape"),
        pytest.param("http://192.168.0.1\t/", id="tab in it"),
        pytest.param("http://192.168.0.1\n/", id="line feed in it"),
    ],
)
def test_no_other_url_is_taken(url: str) -> None:
    with pytest.raises(SsdpError, match=r"^LOCATION is not ") as refused:
        ssdp.read_location(location(url), GATEWAY)
    assert str(refused.value).isprintable()
    assert len(str(refused.value)) < 200


@pytest.mark.parametrize(
    ("datagram", "why"),
    [
        pytest.param(answer("SERVER: x"), "the answer has no LOCATION", id="no LOCATION"),
        pytest.param(
            answer().replace(b"ST:", b"LOCATION"), "the answer has no LOCATION", id="no colon"
        ),
        pytest.param(
            answer(f"AL-LOCATION: {DESCRIPTION}"), "the answer has no LOCATION", id="ends alike"
        ),
        pytest.param(
            answer(f"LOCATION: {DESCRIPTION}", status="HTTP/1.1 404 Not Found"),
            "not an answer to a search: 'HTTP/1.1 404 Not Found'",
            id="not found",
        ),
        pytest.param(
            answer(f"LOCATION: {DESCRIPTION}", status="NOTIFY * HTTP/1.1"),
            "not an answer to a search: 'NOTIFY * HTTP/1.1'",
            id="an announcement",
        ),
        pytest.param(ssdp.search(), "not an answer to a search: ", id="a search"),
        pytest.param(b"", "not an answer to a search: ''", id="nothing"),
        pytest.param(bytes(range(256)) * 16, "not an answer to a search: ", id="junk"),
        pytest.param(
            b"HTTP/1.1 200 OK\r\n" + bytes(range(256)), "the answer has no LOCATION", id="then junk"
        ),
    ],
)
def test_what_names_no_description_is_refused(datagram: bytes, why: str) -> None:
    with pytest.raises(SsdpError, match="^" + re.escape(why)) as refused:
        ssdp.read_location(datagram, GATEWAY)
    assert str(refused.value).isprintable()
    assert len(str(refused.value)) < 200


def test_of_two_locations_the_first_counts() -> None:
    foreign = "LOCATION: http://17.1.1.1/"
    both = answer(f"LOCATION: {DESCRIPTION}", foreign)
    assert ssdp.read_location(both, GATEWAY) == DESCRIPTION
    with pytest.raises(SsdpError):
        ssdp.read_location(answer(foreign, f"LOCATION: {DESCRIPTION}"), GATEWAY)
