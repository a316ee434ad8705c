"""What the novice does with a gateway's refusals, and with a gateway that does it harm."""

from __future__ import annotations

import json
import re
import socket
from dataclasses import dataclass
from io import BytesIO
from ipaddress import IPv4Address

import pytest
from hostile import (
    FOREIGN,
    ROUTER,
    SERVICE,
    SOCKETS,
    Answer,
    Igd,
    description,
    flood,
    foreign_host,
    run,
    says,
    service,
    ssdp_answer,
    udp_server,
)
from loopback import HOST, Peer, is_silent, served

from harness.nodes import gateway, pmp
from harness.nodes.endpoint import Endpoint
from harness.nodes.gateway import Mapping, MappingError, discover
from harness.nodes.igd.sockets import HostSockets
from harness.nodes.program import Console
from harness.protocol import pcp, ssdp
from harness.protocol.igd.reply import HttpLimits

EXTERNAL = {"NewExternalIPAddress": "17.2.2.2"}
OWN = "<NewInternalClient>127.0.0.1</NewInternalClient>"


def igd(*answers: Answer, services: list[str] | None = None, **others: Answer) -> Igd:
    """Return a gateway that answers AddPortMapping with these, one after the other."""
    actions: dict[str, Answer | list[Answer]] = {"AddPortMapping": list(answers), **others}
    return Igd(description(services), {"GetExternalIPAddress": EXTERNAL, **actions})


def mapped(peer: Peer, lifetime: int = 3600, undo: bool = False) -> Mapping:
    async def play() -> Mapping:
        async with served(peer) as port:
            location = f"http://{HOST}:{port}/rootDesc.xml"
            mapper = gateway._Upnp(SOCKETS, ROUTER, location)
            mapping = await mapper.map(3389, lifetime)
            if undo:
                await mapper.unmap(mapping)
            return mapping

    return run(play)


def wanted(router: Igd) -> list[tuple[int, int]]:
    """Return external port and lease of each AddPortMapping."""
    found = re.compile(
        rb"<NewExternalPort>(\d+)<.*<NewInternalPort>3389<.*<NewLeaseDuration>(\d+)<"
    )
    matches = map(found.search, router.called("AddPortMapping"))
    return [(int(each[1]), int(each[2])) for each in matches if each is not None]


def test_a_mapping_is_for_this_host_and_as_long_as_the_invitation() -> None:
    router = igd({})
    assert mapped(router.peer()) == Mapping("upnp", IPv4Address("17.2.2.2"), 3389, 3389)
    assert wanted(router) == [(3389, 3600)]
    assert OWN.encode() in router.called("AddPortMapping")[0]


@pytest.mark.parametrize("code", [725, 402])
def test_a_gateway_that_knows_no_leases_is_asked_for_a_mapping_without_end(code: int) -> None:
    router = igd(code, {})
    assert mapped(router.peer()).port == 3389
    assert wanted(router) == [(3389, 3600), (3389, 0)]


def test_a_mapping_without_end_that_is_refused_is_not_asked_for_again() -> None:
    router = igd(725)
    with pytest.raises(MappingError, match=r"^UPnP: AddPortMapping: the router refused: 725 no$"):
        mapped(router.peer(), lifetime=0)
    assert wanted(router) == [(3389, 0)]


@pytest.mark.parametrize("code", [718, 729])
def test_where_the_port_is_taken_another_is_asked_for(code: int) -> None:
    router = igd(code, {})
    mapping = mapped(router.peer())
    (first, _), (second, _) = wanted(router)
    assert first == 3389
    assert mapping.port == second
    assert second >= 1024


def test_a_gateway_that_says_conflict_always_is_left() -> None:
    router = igd(718)
    with pytest.raises(MappingError, match=r"^UPnP: the gateway had none of 8 ports free$"):
        mapped(router.peer())
    assert len(wanted(router)) == 8


@pytest.mark.parametrize("code", [501, 606, 716, 728])
def test_every_other_refusal_is_final(code: int) -> None:
    router = igd(code, {})
    with pytest.raises(MappingError, match=rf"^UPnP: AddPortMapping: the router refused: {code}"):
        mapped(router.peer())
    assert len(wanted(router)) == 1


def test_of_two_connections_the_one_with_an_address_is_used() -> None:
    """A router with DSL describes both, and one of them is not in use."""
    ppp = SERVICE.replace("WANIP", "WANPPP")
    router = igd({}, services=[service(), service(ppp, "/ppp")])
    router.actions["GetExternalIPAddress"] = [{"NewExternalIPAddress": ""}, EXTERNAL]
    mapped(router.peer())
    assert router.asked[-1].path == "/ppp"


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        ({"NewExternalIPAddress": ""}, "UPnP: the router's external address is ''"),
        (501, "UPnP: GetExternalIPAddress: the router refused: 501 no"),
    ],
)
def test_without_an_external_address_nothing_is_mapped(answer: Answer, why: str) -> None:
    router = igd({}, GetExternalIPAddress=answer)
    with pytest.raises(MappingError) as no:
        mapped(router.peer())
    assert str(no.value) == why
    assert wanted(router) == []


def test_a_mapping_is_removed_where_it_was_made() -> None:
    ppp = SERVICE.replace("WANIP", "WANPPP")
    router = igd({}, services=[service(), service(ppp, "/ppp")], DeletePortMapping={})
    router.actions["GetExternalIPAddress"] = [501, EXTERNAL]
    mapped(router.peer(), undo=True)
    assert router.asked[-1].path == "/ppp"
    assert len(router.called("DeletePortMapping")) == 1


def test_a_gateway_that_keeps_the_mapping_is_named() -> None:
    router = igd({}, DeletePortMapping=714)
    with pytest.raises(MappingError, match=r"^UPnP: DeletePortMapping: the router refused: 714 no"):
        mapped(router.peer(), undo=True)


@pytest.mark.parametrize(
    ("answer", "told"),
    [
        ({}, {"event": "unmapped", "port": 3389}),
        (
            714,
            {
                "event": "not unmapped",
                "port": 3389,
                "why": "UPnP: DeletePortMapping: the router refused: 714 no",
            },
        ),
    ],
    ids=["removed", "kept"],
)
def test_an_invitation_ends_whether_or_not_the_gateway_keeps_the_mapping(
    monkeypatch: pytest.MonkeyPatch, answer: Answer, told: dict[str, object]
) -> None:
    output = BytesIO()
    endpoint = Endpoint(Console(output), "novice")

    async def play() -> None:
        async with served(igd({}, DeletePortMapping=answer).peer()) as port:
            location = f"http://{HOST}:{port}/rootDesc.xml"
            mapper = gateway._Upnp(SOCKETS, ROUTER, location)
            monkeypatch.setattr(endpoint, "_mapper", mapper)
            monkeypatch.setattr(endpoint, "_mapping", await mapper.map(3389, 60))
            await endpoint.close()

    run(play)
    line = json.loads(output.getvalue())
    assert {name: value for name, value in line.items() if name != "t"} == told


def test_a_device_without_a_connection_is_named() -> None:
    router = igd({}, services=[])
    with pytest.raises(
        MappingError, match=r"^UPnP: the gateway's description has no WAN connection$"
    ):
        mapped(router.peer())


def test_a_gateway_that_is_slow_all_the_way_is_left_in_time(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(gateway, "_UPNP_SECONDS", 0.3)
    with pytest.raises(MappingError, match=r"^UPnP: no mapping within 0\.3 s$"):
        mapped(is_silent)


def test_one_slow_answer_is_left_before_that(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gateway, "_LIMITS", HttpLimits(seconds=0.2))
    with pytest.raises(MappingError, match=r"^UPnP: the description: .*: no reply within 0\.2 s$"):
        mapped(is_silent)


# --- discovery


@pytest.fixture
def on_loopback(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have the novice's own address be the loopback's, and the search be short."""
    monkeypatch.setattr(gateway, "own_address", lambda: ROUTER)
    monkeypatch.setattr(ssdp, "MX", 0.3)


@pytest.mark.usefixtures("on_loopback")
def test_the_gateway_is_found_though_it_names_another_host_first(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    router = igd({})

    async def play() -> tuple[Mapping, int]:
        async with foreign_host() as foreign, served(router.peer()) as web:
            own = ssdp_answer(f"http://{HOST}:{web}/rootDesc.xml")
            answering = says(b"", b"\0" * 60000, ssdp_answer(foreign.url), own)
            async with udp_server(answering) as port:
                monkeypatch.setattr(ssdp, "PORT", port)
                mapper = await discover(ROUTER, believe_refusal=True)
                assert mapper is not None
                return await mapper.map(3389, 60), foreign.callers

    mapping, foreign_callers = run(play)
    assert mapping.port == 3389
    assert foreign_callers == 0


def test_nobody_else_may_answer_for_the_gateway() -> None:
    """A search to a group is heard, and may be answered, by every host of the LAN."""
    false, true = (f"http://{HOST}:{port}/rootDesc.xml" for port in (1, 2))

    async def play() -> str:
        other = HostSockets(IPv4Address(FOREIGN))
        with SOCKETS.udp() as sock, other.udp() as stranger, SOCKETS.udp() as router:
            stranger.sendto(ssdp_answer(false), sock.getsockname())
            router.sendto(ssdp_answer(true), sock.getsockname())
            return await gateway._location(sock, ROUTER)

    assert run(play) == true


@pytest.mark.usefixtures("on_loopback")
@pytest.mark.parametrize("believed", [True, False])
def test_a_gateway_that_floods_the_search_with_junk_offers_nothing(
    monkeypatch: pytest.MonkeyPatch, believed: bool
) -> None:
    with flood(b"junk") as port:
        monkeypatch.setattr(ssdp, "PORT", port)
        assert run(lambda: discover(ROUTER, believed)) is None


@dataclass(frozen=True)
class Filled(HostSockets):
    """Sockets in which a hundred datagrams wait as soon as they are open."""

    sender: socket.socket

    def udp(self) -> socket.socket:
        sock = super().udp()
        for _ in range(100):
            self.sender.sendto(b"junk", sock.getsockname())
        return sock


def test_a_deadline_is_heard_while_what_is_no_answer_waits(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Or a server that sends faster than it is read would hold the client for ever."""
    read: list[bytes] = []

    def hears(answer: bytes) -> bool:
        read.append(answer)
        return False

    with SOCKETS.udp() as server:
        monkeypatch.setattr(pcp, "PORT", server.getsockname()[1])
        asked = pmp.ask(Filled(ROUTER, server), ROUTER, b"?", 9.0, 0.0, hears)
        assert run(lambda: asked) is None
    assert len(read) < 10
