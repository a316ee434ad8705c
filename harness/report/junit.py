"""JUnit XML for CI: a suite for each method, a case for each scenario."""

from __future__ import annotations

import io
import re
from collections.abc import Iterable, Iterator
from pathlib import Path

from junitparser import Error, Failure, JUnitXml, Properties, Property, TestCase, TestSuite
from junitparser.junitparser import FinalResult

from harness.judge.model import Results, Run, ScenarioResult
from harness.report.files import write_atomically
from harness.report.wording import attempt_line, failed_controls, is_finding, reason
from harness.words import Method, Verdict

# junitparser says that it is typed, and yet leaves some of its functions without types.

# XML 1.0 has no way to write these, not even as a character reference.
_ILLEGAL = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def write_junit(results: Results, path: Path) -> None:
    """Write the results as JUnit XML.

    ``differs`` is a failure; ``invalid`` and ``error`` are errors, for they prove nothing;
    ``agrees`` and ``undocumented`` pass. Every case has its answers as properties, so a pass says
    whether the article had anything to compare with.

    Raises:
        OutputError: the file cannot be written.
    """
    document = JUnitXml("ra-harness")
    for method in Method:
        scenarios = [result for result in results.scenarios if result.method is method]
        if scenarios:
            document.add_testsuite(_suite(results.run, method, scenarios))
    document.update_statistics()
    content = io.BytesIO()
    document.write(content, pretty=True)
    write_atomically(path, content.getvalue())


def _suite(run: Run, method: Method, scenarios: Iterable[ScenarioResult]) -> TestSuite:
    suite = TestSuite(method.value)
    suite.timestamp = run.started.isoformat()
    for name, value in _run_properties(run):
        suite.add_property(_legal(name), _legal(value))
    suite.add_testcases([_case(result) for result in scenarios])
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


def _case(result: ScenarioResult) -> TestCase:
    case = TestCase(_legal(result.id), classname=result.method.value, time=result.seconds)
    properties = Properties()
    for name, value in _answers(result):
        properties.add_property(Property(name, _legal(value)))
    case.append(properties)
    ending = _ending(result)
    if ending is not None:
        case.result = ending
    return case


def _answers(result: ScenarioResult) -> Iterator[tuple[str, str]]:
    yield "verdict", result.verdict.value
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


def _legal(text: str) -> str:
    return _ILLEGAL.sub("", text)
