"""A person's line to the Messenger relay, with relays that are none, and with a good one.

The relay program itself is held by ``tests/lab/test_services.py``, on its own port.
"""

from __future__ import annotations

import asyncio
import base64
import json
import secrets
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from loopback import (
    HOST,
    PATIENCE,
    Ear,
    Peer,
    closes,
    hanging_port,
    is_silent,
    reserved_port,
    resets,
    says,
    served,
)

from harness.nodes import chat
from harness.nodes.chat import Line
from harness.nodes.program import Refusal
from harness.nodes.relay import Switchboard
from harness.protocol.incident import MAX_BYTES

WELCOME = b'{"welcome": "novice"}\n'

Talk = Callable[[Line], Awaitable[Any]]


@pytest.fixture(autouse=True)
def short_deadline(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(chat, "DEADLINE", 0.2)


@pytest.fixture
def at(monkeypatch: pytest.MonkeyPatch) -> Callable[[int], None]:
    """Say at which port the relay is."""
    return lambda port: monkeypatch.setattr(chat, "PORT", port)


async def refusal_of(doing: Awaitable[Any]) -> str:
    """Return why it was refused; anything else that happens fails the test."""
    async with asyncio.timeout(PATIENCE):
        with pytest.raises(Refusal) as refused:
            await doing
    why = str(refused.value)
    assert len(why.splitlines()) == 1
    return why


def sign_in() -> Awaitable[Line]:
    return Line.sign_in(None, HOST, "novice")


def talk_to(peer: Peer, at: Callable[[int], None], talk: Talk) -> str:
    """Sign in to a relay that welcomes everybody, talk, and return why that was refused."""

    async def welcomes(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readline()
        writer.write(WELCOME)
        await peer(reader, writer)

    async def main() -> str:
        async with served(welcomes) as port:
            at(port)
            line = await sign_in()
            try:
                return await refusal_of(talk(line))
            finally:
                line.close()

    return asyncio.run(main())


def tickets(*values: object) -> bytes:
    return b"".join(json.dumps({"from": "x", "ticket": each}).encode() + b"\n" for each in values)


# --- relays that are none


def test_a_relay_where_nobody_listens_is_refused(at: Callable[[int], None]) -> None:
    with reserved_port() as port:
        at(port)
        why = asyncio.run(refusal_of(sign_in()))
    assert why.startswith(f"the relay {HOST}:{port} cannot be reached: ")
    assert "refused" in why or str(port) in why


def test_a_relay_that_does_not_take_the_call_is_given_up(at: Callable[[int], None]) -> None:
    with hanging_port() as port:
        at(port)
        why = asyncio.run(refusal_of(sign_in()))
    assert why == f"the relay {HOST}:{port} cannot be reached: no answer within 0.2 s"


def test_a_relay_that_never_answers_is_given_up(at: Callable[[int], None]) -> None:
    async def main() -> None:
        async with served(is_silent) as port:
            at(port)
            why = await refusal_of(sign_in())
        assert why == f"the relay {HOST}:{port} cannot be reached: no answer within 0.2 s"

    asyncio.run(main())


@pytest.mark.parametrize(
    ("peer", "reason"),
    [
        pytest.param(closes, "the relay broke off: ", id="closes"),
        pytest.param(resets, "the relay broke off: ", id="resets"),
        pytest.param(says(b"220 mail.example ESMTP\r\n"), "the relay broke off: ", id="no JSON"),
        pytest.param(says(bytes(range(128, 256)) + b"\n"), "the relay broke off: ", id="bytes"),
        pytest.param(says(b"x" * 200_000 + b"\n"), "the relay broke off: ", id="endless line"),
        pytest.param(says(b'{"hello": 1}\n'), "something without 'welcome'", id="no welcome"),
        pytest.param(says(b"[1]\n"), "something without 'welcome'", id="a list"),
        pytest.param(says(b'"welcome"\n'), "something without 'welcome'", id="the bare word"),
        pytest.param(says(b"[" * 100_000 + b"\n"), "the relay ", id="deep brackets"),
    ],
)
def test_a_relay_that_speaks_something_else_is_refused(
    peer: Peer, reason: str, at: Callable[[int], None]
) -> None:
    async def main() -> None:
        async with served(peer) as port:
            at(port)
            assert reason in await refusal_of(sign_in())

    asyncio.run(main())


def test_a_refused_sign_in_hangs_up(at: Callable[[int], None]) -> None:
    """Or each refusal would leave an open connection behind."""

    async def main() -> None:
        hung_up = asyncio.Event()

        async def peer(reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> None:
            await is_silent(reader, _writer)
            hung_up.set()

        async with served(peer) as port:
            at(port)
            await refusal_of(sign_in())
            async with asyncio.timeout(1):
                await hung_up.wait()

    asyncio.run(main())


# --- signed in


def test_a_ticket_that_does_not_come_is_not_waited_for_longer(at: Callable[[int], None]) -> None:
    why = talk_to(is_silent, at, Line.receive)
    assert why == "no ticket came through the relay within 0.2 s"


@pytest.mark.parametrize(
    ("peer", "reason"),
    [
        pytest.param(closes, "the relay broke off: ", id="closes"),
        pytest.param(resets, "the relay broke off: ", id="resets"),
        pytest.param(says(b"junk\n"), "the relay broke off: ", id="junk"),
        pytest.param(says(tickets("QUJD!")), "not a ticket", id="no base64"),
        pytest.param(says(tickets("QUJ")), "not a ticket", id="wrong padding"),
        pytest.param(says(tickets("T\u00fcr")), "not a ticket", id="not ASCII"),
        pytest.param(says(tickets(7)), "not a ticket", id="a number"),
        pytest.param(says(tickets(None)), "not a ticket", id="nothing"),
        pytest.param(says(tickets(["QUJD"])), "not a ticket", id="a list"),
        pytest.param(says(b'{"from": "x"}\n'), "something without 'ticket'", id="no ticket"),
    ],
)
def test_what_is_no_ticket_is_refused(peer: Peer, reason: str, at: Callable[[int], None]) -> None:
    assert reason in talk_to(peer, at, Line.receive)


def test_a_line_that_is_broken_takes_no_ticket(at: Callable[[int], None]) -> None:
    async def sends_until_it_hears(line: Line) -> None:
        while True:
            await line.send("expert", bytes(1000))

    assert talk_to(resets, at, sends_until_it_hears).startswith("the relay broke off: ")


def test_tickets_of_any_bytes_and_size_pass_the_switchboard(at: Callable[[int], None]) -> None:
    async def main() -> None:
        board = Switchboard(Ear().console())
        server = await asyncio.start_server(board.serve, HOST, 0, limit=chat.LINE_LIMIT)
        at(server.sockets[0].getsockname()[1])
        novice, expert = await sign_in(), await Line.sign_in(None, HOST, "expert")
        for ticket in (b"", b"\0", bytes(range(256)), secrets.token_bytes(MAX_BYTES)):
            await novice.send("expert", ticket)
            assert await expert.receive() == ticket
        novice.close()
        expert.close()
        server.close()

    asyncio.run(main())


def test_what_is_sent_is_one_line_of_json(at: Callable[[int], None]) -> None:
    async def main() -> None:
        said: list[bytes] = []
        heard = asyncio.Event()

        async def peer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            said.append(await reader.readline())
            writer.write(WELCOME)
            said.append(await reader.readline())
            heard.set()

        async with served(peer) as port:
            at(port)
            line = await sign_in()
            await line.send("expert", b"ticket\n")
            async with asyncio.timeout(PATIENCE):
                await heard.wait()
            line.close()
        ticket = base64.b64encode(b"ticket\n").decode()
        assert [json.loads(each) for each in said] == [
            {"name": "novice"},
            {"to": "expert", "ticket": ticket},
        ]

    asyncio.run(main())
