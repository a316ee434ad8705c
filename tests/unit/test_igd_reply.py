"""A reply is the same whether it comes at once or byte by byte, and none of it is guessed."""

from __future__ import annotations

import pytest
from hostile import LIMITS, ROUTER

from harness.protocol.igd.errors import IgdError, escaped, quoted
from harness.protocol.igd.reply import HttpLimits, HttpReply, ReplyReader, compose
from harness.protocol.igd.url import check

OK = b"HTTP/1.1 200 OK\r\n"


def read(data: bytes, step: int, limits: HttpLimits = LIMITS) -> HttpReply:
    reader = ReplyReader(limits)
    for start in range(0, len(data), step):
        reader.feed(data[start : start + step])
    reader.close()
    assert reader.reply is not None
    return reader.reply


REPLIES = {
    "length": (OK + b"Content-Length: 4\r\n\r\nbody", b"body"),
    "no length": (OK + b"A: b\r\n\r\nbody", b"body"),
    "empty": (OK + b"Content-Length: 0\r\n\r\n", b""),
    "chunks": (
        OK + b"TRANSFER-ENCODING: Chunked\r\n\r\nA;a=b\r\n0123456789\r\n01\nx\n0\r\n\r\n",
        b"0123456789x",
    ),
    "chunks and a length": (
        OK + b"Content-Length: 9\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\n\r\n",
        b"x",
    ),
    "trailers": (OK + b"Transfer-Encoding: chunked\r\n\r\n0\r\nA: b\r\nC: d\r\n\r\n", b""),
    "bare line feeds": (b"HTTP/1.0 200 OK\nA: b\n\nbody", b"body"),
    "interim": (b"HTTP/1.1 103 Early\r\nA: b\r\n\r\n" + OK + b"\r\nbody", b"body"),
    "nothing may follow": (b"HTTP/1.1 204 No Content\r\nContent-Length: 9\r\n\r\n", b""),
}


@pytest.mark.parametrize(("data", "body"), REPLIES.values(), ids=REPLIES)
@pytest.mark.parametrize("step", [1, 2, 7, 1000])
def test_a_reply_is_the_same_in_pieces_of_any_size(data: bytes, body: bytes, step: int) -> None:
    reply = read(data, step)
    assert reply.body == body
    assert reply.raw == data


def test_headers_keep_their_order_and_are_found_whatever_their_case() -> None:
    reply = read(OK + b"B: 1\r\nset-x:\t2 \r\nSet-X: 3\r\n folded\r\n\r\n", 1000)
    assert reply.headers == (("B", "1"), ("set-x", "2"), ("Set-X", "3 folded"))
    assert reply.header("SET-X") == "2"
    assert reply.header("C") is None
    assert reply.reason == "OK"


BAD = {
    "no status": (b"HTTP/1.1 OK\r\n\r\n", "not an HTTP/1 reply: 'HTTP/1.1 OK'"),
    "status of two digits": (b"HTTP/1.1 20 OK\r\n\r\n", "not an HTTP/1 reply: 'HTTP/1.1 20 OK'"),
    "no colon": (OK + b"nonsense\r\n\r\n", "no colon in a line of the reply's head: 'nonsense'"),
    "two lengths": (
        OK + b"Content-Length: 4\r\nContent-Length: 5\r\n\r\nbody",
        "no Content-Length is '4, 5'",
    ),
    "negative length": (OK + b"Content-Length: -4\r\n\r\n", "no Content-Length is '-4'"),
    "signed length": (OK + b"Content-Length: +4\r\n\r\nbody", "no Content-Length is '+4'"),
    "long length": (
        OK + b"Content-Length: " + b"9" * 400 + b"\r\n\r\n",
        f"no Content-Length is '{'9' * 80}'...",
    ),
    "other digits": (OK + b"Content-Length: \xb2\r\n\r\n", "no Content-Length is '\xb2'"),
    "chunk of no size": (
        OK + b"Transfer-Encoding: chunked\r\n\r\nxyz\r\n",
        "no chunk's size is 'xyz'",
    ),
    "chunk of a huge size": (
        OK + b"Transfer-Encoding: chunked\r\n\r\n" + b"f" * 100 + b"\r\n",
        f"no chunk's size is '{'f' * 40}'...",
    ),
    "chunk too long": (
        OK + b"Transfer-Encoding: chunked\r\n\r\n1\r\nxyz\r\n",
        "a chunk is longer than its size says: 'yz'",
    ),
    "chunk line too long": (
        OK + b"Transfer-Encoding: chunked\r\n\r\n1;" + b"x" * 300,
        "a line between chunks is longer than 256 bytes",
    ),
    "cut in the head": (OK + b"A: b\r\n", "the reply ends after 23 bytes, within a line"),
    "cut in the version": (b"HTT", "the reply ends after 3 bytes, within a line"),
    "nothing": (b"", "the connection was closed without a reply"),
}


@pytest.mark.parametrize(("data", "why"), BAD.values(), ids=BAD)
@pytest.mark.parametrize("step", [1, 1000])
def test_what_is_no_reply_is_named(data: bytes, why: str, step: int) -> None:
    with pytest.raises(IgdError) as no:
        read(data, step)
    assert str(no.value) == why


def test_what_begins_as_no_reply_is_refused_before_its_end() -> None:
    with pytest.raises(IgdError, match=r"^not an HTTP/1 reply: 'HTTQ'$"):
        ReplyReader(LIMITS).feed(b"HTTQ")


def test_no_more_is_kept_than_the_limit() -> None:
    reader = ReplyReader(HttpLimits(size=100))
    with pytest.raises(IgdError, match=r"^the reply is longer than 100 bytes$"):
        reader.feed(OK + b"\r\n" + b"x" * 1000)
    assert reader.received == len(reader.raw) == 100


def test_a_reply_as_long_as_the_limit_is_taken() -> None:
    data = OK + b"Content-Length: 10\r\n\r\n" + b"x" * 10
    assert read(data, 7, HttpLimits(size=len(data))).body == b"x" * 10
    with pytest.raises(IgdError, match=r"^the reply announces a body of 10 bytes, at most \d+ "):
        read(data, 7, HttpLimits(size=len(data) - 1))


def test_a_request_says_where_it_goes_and_that_it_is_the_only_one() -> None:
    target = check("http://127.0.0.1:5000/ctl?x=1#there", ROUTER, "URL")
    request = compose("POST", target, (("SOAPACTION", '"a#b"'),), b"body")
    assert request == (
        b"POST /ctl?x=1 HTTP/1.1\r\nHost: 127.0.0.1:5000\r\n"
        b"User-Agent: Linux UPnP/1.0 ra-harness\r\nAccept-Encoding: identity\r\n"
        b'Connection: close\r\nSOAPACTION: "a#b"\r\nContent-Length: 4\r\n\r\nbody'
    )


@pytest.mark.parametrize(
    ("said", "shown"),
    [
        ("Fritz!Box 7590", "Fritz!Box 7590"),
        ("J\xfcrgens Ger\xe4t", "J\xfcrgens Ger\xe4t"),
        ("a\x1b[31mb\r\n\0", r"a\x1b[31mb\r\n\x00"),
        ("\u202eesrever", r"\u202eesrever"),
        ("back\\slash", r"back\\slash"),
        ("\ud800 alone", r"\ud800 alone"),
    ],
)
def test_what_a_router_says_is_shown_as_printable_text(said: str, shown: str) -> None:
    assert escaped(said) == shown
    assert quoted(said) == f"'{shown}'"


def test_what_is_long_is_cut() -> None:
    assert quoted("x" * 100, 10) == "'xxxxxxxxxx'..."
    assert quoted(b"\0" * 10, 10) == r"'\x00\x00\x'..."
