"""What a check is, and how one is carried through: bounded in time, and never another's trouble."""

from __future__ import annotations

import asyncio
import time
import traceback
from collections.abc import Awaitable, Callable, Iterable
from contextlib import AsyncExitStack
from dataclasses import dataclass, field

from harness.gear.rig import Rig
from harness.judge.card import CheckResult, Level, Outcome

DEADLINE = 60.0
"""Seconds that a check has; a slow one says so itself."""


class NotOffered(Exception):
    """The router does not offer what the check is about; the text says what it lacks."""


class NotTested(Exception):
    """The check could not be made here; the text says why."""


@dataclass(frozen=True)
class Finding:
    """What a check saw: whether it is as the source asks, in one line, and the lines behind it."""

    compliant: bool
    detail: str


@dataclass
class Attempt:
    """One check being made: where it stands, what it must undo, and what it notes.

    ``cleanup`` is unwound when the check is over, however it ended: a mapping that a check adds, it
    removes there. ``note`` takes lines of evidence for people: requests, answers, times.
    """

    rig: Rig
    cleanup: AsyncExitStack
    notes: list[str] = field(default_factory=list)

    def note(self, line: str) -> None:
        """Keep a line of evidence."""
        self.notes.append(line)


@dataclass(frozen=True)
class Check:
    """One check of the card.

    ``id`` is stable and lower-case with hyphens; ``source`` names document and section; ``title``
    says in a few words what the router should do. A ``slow`` one takes minutes and is made only
    when asked for; one that only waits is made ``aside``, while others are. ``deadline`` is in
    seconds.
    """

    id: str
    title: str
    source: str
    level: Level
    make: Callable[[Attempt], Awaitable[Finding]]
    slow: bool = False
    aside: bool = False
    deadline: float = DEADLINE


async def make(check: Check, rig: Rig) -> CheckResult:
    """Make one check; whatever it meets is its result."""
    began = time.monotonic()
    attempt = Attempt(rig, AsyncExitStack())
    try:
        async with asyncio.timeout(check.deadline), attempt.cleanup:
            finding = await check.make(attempt)
        outcome = Outcome.COMPLIANT if finding.compliant else Outcome.NON_COMPLIANT
        detail = finding.detail
    except NotOffered as lack:
        outcome, detail = Outcome.NOT_OFFERED, str(lack)
    except NotTested as reason:
        outcome, detail = Outcome.NOT_TESTED, str(reason)
    except TimeoutError:
        outcome, detail = Outcome.ERROR, f"it was not over after {check.deadline:g} s"
    except Exception as error:  # noqa: BLE001 - a defect of one check is no other's, and is told
        outcome, detail = Outcome.ERROR, f"{type(error).__name__}: {error}"
        attempt.note(traceback.format_exc())
    return _result(check, outcome, detail, time.monotonic() - began, attempt.notes)


async def make_all(
    checks: Iterable[Check], rig: Rig, slow: bool, told: Callable[[CheckResult], None]
) -> list[CheckResult]:
    """Make the checks one after the other; a slow one only where slow ones are wanted.

    Those that are made aside begin first and are told last; the results have the checks' order.
    """
    known = tuple(checks)
    results: dict[str, CheckResult] = {}

    def tell(result: CheckResult) -> None:
        results[result.id] = result
        told(result)

    wanted = [check for check in known if slow or not check.slow]
    async with asyncio.TaskGroup() as tasks:
        aside = [tasks.create_task(make(check, rig)) for check in wanted if check.aside]
        for check in known:
            if check not in wanted:
                detail = "it takes minutes: asked for by --slow"
                tell(_result(check, Outcome.NOT_TESTED, detail, 0.0, ()))
            elif not check.aside:
                tell(await make(check, rig))
        for task in asyncio.as_completed(aside):
            tell(await task)
    return [results[check.id] for check in known]


def _result(
    check: Check, outcome: Outcome, detail: str, seconds: float, notes: Iterable[str]
) -> CheckResult:
    return CheckResult(
        id=check.id,
        title=check.title,
        source=check.source,
        level=check.level,
        outcome=outcome,
        detail=" ".join(detail.split()),
        seconds=round(seconds, 3),
        evidence=tuple(notes),
    )
