"""Writing the page: what it shows is gathered here, how it looks is in the templates."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Final

from markupsafe import Markup

from harness.judge.model import Control, Observed, Results
from harness.report.cards import NO_VERDICT
from harness.report.files import write_atomically
from harness.report.gear_rows import reference_line
from harness.report.html.cells import METHODS, STANDINGS, Cell, by_id, cells
from harness.report.html.evidence import NOTHING, Evidence
from harness.report.html.findings import Findings, findings
from harness.report.html.gear import RouterTable, cards, router_tables
from harness.report.html.grids import article_tables, grids
from harness.report.html.headline import headline
from harness.report.html.links import links
from harness.report.html.prose import SIGNS, Run
from harness.report.html.templates import own, rendered
from harness.report.ladder_svg import LADDER_STYLE, ladder_element
from harness.report.topology_svg import TOPOLOGY_STYLE, topology_svg
from harness.report.wording import attempt_line, endpoint, plain

MOST_PRINTED: Final = 10
"""Of so many findings the details are printed with the page, two sheets each; the rest is told."""

_NO_FILES: Final[Mapping[str, Sequence[str]]] = MappingProxyType({})


@dataclass(frozen=True)
class Ladder:
    """The drawing of an attempt; ``decided`` tells that this attempt settled the scenario."""

    drawing: Markup
    decided: bool


@dataclass(frozen=True)
class Panel:
    """A scenario's details: drawings are markup, everything else is words.

    ``reached`` says who reached whom, empty where nobody did; ``told`` what gateways told the hosts
    of mappings. ``attempts`` are in words, each with whether it settled the scenario. ``controls``
    are by name. ``printed`` tells that it is printed with the page.
    """

    cell: Cell
    reached: str
    told: tuple[str, ...]
    topology: Markup | None
    ladders: tuple[Ladder, ...]
    attempts: tuple[tuple[str, bool], ...]
    controls: tuple[tuple[str, tuple[Control, ...]], ...]
    evidence: Evidence
    links: tuple[tuple[str, str], ...]
    printed: bool


def write_report(
    results: Results,
    evidence: Mapping[str, Evidence],
    path: Path,
    notes: Sequence[str] = (),
    card_files: Mapping[str, Sequence[str]] = _NO_FILES,
) -> None:
    """Write the run as one HTML file that needs no other and no network.

    ``evidence`` is by scenario id; a scenario without any is shown from its result alone. Links
    to a bundle's files are relative to ``path``'s folder, as ``results.json`` has them. ``notes``
    are what the reader must know of the models behind the answers. ``card_files`` are the names of
    the files in the folders of routers' cards, by folder as ``results.json`` has it.

    Raises:
        OutputError: the file cannot be written.
    """
    write_atomically(path, page(results, evidence, notes, card_files).encode())


def page(
    results: Results,
    evidence: Mapping[str, Evidence],
    notes: Sequence[str] = (),
    card_files: Mapping[str, Sequence[str]] = _NO_FILES,
) -> str:
    """Return the page's text."""
    told = cells(results.scenarios, evidence)
    found = by_id(told)
    prose = Run(results.scenarios, found)
    script = own("script.js")
    bad = findings(told)
    # A run of one topology is a question about that topology: a table would be mostly empty.
    several = len({(cell.novice, cell.expert) for cell in told}) > 1
    routers = router_tables(results, found)
    statements = list(prose.statements()) if several else []
    parts: dict[str, list[object]] = {
        "routers": list(routers),
        "cells": list(told),
        "cards": list(cards(results.cards, card_files)),
        # Of a run against real routers their own tables say it all.
        "grids": [] if routers else list(grids(results.scenarios, found)),
        "tables": list(article_tables(found)) if several else [],
        "statements": list(statements),
        "clashes": list(prose.clashes()) if several else [],
        "gaps": list(prose.gaps()) if several else [],
    }
    return rendered(
        "page.html.j2",
        run=results.run,
        headline=headline(results.scenarios, statements),
        findings=bad,
        contents=list(_contents(bad, routers, parts)),
        **parts,
        no_verdict=NO_VERDICT,
        reference=reference_line(results.run.routers, results.scenarios),
        panels=_panels(told, evidence, bad),
        unprinted=max(len(bad.each) - MOST_PRINTED, 0),
        notes=[plain(note) for note in notes],
        standings={
            key: each for key, each in STANDINGS.items() if any(c.standing == key for c in told)
        },
        every_method=list(METHODS.values()),
        methods=[METHODS[m] for m in METHODS if any(c.result.method is m for c in told)],
        devices=sorted({name for cell in told for name in cell.devices.split()}),
        signs=SIGNS,
        style=own("style.css") + Markup(TOPOLOGY_STYLE + LADDER_STYLE),
        script=script,
        script_hash=base64.b64encode(hashlib.sha256(script.encode()).digest()).decode(),
    )


def _contents(
    bad: Findings, routers: Sequence[RouterTable], parts: Mapping[str, Sequence[object]]
) -> Iterator[tuple[str, str]]:
    """Yield the id and the name of each part that the page has."""
    if bad.each:
        yield "findings", bad.title
    if any(router.rows for router in routers):
        yield "router-1", "The article's scenarios"
    for part, anchor, words in (
        ("cards", "cards", "Cards" if len(parts["cards"]) > 1 else "Card"),
        ("grids", "grid-1", "Every pair"),
        ("tables", "table-1", "The article's tables"),
        ("statements", "prose", "Its words"),
        ("clashes", "clashes", "Contradictions"),
        ("gaps", "gaps", "What it leaves open"),
        ("cells", "all", "All scenarios"),
    ):
        if parts[part]:
            yield anchor, words
    yield "run", "This run"


def _panels(
    told: Sequence[Cell], evidence: Mapping[str, Evidence], bad: Findings
) -> Iterator[Panel]:
    printed = {finding.cell.anchor for finding in bad.each[:MOST_PRINTED]}
    for cell in told:
        of_it = evidence.get(cell.result.id, NOTHING)
        observed = cell.result.observed
        drawn = None
        if of_it.topology is not None:
            drawn = topology_svg(of_it.topology, observed, cell.cause)
        yield Panel(
            cell,
            _reached(observed),
            tuple(map(plain, observed.told)) if observed is not None else (),
            # Both drawings escape whatever a device or a file said.
            Markup(drawn) if drawn is not None else None,
            tuple(
                Ladder(Markup(ladder_element(t, a)), cell.cause.is_of(a)) for a, t in of_it.journeys
            ),
            tuple((attempt_line(a), cell.cause.is_of(a)) for a in observed.attempts)
            if observed is not None
            else (),
            tuple(_by_name(cell.result.controls)),
            of_it,
            tuple(links(cell.result.bundle, of_it.files)),
            cell.anchor in printed,
        )


def _reached(observed: Observed | None) -> str:
    """Say in the words of the model who reached whom."""
    winner = observed.winner if observed is not None else None
    if winner is None:
        return ""
    return f"the {winner.dialler} reached {endpoint(winner.address, winner.port)}"


def _by_name(controls: Sequence[Control]) -> Iterator[tuple[str, tuple[Control, ...]]]:
    names: dict[str, list[Control]] = {}
    for control in controls:
        names.setdefault(control.name, []).append(control)
    for name, members in names.items():
        yield name, tuple(members)
