"""The words every part of the harness shares (docs/words.md has them all)."""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum

DIRECT = "direct"
"""A chain of no devices: the host is on the internet itself."""


def chain_name(chain: Sequence[str]) -> str:
    """Name a chain of devices as scenario ids do: names joined by commas, host outward."""
    return ",".join(chain) or DIRECT


def read_chain(name: str) -> tuple[str, ...]:
    """Return the chain of devices that a name names."""
    return () if name == DIRECT else tuple(name.split(","))


class Method(StrEnum):
    """How the invitation travels (article: MORE INFORMATION)."""

    MESSENGER = "messenger"
    EMAIL = "email"
    FILE = "file"


class Role(StrEnum):
    """The two people: the novice is helped, the expert helps."""

    NOVICE = "novice"
    EXPERT = "expert"


class Answer(StrEnum):
    """Whether the connection works."""

    YES = "yes"
    NO = "no"
    DEPENDS = "depends"


class End(StrEnum):
    """How one attempt to connect ended."""

    CONNECTED = "connected"
    REFUSED = "refused"
    TIMEOUT = "timeout"
    UNREACHABLE = "unreachable"
    WRONG_PEER = "wrong-peer"


class Verdict(StrEnum):
    """The comparison of the documented answer with the observed one."""

    AGREES = "agrees"
    DIFFERS = "differs"
    UNDOCUMENTED = "undocumented"
    INVALID = "invalid"
    ERROR = "error"
