"""Each honest router is what it says, seen without the harness's own code for gear."""

from __future__ import annotations

import re
import socket
import struct
from collections.abc import Iterator

import pytest
from reaching import RDP, Make, gets_in, search
from routers import (
    HONEST,
    GearRouter,
    LegacyIgdRouter,
    LegacyRouter,
    NftIgdRouter,
    ShorewallRouter,
    SlirpRouter,
)
from routers.neighbours import PATIENCE, PROVIDERS, Neighbours
from tenacity import retry, retry_if_exception_type, stop_after_delay, wait_fixed

pytest_plugins = ["plugging"]
pytestmark = pytest.mark.usefixtures("root")


VERSIONS = {
    LegacyRouter: r"iptables v1\.\d+\.\d+ \(legacy\)",
    LegacyIgdRouter: r"miniupnpd \d+\.\d+\.\d+",
    ShorewallRouter: r"\d+\.\d+\.\d+",
    SlirpRouter: r"slirp4netns version \d+\.\d+\.\d+",
    NftIgdRouter: r"miniupnpd \d+\.\d+\.\d+",
}

# A user's program on a router is a host to the WAN: its kernel refuses what nobody listens for.
REFUSES = {SlirpRouter}

BENCH_FILE_NAME = re.compile(r"[a-z][a-z0-9-]{0,10}")


@pytest.fixture(scope="module", params=HONEST, ids=lambda kind: kind.name)
def place(request: pytest.FixtureRequest, make: Make) -> Iterator[Neighbours]:
    """Each honest router in turn, with a host and an internet."""
    router = make(request.param)
    with Neighbours(router) as neighbours:
        yield neighbours


def test_a_router_says_what_it_is(place: Neighbours) -> None:
    router = place.router
    assert BENCH_FILE_NAME.fullmatch(router.name)
    assert router.model
    assert re.match(VERSIONS[type(router)], router.firmware)


def test_a_host_gets_an_address_and_is_seen_with_the_router_s(place: Neighbours) -> None:
    (host,) = place.hosts
    assert host.address in place.router.lan.network
    seen = place.wan_address()
    assert seen in PROVIDERS[0]


def test_an_unsolicited_syn_is_not_let_in(place: Neighbours) -> None:
    address, (host,) = place.wan_address(), place.hosts
    refused = type(place.router) in REFUSES
    with host.listening(RDP) as listener:
        with pytest.raises(ConnectionRefusedError if refused else TimeoutError):
            place.internet.connect(address, RDP, 1.5)
        listener.setblocking(False)
        with pytest.raises(BlockingIOError):
            listener.accept()


def test_a_router_has_the_gateway_that_it_claims(place: Neighbours) -> None:
    (host,) = place.hosts
    if place.router.claims == "nat":
        assert search(host, place.router.lan.ip) == []
        return
    address = place.wan_address()
    igd = host.igd()
    assert host.call(igd.externalipaddress) == str(address)
    host.map(igd, 4000, RDP, 3600)
    assert gets_in(place, host, 4000, address)
    host.call(igd.deleteportmapping, 4000, "TCP")
    assert not gets_in(place, host, 4000, address)


@pytest.mark.parametrize("kind", HONEST, ids=lambda kind: kind.name)
def test_a_router_asks_anew_when_its_wan_cable_was_out(make: Make, kind: type[GearRouter]) -> None:
    with Neighbours(make(kind)) as place:
        (host,), before = place.hosts, place.wan_address()
        place.change_provider()
        after = place.wan_address()
        assert before in PROVIDERS[0]
        assert after in PROVIDERS[1]
        if place.router.claims == "upnp-nat":
            host.map(host.igd(), 4000, RDP, 3600)
            assert gets_in(place, host, 4000, after)


def test_the_nft_router_maps_by_nat_pmp_and_by_pcp_too(make: Make) -> None:
    with Neighbours(make(NftIgdRouter)) as place:
        (host,), address = place.hosts, place.wan_address()
        # RFC 6886, section 3.3: version 0, map TCP, internal and external port, seconds.
        answer = _ask_port_mapper(place, struct.pack("!BBHHHI", 0, 2, 0, RDP, 4001, 600))
        assert struct.unpack_from("!BBHIHHI", answer)[:3] == (0, 130, 0)
        assert gets_in(place, host, 4001, address)
        # RFC 6887, section 11.1: the common header, then nonce, protocol, ports and address.
        mapped = b"\0" * 10 + b"\xff\xff"
        header = struct.pack("!BBHI", 2, 1, 0, 600) + mapped + host.address.packed
        opcode = struct.pack("!12sB3xHH", b"n" * 12, 6, RDP, 4002) + mapped + bytes(4)
        answer = _ask_port_mapper(place, header + opcode)
        assert (answer[0], answer[1], answer[3]) == (2, 0x81, 0)
        (port,) = struct.unpack_from("!H", answer, 42)
        assert gets_in(place, host, port, address)


def _ask_port_mapper(place: Neighbours, request: bytes) -> bytes:
    (host,) = place.hosts
    with host.namespace.entered():
        sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    with sock:
        sock.settimeout(0.5)
        sock.connect((str(place.router.lan.ip), 5351))
        return _exchange(sock, request)


@retry(
    retry=retry_if_exception_type(OSError),  # it is refused until the daemon listens
    stop=stop_after_delay(PATIENCE),
    wait=wait_fixed(0.1),
    reraise=True,
)
def _exchange(sock: socket.socket, request: bytes) -> bytes:
    sock.send(request)
    return sock.recv(1100)
