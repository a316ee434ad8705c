"""The words and the order of routers and their cards: every kind of report shares them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from typing import Final

from harness.judge.card import Card, CheckResult, Level, Outcome
from harness.judge.model import Router
from harness.report.wording import plain

NO_VERDICT: Final = (
    "a card is what a router does beyond what the article speaks of: "
    "no check of it changes the verdict"
)
"""What a reader must know of cards, once in each report."""

SIGNS: Final[Mapping[Outcome, str]] = {
    Outcome.NON_COMPLIANT: "\N{BALLOT X}",
    Outcome.ERROR: "!",
    Outcome.COMPLIANT: "\N{CHECK MARK}",
    Outcome.NOT_OFFERED: "\N{WHITE CIRCLE}",
    Outcome.NOT_TESTED: "\N{EN DASH}",
}
"""Each outcome in one character, for who does not see its colour; in the order of interest."""

_ADDRESSING: Final = {"dhcp": "by DHCP", "static": "set by hand"}


def claim_line(router: Router) -> str:
    """Say what a router is, and what its maker claims that it is."""
    return f"{about(router)}; its maker claims {plain(router.claims)}"


def about(thing: Router | Card) -> str:
    """Say which model and firmware it is."""
    return f"{plain(thing.model)}, firmware {plain(thing.firmware)}"


def addresses_line(router: Router) -> str:
    """Say which addresses a router has, and how it got the one on its WAN."""
    how = _ADDRESSING.get(router.wan_addressing, plain(router.wan_addressing))
    return f"LAN {plain(router.gateway)}, WAN {plain(router.external)} {how}"


def tally(checks: Iterable[CheckResult]) -> str:
    """Say how many checks came to what."""
    counts = Counter(check.outcome for check in checks)
    told = [f"{counts[outcome]} {outcome}" for outcome in Outcome if counts[outcome]]
    return ", ".join(told) or "no check was made"


def violations_line(checks: Iterable[CheckResult]) -> str:
    """Say how many checks of what sources demand were not compliant; nothing where none was."""
    count = sum(map(is_violation, checks))
    if not count:
        return ""
    return f"{count} required check{' is' if count == 1 else 's are'} non-compliant"


def by_level(checks: Iterable[CheckResult]) -> Iterator[tuple[Level, list[CheckResult]]]:
    """Yield each level that has checks: what sources demand first, in it the worst first."""
    ordered = sorted(checks, key=lambda check: list(SIGNS).index(check.outcome))
    for level in Level:
        members = [check for check in ordered if check.level is level]
        if members:
            yield level, members


def amiss(checks: Iterable[CheckResult]) -> Iterator[CheckResult]:
    """Yield what a reader has to know, in the same order: not compliant, or not carried through."""
    for _, members in by_level(checks):
        for check in members:
            if check.outcome in (Outcome.NON_COMPLIANT, Outcome.ERROR):
                yield check


def evidence_lines(check: CheckResult) -> Iterator[str]:
    """Yield the exchange behind a check; a traceback is several lines."""
    for entry in check.evidence:
        yield from map(plain, entry.splitlines())


def is_violation(check: CheckResult) -> bool:
    """Say whether a router does not do what a source says that it must."""
    return check.level is Level.REQUIRED and check.outcome is Outcome.NON_COMPLIANT
