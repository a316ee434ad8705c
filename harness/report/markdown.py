"""A run's summary in Markdown, for a CI job's page and for merge requests."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import Final

from harness.errors import ExitCode
from harness.judge.card import Card, Outcome
from harness.judge.model import Results, Router, Run, ScenarioResult
from harness.judge.verdict import contradicts_prediction, exit_code
from harness.kb import Claim, Table, load_tables
from harness.report.cards import NO_VERDICT, about, addresses_line, by_level, is_violation, tally
from harness.report.files import write_atomically
from harness.report.gear_rows import reference_line, rows
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
# article's tables and counts take 5 kB at most.
_FINDINGS_BYTES: Final = 50_000
_CARD_BYTES: Final = 10_000
_LONGEST: Final = 600
_MOST_VERSIONS: Final = 40

# A bench has two routers at most, and each stands in six places.
_MOST_ROUTERS: Final = 2
_MOST_ROWS: Final = 6
_NAME: Final = 40

_Key = tuple[str, Method]
_Found = Mapping[_Key, ScenarioResult]


def write_markdown(results: Results, path: Path) -> None:
    """Write the summary as UTF-8 Markdown of less than 100 kB.

    Raises:
        OutputError: the file cannot be written.
    """
    write_atomically(path, markdown(results).encode())


def markdown(results: Results) -> str:
    """Return the summary: the verdict, what is amiss and why, the tables, counts, versions.

    Of a run against real routers the tables are theirs, and each has its card.
    """
    routers = results.run.routers[:_MOST_ROUTERS]
    blocks = [
        f"## {_headline(results)}",
        "\n".join(_findings(results.scenarios)),
        *(_router(router, results.scenarios) for router in routers),
        _reference(results),
        *(_card(card) for card in results.cards[:_MOST_ROUTERS]),
        *(() if routers else _tables(results.scenarios)),
        "\n".join(_counts(results.scenarios)),
        "\n".join(_versions(results.run)),
    ]
    return "\n\n".join(block for block in blocks if block) + "\n"


def _headline(results: Results) -> str:
    if not results.scenarios:
        return f"{SIGNS[Verdict.UNDOCUMENTED]} No scenario was run"
    return f"{_HEADLINES[exit_code(results.scenarios)]}: {summary_line(results).plain}"


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
    lines = [f"- {_said(result)} {code(result.id)}: {code(reason(result))}" for result in findings]
    yield from _fitting(lines, _FINDINGS_BYTES)


def _fitting(lines: Sequence[str], room: int) -> Iterator[str]:
    """Yield the lines that there is room for, in characters, and how many more there are."""
    for number, line in enumerate(lines):
        room -= len(line)
        if room < 0:
            yield f"- and {len(lines) - number} more: `results.json` has them all"
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
        lines.append(_saw(names[method], result))
    return "<br>".join(lines)


def _router(router: Router, scenarios: Iterable[ScenarioResult]) -> str:
    """Return what a router is, and the article's column for it."""
    lines = [
        f"### Router {code(router.name, _NAME)}\n",
        f"{code(about(router), 250)}; its maker claims {code(router.claims, _NAME)}; "
        f"{code(addresses_line(router), 200)}\n",
    ]
    members = rows(router.name, scenarios)[:_MOST_ROWS]
    if members:
        lines += [_row(["", *Method]), _row(["---"] * (len(Method) + 1))]
    for row in members:
        stand = f"novice {code(row.novice, _NAME)}, expert {code(row.expert, _NAME)}"
        cells = (_seen(row.results.get(method)) for method in Method)
        lines.append(_row([f"**{row.behind}**<br>{_celled(stand)}", *cells]))
    return "\n".join(lines)


def _reference(results: Results) -> str:
    line = reference_line(results.run.routers, results.scenarios)
    return code(line) if line else ""


def _seen(result: ScenarioResult | None) -> str:
    if result is None:
        return "not run"
    says = "nothing" if result.documented is None else result.documented.answer.capitalize()
    return f"says {says}<br>{_saw('saw', result)}"


def _saw(name: str, result: ScenarioResult) -> str:
    saw = result.observed.answer.value.capitalize() if result.observed is not None else "-"
    return f"{name} {saw}: {SIGNS[result.verdict]} {result.verdict}"


def _card(card: Card) -> str:
    """Return what a card came to by level, and what the router does though it must not."""
    lines = [
        f"### Card of {code(card.router, _NAME)}\n",
        f"{tally(card.checks)}; {NO_VERDICT}\n",
        _row(["", *Outcome]),
        _row(["---", *["---:"] * len(Outcome)]),
    ]
    for level, checks in by_level(card.checks):
        counts = Counter(check.outcome for check in checks)
        lines.append(_row([level, *(str(counts[outcome]) for outcome in Outcome)]))
    violations = [
        f"- {SIGNS[Verdict.DIFFERS]} **{check.level}, {check.outcome}** {code(check.title)} "
        f"({code(check.source, 200)}): {code(check.detail)}"
        for check in card.checks
        if is_violation(check)
    ]
    if violations:
        lines += ["", *_fitting(violations, _CARD_BYTES)]
    return "\n".join(lines)


def _celled(text: str) -> str:
    """Return Markdown for a cell of a table, whose bars are none of the table's."""
    return text.replace("|", r"\|")


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
    facts = {
        "run": run.id,
        "runtime": run.runtime,
        "jobs": str(run.jobs),
        **run.versions,
        **run.host,
    }
    for name, value in islice(facts.items(), _MOST_VERSIONS):
        yield f"- {code(name, 80)} {code(value, 200)}"


def _row(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cells)} |"
