"""A run's summary in Markdown, for a CI job's page and for merge requests."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import Final

from harness.errors import ExitCode
from harness.judge.model import Results, Run, ScenarioResult
from harness.judge.verdict import contradicts_prediction, exit_code
from harness.kb import Claim, Table, load_tables
from harness.report.files import write_atomically
from harness.report.junit import parts
from harness.report.summary import summary_line
from harness.report.wording import FINDINGS, is_finding, plain, reason
from harness.words import Method, Verdict

SIGNS: Final[Mapping[Verdict, str]] = {
    Verdict.AGREES: "✅",
    Verdict.DIFFERS: "❌",
    Verdict.UNDOCUMENTED: "⚪",
    Verdict.INVALID: "⚠️",
    Verdict.ERROR: "💥",
}

_HEADLINES: Final = {
    ExitCode.AGREES: f"{SIGNS[Verdict.AGREES]} As documented",
    ExitCode.DIFFERS: f"{SIGNS[Verdict.DIFFERS]} Not as documented or predicted",
    ExitCode.UNPROVEN: f"{SIGNS[Verdict.INVALID]} Not proven",
}
_NICKNAMES: Final = {Method.FILE: "file", Method.EMAIL: "mail", Method.MESSENGER: "saw"}

# What a file that somebody else wrote may make of a summary, which is to stay below 100 kB: the
# tables and counts take 5 kB at most.
_FINDINGS_BYTES: Final = 60_000
_LONGEST: Final = 600
_MOST_VERSIONS: Final = 40

_Key = tuple[str, Method]
_Found = Mapping[_Key, ScenarioResult]


def write_markdown(results: Results, path: Path) -> None:
    """Write the summary as UTF-8 Markdown of less than 100 kB.

    Raises:
        OutputError: the file cannot be written.
    """
    write_atomically(path, markdown(results).encode())


def markdown(results: Results) -> str:
    """Return the summary: the verdict, what is amiss and why, the tables, counts, versions."""
    blocks = [
        f"## {_HEADLINES[exit_code(results.scenarios)]}: {summary_line(results).plain}",
        "\n".join(_findings(results.scenarios)),
        *_tables(results.scenarios),
        "\n".join(_counts(results.scenarios)),
        "\n".join(_versions(results.run)),
    ]
    return "\n\n".join(block for block in blocks if block) + "\n"


def code(text: str, longest: int = _LONGEST) -> str:
    """Return any text as a Markdown code span: it shows as it is, and does nothing.

    In a code span there is no HTML, link, mention or emphasis. Characters that are not printable
    ASCII become escapes, and what is longer than ``longest`` characters is cut, with ``...``.
    """
    shown = plain(text)
    if len(shown) > longest:
        shown = f"{shown[: longest - 3]}..."
    fence = "`" * (max(map(len, re.findall("`+", shown)), default=0) + 1)
    # A space on either side is the fence's own; without, a backtick would become part of it.
    return f"{fence} {shown} {fence}" if shown.strip() else "(empty)"


def _findings(scenarios: Iterable[ScenarioResult]) -> Iterator[str]:
    """Yield a list of what somebody has to look at, the gravest first, as far as there is room."""
    order = [*FINDINGS, *Verdict]
    findings = sorted(filter(is_finding, scenarios), key=lambda each: order.index(each.verdict))
    room = _FINDINGS_BYTES
    for number, result in enumerate(findings):
        line = f"- {_said(result)} {code(result.id)}: {code(reason(result))}"
        room -= len(line)
        if room < 0:
            yield f"- and {len(findings) - number} more: `results.json` has them all"
            return
        yield line


def _said(result: ScenarioResult) -> str:
    if result.verdict not in FINDINGS:
        return f"{SIGNS[Verdict.DIFFERS]} **not as predicted**"
    return f"{SIGNS[result.verdict]} **{result.verdict}**"


def _tables(scenarios: Iterable[ScenarioResult]) -> Iterator[str]:
    """Yield the article's tables that have at least one cell with a result."""
    found: dict[_Key, ScenarioResult] = {}
    for result in scenarios:
        if result.documented is not None:
            found.setdefault((result.documented.claim, result.method), result)
    for number, table in enumerate(load_tables(), start=1):
        if any((claim.id, method) in found for claim in table.claims for method in claim.methods):
            yield f"### Table {number}: {table.section}\n\n" + "\n".join(_table(table, found))


def _table(table: Table, found: _Found) -> Iterator[str]:
    yield _row(["", *table.columns])
    yield _row(["---"] * (len(table.columns) + 1))
    for row in table.rows:
        cells = (_cell(table.cell(row, column), found) for column in table.columns)
        yield _row([f"**{row}**", *cells])


def _cell(claim: Claim, found: _Found) -> str:
    """Say what the article says, and by each method what was seen and what that comes to."""
    lines = [f"says {claim.answer.value.capitalize()}"]
    names = _NICKNAMES if len(claim.methods) > 1 else dict.fromkeys(claim.methods, "saw")
    for method in claim.methods:
        result = found.get((claim.id, method))
        if result is None:
            lines.append(f"{names[method]}: not run")
            continue
        saw = result.observed.answer.value.capitalize() if result.observed is not None else "-"
        lines.append(f"{names[method]} {saw}: {SIGNS[result.verdict]} {result.verdict}")
    return "<br>".join(lines)


def _counts(scenarios: Sequence[ScenarioResult]) -> Iterator[str]:
    if not scenarios:
        return
    yield "### Scenarios\n"
    yield _row(["", *(f"{sign} {verdict}" for verdict, sign in SIGNS.items()), "as predicted"])
    yield _row(["---", *["---:"] * (len(SIGNS) + 1)])
    for part in parts(scenarios):
        yield _count(part.name, part.scenarios)
    yield _count("**all**", scenarios)


def _count(name: str, scenarios: Sequence[ScenarioResult]) -> str:
    counts = Counter(result.verdict for result in scenarios)
    foretold = [each for each in scenarios if each.predicted is not None and each.observed]
    right = sum(not contradicts_prediction(result) for result in foretold)
    return _row([name, *(str(counts[verdict]) for verdict in SIGNS), f"{right} of {len(foretold)}"])


def _versions(run: Run) -> Iterator[str]:
    yield "### What was run\n"
    about = {
        "run": run.id,
        "runtime": run.runtime,
        "jobs": str(run.jobs),
        **run.versions,
        **run.host,
    }
    for name, value in islice(about.items(), _MOST_VERSIONS):
        yield f"- {code(name, 80)} {code(value, 200)}"


def _row(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cells)} |"
