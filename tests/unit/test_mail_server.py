"""Submitting and fetching a mail, with servers that are none.

The mail server itself is held by ``tests/lab/test_services.py``, on its own ports.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import Any

import pytest
from loopback import (
    HOST,
    Peer,
    closes,
    hanging_port,
    is_silent,
    reserved_port,
    resets,
    says,
    served,
)

from harness.nodes import post
from harness.nodes.program import Refusal

Act = Callable[[], Any]

OTHER_SERVERS: dict[str, Peer] = {
    "closes": closes,
    "resets": resets,
    "HTTP": says(b"HTTP/1.1 400 Bad Request\r\n\r\n"),
    "junk": says(bytes(range(256)) * 4 + b"\r\n"),
    "endless line": says(b"x" * 100_000),
    "not now": says(b"421 closing\r\n"),
}


def submit() -> None:
    post.submit(None, HOST, "novice@lab.example", "expert@lab.example", b"invitation")


def fetch() -> bytes:
    return post.fetch(None, HOST, "expert", "password")


ACTS = {"submit": submit, "fetch": fetch}


@pytest.fixture
def at(monkeypatch: pytest.MonkeyPatch) -> Callable[[int], None]:
    """Say at which port the mail server is, and make its callers impatient."""

    def be_there(port: int) -> None:
        monkeypatch.setattr(post, "SMTP_PORT", port)
        monkeypatch.setattr(post, "POP3_PORT", port)
        monkeypatch.setattr(post, "_TIMEOUT", 0.2)

    return be_there


def refusal_of(act: Act) -> str:
    with pytest.raises(Refusal) as refused:
        act()
    why = str(refused.value)
    assert len(why.splitlines()) == 1
    return why


def refused_by(peer: Peer, act: Act, at: Callable[[int], None]) -> str:
    """Let somebody be the mail server; return why it was refused."""

    async def main() -> str:
        async with served(peer) as port:
            at(port)
            return await asyncio.to_thread(refusal_of, act)

    return asyncio.run(main())


def begins(act: Act, port: int) -> str:
    return f"mail was not {'taken' if act is submit else 'given'} by {HOST}:{port}: "


@pytest.mark.parametrize("act", ACTS.values(), ids=ACTS)
def test_a_server_where_nobody_listens_is_refused(act: Act, at: Callable[[int], None]) -> None:
    with reserved_port() as port:
        at(port)
        why = refusal_of(act)
    assert why.startswith(begins(act, port))
    assert "refused" in why


@pytest.mark.parametrize("act", ACTS.values(), ids=ACTS)
def test_a_server_that_does_not_take_the_call_is_given_up(
    act: Act, at: Callable[[int], None]
) -> None:
    with hanging_port() as port:
        at(port)
        why = refusal_of(act)
    assert why == begins(act, port) + "timed out"


@pytest.mark.parametrize("act", ACTS.values(), ids=ACTS)
def test_a_server_that_never_answers_is_given_up(act: Act, at: Callable[[int], None]) -> None:
    assert refused_by(is_silent, act, at).endswith(": timed out")


@pytest.mark.parametrize("act", ACTS.values(), ids=ACTS)
@pytest.mark.parametrize("peer", OTHER_SERVERS.values(), ids=OTHER_SERVERS)
def test_a_server_that_speaks_something_else_is_refused(
    peer: Peer, act: Act, at: Callable[[int], None]
) -> None:
    assert refused_by(peer, act, at).startswith("mail was not ")


def scripted(greeting: str, answers: Mapping[str, str]) -> Peer:
    """Return a server that answers each command by its first word; "" closes the connection."""

    async def peer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(greeting.encode() + b"\r\n")
        while line := await reader.readline():
            answer = answers.get(line.split()[0].decode().upper(), "+OK")
            if not answer:
                return
            writer.write(answer.encode() + b"\r\n")

    return peer


def pop3(**answers: str) -> Peer:
    return scripted("+OK ready", {"STAT": "+OK 1 100"} | answers)


MAIL = "+OK\r\nSubject: x\r\nContent-Type: {}\r\nContent-Disposition: {}\r\n\r\n{}\r\n."


@pytest.mark.parametrize(
    ("peer", "reason"),
    [
        pytest.param(pop3(PASS="-ERR wrong"), "wrong", id="wrong password"),
        pytest.param(pop3(STAT="+OK 0 0"), "the mailbox holds 0 mails", id="no mail"),
        pytest.param(pop3(STAT="+OK 2 200"), "the mailbox holds 2 mails", id="two mails"),
        pytest.param(
            pop3(STAT="+OK 1 9999999"), "1 mails of 9999999 bytes; one was due", id="a huge mail"
        ),
        pytest.param(pop3(RETR="-ERR message deleted"), "message deleted", id="no such mail"),
        pytest.param(pop3(RETR=""), "mail was not given", id="breaks off"),
        pytest.param(pop3(RETR="+OK\r\nhalf"), "mail was not given", id="half a mail"),
        pytest.param(pop3(STAT="+OK one mail"), "", id="no numbers"),
        pytest.param(pop3(RETR="+OK\r\nhello\r\n."), "0 invitations attached", id="no headers"),
        pytest.param(
            pop3(RETR=MAIL.format("text/plain", "attachment; filename=a.MsRcIncident", "x")),
            "0 invitations attached",
            id="nothing but a file",
        ),
    ],
)
def test_a_mailbox_that_does_not_give_one_mail_is_refused(
    peer: Peer, reason: str, at: Callable[[int], None]
) -> None:
    assert reason in refused_by(peer, fetch, at)


@pytest.mark.parametrize("kind", ["text/plain", "message/rfc822", "multipart/mixed"])
def test_an_invitation_that_is_not_attached_as_a_file_is_refused(
    kind: str, at: Callable[[int], None]
) -> None:
    mail = (
        "+OK\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n"
        f"Content-Type: {kind}; boundary=c\r\n"
        "Content-Disposition: attachment; filename=a.MsRcIncident\r\n\r\nx\r\n--b--\r\n."
    )
    why = refused_by(pop3(RETR=mail), fetch, at)
    assert why == "the attached invitation is not a file"


def test_the_reason_is_the_first_that_went_wrong(at: Callable[[int], None]) -> None:
    """Not that the server, having refused, does not say good-bye either."""
    why = refused_by(pop3(PASS="-ERR wrong password", QUIT=""), fetch, at)
    assert "wrong password" in why
    why = refused_by(pop3(STAT="+OK 0 0", QUIT=""), fetch, at)
    assert "the mailbox holds 0 mails" in why


SMTP = {"EHLO": "250 mail", "MAIL": "250 OK", "RCPT": "250 OK", "QUIT": "221 bye"}


@pytest.mark.parametrize(
    ("answers", "reason"),
    [
        pytest.param({"MAIL": "550 no"}, "550", id="sender refused"),
        pytest.param({"RCPT": "550 no such user"}, "no such user", id="recipient refused"),
        pytest.param({"DATA": "554 no"}, "554", id="data refused"),
        pytest.param({"DATA": ""}, "mail was not taken", id="breaks off"),
        pytest.param({"RCPT": "550-no\r\n550 such user"}, "such user", id="a reason of two lines"),
    ],
)
def test_a_server_that_does_not_take_the_mail_is_refused(
    answers: dict[str, str], reason: str, at: Callable[[int], None]
) -> None:
    assert reason in refused_by(scripted("220 mail", SMTP | answers), submit, at)
