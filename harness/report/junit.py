"""JUnit XML for CI: a suite for each part of the article and for each router's card."""

from __future__ import annotations

import io
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from types import MappingProxyType
from typing import Final

from junitparser import (
    Error,
    Failure,
    JUnitXml,
    Properties,
    Property,
    Skipped,
    TestCase,
    TestSuite,
)
from junitparser.junitparser import FinalResult

from harness.judge.card import Card, CheckResult, Outcome
from harness.judge.model import Results, Run, ScenarioResult
from harness.kb import load_prose, load_tables, prose_scenarios
from harness.report.cards import evidence_lines
from harness.report.files import write_atomically
from harness.report.wording import attempt_line, failed_controls, is_finding, plain, reason
from harness.words import Verdict

# junitparser says that it is typed, and yet leaves some of its functions without types.

# XML 1.0 has no way to write these, not even as a character reference.
_ILLEGAL: Final = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")

_NO_LADDERS: Final[Mapping[str, str]] = MappingProxyType({})


@dataclass(frozen=True)
class Part:
    """The scenarios of one part of the article: one of its tables, its prose, or none of these."""

    name: str
    scenarios: tuple[ScenarioResult, ...]


def parts(scenarios: Iterable[ScenarioResult]) -> tuple[Part, ...]:
    """Sort scenarios into the article's parts; each is in one, a part without any is left out.

    A scenario of a table's cell belongs there, though the prose may speak of it as well.
    """
    names = {
        claim.id: f"Table {number}: {table.section}"
        for number, table in enumerate(load_tables(), start=1)
        for claim in table.claims
    }
    prose, other = "Prose", "Other scenarios"
    names |= {statement.id: prose for statement in load_prose()}
    bound = {each.id for each in prose_scenarios()}
    found: dict[str, list[ScenarioResult]] = {name: [] for name in [*names.values(), prose, other]}
    for result in scenarios:
        claim = result.documented.claim if result.documented is not None else ""
        found[names.get(claim, prose if result.id in bound else other)].append(result)
    return tuple(Part(name, tuple(members)) for name, members in found.items() if members)


def write_junit(results: Results, path: Path, ladders: Mapping[str, str] = _NO_LADDERS) -> None:
    """Write the results as JUnit XML.

    ``differs`` is a failure; ``invalid`` and ``error`` are errors, for they prove nothing;
    ``agrees`` and ``undocumented`` pass. Every case has its answers as properties, so a pass says
    whether the article had anything to compare with, and its attempts as output. ``ladders`` has
    drawings of attempts, as plain text, by the scenario's id; they follow the attempts.

    A check of a card that is not compliant passes, as the run's exit code is of the article's
    scenarios alone; its properties and its output say what it came to. One that could not be
    carried through is an error, one that was not made or has nothing to be made on is skipped.

    Raises:
        OutputError: the file cannot be written.
    """
    document = JUnitXml("ra-harness")
    for part in parts(results.scenarios):
        document.add_testsuite(_suite(results.run, part, ladders))
    for card in filter(lambda each: each.checks, results.cards):
        document.add_testsuite(_card_suite(results.run, card))
    document.update_statistics()
    content = io.BytesIO()
    document.write(content, pretty=True)
    write_atomically(path, content.getvalue())


def _suite(run: Run, part: Part, ladders: Mapping[str, str]) -> TestSuite:
    cases = [_case(result, part.name, ladders.get(result.id, "")) for result in part.scenarios]
    return _made_suite(part.name, run.started, _run_properties(run), cases)


def _made_suite(
    name: str, started: datetime, properties: Iterable[tuple[str, str]], cases: Iterable[TestCase]
) -> TestSuite:
    suite = TestSuite(_legal(name))
    # UTC without saying so and without fractions: what Ant writes, and every reader takes.
    suite.timestamp = started.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S")
    for key, value in properties:
        suite.add_property(_legal(key), _legal(value))
    suite.add_testcases(list(cases))
    return suite


def _run_properties(run: Run) -> Iterator[tuple[str, str]]:
    """Say what was tested and on what, so that a red case can be reproduced from its XML alone."""
    yield "run", run.id
    yield "runtime", run.runtime
    yield "jobs", str(run.jobs)
    for name, version in run.versions.items():
        yield f"version.{name}", version
    for name, detail in run.host.items():
        yield f"host.{name}", detail
    for router in run.routers:
        yield f"router.{router.name}.model", router.model
        yield f"router.{router.name}.firmware", router.firmware
        yield f"router.{router.name}.claims", router.claims


def _case(result: ScenarioResult, part: str, ladder: str) -> TestCase:
    output = "\n".join(_output(result, ladder))
    return _made_case(result.id, part, result.seconds, _answers(result), _ending(result), output)


def _made_case(
    name: str,
    suite: str,
    seconds: float,
    properties: Iterable[tuple[str, str]],
    ending: FinalResult | None,
    output: str,
) -> TestCase:
    # Jenkins groups by what stands before the last dot, GitLab shows the whole as the suite.
    group = _legal(f"ra-harness.{suite}")
    case = TestCase(_legal(name), classname=group, time=round(seconds, 3))
    told = Properties()
    for key, value in properties:
        told.add_property(Property(key, _legal(value)))
    case.append(told)
    if ending is not None:
        case.result = ending
    if output:
        case.system_out = _legal(output)
    return case


def _output(result: ScenarioResult, ladder: str) -> Iterator[str]:
    """Yield the attempts, a line for each, and the drawing that there is of them."""
    if result.observed is not None:
        yield from map(attempt_line, result.observed.attempts)
    if ladder:
        yield f"\n{ladder}"


def _answers(result: ScenarioResult) -> Iterator[tuple[str, str]]:
    yield "verdict", result.verdict.value
    yield "method", result.method.value
    if result.documented is not None:
        yield "documented", result.documented.answer.value
        yield "claim", result.documented.claim
    if result.predicted is not None:
        yield "predicted", result.predicted.answer.value
    if result.observed is not None:
        yield "observed", result.observed.answer.value
    if result.bundle is not None:
        yield "bundle", result.bundle


def _ending(result: ScenarioResult) -> FinalResult | None:
    """Make the failure or error of a case; its text is the evidence, a line for each piece."""
    if not is_finding(result):
        return None
    kind = Error if result.verdict in (Verdict.INVALID, Verdict.ERROR) else Failure
    ending = kind(reason(result), result.verdict.value)
    attempts = result.observed.attempts if result.observed is not None else ()
    evidence = [
        *(f"failed control: {line}" for line in failed_controls(result)),
        *(attempt_line(attempt) for attempt in attempts),
    ]
    ending.text = "\n".join(evidence)
    return ending


def _card_suite(run: Run, card: Card) -> TestSuite:
    name = f"Card of {card.router}"
    cases = (_check_case(check, name, card) for check in card.checks)
    return _made_suite(name, card.started, _card_properties(run, card), cases)


def _card_properties(run: Run, card: Card) -> Iterator[tuple[str, str]]:
    yield "model", card.model
    yield "firmware", card.firmware
    yield "claims", card.claims
    yield "gateway", card.gateway
    yield "external", card.external
    yield "bundle", card.bundle
    yield from _run_properties(run)


def _check_case(check: CheckResult, suite: str, card: Card) -> TestCase:
    properties = (
        ("outcome", check.outcome.value),
        ("level", check.level.value),
        ("source", check.source),
        ("title", check.title),
        ("bundle", card.bundle),
    )
    said = (f"{check.outcome}: {plain(check.title)}", plain(check.detail))
    output = "\n".join((*said, *evidence_lines(check)))
    return _made_case(check.id, suite, check.seconds, properties, _check_ending(check), output)


def _check_ending(check: CheckResult) -> FinalResult | None:
    """Make the error of a check that proves nothing, and the reason of one that was passed over."""
    if check.outcome is Outcome.ERROR:
        return Error(_legal(check.detail), check.outcome.value)
    if check.outcome in (Outcome.NOT_OFFERED, Outcome.NOT_TESTED):
        return Skipped(_legal(f"{check.outcome}: {check.detail}"))
    return None


def _legal(text: str) -> str:
    return _ILLEGAL.sub("", text)
