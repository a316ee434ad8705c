"""An invitation by e-mail: submitted by SMTP as an attachment, fetched by POP3 (RFC 1939)."""

from __future__ import annotations

import poplib
import smtplib
from email import message_from_bytes, policy
from email.message import EmailMessage

from harness.nodes.program import Refusal
from harness.protocol.incident import MAX_BYTES

SMTP_PORT = 25
POP3_PORT = 110
ATTACHMENT = "rcBuddy.MsRcIncident"

# A mail server of the lab answers in milliseconds; one that is out of reach must not hang a run.
_TIMEOUT = 5.0
_LARGEST_MAIL = 8 * MAX_BYTES


def submit(server: str, sender: str, recipient: str, invitation: bytes) -> None:
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
        with smtplib.SMTP(server, SMTP_PORT, local_hostname="novice", timeout=_TIMEOUT) as smtp:
            smtp.send_message(mail)
    except (OSError, smtplib.SMTPException) as error:
        raise Refusal(f"mail was not taken by {server}:{SMTP_PORT}: {error}") from error


def fetch(server: str, user: str, password: str) -> bytes:
    """Fetch the one invitation in a mailbox and delete its mail.

    Raises:
        Refusal: the server cannot be reached, or there is not exactly one mail with one invitation.
    """
    try:
        pop3 = poplib.POP3(server, POP3_PORT, timeout=_TIMEOUT)
        try:
            pop3.user(user)
            pop3.pass_(password)
            count, size = pop3.stat()
            if count != 1 or size > _LARGEST_MAIL:
                raise Refusal(f"the mailbox holds {count} mails of {size} bytes; one was due")
            _, lines, _ = pop3.retr(1)
            pop3.dele(1)
        finally:
            pop3.quit()
    except (OSError, poplib.error_proto) as error:
        raise Refusal(f"mail was not given by {server}:{POP3_PORT}: {error}") from error
    return _attachment(b"\r\n".join(lines))


def _attachment(mail: bytes) -> bytes:
    message = message_from_bytes(mail, policy=policy.default)
    found = [
        part
        for part in message.iter_attachments()
        if (part.get_filename() or "").lower().endswith(".msrcincident")
    ]
    if len(found) != 1:
        raise Refusal(f"the mail has {len(found)} invitations attached; one was due")
    content = found[0].get_content()
    if not isinstance(content, bytes):
        raise Refusal("the attached invitation is not a file")
    return content
