"""The relay and the mail server, as programs on their own ports, and who may do what there."""

from __future__ import annotations

import json
import poplib
import secrets
import smtplib
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from email.message import EmailMessage
from pathlib import Path

import pytest
from sealed_loopback import HOST, Namespace, Program

from harness.nodes import chat, post

PASSWORDS = {
    name: f"password of {name}" for name in ("expert", "second", "third", "fourth", "empty")
}


@pytest.fixture(scope="module")
def namespace() -> Iterator[Namespace]:
    with Namespace() as made:
        yield made


@pytest.fixture(scope="module")
def disk(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("disk")


@contextmanager
def ready(namespace: Namespace, name: str, disk: Path) -> Iterator[Program]:
    """Start a service and wait until it serves."""
    with namespace.program(name, disk) as program:
        if name == "mail":
            program.write(PASSWORDS)
        program.hear("ready")
        yield program


@pytest.fixture(scope="module")
def relay(namespace: Namespace, disk: Path) -> Iterator[Program]:
    with ready(namespace, "relay", disk) as program:
        yield program


@pytest.fixture(scope="module")
def mail(namespace: Namespace, disk: Path) -> Iterator[Program]:
    with ready(namespace, "mail", disk) as program:
        yield program


@pytest.fixture(scope="module")
def novice(namespace: Namespace, disk: Path) -> Iterator[Program]:
    with namespace.program("novice", disk) as program:
        yield program


@pytest.fixture(scope="module")
def expert(namespace: Namespace, disk: Path) -> Iterator[Program]:
    with namespace.program("expert", disk) as program:
        yield program


# --- the relay


class Caller:
    """Somebody with a line to the relay, who may say anything on it."""

    def __init__(self, namespace: Namespace) -> None:
        self._sock = namespace.connect(chat.PORT)
        self._lines = self._sock.makefile("rb")

    def say(self, line: bytes) -> None:
        self._sock.sendall(line + b"\n")

    def sign_in(self, name: str) -> None:
        self.say(json.dumps({"name": name}).encode())
        assert self.hear() == {"welcome": name}

    def send(self, recipient: str, ticket: str) -> None:
        self.say(json.dumps({"to": recipient, "ticket": ticket}).encode())

    def hear(self) -> object:
        """Return the next message; None where the line has ended."""
        try:
            line = self._lines.readline()
        except ConnectionResetError:
            return None
        return json.loads(line) if line else None

    def reset(self) -> None:
        """Hang up with a RST."""
        no_linger = b"\x01\0\0\0" + b"\0\0\0\0"
        self._sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, no_linger)
        self.hang_up()

    def hang_up(self) -> None:
        self._lines.close()
        self._sock.close()


@pytest.fixture
def callers(namespace: Namespace, relay: Program) -> Iterator[list[Caller]]:
    """Three lines to the relay."""
    lines = [Caller(namespace) for _ in range(3)]
    yield lines
    for line in lines:
        line.hang_up()


def name() -> str:
    """Return a name that no other test uses: what waits at the relay waits for good."""
    return f"caller-{secrets.token_hex(4)}"


def test_tickets_go_both_ways(relay: Program, novice: Program, expert: Program, disk: Path) -> None:
    tickets = {"novice": secrets.token_bytes(1000), "expert": secrets.token_bytes(64 * 1024)}
    people = {"novice": novice, "expert": expert}
    for who, program in people.items():
        assert program.ask("sign_in", server=HOST) == {}
        (disk / f"{who}'s").write_bytes(tickets[who])
    assert novice.ask("send", path="novice's", recipient="expert") == {}
    assert expert.ask("send", path="expert's", recipient="novice") == {}
    for who, program in people.items():
        assert program.ask("receive", path=f"received by {who}") == {}
    assert (disk / "received by expert").read_bytes() == tickets["novice"]
    assert (disk / "received by novice").read_bytes() == tickets["expert"]
    relay.hear("ticket", sender="novice", recipient="expert")
    relay.hear("ticket", sender="expert", recipient="novice")


def test_a_ticket_says_who_sent_it(callers: list[Caller]) -> None:
    one, two, _ = callers
    sender, recipient = name(), name()
    one.sign_in(sender)
    two.sign_in(recipient)
    one.send(recipient, "QUJD")
    assert two.hear() == {"from": sender, "ticket": "QUJD"}


def test_tickets_for_somebody_who_is_not_signed_in_yet_wait(callers: list[Caller]) -> None:
    one, two, three = callers
    sender, late = name(), name()
    one.sign_in(sender)
    for number in range(3):
        one.send(late, f"ticket {number}")
    one.send(sender, "after them")
    assert one.hear() == {"from": sender, "ticket": "after them"}
    two.sign_in(late)
    for number in range(3):
        assert two.hear() == {"from": sender, "ticket": f"ticket {number}"}
    two.hang_up()
    three.sign_in(late)
    one.send(late, "the next")
    assert three.hear() == {"from": sender, "ticket": "the next"}


JUNK = {
    "no JSON": b"hello",
    "an empty line": b"",
    "bytes": bytes(range(128, 256)),
    "a number": b"1",
    "nothing": b"null",
    "a list": b"[]",
    "another object": b'{"hello": "novice"}',
    "a ticket for nobody": b'{"ticket": "QUJD"}',
    "deep brackets": b"[" * 50_000,
    "too long a line": b'{"name": "' + b"x" * chat.LINE_LIMIT + b'"}',
}


@pytest.mark.parametrize("junk", JUNK.values(), ids=JUNK)
@pytest.mark.parametrize("signed_in", [False, True], ids=["at first", "signed in"])
def test_a_line_that_is_no_message_ends_that_callers_line_only(
    relay: Program, callers: list[Caller], junk: bytes, signed_in: bool
) -> None:
    one, two, bad = callers
    sender, recipient, babbler = name(), name(), name()
    one.sign_in(sender)
    two.sign_in(recipient)
    if signed_in:
        bad.sign_in(babbler)
    bad.say(junk)
    assert bad.hear() is None
    one.send(recipient, "QUJD")
    assert two.hear() == {"from": sender, "ticket": "QUJD"}
    if signed_in:
        hung_up = relay.hear("hung up", name=babbler)
        assert len(hung_up["why"].splitlines()) == 1


def test_a_caller_who_hangs_up_in_the_middle_of_a_line_is_gone(callers: list[Caller]) -> None:
    one, two, three = callers
    sender, recipient = name(), name()
    one.sign_in(sender)
    two.sign_in(recipient)
    two.say(b'{"to": "' + sender.encode())
    two.hang_up()
    three.sign_in(recipient)
    one.send(recipient, "QUJD")
    assert three.hear() == {"from": sender, "ticket": "QUJD"}


def test_of_two_callers_of_one_name_the_later_gets_the_tickets(callers: list[Caller]) -> None:
    one, two, three = callers
    sender, twice = name(), name()
    one.sign_in(sender)
    two.sign_in(twice)
    three.sign_in(twice)
    one.send(twice, "first")
    assert three.hear() == {"from": sender, "ticket": "first"}
    # The earlier one's leaving takes nothing from the later one.
    two.say(b"junk")
    assert two.hear() is None
    one.send(twice, "second")
    assert three.hear() == {"from": sender, "ticket": "second"}


def test_somebody_who_is_gone_costs_nobody_elses_line(
    namespace: Namespace, callers: list[Caller]
) -> None:
    """A line breaks while tickets are carried to it; more than once, for it is a race."""
    one, two, _ = callers
    sender, recipient = name(), name()
    one.sign_in(sender)
    two.sign_in(recipient)
    for number in range(20):
        gone = name()
        leaves = Caller(namespace)
        leaves.sign_in(gone)
        one.send(gone, "x" * 1000)
        leaves.reset()
        for _ in range(5):
            one.send(gone, "x" * 1000)
        one.send(recipient, str(number))
        assert two.hear() == {"from": sender, "ticket": str(number)}


def test_the_relay_ends_when_its_stream_closes_whoever_is_signed_in(tmp_path: Path) -> None:
    with Namespace() as apart, ready(apart, "relay", tmp_path) as program:
        caller = Caller(apart)
        caller.sign_in("novice")
        assert program.close() == 0
        assert caller.hear() is None


# --- the mail server


class Smtp(smtplib.SMTP):
    """An SMTP client in the namespace."""

    def __init__(self, namespace: Namespace) -> None:
        self._namespace = namespace
        super().__init__(HOST, post.SMTP_PORT, local_hostname="novice")

    def _get_socket(self, _host: str, port: int, _timeout: float) -> socket.socket:
        return self._namespace.connect(port)


class Pop3(poplib.POP3):
    """A POP3 client in the namespace."""

    def __init__(self, namespace: Namespace) -> None:
        self._namespace = namespace
        super().__init__(HOST, post.POP3_PORT)

    def _create_socket(self, _timeout: float) -> socket.socket:
        return self._namespace.connect(self.port)

    def log_in(self, user: str) -> None:
        self.user(user)
        self.pass_(PASSWORDS[user])


def deliver(namespace: Namespace, user: str, *attachments: tuple[str, bytes]) -> None:
    """Put a mail with these attachments in a mailbox."""
    letter = EmailMessage()
    letter["From"], letter["To"] = "novice@lab.example", f"{user}@lab.example"
    letter.set_content("Please help me.\n.\n..and a line that begins with dots.\n")
    for filename, content in attachments:
        letter.add_attachment(content, maintype="application", subtype="x", filename=filename)
    with Smtp(namespace) as smtp:
        smtp.send_message(letter)


def submit(novice: Program, disk: Path, recipient: str = "expert") -> dict[str, object]:
    (disk / "invitation").touch()
    return novice.ask(
        "submit",
        path="invitation",
        server=HOST,
        sender="novice@lab.example",
        recipient=f"{recipient}@lab.example",
    )


def fetch(expert: Program, user: str = "expert", password: str | None = None) -> dict[str, object]:
    """Have it put in the file ``received``."""
    return expert.ask(
        "fetch", path="received", server=HOST, user=user, password=password or PASSWORDS[user]
    )


def assert_refused(reply: dict[str, object], why: str) -> None:
    error = reply["error"]
    assert isinstance(error, str)
    assert why in error
    assert len(error.splitlines()) == 1


ATTACHMENTS = {
    "an invitation": b'<?xml version="1.0" encoding="Unicode" ?><UPLOADINFO TYPE="Escalated">',
    "every byte": bytes(range(256)) * 4,
    "dots and line ends": b".\r\n..\n\r.\r\n.\r\n",
    "no line end": b"x",
    "60 KB": secrets.token_bytes(60 * 1024),
}


@pytest.mark.parametrize("content", ATTACHMENTS.values(), ids=ATTACHMENTS)
def test_an_attached_file_arrives_byte_for_byte(
    mail: Program, novice: Program, expert: Program, disk: Path, content: bytes
) -> None:
    (disk / "invitation").write_bytes(content)
    assert submit(novice, disk) == {}
    mail.hear("mail", recipient="expert")
    assert fetch(expert) == {}
    assert (disk / "received").read_bytes() == content


def test_mail_is_for_its_recipient_only(
    namespace: Namespace, mail: Program, expert: Program, disk: Path
) -> None:
    deliver(namespace, "second", ("a.MsRcIncident", b"for the second"))
    deliver(namespace, "third", ("a.MsRcIncident", b"for the third"))
    for user in ("third", "second"):
        assert fetch(expert, user) == {}
        assert (disk / "received").read_bytes() == f"for the {user}".encode()


def test_fetching_deletes_the_mail(namespace: Namespace, mail: Program, expert: Program) -> None:
    deliver(namespace, "second", ("a.MsRcIncident", b"x"))
    assert fetch(expert, "second") == {}
    assert_refused(fetch(expert, "second"), "the mailbox holds 0 mails")


def test_a_mail_for_somebody_unknown_is_not_taken(
    mail: Program, novice: Program, disk: Path
) -> None:
    assert_refused(submit(novice, disk, "nobody"), "mail was not taken by 127.0.0.1:25: ")
    assert_refused(submit(novice, disk, "nobody"), "550")


@pytest.mark.parametrize(
    ("user", "password"),
    [
        pytest.param("expert", "wrong", id="wrong password"),
        pytest.param("expert", PASSWORDS["second"], id="another's password"),
        pytest.param("nobody", "wrong", id="unknown user"),
    ],
)
def test_nobody_reads_a_mailbox_without_its_password(
    namespace: Namespace, mail: Program, expert: Program, user: str, password: str
) -> None:
    deliver(namespace, "expert", ("a.MsRcIncident", b"x"))
    assert_refused(fetch(expert, user, password), "mail was not given by 127.0.0.1:110: ")
    assert fetch(expert) == {}


@pytest.mark.parametrize(
    ("attachments", "count"),
    [
        pytest.param([], 0, id="none"),
        pytest.param([("notes.txt", b"x")], 0, id="another file"),
        pytest.param([("a.MsRcIncident", b"1"), ("b.MsRcIncident", b"2")], 2, id="two"),
    ],
)
def test_a_mail_must_have_one_invitation(
    namespace: Namespace,
    mail: Program,
    expert: Program,
    disk: Path,
    attachments: list[tuple[str, bytes]],
    count: int,
) -> None:
    (disk / "received").unlink(missing_ok=True)
    deliver(namespace, "fourth", *attachments)
    assert_refused(fetch(expert, "fourth"), f"the mail has {count} invitations attached")
    assert not (disk / "received").exists()


def test_an_invitation_is_found_among_other_files_however_its_name_is_written(
    namespace: Namespace, mail: Program, expert: Program, disk: Path
) -> None:
    files = [("notes.txt", b"notes"), ("RCBUDDY.MSRCINCIDENT", b"the one"), ("x.exe", b"MZ")]
    deliver(namespace, "second", *files)
    assert fetch(expert, "second") == {}
    assert (disk / "received").read_bytes() == b"the one"


def test_an_empty_mailbox_has_no_invitation(mail: Program, expert: Program) -> None:
    assert_refused(fetch(expert, "empty"), "the mailbox holds 0 mails")


def test_of_two_mails_neither_is_chosen(
    namespace: Namespace, mail: Program, expert: Program
) -> None:
    for content in (b"1", b"2"):
        deliver(namespace, "third", ("a.MsRcIncident", content))
    assert_refused(fetch(expert, "third"), "the mailbox holds 2 mails")
    pop3 = Pop3(namespace)
    pop3.log_in("third")
    assert pop3.stat()[0] == 2
    for number in (1, 2):
        pop3.dele(number)
    pop3.quit()


def test_a_deletion_counts_only_when_the_session_is_quit(
    namespace: Namespace, mail: Program, expert: Program
) -> None:
    """RFC 1939 6: a session that breaks off removes nothing."""
    deliver(namespace, "second", ("a.MsRcIncident", b"x"))
    breaks_off = Pop3(namespace)
    breaks_off.log_in("second")
    breaks_off.dele(1)
    breaks_off.rset()
    assert breaks_off.retr(1)
    breaks_off.dele(1)
    breaks_off.close()
    assert fetch(expert, "second") == {}


def test_an_incomplete_mail_is_not_delivered(
    namespace: Namespace, mail: Program, expert: Program
) -> None:
    smtp = Smtp(namespace)
    smtp.helo("novice")
    smtp.mail("novice@lab.example")
    smtp.rcpt("empty@lab.example")
    smtp.putcmd("data")
    assert smtp.getreply()[0] == 354
    smtp.send(b"Subject: cut\r\n\r\nhalf a li")
    smtp.close()
    assert_refused(fetch(expert, "empty"), "the mailbox holds 0 mails")


def test_a_server_that_is_out_of_reach_is_a_refusal(tmp_path: Path) -> None:
    with Namespace() as apart, apart.program("expert", tmp_path) as expert:
        assert_refused(submit(expert, tmp_path), "mail was not taken by 127.0.0.1:25: ")
        assert_refused(fetch(expert), "mail was not given by 127.0.0.1:110: ")
        relay = expert.ask("sign_in", server=HOST)
        assert_refused(relay, "the relay 127.0.0.1:1863 cannot be reached: ")
        elsewhere = expert.ask("sign_in", server="17.1.1.1")
        assert_refused(elsewhere, "the relay 17.1.1.1:1863 cannot be reached: ")


def test_the_mail_server_ends_when_its_stream_closes_whoever_is_connected(tmp_path: Path) -> None:
    with Namespace() as apart, ready(apart, "mail", tmp_path) as program, Smtp(apart):
        assert program.close() == 0
