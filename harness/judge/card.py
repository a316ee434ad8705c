"""The shape of a router's card: what a real router does beyond what the article speaks of.

Each check names its source: RFC 5382 REQ-n, RFC 7857, UPnP IGD, TR-124, RFC 6886, RFC 6887.
"""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum

from harness.judge.record import Record, Seconds


class Level(StrEnum):
    """How strongly the source asks for it (RFC 2119): MUST, SHOULD, or only of interest."""

    REQUIRED = "required"
    RECOMMENDED = "recommended"
    INFORMATIONAL = "informational"


class Outcome(StrEnum):
    """What a check came to."""

    COMPLIANT = "compliant"
    NON_COMPLIANT = "non-compliant"
    NOT_OFFERED = "not offered"
    NOT_TESTED = "not tested"
    ERROR = "error"


class CheckResult(Record):
    """One check: ``detail`` is what was seen, in one line, ``evidence`` the exchange behind it."""

    id: str
    title: str
    source: str
    level: Level
    outcome: Outcome
    detail: str
    seconds: Seconds
    evidence: tuple[str, ...] = ()


class Card(Record):
    """A router's card.

    ``external`` is its WAN address, ``gateway`` its LAN address. ``bundle`` is the folder with the
    capture and the router's own descriptions, relative to the results folder.
    """

    router: str
    model: str
    firmware: str
    claims: str
    gateway: str
    external: str
    started: datetime
    seconds: Seconds
    checks: tuple[CheckResult, ...]
    bundle: str
