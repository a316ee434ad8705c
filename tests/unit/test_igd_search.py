"""A search takes what comes within its time and its number, and only the router's URLs are used."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from ipaddress import IPv4Address

import pytest
from hostile import FOREIGN, MIB, ROUTER, SOCKETS, Says, costing, flood, run, says, ssdp_answer
from hostile import udp_server as served
from loopback import HOST, PATIENCE

from harness.nodes.igd.discovery import MOST_ANSWERS, receive, search
from harness.protocol import ssdp
from harness.protocol.igd.answer import MOST_BYTES, SsdpAnswer
from harness.protocol.igd.errors import IgdError

ST = "urn:schemas-upnp-org:device:InternetGatewayDevice:2"
DESCRIPTION = f"http://{HOST}:5000/rootDesc.xml"
Search = Callable[..., list[SsdpAnswer]]


@pytest.fixture
def searched(monkeypatch: pytest.MonkeyPatch) -> Search:
    """Search a server that answers in some way."""

    def do(
        answering: Says,
        deadline: float = 0.3,
        host: str = HOST,
        only_from: IPv4Address | None = None,
        most: int = MOST_ANSWERS,
    ) -> list[SsdpAnswer]:
        async def play() -> list[SsdpAnswer]:
            async with served(answering, host) as port:
                monkeypatch.setattr(ssdp, "PORT", port)
                return await search(SOCKETS, IPv4Address(host), ST, 1, deadline, only_from, most)

        return run(play)

    return do


def test_an_answer_is_kept_as_it_came(searched: Search) -> None:
    raw = ssdp_answer(DESCRIPTION, "SERVER: Router/1.0", "USN: uuid:1")
    (answer,) = searched(says(raw), most=1)
    assert (answer.sender, answer.raw, answer.size) == (ROUTER, raw, len(raw))
    assert answer.problem is None
    assert answer.header("server") == "Router/1.0"
    assert answer.header("Nothing") is None
    assert answer.location(ROUTER) == DESCRIPTION


def test_the_search_asks_for_what_it_is_told(searched: Search) -> None:
    heard: list[bytes] = []

    async def hears(data: bytes, send: Callable[[bytes], None]) -> None:
        heard.append(data)
        send(b"x")

    searched(hears, most=1)
    (request,) = heard
    assert (
        request
        == (
            f"M-SEARCH * HTTP/1.1\r\nHost:{HOST}:{ssdp.PORT}\r\nST:{ST}\r\n"
            'Man:"ssdp:discover"\r\nMX:1\r\n\r\n'
        ).encode()
    )


def test_all_that_comes_in_time_is_kept_in_its_order(searched: Search) -> None:
    several = [ssdp_answer(DESCRIPTION, f"USN: uuid:{number}") for number in range(3)]
    answers = searched(says(*several, b"", b"junk"))
    assert [answer.raw for answer in answers] == [*several, b"", b"junk"]
    assert [answer.problem is None for answer in answers] == [True, True, True, False, False]


def test_a_search_that_nobody_answers_ends(searched: Search) -> None:
    assert searched(says()) == []


@pytest.mark.parametrize("size", [10, 65000])
def test_a_flood_ends_with_the_number_that_is_kept(
    size: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    with flood(b"x", size) as port, costing() as cost:
        monkeypatch.setattr(ssdp, "PORT", port)
        answers = run(lambda: search(SOCKETS, ROUTER, ST, 1, PATIENCE))
    assert len(answers) == MOST_ANSWERS
    assert {answer.size for answer in answers} == {size}
    assert {len(answer.raw) for answer in answers} == {min(size, MOST_BYTES)}
    assert cost.peak < 4 * MIB


def test_a_flood_that_does_not_count_ends_with_the_time(monkeypatch: pytest.MonkeyPatch) -> None:
    foreign = IPv4Address(FOREIGN)
    with flood(b"x", host=FOREIGN) as port:
        monkeypatch.setattr(ssdp, "PORT", port)
        assert run(lambda: search(SOCKETS, foreign, ST, 1, 0.3, only_from=ROUTER)) == []


def test_a_deadline_is_heard_while_datagrams_wait() -> None:
    """Or whoever sends faster than they are read would hold the search for ever."""

    async def play() -> int:
        count = 0
        with SOCKETS.udp() as sock, SOCKETS.udp() as sender:
            for _ in range(100):
                sender.sendto(b"x", sock.getsockname())
            with suppress(TimeoutError):
                async with asyncio.timeout(0):
                    while True:
                        await receive(sock)
                        count += 1
        return count

    assert run(play) < 10


def test_where_told_only_the_router_is_listened_to(searched: Search) -> None:
    raw = ssdp_answer(DESCRIPTION)
    assert searched(says(raw), host=FOREIGN, only_from=ROUTER) == []
    assert len(searched(says(raw), host=FOREIGN, only_from=IPv4Address(FOREIGN))) == 1


def answer(raw: bytes) -> SsdpAnswer:
    return SsdpAnswer(ROUTER, 1900, 0.0, len(raw), raw[:MOST_BYTES])


@pytest.mark.parametrize(
    ("raw", "why"),
    [
        (b"", "not an answer to a search: ''"),
        (b"NOTIFY * HTTP/1.1\r\n\r\n", "not an answer to a search: 'NOTIFY * HTTP/1.1'"),
        (b"HTTP/1.1 404 No\r\n\r\n", "not an answer to a search: 'HTTP/1.1 404 No'"),
        (b"HTTP/1.1 2000 OK\r\n\r\n", "not an answer to a search: 'HTTP/1.1 2000 OK'"),
        (bytes(range(256)), r"not an answer to a search: '\x00\x01\x02\x03\x04\x05\x06\x07\x08\t'"),
        (ssdp_answer(DESCRIPTION).decode().encode("utf-16"), "not an answer to a search: '"),
        (ssdp_answer(DESCRIPTION, "A: " + "x" * 9000), "an answer of 9"),
        (ssdp_answer(DESCRIPTION, "A: \0"), "an answer with a NUL in it"),
        (ssdp_answer(DESCRIPTION).replace(b"LOC", b"ALLOC"), "the answer has no LOCATION"),
        (ssdp_answer(DESCRIPTION, *["A: b"] * 64), "the answer has no LOCATION"),
    ],
)
def test_what_names_no_description_is_refused(raw: bytes, why: str) -> None:
    with pytest.raises(IgdError) as no:
        answer(raw).location(ROUTER)
    assert str(no.value).startswith(why)
    assert str(no.value).isprintable()
    assert len(str(no.value)) < 200


URLS = {
    "http://127.0.0.1/": None,
    "HTTP://127.0.0.1:65535/a?b=c#d": None,
    "http://127.0.0.1": None,
    "http://127.0.0.1?x": None,
    "http://127.0.0.2/": "it is on another host than 127.0.0.1",
    "http://127.0.0.10/": "it is on another host than 127.0.0.1",
    "http://127.0.0.1.evil.example/": "it is on another host than 127.0.0.1",
    "http://localhost/": "it is on another host than 127.0.0.1",
    "http:///rootDesc.xml": "it is on another host than 127.0.0.1",
    "http://2130706433/": "it is on another host than 127.0.0.1",
    "http://127.1/": "it is on another host than 127.0.0.1",
    "http://127.0.0.01/": "it is on another host than 127.0.0.1",
    "http://127.0.0.1%00/": "it is on another host than 127.0.0.1",
    "https://127.0.0.1/": "its scheme is https, not http",
    "file:///etc/hostname": "its scheme is file, not http",
    "ftp://127.0.0.1/": "its scheme is ftp, not http",
    "//127.0.0.1/": "it is no absolute URL",
    "rootDesc.xml": "it is no absolute URL",
    "": "it is no absolute URL",
    "javascript:alert(1)": "it is no absolute URL",
    "http://127.0.0.1@evil/": "it names a user",
    "http://127.0.0.1:80@evil/": "it names a user",
    "http://evil@127.0.0.1/": "it names a user",
    "http://127.0.0.1\\@evil/": "a character in it has no place in a URL",
    "http://[::ffff:127.0.0.1]/": "it is on an IPv6 address, not on 127.0.0.1",
    "http://[fe80::1]/": "it is on an IPv6 address, not on 127.0.0.1",
    "http://[127.0.0.1/": "it is on an IPv6 address, not on 127.0.0.1",
    "http://127.0.0.1:0/": "there is no port 0",
    "http://127.0.0.1:65536/": "there is no port 65536",
    "http://127.0.0.1:-1/": "its port is no number",
    "http://127.0.0.1:http/": "its port is no number",
    "http://127.0.0.1:/": "its port is no number",
    "http://127.0.0.1:80:80/": "its port is no number",
    "http://127.0.0.1/a b": "a character in it has no place in a URL",
    "http://127.0.0.1/\xfc": "a character in it has no place in a URL",
    "http://127.0.0.1/\x1b[31m": "a character in it has no place in a URL",
    "http://127.0.0.1/\tx": "a character in it has no place in a URL",
    "http://127.0.0.1/" + "x" * 1008: "it has 1025 characters, at most 1024 are taken",
}


@pytest.mark.parametrize(("url", "why"), URLS.items())
def test_only_http_on_the_routers_own_address_is_used(url: str, why: str | None) -> None:
    found = answer(ssdp_answer(url))
    if why is None:
        assert found.location(ROUTER) == url
        return
    with pytest.raises(IgdError) as no:
        found.location(ROUTER)
    assert str(no.value).startswith("LOCATION '")
    assert str(no.value).endswith(f" is not used: {why}")
    assert str(no.value).isprintable()
    assert len(str(no.value)) < 200


def test_of_two_locations_the_first_counts() -> None:
    foreign = f"LOCATION: http://{FOREIGN}/"
    with pytest.raises(IgdError):
        answer(ssdp_answer(DESCRIPTION, foreign)).location(ROUTER)
    after = ssdp_answer(DESCRIPTION).replace(b"\r\n\r\n", f"\r\n{foreign}\r\n\r\n".encode())
    assert answer(after).location(ROUTER) == DESCRIPTION
