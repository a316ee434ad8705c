"""An exchange with a router ends in time, in little memory, with a reason, and with nobody else."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hostile import (
    HASTE,
    LIMITS,
    MIB,
    ROUTER,
    SOCKETS,
    Foreign,
    breaks_off,
    costing,
    drips,
    foreign_host,
    http,
    hurries,
    never_ends,
    never_reads,
    replies,
    run,
)
from loopback import (
    HOST,
    PATIENCE,
    Peer,
    closes,
    hanging_port,
    is_silent,
    reserved_port,
    resets,
    served,
)

from harness.nodes.igd import client
from harness.nodes.igd.client import Exchange, fetch
from harness.protocol.igd.errors import IgdError
from harness.protocol.igd.reply import HttpLimits, HttpReply

OK = b"HTTP/1.1 200 OK\r\n"
CHUNKED = OK + b"Transfer-Encoding: chunked\r\n\r\n"


def get(
    peer: Peer,
    body: bytes = b"",
    heard: list[Exchange] | None = None,
    limits: HttpLimits = LIMITS,
) -> HttpReply:
    """Ask a router once."""

    async def play() -> HttpReply:
        async with served(peer) as port:
            return await fetch(
                SOCKETS,
                f"http://{HOST}:{port}/x",
                limits,
                ROUTER,
                body=body,
                on_exchange=None if heard is None else heard.append,
            )

    return run(play)


SLOW: dict[str, tuple[Peer, str]] = {
    "silent": (is_silent, r"no reply within 0\.4 s"),
    "slow headers": (
        drips(OK, b"a"),
        r"the reply is not complete after 0\.4 s and \d+ bytes",
    ),
    "slow body": (
        drips(OK + b"Content-Length: 9999\r\n\r\n", b"a"),
        r"the reply is not complete after 0\.4 s and \d+ bytes",
    ),
    "slow chunks": (
        drips(CHUNKED, b"1\r\na\r\n"),
        r"the reply is not complete after 0\.4 s and \d+ bytes",
    ),
    "slow body without length": (
        drips(OK + b"\r\n", b"a"),
        r"the reply is not complete after 0\.4 s and \d+ bytes",
    ),
}

FAILURES: dict[str, tuple[Peer, str]] = {
    "closes at once": (closes, r"the connection was closed without a reply|the connection broke"),
    "resets at once": (resets, r"the connection broke after 0 bytes of the reply: "),
    "empty answer": (replies(b""), "the connection was closed without a reply"),
    "slow head": (drips(b"", b"H"), "not an HTTP/1 reply: 'HH"),
    "endless line": (never_ends(OK, b"x" * 4096), "the reply's head is longer than 8192 bytes"),
    "endless headers": (never_ends(OK, b"A: b\r\n"), "the reply's head has more than 50 lines"),
    "endless status line": (
        never_ends(b"HTTP/1.1 200 ", b"K" * 999),
        "the reply's head is longer than 8192 bytes",
    ),
    "endless interim replies": (
        never_ends(b"", b"HTTP/1.1 100 Continue\r\n\r\n"),
        "the reply's head is longer than 8192 bytes",
    ),
    "endless chunks": (
        never_ends(CHUNKED, b"1000\r\n" + b"x" * 4096 + b"\r\n"),
        r"(a chunk of 4096 bytes makes )?the reply (is )?longer than 262144 bytes",
    ),
    "endless little chunks": (
        never_ends(CHUNKED, b"f\r\n" + b"x" * 15 + b"\r\n"),
        r"(a chunk of 15 bytes makes )?the reply (is )?longer than 262144 bytes",
    ),
    "endless trailers": (
        never_ends(CHUNKED + b"0\r\n", b"A: b\r\n"),
        "the reply has more than 50 trailers",
    ),
    "endless body": (
        never_ends(OK + b"\r\n", b"x" * 65536),
        "the reply is longer than 262144 bytes",
    ),
    "huge Content-Length": (
        never_ends(OK + b"Content-Length: 99999999999\r\n\r\n", b"x" * 65536),
        "the reply announces a body of 99999999999 bytes, at most 262144 are taken",
    ),
    "huge chunk": (
        never_ends(CHUNKED + b"ffffffff\r\n", b"x" * 65536),
        "a chunk of 4294967295 bytes makes the reply longer than 262144 bytes",
    ),
    "short body": (
        replies(OK + b"Content-Length: 400\r\n\r\nfive!"),
        "the reply ends after 5 of 400 bytes of a body",
    ),
    "reset within the body": (
        breaks_off(OK + b"Content-Length: 400\r\n\r\nfive!"),
        r"the connection broke after \d+ bytes of the reply: ",
    ),
    "reset within a body without length": (
        breaks_off(OK + b"\r\nfive!"),
        r"the connection broke after \d+ bytes of the reply: ",
    ),
    "HTTP/0.9": (replies(b"<html>hello</html>"), "not an HTTP/1 reply: '<html>hello</html>'"),
    "endless HTTP/0.9": (
        never_ends(b"<html>", b"x" * 65536),
        "not an HTTP/1 reply: '<html>x",
    ),
    "HTTP/2": (replies(b"HTTP/2 200\r\n\r\n"), "not an HTTP/1 reply: 'HTTP/2 200"),
    "another protocol": (replies(b"SSH-2.0-dropbear\r\n"), "not an HTTP/1 reply: 'SSH-2.0-dropbea"),
    "NULs": (replies(bytes(5000)), r"not an HTTP/1 reply: '\\x00"),
    "a NUL in the head": (
        replies(OK + b"A: \0b\r\n\r\n"),
        r"a NUL in the reply's head: 'A: \\x00b'",
    ),
    "UTF-16": (
        replies(http(b"x").decode().encode("utf-16")),
        r"not an HTTP/1 reply: '\xff\xfeH\\x00",
    ),
    "gzip": (
        replies(http(b"\x1f\x8b", "200 OK", "Content-Encoding: gzip")),
        "the reply is encoded as 'gzip', which was not asked for",
    ),
    "gzip as a transfer encoding": (
        replies(OK + b"Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n"),
        "a transfer encoding that nobody asked for: 'gzip, chunked'",
    ),
    "terminal escapes": (replies(b"\x1b[31mred"), r"not an HTTP/1 reply: '\\x1b\[31mred'"),
}


@pytest.mark.parametrize(("peer", "why"), FAILURES.values(), ids=FAILURES)
def test_what_is_no_reply_ends_within_the_limits_and_is_named(peer: Peer, why: str) -> None:
    with costing() as cost, pytest.raises(IgdError, match=rf"^GET 'http://[^']*': ({why})") as no:
        get(peer)
    assert str(no.value).isprintable()
    assert len(str(no.value)) < 250
    # The reply that is kept, the piece that is read, and what the router itself holds.
    assert cost.peak < 2 * MIB


@pytest.mark.parametrize(("peer", "why"), SLOW.values(), ids=SLOW)
def test_what_never_comes_to_an_end_is_left_in_time(peer: Peer, why: str) -> None:
    with costing() as cost, pytest.raises(IgdError, match=rf"^GET 'http://[^']*': ({why})$"):
        get(peer, limits=HASTE)
    assert HASTE.seconds <= cost.seconds < PATIENCE
    assert cost.peak < 2 * MIB


def test_a_deadline_is_heard_while_bytes_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    """Or a router that sends as fast as it is read would hold the exchange for longer."""
    monkeypatch.setattr(client, "_PIECE", 1)
    # All of it waits at once, and takes several times as long to be read as there is time.
    with pytest.raises(IgdError, match=r" (after|within) 0\.1 s"):
        get(hurries(http(b"x" * (1 << 15))), limits=replace(LIMITS, seconds=0.1))


def test_a_port_that_nobody_listens_at_is_named() -> None:
    with reserved_port() as port, pytest.raises(IgdError, match=r": no connection: .*refused"):
        run(lambda: fetch(SOCKETS, f"http://{HOST}:{port}/", LIMITS, ROUTER))


def test_a_port_that_does_not_answer_is_left_in_time() -> None:
    with hanging_port() as port, pytest.raises(IgdError, match=r": no connection within 0\.4 s$"):
        run(lambda: fetch(SOCKETS, f"http://{HOST}:{port}/", HASTE, ROUTER))


GOOD: dict[str, Peer] = {
    "with a length": replies(http(b"body")),
    "until the connection closes": replies(OK + b"\r\nbody"),
    "in chunks": replies(CHUNKED + b"2;x=y\r\nbo\r\n2 \r\ndy\r\n0\r\nA: b\r\n\r\n"),
    "after interim replies": replies(b"HTTP/1.1 100 Continue\r\n\r\n" * 2 + http(b"body")),
    "before the question": hurries(http(b"body")),
    "by HTTP/1.0": replies(b"HTTP/1.0 200\r\n\r\nbody"),
    "with bare line feeds": replies(b"HTTP/1.1 200 OK\nContent-Length: 4\n\nbody"),
    "and bytes after it": replies(http(b"body") + b"more"),
    "reset right after it": breaks_off(http(b"body")),
    "with a length twice": replies(OK + b"Content-Length: 4\r\n" * 2 + b"\r\nbody"),
}


@pytest.mark.parametrize("peer", GOOD.values(), ids=GOOD)
def test_a_whole_reply_is_taken_however_it_comes(peer: Peer) -> None:
    reply = get(peer)
    assert (reply.status, reply.body) == (200, b"body")


def test_a_reply_that_comes_before_the_whole_question_was_read_is_taken() -> None:
    """A router that refuses a large body need not read it; the question is broken off."""

    early = hurries(http(b"too large", "413 Payload Too Large"))
    assert get(early, body=b"x" * (64 * MIB)).status == 413


def test_a_router_that_never_reads_is_left_in_time() -> None:
    with pytest.raises(IgdError, match=r": no reply within 0\.4 s$"):
        get(never_reads, body=b"x" * (64 * MIB), limits=HASTE)


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_is_reported_and_not_followed(status: int) -> None:
    async def play() -> tuple[HttpReply, Foreign]:
        async with foreign_host() as foreign:
            moved = replies(http(b"", f"{status} Moved", f"Location: {foreign.url}"))
            async with served(moved) as port:
                url = f"http://{HOST}:{port}/"
                return await fetch(SOCKETS, url, LIMITS, ROUTER), foreign

    reply, foreign = run(play)
    assert reply.status == status
    assert reply.redirect == f"'{foreign.url}'"
    assert foreign.callers == 0


def test_another_host_is_not_even_connected_to() -> None:
    async def play() -> Foreign:
        async with foreign_host() as foreign:
            with pytest.raises(IgdError, match=r"is on another host than 127\.0\.0\.1$"):
                await fetch(SOCKETS, foreign.url, LIMITS, ROUTER)
            return foreign

    assert run(play).callers == 0


def test_every_exchange_is_kept_as_it_was() -> None:
    heard: list[Exchange] = []
    get(replies(http(b"body")), heard=heard)
    with pytest.raises(IgdError):
        get(replies(OK + b"Content-Length: 9\r\n\r\nhalf"), heard=heard)
    good, bad = heard
    assert good.request.startswith(b"GET /x HTTP/1.1\r\nHost: 127.0.0.1:")
    assert (good.reply, good.problem) == (http(b"body"), None)
    assert bad.reply == OK + b"Content-Length: 9\r\n\r\nhalf"
    assert bad.problem == "the reply ends after 4 of 9 bytes of a body"
    assert good.started <= good.ended <= bad.started <= bad.ended
