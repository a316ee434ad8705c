"""Results made in one line, for tests of whatever reads results."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from io import BytesIO, TextIOWrapper
from typing import Literal

from rich.console import Console

from harness.judge.model import (
    Attempt,
    Control,
    Documented,
    Observed,
    Predicted,
    Results,
    Run,
    ScenarioResult,
    Winner,
)
from harness.judge.verdict import judge, summarize
from harness.kb import Bound, claim_for, load_tables, prose_scenarios
from harness.report.tables import render
from harness.words import Answer, End, Method, Role, Verdict

YesNo = Literal["yes", "no"]


def definite(answer: YesNo) -> Literal[Answer.YES, Answer.NO]:
    """Return the answer as the model's own word."""
    return Answer.YES if answer == "yes" else Answer.NO


def attempt(
    dialler: Role = Role.EXPERT,
    address: str = "80.1.2.3",
    port: int = 3389,
    *,
    end: End = End.TIMEOUT,
    ended_at: str = "novice.nat",
    how: str = "dropped by the forward chain",
    seconds: float = 0.01,
) -> Attempt:
    return Attempt(
        dialler=dialler,
        address=address,
        port=port,
        seconds=seconds,
        end=end,
        ended_at=ended_at,
        how=how,
    )


def observed(answer: YesNo, *attempts: Attempt) -> Observed:
    """Return an observation; without attempts of its own it gets one that fits the answer."""
    if answer == "no":
        return Observed(answer=Answer.NO, winner=None, attempts=attempts or (attempt(),))
    success = attempt(end=End.CONNECTED, ended_at="novice", how="accepted")
    winner = Winner(
        dialler=success.dialler,
        address=success.address,
        port=success.port,
        seconds=success.seconds,
    )
    return Observed(answer=Answer.YES, winner=winner, attempts=attempts or (success,))


def control(*, passed: bool = True, detail: str = "all 3 rules are there") -> Control:
    return Control(name="rules", node="novice.nat", passed=passed, detail=detail)


def predicted(answer: YesNo, why: str = "nothing maps port 3389 to the novice") -> Predicted:
    return Predicted(answer=definite(answer), why=why)


def documented(method: Method, novice: Iterable[str], expert: Iterable[str]) -> Documented | None:
    """Return what the article says of the scenario."""
    claim = claim_for(method, tuple(novice), tuple(expert))
    if claim is None:
        return None
    return Documented(answer=claim.answer, claim=claim.id, source=claim.source)


def scenario(
    method: str,
    novice: str,
    expert: str,
    saw: Observed | None,
    *,
    controls: tuple[Control, ...] = (),
    forecast: Predicted | None = None,
    why: str | None = None,
    seconds: float = 0.11,
    bundle: str | None = None,
) -> ScenarioResult:
    """Return a judged scenario; chains are as on the command line, no observation is an error."""
    chains = [() if chain == "direct" else tuple(chain.split(",")) for chain in (novice, expert)]
    claim = documented(Method(method), *chains)
    if saw is None:
        verdict, reason = Verdict.ERROR, "the expert's node did not start within 5 s"
    else:
        verdict, reason = judge(claim, saw, controls)
    return ScenarioResult(
        id=f"{method}/{novice}+{expert}",
        method=Method(method),
        novice=chains[0],
        expert=chains[1],
        documented=claim,
        predicted=forecast,
        observed=saw,
        controls=controls,
        verdict=verdict,
        why=reason if why is None else why,
        seconds=seconds,
        timing=None,
        bundle=bundle,
    )


def article(*instead: ScenarioResult) -> tuple[ScenarioResult, ...]:
    """Return every scenario of the article's tables, all as documented but the ones given."""
    others = {result.id: result for result in instead}
    as_documented = (
        scenario(
            method,
            ",".join(claim.novice) or "direct",
            ",".join(claim.expert) or "direct",
            observed("yes" if claim.answer is Answer.YES else "no"),
        )
        for table in load_tables()
        for method in table.methods
        for claim in table.claims
    )
    return tuple(others.get(result.id, result) for result in as_documented)


def as_expected(bound: Bound) -> ScenarioResult:
    """Return a result that is what the statement expects."""
    novice, expert = (",".join(chain) or "direct" for chain in (bound.novice, bound.expert))
    saw = observed("yes" if bound.expected is Answer.YES else "no")
    result = scenario(bound.method, novice, expert, saw)
    return result.model_copy(update={"id": bound.id})


def prose(*instead: ScenarioResult, without: tuple[str, ...] = ()) -> list[ScenarioResult]:
    """Return every scenario of tables and prose, all as stated but the ones given."""
    every = {result.id: result for result in (*article(), *map(as_expected, prose_scenarios()))}
    every |= {result.id: result for result in instead}
    return [result for result in every.values() if result.id not in without]


def results(*scenarios: ScenarioResult, seconds: float = 41.23) -> Results:
    return Results(
        run=Run(
            id="20260301-120000-1a2b",
            started=datetime(2026, 3, 1, 12, 0, tzinfo=UTC),
            seconds=seconds,
            runtime="namespaces",
            jobs=4,
            versions={"miniupnpd": "2.3.1"},
            host={"kernel": "6.1.0"},
        ),
        scenarios=scenarios,
        summary=summarize(scenarios),
    )


def rendered(
    *scenarios: ScenarioResult, width: int = 80, notes: Sequence[str] = (), encoding: str = "utf-8"
) -> str:
    """Return what a log of the given width gets to read of these scenarios."""
    file = TextIOWrapper(BytesIO(), encoding=encoding, newline="")
    console = Console(width=width, file=file, force_terminal=False)
    render(results(*scenarios), console, notes)
    file.seek(0)
    return file.read()
