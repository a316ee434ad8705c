"""Runs against real routers made in one line, for tests of whatever shows their cards."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Final

from factories import YesNo, documented, observed, results, scenario

from harness.judge.card import Card, CheckResult, Level, Outcome
from harness.judge.model import Results, Router, ScenarioResult
from harness.words import Method, Verdict

BEGAN: Final = datetime(2026, 3, 1, 12, 30, tzinfo=UTC)


def router(name: str = "acme", model: str = "X1", firmware: str = "1.0") -> Router:
    return Router(
        name=name,
        model=model,
        firmware=firmware,
        claims="upnp-nat",
        gateway="192.168.178.1/24",
        external="80.100.10.16",
        wan_addressing="dhcp",
    )


def check(
    name: str = "map-conflict",
    outcome: Outcome = Outcome.COMPLIANT,
    level: Level = Level.REQUIRED,
    *,
    title: str = "A taken port is refused",
    source: str = "WANIPConnection:2 2.5.16",
    detail: str = "718 ConflictInMappingEntry",
    evidence: tuple[str, ...] = ("lan: AddPortMapping -> error 718",),
) -> CheckResult:
    return CheckResult(
        id=name,
        title=title,
        source=source,
        level=level,
        outcome=outcome,
        detail=detail,
        seconds=0.25,
        evidence=evidence,
    )


OF_EACH_KIND: Final = (
    check("works"),
    check("advised", Outcome.NON_COMPLIANT, Level.RECOMMENDED, title="Secure mode"),
    check("broken", Outcome.NON_COMPLIANT, title="A lease ends", detail="it stays open"),
    check("absent", Outcome.NOT_OFFERED, detail="it has no IGD:2"),
    check("later", Outcome.NOT_TESTED, Level.INFORMATIONAL, detail="it takes minutes"),
    check("crashed", Outcome.ERROR, detail="it was not over after 60 s"),
)
"""A check of each outcome, out of order: levels mixed, the worst between the others."""


def card(*checks: CheckResult, name: str = "acme", of: Router | None = None) -> Card:
    made = of or router(name)
    return Card(
        router=made.name,
        model=made.model,
        firmware=made.firmware,
        claims=made.claims,
        gateway=made.gateway,
        external=made.external,
        started=BEGAN,
        seconds=15.0,
        checks=checks,
        bundle=f"cards/{made.name}",
    )


def seen(method: str, novice: str, expert: str, answer: YesNo = "yes") -> ScenarioResult:
    """Return a scenario that is held against what the article says of a UPnP router."""
    found = scenario(method, novice, expert, observed(answer))
    chains = (("upnp-nat",) if chain else () for chain in (found.novice, found.expert))
    said = documented(Method(method), *chains)
    verdict = Verdict.AGREES if answer == "yes" else Verdict.DIFFERS
    return found.model_copy(update={"documented": said, "verdict": verdict})


def twelve(name: str = "acme", *instead: ScenarioResult) -> list[ScenarioResult]:
    """Return a router's scenarios, in the order of a run, all as documented but those given."""
    pairs = ((name, "direct"), ("direct", name), (name, "upnp-nat"), ("upnp-nat", name))
    others = {result.id: result for result in instead}
    every = (seen(method, *pair) for pair in pairs for method in ("messenger", "email", "file"))
    return [others.get(result.id, result) for result in every]


def gear(
    *cards: Card, scenarios: list[ScenarioResult] | None = None, routers: tuple[Router, ...] = ()
) -> Results:
    """Return a run against real routers: the one called acme where none is given."""
    made = results(*(twelve() if scenarios is None else scenarios))
    run = made.run.model_copy(update={"runtime": "gear", "routers": routers or (router(),)})
    return made.model_copy(update={"run": run, "cards": cards})
