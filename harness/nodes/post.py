"""An invitation by e-mail: submitted by SMTP as an attachment, fetched by POP3 (RFC 1939)."""

from __future__ import annotations

import poplib
import smtplib
import socket
from email import message_from_bytes, policy
from email.message import EmailMessage

from harness.nodes.program import Refusal
from harness.nodes.way import ProxyServer, blocking_socket
from harness.protocol.incident import MAX_BYTES

SMTP_PORT = 25
POP3_PORT = 110
ATTACHMENT = "rcBuddy.MsRcIncident"

# A mail server of the lab answers in milliseconds; one that is out of reach must not hang a run.
_TIMEOUT = 5.0
_LARGEST_MAIL = 8 * MAX_BYTES


class _Smtp(smtplib.SMTP):
    """SMTP through a proxy where there is one."""

    def __init__(self, via: ProxyServer | None, server: str) -> None:
        self._via = via
        super().__init__(server, SMTP_PORT, local_hostname="novice", timeout=_TIMEOUT)

    def _get_socket(self, host: str, port: int, timeout: float) -> socket.socket:
        return blocking_socket(self._via, host, port, timeout)


class _Pop3(poplib.POP3):
    """POP3 through a proxy where there is one."""

    def __init__(self, via: ProxyServer | None, server: str) -> None:
        self._via = via
        super().__init__(server, POP3_PORT, timeout=_TIMEOUT)

    def _create_socket(self, timeout: float) -> socket.socket:
        return blocking_socket(self._via, self.host, self.port, timeout)


def submit(
    via: ProxyServer | None, server: str, sender: str, recipient: str, invitation: bytes
) -> None:
    """Send the invitation as a MIME attachment.

    Raises:
        Refusal: the server cannot be reached or does not take it.
    """
    mail = EmailMessage()
    mail["From"], mail["To"] = sender, recipient
    mail["Subject"] = "Remote Assistance invitation"
    mail.set_content("Please help me. Open the attached invitation; I tell you the password.\n")
    mail.add_attachment(
        invitation, maintype="application", subtype="octet-stream", filename=ATTACHMENT
    )
    try:
        with _Smtp(via, server) as smtp:
            smtp.send_message(mail)
    except (OSError, smtplib.SMTPException) as error:
        raise Refusal(f"mail was not taken by {server}:{SMTP_PORT}: {error}") from error


def fetch(via: ProxyServer | None, server: str, user: str, password: str) -> bytes:
    """Fetch the one invitation in a mailbox and delete its mail.

    Raises:
        Refusal: the server cannot be reached, or there is not exactly one mail with one invitation.
    """
    try:
        pop3 = _Pop3(via, server)
        try:
            lines = _take_only_mail(pop3, user, password)
            pop3.quit()
        finally:
            # After quit() this does nothing; after a failure it must not hide it.
            pop3.close()
    except (OSError, ValueError, poplib.error_proto) as error:
        raise Refusal(f"mail was not given by {server}:{POP3_PORT}: {error}") from error
    return _attachment(b"\r\n".join(lines))


def _take_only_mail(pop3: poplib.POP3, user: str, password: str) -> list[bytes]:
    pop3.user(user)
    pop3.pass_(password)
    count, size = pop3.stat()
    if count != 1 or size > _LARGEST_MAIL:
        raise Refusal(f"the mailbox holds {count} mails of {size} bytes; one was due")
    _, lines, _ = pop3.retr(1)
    pop3.dele(1)
    return lines


def _attachment(mail: bytes) -> bytes:
    message = message_from_bytes(mail, policy=policy.default)
    found = [
        part
        for part in message.iter_attachments()
        if (part.get_filename() or "").lower().endswith(".msrcincident")
    ]
    if len(found) != 1:
        raise Refusal(f"the mail has {len(found)} invitations attached; one was due")
    content = found[0].get_payload(decode=True)
    if found[0].get_content_maintype() != "application" or not isinstance(content, bytes):
        raise Refusal("the attached invitation is not a file")
    return content
