"""HTTP/1.1 (RFC 9112) with a server that is not trusted: requests, and replies piece by piece.

The reader takes bytes as they come and holds them to the limits as it goes: it never keeps more
than it may, and never looks twice at what it has read, so a reply that comes byte by byte costs no
more than one that comes at once.
"""

from __future__ import annotations

import re
from collections.abc import Generator, Sequence
from dataclasses import dataclass
from typing import Final

from harness.protocol.igd.errors import IgdError, quoted
from harness.protocol.igd.url import Target

Headers = Sequence[tuple[str, str]]

_STATUS = re.compile(rb"HTTP/1\.[0-9] ([1-9][0-9]{2})(?: (.*))?")
_VERSION = b"HTTP/1."
_LENGTH = re.compile("[0-9]{1,18}")
_SIZE = re.compile(rb"([0-9A-Fa-f]{1,8})[ \t]*(?:;.*)?")
_LONGEST_FRAMING_LINE = 256
_SWITCHING = 101
_NO_CONTENT = (204, 304)
_USER_AGENT: Final = "Linux UPnP/1.0 ra-harness"


@dataclass(frozen=True)
class HttpLimits:
    """What one exchange may take at most.

    ``seconds`` for all of it, from the connection to the last byte. ``size`` bytes of the reply,
    head and framing included; ``head_size`` bytes and ``head_lines`` lines of its head.
    """

    seconds: float = 10.0
    size: int = 1 << 20
    head_size: int = 16384
    head_lines: int = 100


@dataclass(frozen=True)
class HttpReply:
    """A whole reply: its status, headers in their order, body, and the bytes as they came."""

    status: int
    reason: str
    headers: tuple[tuple[str, str], ...]
    body: bytes
    raw: bytes

    def header(self, name: str) -> str | None:
        """Return a header's value, of several the first; None where there is none."""
        return next(iter(_values(self.headers, name)), None)

    @property
    def redirect(self) -> str | None:
        """Where the reply sends its reader, in quotes; None where it is no redirect."""
        if not 300 <= self.status < 400:
            return None
        return quoted(self.header("Location") or "")


def compose(method: str, target: Target, headers: Headers = (), body: bytes = b"") -> bytes:
    """Return a request on a connection of its own."""
    lines = [f"{method} {target.path} HTTP/1.1", f"Host: {target.host}"]
    lines += [f"User-Agent: {_USER_AGENT}", "Accept-Encoding: identity", "Connection: close"]
    lines += [f"{name}: {value}" for name, value in headers]
    if body:
        lines.append(f"Content-Length: {len(body)}")
    return "\r\n".join([*lines, "", ""]).encode() + body


class ReplyReader:
    """Reads one reply; interim replies (RFC 9110 15.2) before it are passed over."""

    def __init__(self, limits: HttpLimits) -> None:
        """Read at most what the limits allow."""
        self._limits = limits
        self._raw = bytearray()
        self._place = 0
        self._closed = False
        self._reply: HttpReply | None = None
        self._steps = self._read()
        next(self._steps)

    @property
    def raw(self) -> bytes:
        """What came so far."""
        return bytes(self._raw)

    @property
    def received(self) -> int:
        """How many bytes came so far."""
        return len(self._raw)

    @property
    def reply(self) -> HttpReply | None:
        """The reply; None as long as it is not complete."""
        return self._reply

    def feed(self, data: bytes) -> None:
        """Take what came next.

        Raises:
            IgdError: it breaks a limit, or is no reply.
        """
        room = self._limits.size - len(self._raw)
        self._raw += data[:room]
        self._advance()
        if self._reply is None and len(data) > room:
            raise IgdError(f"the reply is longer than {self._limits.size} bytes")

    def close(self) -> None:
        """Take it that nothing more will come.

        Raises:
            IgdError: the reply was not complete.
        """
        self._closed = True
        if self._reply is None:
            self._advance()

    def _advance(self) -> None:
        if self._reply is None:
            next(self._steps, None)

    def _read(self) -> Generator[None, None, None]:
        """Read the reply from top to bottom; each yield waits for more bytes."""
        yield
        while True:
            status, reason = yield from self._status()
            headers = yield from self._headers()
            if not 100 <= status < 200 or status == _SWITCHING:
                break
        encoding = next(iter(_values(headers, "Content-Encoding")), "identity")
        if encoding.lower() not in ("identity", ""):
            raise IgdError(f"the reply is encoded as {quoted(encoding)}, which was not asked for")
        if status in _NO_CONTENT or status == _SWITCHING:
            body = b""
        else:
            body = yield from self._body(headers)
        self._reply = HttpReply(status, reason, headers, body, self.raw)

    def _status(self) -> Generator[None, None, tuple[int, str]]:
        start = self._place
        while len(self._raw) - start < len(_VERSION) and not self._closed:
            self._expect_begun(start)
            yield
        self._expect_begun(start)
        line = yield from self._head_line()
        found = _STATUS.fullmatch(line)
        if found is None:
            raise IgdError(f"not an HTTP/1 reply: {quoted(line, 40)}")
        return int(found[1]), (found[2] or b"").decode("latin-1").strip()

    def _expect_begun(self, start: int) -> None:
        """Refuse at once what does not begin as a reply: HTTP/0.9 sends a body without a head."""
        begun = bytes(self._raw[start : start + len(_VERSION)])
        if not _VERSION.startswith(begun):
            raise IgdError(f"not an HTTP/1 reply: {quoted(bytes(self._raw[start : start + 40]))}")

    def _headers(self) -> Generator[None, None, tuple[tuple[str, str], ...]]:
        """Read lines up to the empty one; a line that begins with space continues the last."""
        headers: list[tuple[str, str]] = []
        for _ in range(self._limits.head_lines):
            line = yield from self._head_line()
            if not line:
                return tuple(headers)
            if b"\0" in line:
                raise IgdError(f"a NUL in the reply's head: {quoted(line, 40)}")
            text = line.decode("latin-1")
            name, colon, value = text.partition(":")
            if text[0] in " \t" and headers:
                headers[-1] = (headers[-1][0], f"{headers[-1][1]} {text.strip()}")
            elif colon:
                headers.append((name.strip(), value.strip()))
            else:
                raise IgdError(f"no colon in a line of the reply's head: {quoted(line, 40)}")
        raise IgdError(f"the reply's head has more than {self._limits.head_lines} lines")

    def _head_line(self) -> Generator[None, None, bytes]:
        size = self._limits.head_size
        return (yield from self._line(size, f"the reply's head is longer than {size} bytes"))

    def _body(self, headers: Headers) -> Generator[None, None, bytes]:
        """Read the body by the rules of RFC 9112 6.3."""
        codings = _values(headers, "Transfer-Encoding")
        if codings:
            if [coding.lower() for coding in codings] != ["chunked"]:
                raise IgdError(f"a transfer encoding that nobody asked for: {quoted(codings[0])}")
            return (yield from self._chunks())
        lengths = sorted(set(_values(headers, "Content-Length")))
        if not lengths:
            return (yield from self._rest())
        if len(lengths) > 1 or _LENGTH.fullmatch(lengths[0]) is None:
            raise IgdError(f"no Content-Length is {quoted(', '.join(lengths))}")
        length = int(lengths[0])
        if self._place + length > self._limits.size:
            raise IgdError(
                f"the reply announces a body of {length} bytes,"
                f" at most {self._limits.size} are taken"
            )
        return (yield from self._exactly(length))

    def _chunks(self) -> Generator[None, None, bytes]:
        body = bytearray()
        while True:
            line = yield from self._framing_line()
            size = _SIZE.fullmatch(line)
            if size is None:
                raise IgdError(f"no chunk's size is {quoted(line, 40)}")
            length = int(size[1], 16)
            if length == 0:
                break
            if self._place + length > self._limits.size:
                raise IgdError(
                    f"a chunk of {length} bytes makes the reply longer than"
                    f" {self._limits.size} bytes"
                )
            body += yield from self._exactly(length)
            after = yield from self._framing_line()
            if after:
                raise IgdError(f"a chunk is longer than its size says: {quoted(after, 40)}")
        for _ in range(self._limits.head_lines):
            trailer = yield from self._framing_line()
            if not trailer:
                return bytes(body)
        raise IgdError(f"the reply has more than {self._limits.head_lines} trailers")

    def _framing_line(self) -> Generator[None, None, bytes]:
        furthest = self._place + _LONGEST_FRAMING_LINE
        why = f"a line between chunks is longer than {_LONGEST_FRAMING_LINE} bytes"
        return (yield from self._line(furthest, why))

    def _rest(self) -> Generator[None, None, bytes]:
        while not self._closed:
            yield
        return self._taken(len(self._raw))

    def _exactly(self, length: int) -> Generator[None, None, bytes]:
        end = self._place + length
        while len(self._raw) < end:
            self._expect_more(f"{len(self._raw) - self._place} of {length} bytes of a body")
            yield
        return self._taken(end)

    def _line(self, furthest: int, refusal: str) -> Generator[None, None, bytes]:
        """Read a line without its end, CRLF or LF; refuse one that goes on at ``furthest``."""
        searched = self._place
        while True:
            end = self._raw.find(b"\n", searched, furthest)
            if end >= 0:
                return self._taken(end + 1)[:-1].removesuffix(b"\r")
            if len(self._raw) >= furthest:
                raise IgdError(refusal)
            searched = len(self._raw)
            self._expect_more(f"{len(self._raw)} bytes, within a line")
            yield

    def _expect_more(self, after: str) -> None:
        if not self._closed:
            return
        if not self._raw:
            raise IgdError("the connection was closed without a reply")
        raise IgdError(f"the reply ends after {after}")

    def _taken(self, end: int) -> bytes:
        start, self._place = self._place, end
        return bytes(self._raw[start:end])


def _values(headers: Headers, name: str) -> list[str]:
    return [value for key, value in headers if key.lower() == name.lower()]
