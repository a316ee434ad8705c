"""Dialling a ticket: every address at once, and how each attempt ends."""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import AsyncIterator
from contextlib import ExitStack, asynccontextmanager
from ipaddress import IPv4Address
from pathlib import Path

import pytest
from loopback import (
    HOST,
    PATIENCE,
    Ear,
    Peer,
    closes,
    echoes,
    hanging_port,
    is_silent,
    reserved_port,
    says,
    served,
)

from harness.nodes import session
from harness.nodes.dialler import Dialler
from harness.nodes.listener import Listener
from harness.nodes.way import ProxyServer
from harness.protocol.incident import Candidate
from harness.protocol.replies import Dialled
from harness.words import End

KEY, OTHER = bytes(range(32)), bytes(32)
# Loopback has a whole /8 of addresses, all of this host.
ELSEWHERE = "127.0.0.2"
FOREVER = 60.0
"""More patience than the tests have."""


@asynccontextmanager
async def listening(ear: Ear, key: bytes = KEY) -> AsyncIterator[int]:
    """Listen for whoever holds the key, and yield the port."""
    async with Listener(ear.console(), 0) as listener:
        listener.admit(key)
        yield listener.port


def dialler(ear: Ear, patience: float = PATIENCE, via: ProxyServer | None = None) -> Dialler:
    return Dialler(ear.console(), KEY, patience, via)


async def dial(
    *candidates: Candidate, patience: float = PATIENCE, via: ProxyServer | None = None
) -> list[Dialled]:
    async with asyncio.timeout(PATIENCE):
        return await dialler(Ear(), patience, via).dial(candidates)


def ends(attempts: list[Dialled]) -> list[End]:
    return [each.end for each in attempts]


def test_a_listener_that_holds_the_invitation_is_connected_to() -> None:
    async def main() -> None:
        ear = Ear()
        async with listening(ear) as port:
            before = time.monotonic()
            (attempt,) = await dial(Candidate(HOST, port))
            after = time.monotonic()
            accepted = await ear.hear("accepted", peer=HOST)
        assert attempt.end is End.CONNECTED
        assert (attempt.address, attempt.port) == (HOST, port)
        assert attempt.detail == "both sides hold the invitation"
        assert attempt.session == accepted["session"]
        assert attempt.local_port == accepted["port"]
        assert attempt.proven is not None
        assert before <= attempt.started
        assert attempt.proven == pytest.approx(attempt.started + attempt.seconds)
        assert attempt.proven <= after

    asyncio.run(main())


def test_a_port_at_which_nobody_listens_refuses() -> None:
    with reserved_port() as port:
        (attempt,) = asyncio.run(dial(Candidate(HOST, port)))
    assert attempt.end is End.REFUSED
    assert attempt.detail == "connection refused"
    assert attempt.local_port
    assert (attempt.session, attempt.proven) == (None, None)


def test_a_computer_name_is_unreachable_and_nothing_is_sent_to_find_it() -> None:
    async def main() -> None:
        ear = Ear()
        (attempt,) = await dialler(ear).dial([Candidate("localhost", 3389)])
        assert attempt.end is End.UNREACHABLE
        assert attempt.detail == "no name service knows this computer name"
        assert attempt.local_port == 0
        assert (attempt.session, attempt.proven) == (None, None)
        assert ear.events == []

    asyncio.run(main())


def test_an_address_without_a_route_is_unreachable() -> None:
    """No TCP connection leads to a group of hosts, whatever routes there are."""
    (attempt,) = asyncio.run(dial(Candidate("224.0.0.1", 3389)))
    assert attempt.end is End.UNREACHABLE
    assert attempt.detail == "network is unreachable"


def test_an_address_that_does_not_answer_ends_with_patience() -> None:
    with hanging_port() as port:
        (attempt,) = asyncio.run(dial(Candidate(HOST, port), patience=0.2))
    assert attempt.end is End.TIMEOUT
    assert attempt.detail == "no answer within 0.2 s"
    assert 0.2 <= attempt.seconds < PATIENCE
    assert attempt.proven is None


@pytest.mark.parametrize(
    "peer",
    [
        pytest.param(closes, id="closes"),
        pytest.param(echoes, id="echoes"),
        pytest.param(says(b"HTTP/1.1 400 Bad Request\r\n\r\n"), id="speaks HTTP"),
        pytest.param(is_silent, id="is silent"),
    ],
)
def test_somebody_else_at_the_address_is_the_wrong_peer(
    peer: Peer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(session, "DEADLINE", 0.2)

    async def main() -> None:
        async with served(peer) as port:
            (attempt,) = await dial(Candidate(HOST, port))
        assert attempt.end is End.WRONG_PEER
        assert attempt.detail
        assert (attempt.session, attempt.proven) == (None, None)
        assert (attempt.detail == "no proof within 0.2 s") is (peer is is_silent)

    asyncio.run(main())


def test_a_listener_with_another_invitation_is_the_wrong_peer() -> None:
    async def main() -> None:
        ear = Ear()
        async with listening(ear, OTHER) as port:
            (attempt,) = await dial(Candidate(HOST, port))
            await ear.hear("turned away", port=attempt.local_port)
        assert attempt.end is End.WRONG_PEER
        assert attempt.detail == "the listener does not hold the invitation"

    asyncio.run(main())


def test_all_addresses_are_tried_and_the_results_are_in_the_tickets_order(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(session, "DEADLINE", 0.3)

    async def main() -> None:
        ear = Ear()
        with ExitStack() as stack:
            hangs = stack.enter_context(hanging_port())
            refuses = stack.enter_context(reserved_port(ELSEWHERE))
            async with listening(ear) as right, served(is_silent, ELSEWHERE) as silent:
                tried = [
                    (Candidate(HOST, hangs), End.TIMEOUT),
                    (Candidate(ELSEWHERE, silent), End.WRONG_PEER),
                    (Candidate("novice-pc", 3389), End.UNREACHABLE),
                    (Candidate(HOST, right), End.CONNECTED),
                    (Candidate(ELSEWHERE, refuses), End.REFUSED),
                    (Candidate(ELSEWHERE, right), End.CONNECTED),
                ]
                for order in (tried, tried[::-1]):
                    attempts = await dial(*(candidate for candidate, _ in order), patience=0.2)
                    seen = [(Candidate(each.address, each.port), each.end) for each in attempts]
                    assert seen == order

    asyncio.run(main())


def test_every_address_is_dialled_at_once() -> None:
    """Each listener lets nobody through before both have been called."""

    async def main() -> None:
        both = asyncio.Barrier(2)

        async def peer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await both.wait()
            await session.accept(reader, writer, KEY)

        async with served(peer) as one, served(peer, ELSEWHERE) as two:
            attempts = await dial(Candidate(HOST, one), Candidate(ELSEWHERE, two))
        assert ends(attempts) == [End.CONNECTED, End.CONNECTED]

    asyncio.run(main())


def test_a_ticket_without_an_address_has_no_attempts() -> None:
    assert asyncio.run(dial()) == []


def test_every_attempt_is_told_as_it_begins_with_the_port_it_leaves_from() -> None:
    async def main() -> None:
        ear = Ear()
        with reserved_port() as port, reserved_port() as other:
            attempts = await dialler(ear).dial([Candidate(HOST, port), Candidate(HOST, other)])
        told = [(each["address"], each["port"], each["local_port"]) for each in ear.events]
        assert told == [(each.address, each.port, each.local_port) for each in attempts]
        assert {each["event"] for each in ear.events} == {"dialling"}

    asyncio.run(main())


def test_attempts_leave_from_ephemeral_ports_of_their_own() -> None:
    """From 3389 to 3389 two plain NATs would let a simultaneous open through."""
    lowest, highest = map(int, Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split())

    async def main() -> None:
        ear = Ear()
        async with listening(ear) as port:
            attempts = await dial(*(Candidate(f"127.0.0.{n}", port) for n in range(1, 41)))
            seen = {(await ear.hear("accepted"))["port"] for _ in attempts}
        ports = {each.local_port for each in attempts}
        assert seen == ports
        assert len(ports) == len(attempts)
        assert 3389 not in ports
        assert all(lowest <= each <= highest for each in ports)

    asyncio.run(main())


# --- through a proxy


def tunnels(answer: bytes, to: int) -> Peer:
    """Return an HTTP proxy that gives this answer to every request, and leads to one port."""

    async def pass_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(1 << 16):
            writer.write(data)

    async def peer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        assert (await reader.readuntil(b"\r\n\r\n")).startswith(
            b"CONNECT 17.2.2.2:3389 HTTP/1.1\r\n"
        )
        writer.write(answer + b"\r\n\r\n")
        far_reader, far_writer = await asyncio.open_connection(HOST, to)
        back = asyncio.create_task(pass_on(far_reader, writer))
        try:
            await pass_on(reader, far_writer)
        finally:
            back.cancel()
            far_writer.close()

    return peer


BEYOND = Candidate("17.2.2.2", 3389)


def proxy_at(port: int) -> ProxyServer:
    return ProxyServer("http", IPv4Address(HOST), port)


def test_a_proxy_that_connects_is_gone_through() -> None:
    async def main() -> None:
        ear = Ear()
        async with listening(ear) as to, served(tunnels(b"HTTP/1.1 200 OK", to)) as proxy:
            (attempt,) = await dial(BEYOND, via=proxy_at(proxy))
            accepted = await ear.hear("accepted")
        assert attempt.end is End.CONNECTED
        assert (attempt.address, attempt.port, attempt.via_proxy) == ("17.2.2.2", 3389, True)
        assert attempt.session == accepted["session"]

    asyncio.run(main())


def test_a_proxy_that_leads_to_somebody_else_is_the_wrong_peer() -> None:
    async def main() -> None:
        async with served(echoes) as to, served(tunnels(b"HTTP/1.1 200 OK", to)) as proxy:
            (attempt,) = await dial(BEYOND, via=proxy_at(proxy))
        assert attempt.end is End.WRONG_PEER

    asyncio.run(main())


def test_a_proxy_that_does_not_connect_refuses() -> None:
    async def main() -> None:
        ear = Ear()
        async with listening(ear) as to, served(tunnels(b"HTTP/1.1 403 Forbidden", to)) as proxy:
            (attempt,) = await dial(BEYOND, via=proxy_at(proxy))
        assert attempt.end is End.REFUSED
        assert attempt.detail == "the proxy did not connect: HTTP 403 Forbidden"
        assert attempt.proven is None

    asyncio.run(main())


@pytest.mark.parametrize(
    ("peer", "end"),
    [
        pytest.param(is_silent, End.TIMEOUT, id="is silent"),
        pytest.param(closes, End.REFUSED, id="closes"),
        pytest.param(says(b"SSH-2.0-x\r\n\r\n"), End.REFUSED, id="speaks something else"),
        pytest.param(says(b"x" * 100_000), End.REFUSED, id="never ends its answer"),
    ],
)
def test_what_is_no_proxy_does_not_connect(peer: Peer, end: End) -> None:
    async def main() -> None:
        async with served(peer) as proxy:
            (attempt,) = await dial(BEYOND, patience=0.2, via=proxy_at(proxy))
        assert attempt.end is end
        assert attempt.proven is None

    asyncio.run(main())


@pytest.mark.parametrize(
    "proxy",
    [
        pytest.param(is_silent, id="did not answer"),
        pytest.param(says(b"HTTP/1.1 403 Forbidden\r\n\r\n"), id="did not connect"),
    ],
)
def test_a_connection_after_one_that_a_proxy_did_not_make_works(proxy: Peer) -> None:
    """It gets the descriptor of the connection to the proxy, which nobody may still watch."""

    async def main() -> None:
        async with served(proxy) as at, served(echoes) as port:
            (attempt,) = await dial(BEYOND, patience=0.1, via=proxy_at(at))
            assert attempt.end in (End.TIMEOUT, End.REFUSED)
            async with asyncio.timeout(1):
                reader, writer = await asyncio.open_connection(HOST, port)
                writer.write(b"hello")
                assert await reader.readexactly(5) == b"hello"
                writer.close()

    asyncio.run(main())


# --- giving an attempt up


def test_an_abandoned_attempt_ends_at_once() -> None:
    async def main() -> None:
        ear = Ear()
        with hanging_port() as port:
            calls = dialler(ear, FOREVER)
            dialling = asyncio.create_task(calls.dial([Candidate(HOST, port)]))
            await ear.hear("dialling")
            calls.abandon(HOST, port)
            async with asyncio.timeout(PATIENCE):
                (attempt,) = await dialling
        assert attempt.end is End.TIMEOUT
        assert attempt.detail == "given up: the SYN was seen to end on its way"
        assert attempt.seconds < PATIENCE
        assert attempt.proven is None

    asyncio.run(main())


def test_abandoning_one_attempt_leaves_the_others_alone() -> None:
    async def main() -> None:
        ear = Ear()
        with hanging_port() as hangs, hanging_port(ELSEWHERE) as hangs_too:
            calls = dialler(ear, FOREVER)
            candidates = [Candidate(HOST, hangs), Candidate(ELSEWHERE, hangs_too)]
            dialling = asyncio.create_task(calls.dial(candidates))
            await ear.hear("dialling", address=ELSEWHERE)
            calls.abandon(HOST, hangs)
            assert not (await asyncio.wait([dialling], timeout=0.1))[0]
            calls.abandon(ELSEWHERE, hangs_too)
            async with asyncio.timeout(PATIENCE):
                attempts = await dialling
        assert ends(attempts) == [End.TIMEOUT, End.TIMEOUT]
        assert attempts[0].seconds < attempts[1].seconds

    asyncio.run(main())


def test_an_attempt_that_is_connected_is_not_abandoned() -> None:
    """The word of a dropped packet may be of a retransmission that came too late."""

    async def main() -> None:
        ear = Ear()
        called, go_on = asyncio.Event(), asyncio.Event()

        async def peer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.readexactly(1)
            called.set()
            await go_on.wait()

        async with served(peer) as port:
            calls = dialler(ear)
            dialling = asyncio.create_task(calls.dial([Candidate(HOST, port)]))
            await called.wait()
            calls.abandon(HOST, port)
            go_on.set()
            (attempt,) = await dialling
        assert attempt.end is End.WRONG_PEER

    asyncio.run(main())


def test_to_abandon_what_is_not_dialled_is_no_error() -> None:
    async def main() -> None:
        ear = Ear()
        calls = dialler(ear)
        calls.abandon(HOST, 3389)
        with reserved_port() as port:
            (attempt,) = await calls.dial([Candidate(HOST, port)])
        calls.abandon(attempt.address, attempt.port)
        assert attempt.end is End.REFUSED

    asyncio.run(main())


@pytest.mark.parametrize("passes", range(8))
def test_a_connection_that_begins_as_an_attempt_is_given_up_works(passes: int) -> None:
    """It gets the descriptor that the attempt had; ``passes`` of the event loop lie between."""

    async def main() -> None:
        ear = Ear()
        with hanging_port() as hangs:
            async with served(echoes) as port:
                calls = dialler(ear, FOREVER)
                dialling = asyncio.create_task(calls.dial([Candidate(HOST, hangs)]))
                await ear.hear("dialling")
                calls.abandon(HOST, hangs)
                for _ in range(passes):
                    await asyncio.sleep(0)
                sock = socket.create_connection((HOST, port), PATIENCE)
                reader, writer = await asyncio.open_connection(sock=sock)
                try:
                    writer.write(b"hello")
                    async with asyncio.timeout(1):
                        assert await reader.readexactly(5) == b"hello"
                finally:
                    writer.close()
                assert ends(await dialling) == [End.TIMEOUT]

    asyncio.run(main())
