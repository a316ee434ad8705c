"""The routers that play gear are what they say, seen without the harness's own code for gear."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import struct
import subprocess
import sys
import textwrap
import time
import xml.etree.ElementTree as ET
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from ipaddress import IPv4Address
from pathlib import Path
from typing import Any, NoReturn

import lying_igd
import pytest
from lying_igd import DESCRIPTION, ELSEWHERE_PORT, HTTP_PORT
from pyroute2 import IPRoute
from routers import (
    HONEST,
    HOSTILE,
    GearRouter,
    LegacyIgdRouter,
    LegacyRouter,
    Lie,
    LyingRouter,
    NftIgdRouter,
    ShorewallRouter,
    SlirpRouter,
    TestBench,
    pages,
)
from routers.neighbours import PATIENCE, PROVIDERS, SERVER, Host, Neighbours
from routers.software import layer
from routers.table import WRONG_ADDRESS
from tenacity import retry, retry_if_exception_type, retry_if_result, stop_after_delay, wait_fixed

from harness.errors import MachineError

IN_CI = bool(os.environ.get("CI"))
RDP = 3389
_SO_RCVBUFFORCE = 33

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


def _not_run(why: object) -> NoReturn:
    if IN_CI:
        pytest.fail(f"could not be run: {why}")
    pytest.skip(f"not run: {why}")


@pytest.fixture(scope="module", autouse=True)
def root() -> None:
    """Routers are made by root only."""
    if os.geteuid() != 0:
        _not_run("it makes network namespaces and moves interfaces: run pytest as root")


Make = Callable[..., Any]


@pytest.fixture(scope="module")
def make() -> Make:
    """Makes a router, where its software can be had."""

    def maker(kind: Callable[..., GearRouter], *arguments: object) -> GearRouter:
        try:
            return kind(*arguments)
        except MachineError as error:
            _not_run(error)

    return maker


@pytest.fixture(scope="module", params=HONEST, ids=lambda kind: kind.name)
def place(request: pytest.FixtureRequest, make: Make) -> Iterator[Neighbours]:
    """Each honest router in turn, with a host and an internet."""
    router = make(request.param)
    with Neighbours(router) as neighbours:
        yield neighbours


Plug = Callable[..., Neighbours]


@pytest.fixture
def lying(make: Make) -> Iterator[Plug]:
    """Plugs in a router that tells a lie, with as many hosts on its LAN as asked for."""
    with ExitStack() as plugged:

        def plug(lie: Lie, hosts: int = 1) -> Neighbours:
            return plugged.enter_context(Neighbours(make(LyingRouter, lie), hosts))

        yield plug


def _gets_in(place: Neighbours, host: Host, port: int, address: IPv4Address) -> bool:
    """Tell whether a connection from the internet to the router's port arrives at the host."""
    with host.listening(RDP) as listener:
        try:
            calling = place.internet.connect(address, port, 1)
        except TimeoutError:
            return False
        with calling:
            accepted, _ = listener.accept()
            accepted.close()
            return True


@retry(
    retry=retry_if_result(lambda gets_in: gets_in),
    stop=stop_after_delay(PATIENCE),
    wait=wait_fixed(0.1),
    retry_error_callback=lambda _: True,
)
def _still_gets_in(place: Neighbours, address: IPv4Address) -> bool:
    return _gets_in(place, place.hosts[0], RDP, address)


def _get(host: Host, router: IPv4Address, most: int, path: str = DESCRIPTION) -> bytes:
    """Return the first bytes of the answer to a GET, head and all."""
    request = f"GET {path} HTTP/1.1\r\nHost: {router}:{HTTP_PORT}\r\n\r\n"
    with host.connect_in_time(router, HTTP_PORT) as sock:
        sock.sendall(request.encode("ascii"))
        answer = b""
        while len(answer) < most and (piece := sock.recv(1 << 20)):
            answer += piece
    return answer


def _search(host: Host, router: IPv4Address) -> list[str]:
    """Return every answer to a search at the router, until none comes for 0.5 s."""
    search = (
        'M-SEARCH * HTTP/1.1\r\nHOST: 239.255.255.250:1900\r\nMAN: "ssdp:discover"\r\nMX: 1\r\n'
        "ST: urn:schemas-upnp-org:device:InternetGatewayDevice:1\r\n\r\n"
    )
    with host.namespace.entered():
        sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    with sock:
        sock.setsockopt(socket.SOL_SOCKET, _SO_RCVBUFFORCE, 1 << 24)
        sock.settimeout(0.5)
        sock.sendto(search.encode("ascii"), (str(router), 1900))
        answers = []
        while True:
            try:
                answers.append(sock.recv(2048).decode("ascii"))
            except TimeoutError:
                return answers


def _serving(place: Neighbours) -> tuple[Host, IPv4Address]:
    """Return the first host and the router's address on the LAN, when its UPnP answers."""
    host, router = place.hosts[0], place.router.lan.ip
    host.connect_in_time(router, HTTP_PORT).close()
    return host, router


# --- The bench ------------------------------------------------------------------------------------


def test_the_lab_machine_has_two_nics_a_router_that_are_down_and_bare_and_no_way_out(
    make: Make,
) -> None:
    with TestBench() as bench:
        nics = [bench.plug(make(kind)) for kind in (LegacyRouter, SlirpRouter)]
        with bench.host.entered(), IPRoute() as netlink:
            links = {link.get_attr("IFLA_IFNAME"): link for link in netlink.get_links()}
            addresses = [entry.get_attr("IFA_LABEL") for entry in netlink.get_addr(family=2)]
            assert not netlink.get_default_routes(family=socket.AF_INET)
    assert nics == [("lan0", "wan0"), ("lan1", "wan1")]
    assert set(links) == {"lo", "lan0", "wan0", "lan1", "wan1"}
    assert {name for name, link in links.items() if link["state"] == "up"} == {"lo"}
    assert addresses == ["lo"]


@pytest.mark.parametrize("end", [signal.SIGKILL, signal.SIGTERM])
def test_nothing_is_left_of_a_bench_whose_process_is_killed(end: signal.Signals) -> None:
    before = sorted(Path("/run/netns").glob("*")), _mounts()
    program = """
        import json, sys
        from routers import LegacyIgdRouter, Lie, LyingRouter, SlirpRouter, TestBench
        from routers.bench import inode
        with TestBench() as bench:
            for router in (LegacyIgdRouter(), LyingRouter(Lie.NONE), SlirpRouter()):
                bench.plug(router)
            print(json.dumps([inode(space) for space in bench.namespaces]), flush=True)
            sys.stdin.read()
    """
    running = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(program)],
        cwd=Path(__file__).parent,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    with running:
        assert running.stdout is not None
        spaces = set(json.loads(running.stdout.readline()))
        alive = _processes_in(spaces)
        running.send_signal(end)
    assert len(alive) > 6, "the routers' services were not seen at all"
    assert _left_in(spaces) == []
    assert (sorted(Path("/run/netns").glob("*")), _mounts()) == before


@retry(
    retry=retry_if_result(bool),
    stop=stop_after_delay(5),
    wait=wait_fixed(0.01),
    retry_error_callback=lambda state: state.outcome and state.outcome.result(),
)
def _left_in(spaces: set[int]) -> list[int]:
    return _processes_in(spaces)


def _processes_in(spaces: set[int]) -> list[int]:
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            inside = (folder / "ns" / "net").stat().st_ino in spaces
        except (FileNotFoundError, ProcessLookupError, PermissionError):
            continue  # it has ended, or is somebody else's
        if inside:
            found.append(int(folder.name))
    return found


def _mounts() -> str:
    return Path("/proc/self/mounts").read_text(encoding="utf-8")


def test_a_router_that_does_not_boot_says_its_last_words(make: Make) -> None:
    class Broken(LegacyRouter):
        def boot(self) -> tuple[str, ...]:
            return ("echo no such rules >&2", "false")

    with TestBench() as bench, pytest.raises(MachineError, match="no such rules"):
        bench.plug(make(Broken))


def test_software_that_apt_does_not_know_is_named() -> None:
    with pytest.raises(MachineError, match="no-such-package-at-all"):
        layer("no-such-package-at-all")


# --- Every honest router --------------------------------------------------------------------------


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
        assert _search(host, place.router.lan.ip) == []
        return
    address = place.wan_address()
    igd = host.igd()
    assert host.call(igd.externalipaddress) == str(address)
    host.map(igd, 4000, RDP, 3600)
    assert _gets_in(place, host, 4000, address)
    host.call(igd.deleteportmapping, 4000, "TCP")
    assert not _gets_in(place, host, 4000, address)


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
            assert _gets_in(place, host, 4000, after)


def test_the_nft_router_maps_by_nat_pmp_and_by_pcp_too(make: Make) -> None:
    with Neighbours(make(NftIgdRouter)) as place:
        (host,), address = place.hosts, place.wan_address()
        # RFC 6886, section 3.3: version 0, map TCP, internal and external port, seconds.
        answer = _ask_port_mapper(place, struct.pack("!BBHHHI", 0, 2, 0, RDP, 4001, 600))
        assert struct.unpack_from("!BBHIHHI", answer)[:3] == (0, 130, 0)
        assert _gets_in(place, host, 4001, address)
        # RFC 6887, section 11.1: the common header, then nonce, protocol, ports and address.
        mapped = b"\0" * 10 + b"\xff\xff"
        header = struct.pack("!BBHI", 2, 1, 0, 600) + mapped + host.address.packed
        opcode = struct.pack("!12sB3xHH", b"n" * 12, 6, RDP, 4002) + mapped + bytes(4)
        answer = _ask_port_mapper(place, header + opcode)
        assert (answer[0], answer[1], answer[3]) == (2, 0x81, 0)
        (port,) = struct.unpack_from("!H", answer, 42)
        assert _gets_in(place, host, port, address)


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


# --- Every lie about mapping ----------------------------------------------------------------------


def test_without_a_lie_the_gateway_is_honest(lying: Plug) -> None:
    place = lying(Lie.NONE, 2)
    first, second = place.hosts
    address, igd = place.wan_address(), first.igd()
    assert first.call(igd.externalipaddress) == str(address)
    first.map(igd, RDP, RDP, 3600)
    assert _gets_in(place, first, RDP, address)
    others = second.igd()
    with pytest.raises(Exception, match="ConflictInMappingEntry"):
        second.map(others, RDP, RDP)
    first.call(igd.deleteportmapping, RDP, "TCP")
    assert not _gets_in(place, first, RDP, address)
    with pytest.raises(Exception, match="NoSuchEntryInArray"):
        first.call(igd.deleteportmapping, RDP, "TCP")
    first.map(igd, RDP, RDP, 2)
    assert _gets_in(place, first, RDP, address)
    assert not _still_gets_in(place, address), "the lease of 2 s did not end"
    assert first.call(igd.getspecificportmapping, RDP, "TCP") is None


def test_a_wrong_address_is_told_and_the_mapping_is_real(lying: Plug) -> None:
    place = lying(Lie.WRONG_ADDRESS)
    (host,), address = place.hosts, place.wan_address()
    igd = host.igd()
    assert host.call(igd.externalipaddress) == str(WRONG_ADDRESS) != str(address)
    host.map(igd, RDP, RDP, 3600)
    assert _gets_in(place, host, RDP, address)


def test_leases_are_refused_and_a_permanent_mapping_is_real(lying: Plug) -> None:
    place = lying(Lie.PERMANENT_ONLY)
    (host,), address = place.hosts, place.wan_address()
    igd = host.igd()
    with pytest.raises(Exception, match="OnlyPermanentLeasesSupported"):
        host.map(igd, RDP, RDP, 3600)
    assert not _gets_in(place, host, RDP, address)
    host.map(igd, RDP, RDP, 0)
    assert _gets_in(place, host, RDP, address)


@pytest.mark.parametrize(
    ("lie", "fault"),
    [(Lie.ALWAYS_CONFLICT, "ConflictInMappingEntry"), (Lie.ACTION_FAILED, "Action Failed")],
)
def test_every_mapping_is_refused(lying: Plug, lie: Lie, fault: str) -> None:
    place = lying(lie)
    (host,), address = place.hosts, place.wan_address()
    igd = host.igd()
    for port, lease in ((RDP, 3600), (RDP, 0), (4003, 0)):
        with pytest.raises(Exception, match=fault):
            host.map(igd, port, RDP, lease)
    assert not _gets_in(place, host, RDP, address)


def test_a_mapping_is_accepted_and_read_back_and_forwards_nothing(lying: Plug) -> None:
    place = lying(Lie.FORWARDS_NOTHING)
    (host,), address = place.hosts, place.wan_address()
    igd = host.igd()
    host.map(igd, RDP, RDP, 3600)
    entry = host.call(igd.getspecificportmapping, RDP, "TCP")
    assert entry[:2] == (str(host.address), RDP)
    assert not _gets_in(place, host, RDP, address)


def test_a_second_host_steals_the_mapping_of_the_first(lying: Plug) -> None:
    place = lying(Lie.STEALS, 2)
    (first, second), address = place.hosts, place.wan_address()
    first.map(first.igd(), RDP, RDP, 3600)
    assert _gets_in(place, first, RDP, address)
    igd = second.igd()
    second.map(igd, RDP, RDP, 3600)
    assert _gets_in(place, second, RDP, address)
    entry = second.call(igd.getspecificportmapping, RDP, "TCP")
    assert entry[:2] == (str(second.address), RDP)


# --- Every lie that would do harm -----------------------------------------------------------------


def test_a_huge_description_is_sent_as_long_as_somebody_reads(lying: Plug) -> None:
    host, router = _serving(lying(Lie.HUGE))
    answer = _get(host, router, 1 << 25)
    (length,) = re.findall(rb"Content-Length: (\d+)", answer[:200])
    assert int(length) > pages.HUGE_BYTES
    assert len(answer) >= 1 << 25
    assert set(answer[-1000:]) == set(b"A")


def test_a_slow_description_comes_byte_by_byte(lying: Plug) -> None:
    host, router = _serving(lying(Lie.DRIP))
    began = time.monotonic()
    head = _get(host, router, 1)
    dripped = _get(host, router, len(head) + 4)
    assert dripped[len(head) - 1 :].startswith(b"\n<?x")
    assert time.monotonic() - began > 3 * pages.DRIP_SECONDS


def test_an_entity_bomb_is_served(lying: Plug) -> None:
    host, router = _serving(lying(Lie.ENTITIES))
    answer = _get(host, router, 1 << 20)
    assert len(answer) < 5000
    assert answer.count(b"<!ENTITY") == 11
    assert b"<friendlyName>&e10;</friendlyName>" in answer


def test_a_reader_is_redirected_to_another_host(lying: Plug) -> None:
    host, router = _serving(lying(Lie.REDIRECT))
    answer = _get(host, router, 1 << 20)
    assert answer.startswith(b"HTTP/1.1 302 ")
    assert f"Location: http://{SERVER}:{ELSEWHERE_PORT}/".encode() in answer


def test_ten_thousand_services_hide_one_that_works(lying: Plug) -> None:
    place = lying(Lie.MANY_SERVICES)
    host, router = _serving(place)
    answer = _get(host, router, 1 << 25)
    assert answer.count(b"<service>") == pages.MANY_SERVICES + 1
    assert len(_tree(answer).findall(".//{*}service")) == pages.MANY_SERVICES + 1


def test_a_name_is_no_text_at_all(lying: Plug) -> None:
    host, router = _serving(lying(Lie.BINARY_NAME))
    answer = _get(host, router, 1 << 20)
    assert pages.BINARY_NAME in answer
    with pytest.raises(ET.ParseError):
        _tree(answer)


def test_a_name_is_markup_and_the_gateway_works(lying: Plug) -> None:
    place = lying(Lie.MARKUP_NAME)
    host, router = _serving(place)
    name = _tree(_get(host, router, 1 << 20)).findtext(".//{*}friendlyName")
    assert name is not None
    assert "<script>" in name
    assert "\u009b" in name
    address = place.wan_address()
    host.map(host.igd(), RDP, RDP)
    assert _gets_in(place, host, RDP, address)


def _tree(answer: bytes) -> ET.Element:
    return ET.fromstring(answer.partition(b"\r\n\r\n")[2])


def test_a_search_is_answered_with_another_host_s_location(lying: Plug) -> None:
    host, router = _serving(lying(Lie.FOREIGN_LOCATION))
    (answer,) = _search(host, router)
    assert f"LOCATION: http://{SERVER}:{ELSEWHERE_PORT}{DESCRIPTION}\r\n" in answer


def test_the_description_sends_control_to_another_host(lying: Plug) -> None:
    host, router = _serving(lying(Lie.FOREIGN_CONTROL))
    control = f"http://{SERVER}:{ELSEWHERE_PORT}{pages.CONTROL}"
    tree = _tree(_get(host, router, 1 << 20))
    assert [found.text for found in tree.findall(".//{*}controlURL")] == [control]


def test_a_search_is_answered_by_thousands(lying: Plug) -> None:
    host, router = _serving(lying(Lie.FLOOD))
    answers = _search(host, router)
    assert len(set(answers)) == lying_igd.FLOOD


def test_every_lie_that_would_do_harm_is_tested_here() -> None:
    source = Path(__file__).read_text(encoding="utf-8")
    assert [lie for lie in HOSTILE if f"Lie.{lie.name})" not in source] == []
