"""Answers to an SSDP search (UPnP Device Architecture 1.0, 1.2.3), of any size and shape."""

from __future__ import annotations

import re
from dataclasses import dataclass
from ipaddress import IPv4Address
from typing import Final

from harness.protocol.igd import url
from harness.protocol.igd.errors import IgdError, quoted

MOST_BYTES: Final = 8192
"""Bytes kept of an answer; those of real routers have less than 600."""

_MOST_LINES = 64
_STATUS = re.compile(r"HTTP/1\.[0-9] 200(?: .*)?")


@dataclass(frozen=True)
class SsdpAnswer:
    """One datagram that came after a search: from where, when, and its bytes as they came.

    ``time`` is CLOCK_MONOTONIC in seconds. ``size`` is the datagram's length in bytes; of one that
    is longer than :data:`MOST_BYTES`, ``raw`` has the beginning.
    """

    sender: IPv4Address
    port: int
    time: float
    size: int
    raw: bytes

    @property
    def problem(self) -> str | None:
        """Why this is no answer to a search, in one line; None where it is one."""
        if self.size > MOST_BYTES:
            return f"an answer of {self.size} bytes, at most {MOST_BYTES} are read"
        if not _STATUS.fullmatch(self._lines()[0]):
            return f"not an answer to a search: {quoted(self._lines()[0], 40)}"
        if b"\0" in self.raw:
            return "an answer with a NUL in it"
        return None

    def header(self, name: str) -> str | None:
        """Return a header's value, of several the first; None where there is none."""
        for line in self._lines()[1:]:
            key, colon, value = line.partition(":")
            if colon and key.strip().lower() == name.lower():
                return value.strip()
        return None

    def location(self, allowed: IPv4Address) -> str:
        """Return the URL of the description, which has to be on ``allowed``.

        Raises:
            IgdError: the datagram is no answer, or names no such URL.
        """
        if self.problem is not None:
            raise IgdError(self.problem)
        named = self.header("LOCATION")
        if named is None:
            raise IgdError("the answer has no LOCATION")
        url.check(named, allowed, "LOCATION")
        return named

    def _lines(self) -> list[str]:
        text = self.raw.decode("latin-1")
        return [line.removesuffix("\r") for line in text.split("\n", _MOST_LINES)[:_MOST_LINES]]
