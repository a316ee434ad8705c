"""Two ends of a connection: who holds the invitation gets through, and nobody else does."""

from __future__ import annotations

import asyncio
import hashlib
import http.server
import secrets
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress

import pytest
from loopback import (
    HOST,
    PATIENCE,
    Ear,
    Peer,
    closes,
    echoes,
    is_silent,
    reserved_port,
    resets,
    says,
    served,
)

from harness.nodes import session
from harness.nodes.listener import Listener
from harness.nodes.session import PAYLOAD_BYTES, PeerError, accept, prove
from harness.nodes.stranger import Stranger
from harness.protocol import tpkt
from harness.protocol.proof import NONCE_BYTES, Exchange

KEY, OTHER = bytes(range(32)), bytes(32)
SHORT = 0.2
"""Seconds of patience with a peer that says nothing."""

Outcome = Exchange | BaseException
Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]


@asynccontextmanager
async def dialled(port: int) -> AsyncIterator[Streams]:
    reader, writer = await asyncio.open_connection(HOST, port)
    try:
        yield reader, writer
    finally:
        writer.close()


class Accepting:
    """A listener's part that keeps its outcome."""

    def __init__(self, key: bytes = KEY) -> None:
        self._key = key
        self._outcome: asyncio.Queue[Outcome] = asyncio.Queue()

    async def __call__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            self._outcome.put_nowait(await accept(reader, writer, self._key))
        except PeerError as error:
            self._outcome.put_nowait(error)

    async def outcome(self) -> Outcome:
        async with asyncio.timeout(PATIENCE):
            return await self._outcome.get()


async def proven(port: int, key: bytes = KEY, seconds: float = PATIENCE) -> Outcome:
    """Dial, and return how the dialler's part ended; TimeoutError is its caller's."""
    async with dialled(port) as (reader, writer):
        try:
            async with asyncio.timeout(seconds):
                return await prove(reader, writer, key)
        except (PeerError, TimeoutError) as error:
            return error


def meet(listeners: bytes = KEY, diallers: bytes = KEY) -> tuple[Outcome, Outcome]:
    """Let two real ends meet; return how it ended for the listener and for the dialler."""

    async def main() -> tuple[Outcome, Outcome]:
        accepting = Accepting(listeners)
        async with served(accepting) as port:
            at_dialler = await proven(port, diallers)
            return await accepting.outcome(), at_dialler

    return asyncio.run(main())


def dial(peer: Peer, seconds: float = PATIENCE) -> Outcome:
    """Dial somebody; return how it ended for the dialler."""

    async def main() -> Outcome:
        async with served(peer) as port:
            return await proven(port, seconds=seconds)

    return asyncio.run(main())


def listen_to(caller: Peer) -> Outcome:
    """Be called by somebody; return how it ended for the listener."""

    async def main() -> Outcome:
        accepting = Accepting()
        async with served(accepting) as port, dialled(port) as (reader, writer):
            calling = asyncio.ensure_future(caller(reader, writer))
            outcome = await accepting.outcome()
            calling.cancel()
            await asyncio.gather(calling, return_exceptions=True)
            return outcome

    return asyncio.run(main())


async def packet(reader: asyncio.StreamReader) -> bytes:
    """Read one TPKT packet, header and all."""
    header = await reader.readexactly(tpkt.HEADER_BYTES)
    return header + await reader.readexactly(tpkt.body_length(header))


class Wire:
    """A wire between the two that keeps what passes, and can change it."""

    def __init__(self) -> None:
        self.to_listener: list[bytes] = []
        self.to_dialler: list[bytes] = []
        # Which packet to the listener to change, and which to lose with all that follow; 0 is the
        # first. They are: request, nonce, proof, payload, digest.
        self.damaged: int | None = None
        self.cut: int | None = None

    @asynccontextmanager
    async def to(self, port: int) -> AsyncIterator[int]:
        async def peer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            async with dialled(port) as (far_reader, far_writer):
                back = asyncio.create_task(self._back(far_reader, writer))
                try:
                    await self._forth(reader, far_writer)
                finally:
                    back.cancel()

        async with served(peer) as wire:
            yield wire

    async def _forth(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while (number := len(self.to_listener)) != self.cut:
            passing = await packet(reader)
            if number == self.damaged:
                passing = passing[:-1] + bytes((passing[-1] ^ 1,))
            self.to_listener.append(passing)
            writer.write(passing)

    async def _back(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(asyncio.IncompleteReadError, OSError):
            while True:
                self.to_dialler.append(await packet(reader))
                writer.write(self.to_dialler[-1])
        writer.close()


async def meet_over(wire: Wire) -> tuple[Outcome, Outcome]:
    accepting = Accepting()
    async with served(accepting) as port, wire.to(port) as through:
        at_dialler = await proven(through)
        return await accepting.outcome(), at_dialler


def assert_turned_away(outcome: Outcome, why: str = "") -> None:
    assert isinstance(outcome, PeerError)
    assert why in str(outcome)
    assert "None" not in str(outcome)
    assert len(str(outcome).splitlines()) == 1


# --- who holds the invitation


def test_two_who_hold_the_invitation_meet_and_name_the_session_alike() -> None:
    listener, dialler = meet()
    assert isinstance(listener, Exchange)
    assert isinstance(dialler, Exchange)
    assert listener == dialler
    assert listener.session == dialler.session


def test_every_session_has_its_own_name() -> None:
    names = {outcome.session for outcome in meet() + meet() if isinstance(outcome, Exchange)}
    assert len(names) == 2


def test_both_sides_open_with_x224_and_bytes_go_both_ways() -> None:
    wire = Wire()
    asyncio.run(meet_over(wire))
    assert wire.to_listener[0] == tpkt.connection_request()
    assert wire.to_dialler[0] == tpkt.connection_confirm()
    for sent, answered in (
        (wire.to_listener, wire.to_dialler),
        (wire.to_dialler, wire.to_listener),
    ):
        (payload,) = (each[7:] for each in sent if len(each) == 7 + PAYLOAD_BYTES)
        assert tpkt.data(hashlib.sha256(payload).digest()) in answered


@pytest.mark.parametrize("name", ["payload of the dialler", "digest by the dialler"])
def test_bytes_that_arrive_changed_are_no_success(name: str) -> None:
    wire = Wire()
    wire.damaged = {"payload of the dialler": 3, "digest by the dialler": 4}[name]
    at_listener, at_dialler = asyncio.run(meet_over(wire))
    changed = "the bytes that arrived are not the bytes that were sent"
    if wire.damaged == 3:
        assert_turned_away(at_dialler, changed)
    assert_turned_away(at_listener, changed if wire.damaged == 4 else "closed")


# --- who does not


@pytest.mark.parametrize(
    ("listeners", "diallers"), [(KEY, OTHER), (OTHER, KEY)], ids=["dialler", "listener"]
)
def test_another_key_is_no_success_on_either_side(listeners: bytes, diallers: bytes) -> None:
    at_listener, at_dialler = meet(listeners, diallers)
    assert_turned_away(at_listener, "closed")
    assert_turned_away(at_dialler, "the listener does not hold the invitation")


def test_ones_own_listener_is_not_the_other_sides() -> None:
    """By Windows Messenger both listen; the address dialled may be one's own."""

    async def main() -> None:
        ear = Ear()
        async with Listener(ear.console(), 0) as own:
            own.admit(OTHER)
            outcome = await proven(own.port, KEY)
            assert_turned_away(outcome, "the listener does not hold the invitation")
            await ear.hear("turned away", peer=HOST)
        assert all(event["event"] != "accepted" for event in ear.events)

    asyncio.run(main())


def test_a_listener_without_an_invitation_turns_everybody_away() -> None:
    async def main() -> None:
        ear = Ear()
        async with Listener(ear.console(), 0) as nobodys:
            assert_turned_away(await proven(nobodys.port))
            await ear.hear("turned away", why="no invitation is open")

    asyncio.run(main())


def test_a_dialler_that_goes_on_without_the_key_is_turned_away() -> None:
    """The listener looks at the proof itself; that the dialler leaves of its own is not enough."""

    async def caller(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(tpkt.connection_request())
        tpkt.check_confirm((await packet(reader))[4:])
        nonce = secrets.token_bytes(NONCE_BYTES)
        writer.write(tpkt.data(nonce))
        answer = tpkt.read_data((await packet(reader))[4:])
        writer.write(tpkt.data(Exchange(OTHER, nonce, answer[:NONCE_BYTES]).dialler_mac()))
        await is_silent(reader, writer)

    assert_turned_away(listen_to(caller), "the dialler does not hold the invitation")


def test_a_dialler_that_gives_the_listeners_own_proof_back_is_turned_away() -> None:
    async def caller(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(tpkt.connection_request() + tpkt.data(bytes(NONCE_BYTES)))
        await packet(reader)
        answer = tpkt.read_data((await packet(reader))[4:])
        writer.write(tpkt.data(answer[NONCE_BYTES:]))
        await is_silent(reader, writer)

    assert_turned_away(listen_to(caller), "the dialler does not hold the invitation")


def test_a_listener_that_gives_the_diallers_nonce_back_is_turned_away() -> None:
    async def peer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await packet(reader)
        writer.write(tpkt.connection_confirm())
        nonce = tpkt.read_data((await packet(reader))[4:])
        writer.write(tpkt.data(nonce + nonce))
        await is_silent(reader, writer)

    assert_turned_away(dial(peer), "the listener does not hold the invitation")


def test_a_dialler_that_replays_a_successful_exchange_is_turned_away() -> None:
    async def main() -> None:
        wire = Wire()
        listener, dialler = await meet_over(wire)
        assert isinstance(listener, Exchange)
        assert isinstance(dialler, Exchange)
        accepting = Accepting()
        async with served(accepting) as port, dialled(port) as (_, writer):
            writer.writelines(wire.to_listener)
            outcome = await accepting.outcome()
        assert_turned_away(outcome, "the dialler does not hold the invitation")

    asyncio.run(main())


def test_a_listener_that_replays_a_successful_exchange_is_turned_away() -> None:
    wire = Wire()
    asyncio.run(meet_over(wire))
    outcome = dial(says(b"".join(wire.to_dialler)))
    assert_turned_away(outcome, "the listener does not hold the invitation")


# --- who speaks something else

NO_PEERS: dict[str, tuple[Peer, str]] = {
    # Its end comes with a FIN, or with a RST where it had not read what was sent.
    "closes": (closes, "the peer "),
    "resets": (resets, "the peer "),
    "garbage": (says(bytes(range(256))), "not a TPKT header: 00010203"),
    "HTTP": (says(b"HTTP/1.1 400 Bad Request\r\n\r\n"), "not a TPKT header: 48545450"),
    "SSH": (says(b"SSH-2.0-OpenSSH_9.2\r\n"), "not a TPKT header"),
    "an HTTP request": (says(b"GET / HTTP/1.1\r\nHost: novice\r\n\r\n"), "not a TPKT header"),
    "data at once": (says(tpkt.data(bytes(96))), "not an X.224 Connection "),
    "too short a length": (says(bytes.fromhex("03000006")), "not a TPKT header: 03000006"),
    "huge length of garbage": (
        says(bytes.fromhex("0300ffff") + bytes(0xFFFF - 4)),
        "not an X.224 Connection ",
    ),
}


@pytest.mark.parametrize(("peer", "why"), NO_PEERS.values(), ids=NO_PEERS)
def test_a_listener_that_is_something_else_is_turned_away(peer: Peer, why: str) -> None:
    assert_turned_away(dial(peer), why)


@pytest.mark.parametrize(("peer", "why"), NO_PEERS.values(), ids=NO_PEERS)
def test_a_dialler_that_is_something_else_is_turned_away(peer: Peer, why: str) -> None:
    assert_turned_away(listen_to(peer), why)


def test_a_listener_that_echoes_everything_is_turned_away() -> None:
    assert_turned_away(dial(echoes), "not an X.224 Connection Confirm")


def test_a_dialler_that_echoes_everything_is_turned_away() -> None:
    async def caller(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(tpkt.connection_request())
        await echoes(reader, writer)

    assert_turned_away(listen_to(caller), "not an X.224 Data TPDU")


def confirms_then(data: bytes) -> Peer:
    """Return a listener that confirms the connection, and then says this."""
    return says(tpkt.connection_confirm() + data)


@pytest.mark.parametrize(
    ("data", "why"),
    [
        pytest.param(tpkt.data(bytes(32)), "32 bytes came where 64 were due", id="too few bytes"),
        pytest.param(tpkt.data(bytes(65)), "65 bytes came where 64 were due", id="too many bytes"),
        pytest.param(tpkt.data(b""), "0 bytes came where 64 were due", id="no bytes"),
        pytest.param(tpkt.data(bytes(64)), "does not hold the invitation", id="zeros"),
        pytest.param(tpkt.connection_confirm(), "not an X.224 Data TPDU", id="another confirm"),
        pytest.param(b"RFB 003.008\n", "not a TPKT header", id="another protocol"),
    ],
)
def test_a_listener_that_only_confirms_is_turned_away(data: bytes, why: str) -> None:
    assert_turned_away(dial(confirms_then(data)), why)


@pytest.mark.parametrize("passed", range(5))
def test_a_connection_that_breaks_in_the_middle_is_no_success(passed: int) -> None:
    """A dialler has done its part with the fifth packet, so its listener has the last word."""
    wire = Wire()
    wire.cut = passed
    at_listener, at_dialler = asyncio.run(meet_over(wire))
    assert_turned_away(at_listener, "the peer ")
    if passed < 4:
        assert_turned_away(at_dialler, "the peer ")


# --- who says nothing


@pytest.mark.parametrize(
    "peer",
    [
        pytest.param(is_silent, id="from the start"),
        pytest.param(says(tpkt.connection_confirm()), id="after the confirm"),
        pytest.param(says(bytes.fromhex("0300ffff") + b"x" * 100), id="after a huge length"),
        pytest.param(says(tpkt.connection_confirm()[:10]), id="in the middle of a packet"),
    ],
)
def test_a_listener_that_falls_silent_is_left_at_the_callers_deadline(peer: Peer) -> None:
    assert isinstance(dial(peer, SHORT), TimeoutError)


@pytest.mark.parametrize(
    "peer", [is_silent, says(tpkt.connection_request())], ids=["from the start", "later"]
)
def test_a_dialler_that_falls_silent_is_turned_away_at_the_deadline(
    peer: Peer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(session, "DEADLINE", SHORT)

    async def main() -> None:
        ear = Ear()
        async with Listener(ear.console(), 0) as listener:
            listener.admit(KEY)
            async with dialled(listener.port) as (reader, writer):
                calling = asyncio.ensure_future(peer(reader, writer))
                await ear.hear("turned away", why="no proof within 0.2 s")
                calling.cancel()

    asyncio.run(main())


def test_a_stranger_is_not_the_peer() -> None:
    async def main() -> None:
        ear = Ear()
        stranger = Stranger(ear.console())
        with reserved_port() as port:
            await stranger.listen(port)
            outcome = await proven(port)
            assert_turned_away(outcome, "the listener does not hold the invitation")
            await ear.hear("caller", peer=HOST)
            await ear.hear("caller left", peer=HOST)

    asyncio.run(main())


@contextmanager
def http_server() -> Iterator[int]:
    """A web server on a port of its own."""
    with http.server.ThreadingHTTPServer((HOST, 0), http.server.SimpleHTTPRequestHandler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield server.server_address[1]
        finally:
            server.shutdown()
            thread.join()


def test_a_web_server_is_not_the_peer() -> None:
    """It waits for the end of a line that never comes."""
    with http_server() as port:
        assert isinstance(asyncio.run(proven(port, seconds=SHORT)), TimeoutError)
