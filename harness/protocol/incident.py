"""The Remote Assistance invitation file of type 1, ``.MsRcIncident``.

The file's form is [MS-RAI] section 6, the ticket inside it (``RCTICKET``) is the connection
string 1 of [MS-RAI] section 2.2.1. The file travels through hands that nobody vouches for, so
:func:`read` and :func:`parse` take any bytes and end in an :class:`Incident` or an
:class:`IncidentError`, whose text is one line and safe to print.

Files are written as 8-bit text although they declare ``Unicode``, as the specification's sample
does: FreeRDP 2.11.7 reads 8-bit text only, and refuses UTF-16 with and without byte order mark.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import html
import re
import secrets
import string
import struct
from collections.abc import Iterable
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Final

from harness.protocol.incident_ticket import (
    DECIMAL,
    Candidate,
    Ticket,
    each_once,
    parse_ticket,
)
from harness.protocol.incident_xml import IncidentError, read_upload_data, shown

__all__ = [
    "MAX_BYTES",
    "Candidate",
    "Incident",
    "IncidentError",
    "check_usable",
    "compose",
    "invitation_key",
    "parse",
    "pass_blob",
    "rc4",
    "read",
    "write",
]

MAX_BYTES: Final = 64 * 1024
"""The largest file that is looked at; a real invitation is about 1 KB."""

CLOCK_SKEW: Final = 24 * 60 * 60
"""How far ahead of ours a novice's clock may be, in seconds; a wrong time zone is within it."""

_UINT32_MAX: Final = 2**32 - 1
_PASS_STUB: Final = re.compile(r"[!-~]{1,64}")
_LONGEST_USERNAME: Final = 256

_ANY: Final = string.ascii_letters + string.digits + "*_"
# Windows also draws "&" in second place. XML has to write it as "&amp;", which FreeRDP 2.11.7 takes
# for five characters of the stub, and so encrypts another text than ours; we draw without it.
_STUB_ALPHABETS: Final = (
    _ANY,
    "!@#$^*()-+=",
    string.digits,
    string.ascii_uppercase,
    string.ascii_lowercase,
    *([_ANY] * 9),
)


@dataclass(frozen=True)
class Incident:
    """What an invitation says ([MS-RAI] sections 6 and 2.2.1)."""

    username: str
    """``USERNAME``: the name of the novice's computer or of the novice."""
    candidates: tuple[Candidate, ...]
    """``machineAddressList``, in the ticket's order, each place once."""
    session_id: str
    """``RASessionID`` in the ticket's own base64: what it encodes is 32 opaque bytes, no text."""
    parameters: str
    """``protocolSpecificParms`` in the ticket's own base64: 20 opaque bytes."""
    start: int
    """``DtStart``: when the invitation was made, in seconds since 1970-01-01 UTC."""
    minutes: int
    """``DtLength``: how long it is valid.

    That the unit is the minute is an inference: the values of published files (60 and 180) fit
    it, and no statement of the unit is known.
    """
    pass_stub: str
    """``PassStub``: the text that the expert encrypts with the password (:func:`pass_blob`)."""
    low_speed: bool = False
    """``L``: the novice's link is slow."""
    encrypted: bool = True
    """``RCTICKETENCRYPTED``, passed on and not acted upon.

    Published files carry 1 beside a ticket whose addresses are in plain text.
    """

    @property
    def expires(self) -> int:
        """The first second at which it is no longer valid, since 1970-01-01 UTC."""
        return self.start + self.minutes * 60

    def expired(self, now: float) -> bool:
        """Whether it is over at ``now``, in seconds since 1970-01-01 UTC."""
        return now >= self.expires


def compose(
    *, username: str, candidates: Iterable[Candidate], now: float, minutes: int
) -> Incident:
    """Make an invitation with a fresh random session identifier and pass stub.

    ``now`` is in seconds since 1970-01-01 UTC, ``minutes`` is how long it is valid. A candidate
    that is given twice is kept once, in its first place: a novice may well learn one address from
    two sources. Raises :class:`IncidentError` for what no file can say.
    """
    if minutes < 1:
        raise IncidentError(f"invitation: it cannot be valid for {minutes} minutes")
    incident = Incident(
        username=username,
        candidates=each_once(candidates),
        session_id=base64.b64encode(secrets.token_bytes(32)).decode(),
        parameters=base64.b64encode(secrets.token_bytes(20)).decode(),
        start=int(now),
        minutes=minutes,
        pass_stub="".join(secrets.choice(alphabet) for alphabet in _STUB_ALPHABETS),
    )
    write(incident)  # the one place that knows what cannot be written
    return incident


def write(incident: Incident) -> bytes:
    """Write the file, in ASCII.

    Raises :class:`IncidentError` where :func:`parse` would refuse the file or would not read the
    same invitation back, so that no file leaves that its reader cannot use.
    """
    ticket = Ticket(incident.candidates, incident.session_id, incident.parameters)
    values = {
        "USERNAME": incident.username,
        "RCTICKET": str(ticket),
        "RCTICKETENCRYPTED": str(int(incident.encrypted)),
        "DtStart": str(incident.start),
        "DtLength": str(incident.minutes),
        "PassStub": incident.pass_stub,
        "L": str(int(incident.low_speed)),
    }
    attributes = " ".join(f'{name}="{html.escape(value)}"' for name, value in values.items())
    text = (
        '<?xml version="1.0" encoding="Unicode" ?>'
        f'<UPLOADINFO TYPE="Escalated"><UPLOADDATA {attributes} /></UPLOADINFO>'
    )
    data = text.encode("ascii", "xmlcharrefreplace")
    again = parse(data)
    for field in fields(incident):
        if getattr(again, field.name) != getattr(incident, field.name):
            raise IncidentError(f"invitation: {field.name} would not read back as it is")
    return data


def read(path: Path) -> bytes:
    """Read an invitation file, and never more of it than :data:`MAX_BYTES` and one byte.

    Raises :class:`IncidentError` when it is larger, is not a file or cannot be read.
    """
    if not path.is_file():  # opening a pipe would wait for its writer
        raise IncidentError(f"invitation: {str(path)!a} is not a file")
    try:
        with path.open("rb") as file:
            data = file.read(MAX_BYTES + 1)
    except OSError as error:
        raise IncidentError(
            f"invitation: {str(path)!a} cannot be read: {error.strerror}"
        ) from error
    _check_size(data)
    return data


def parse(data: bytes) -> Incident:
    """Read what a file from an unknown sender says.

    A candidate that is listed twice is kept once, in its first place: the specification does not
    forbid it, and dialling one place twice proves nothing more.

    Raises :class:`IncidentError`, and nothing else, for everything that is not an invitation of
    type 1.
    """
    _check_size(data)
    upload = read_upload_data(data)
    ticket = parse_ticket(upload.ticket)
    return Incident(
        username=_parse_username(upload.username),
        candidates=ticket.candidates,
        session_id=ticket.session_id,
        parameters=ticket.parameters,
        start=_parse_uint32("DtStart", upload.start),
        minutes=_parse_uint32("DtLength", upload.length),
        pass_stub=_parse_pass_stub(upload.pass_stub),
        low_speed=_parse_flag("L", upload.low_speed),
        encrypted=_parse_flag("RCTICKETENCRYPTED", upload.encrypted),
    )


def check_usable(incident: Incident, now: float) -> None:
    """Make sure that the invitation can be dialled at ``now`` (seconds since 1970-01-01 UTC).

    Raises :class:`IncidentError` when it names no address, has expired, or begins more than
    :data:`CLOCK_SKEW` from now.
    """
    if not incident.candidates:
        raise IncidentError("invitation: it names no address at all")
    if incident.expired(now):
        raise IncidentError(
            f"invitation: expired {now - incident.expires:.0f} s ago "
            f"(DtStart {incident.start}, DtLength {incident.minutes} minutes)"
        )
    if incident.start - now > CLOCK_SKEW:
        raise IncidentError(
            f"invitation: begins in {incident.start - now:.0f} s (DtStart {incident.start}); "
            "no clock may be more than a day ahead"
        )


def pass_blob(password: str, pass_stub: str) -> str:
    """Return what the expert sends as proof of the password, in upper-case hexadecimal.

    The pass stub, with its length in bytes in front, is encrypted by RC4 under the MD5 of the
    password, both in UTF-16LE: the form that FreeRDP sends for a type 1 invitation.

    Raises :class:`IncidentError` when the password is not text that can be encoded.
    """
    key = hashlib.md5(_password_bytes(password), usedforsecurity=False).digest()
    stub = pass_stub.encode("utf-16-le")
    return rc4(key, struct.pack("<I", len(stub)) + stub).hex().upper()


def invitation_key(incident: Incident, password: str) -> bytes:
    """Return the 32 bytes that only the holders of this invitation and its password know.

    HMAC-SHA256 under the password in UTF-16LE, over session identifier and pass stub, each with
    its length in front so that no two invitations give one message.

    Raises :class:`IncidentError` when the password is not text that can be encoded.
    """
    parts = [part.encode() for part in (incident.session_id, incident.pass_stub)]
    message = b"".join(struct.pack("<I", len(part)) + part for part in parts)
    return hmac.digest(_password_bytes(password), message, "sha256")


def rc4(key: bytes, data: bytes) -> bytes:
    """Encrypt or decrypt by RC4 (vectors: RFC 6229). The format needs it; it protects nothing."""
    state = list(range(256))
    j = 0
    for i in range(256):
        j = (j + state[i] + key[i % len(key)]) % 256
        state[i], state[j] = state[j], state[i]
    out = bytearray()
    i = j = 0
    for byte in data:
        i = (i + 1) % 256
        j = (j + state[i]) % 256
        state[i], state[j] = state[j], state[i]
        out.append(byte ^ state[(state[i] + state[j]) % 256])
    return bytes(out)


def _check_size(data: bytes) -> None:
    if len(data) > MAX_BYTES:
        raise IncidentError(f"invitation: larger than {MAX_BYTES} bytes; a real one is about 1 KB")


def _parse_uint32(name: str, text: str) -> int:
    if not DECIMAL.fullmatch(text) or int(text) > _UINT32_MAX:
        raise IncidentError(
            f"invitation: {name} is {shown(text)}, not a whole number from 0 to {_UINT32_MAX}"
        )
    return int(text)


def _parse_flag(name: str, text: str) -> bool:
    if text not in ("0", "1"):
        raise IncidentError(f"invitation: {name} is {shown(text)}, not 0 or 1")
    return text == "1"


def _parse_username(text: str) -> str:
    if not text.isprintable() or text.isspace() or len(text) > _LONGEST_USERNAME:
        raise IncidentError(
            f"invitation: USERNAME is {shown(text)}, "
            f"not 1 to {_LONGEST_USERNAME} printable characters"
        )
    return text


def _parse_pass_stub(text: str) -> str:
    if not _PASS_STUB.fullmatch(text):
        raise IncidentError(
            f"invitation: PassStub is {shown(text)}, not 1 to 64 characters of visible ASCII"
        )
    return text


def _password_bytes(password: str) -> bytes:
    # HMAC pads its key with zeros, so that a password with a NUL at its end would equal another.
    if "\0" in password:
        raise IncidentError("invitation: the password holds a NUL")
    try:
        return password.encode("utf-16-le")
    except UnicodeEncodeError:
        raise IncidentError("invitation: the password is not valid Unicode text") from None
