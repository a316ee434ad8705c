"""The mail server on the lab's internet: SMTP takes mail for its users, POP3 gives it to them.

Twisted serves both protocols; what is written here is the mailbox between them.
"""

from __future__ import annotations

import hashlib
import io
import json
import sys
from collections.abc import Callable, Iterable
from typing import Any

from twisted.cred.checkers import InMemoryUsernamePasswordDatabaseDontUse
from twisted.cred.portal import IRealm, Portal
from twisted.internet import defer, epollreactor, protocol, stdio
from twisted.mail import pop3, smtp
from zope.interface import implementer

from harness.nodes.post import POP3_PORT, SMTP_PORT
from harness.nodes.program import Console


@implementer(pop3.IMailbox)
class Session:
    """One POP3 session on a user's mailbox, as it was when the session began (RFC 1939 4).

    A deletion counts when the session ends by QUIT, and not when it breaks off (RFC 1939 6).
    """

    def __init__(self, mailbox: list[bytes]) -> None:
        """Look at the mailbox."""
        self._mailbox = mailbox
        self._mails = list(mailbox)
        self._deleted: set[int] = set()

    def listMessages(self, index: int | None = None) -> Any:  # noqa: N802
        """Return the sizes, 0 for a deleted mail; ValueError for a mail there is not."""
        sizes = [0 if i in self._deleted else len(mail) for i, mail in enumerate(self._mails)]
        if index is None:
            return sizes
        if not 0 <= index < len(sizes):
            raise ValueError(index)
        return sizes[index]

    def getMessage(self, index: int) -> io.BytesIO:  # noqa: N802
        """Return a mail to read."""
        return io.BytesIO(self._mails[index])

    def getUidl(self, index: int) -> bytes:  # noqa: N802
        """Return a mail's unique id."""
        return hashlib.sha256(self._mails[index]).hexdigest().encode()

    def deleteMessage(self, index: int) -> None:  # noqa: N802
        """Mark a mail as deleted."""
        self._deleted.add(index)

    def undeleteMessages(self) -> None:  # noqa: N802
        """Take all marks back."""
        self._deleted.clear()

    def sync(self) -> None:
        """Remove what is marked."""
        for index in self._deleted:
            self._mailbox.remove(self._mails[index])
        self._deleted.clear()


@implementer(IRealm)
class Post:
    """The post office: one mailbox for each user."""

    def __init__(self, console: Console, users: Iterable[str]) -> None:
        """Open a mailbox for each user."""
        self.console = console
        self.boxes: dict[bytes, list[bytes]] = {user.encode(): [] for user in users}

    def requestAvatar(self, user: bytes, _mind: object, *_interfaces: object) -> Any:  # noqa: N802
        """Give a user who logged in to POP3 a session on the mailbox."""
        return pop3.IMailbox, Session(self.boxes[user]), lambda: None


@implementer(smtp.IMessageDelivery)
class Delivery:
    """What SMTP asks of a post office: mail for its own users is taken, from anybody."""

    def __init__(self, post: Post) -> None:
        """Deliver to the mailboxes of ``post``."""
        self._post = post

    def receivedHeader(self, helo: Any, _origin: Any, _recipients: Any) -> bytes:  # noqa: N802
        """Return the trace header (RFC 5321 4.4)."""
        name, address = helo
        sender = name.decode(errors="replace")
        return f"Received: from {sender} ([{address.decode()}]) by mail".encode()

    def validateFrom(self, _helo: Any, origin: Any) -> Any:  # noqa: N802
        """Take any sender."""
        return origin

    def validateTo(self, user: Any) -> Callable[[], Letter]:  # noqa: N802
        """Take a recipient who has a mailbox; SMTPBadRcpt for anybody else."""
        name: bytes = user.dest.local
        if name not in self._post.boxes:
            raise smtp.SMTPBadRcpt(user)
        return lambda: Letter(self._post, name)


@implementer(smtp.IMessage)
class Letter:
    """A mail on its way in."""

    def __init__(self, post: Post, user: bytes) -> None:
        """Deliver to that user's mailbox when it is complete."""
        self._post = post
        self._user = user
        self._lines: list[bytes] = []

    def lineReceived(self, line: bytes) -> None:  # noqa: N802
        """Take one line."""
        self._lines.append(line)

    def eomReceived(self) -> defer.Deferred[None]:  # noqa: N802
        """Deliver; the sender is told that the mail is taken after this."""
        # Twisted's POP3 reads a mail as a file with bare newlines, and puts CRLF on the wire.
        mail = b"\n".join(self._lines) + b"\n"
        self._post.boxes[self._user].append(mail)
        self._post.console.tell("mail", recipient=self._user.decode(), size=len(mail))
        return defer.succeed(None)

    def connectionLost(self) -> None:  # noqa: N802
        """Forget an incomplete mail."""
        self._lines.clear()


class _SmtpFactory(protocol.ServerFactory):
    def __init__(self, delivery: Delivery) -> None:
        self._delivery = delivery

    def buildProtocol(self, _address: object) -> Any:  # noqa: N802
        return smtp.SMTP(delivery=self._delivery)


class _Pop3Factory(protocol.ServerFactory):
    def __init__(self, portal: Portal) -> None:
        self._portal = portal

    def buildProtocol(self, _address: object) -> Any:  # noqa: N802
        session: Any = pop3.POP3()
        session.factory = self
        session.portal = self._portal
        return session


class _UntilClosed(protocol.Protocol):
    """Ends the program when the harness closes its stream."""

    def __init__(self, reactor: Any) -> None:
        self._reactor = reactor

    def connectionLost(self, reason: Any = protocol.connectionDone) -> None:  # noqa: N802, ARG002
        if self._reactor.running:
            self._reactor.stop()


def start() -> None:
    """Read the accounts, one line ``{"user": "password"}``, then serve until the stream closes."""
    console = Console(sys.stdout.buffer)
    accounts: dict[str, str] = json.loads(sys.stdin.buffer.readline())
    reactor = _own_reactor()
    post = Post(console, accounts)
    # mypy does not follow zope's @implementer.
    realm: Any = post
    checker: Any = InMemoryUsernamePasswordDatabaseDontUse()
    for user, password in accounts.items():
        checker.addUser(user.encode(), password.encode())
    reactor.listenTCP(SMTP_PORT, _SmtpFactory(Delivery(post)))
    reactor.listenTCP(POP3_PORT, _Pop3Factory(Portal(realm, [checker])))
    stdio.StandardIO(_UntilClosed(reactor), reactor=reactor)
    console.tell("ready")
    reactor.run(installSignalHandlers=False)


def _own_reactor() -> Any:
    """Make a reactor for this process.

    twisted.mail.smtp makes one when it is imported. A process that was forked after the import
    would share that one's descriptors with its siblings.
    """
    sys.modules.pop("twisted.internet.reactor", None)
    epollreactor.install()
    from twisted.internet import reactor  # noqa: PLC0415 - it exists from here on

    return reactor


if __name__ == "__main__":
    start()
