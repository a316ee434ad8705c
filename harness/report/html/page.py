"""Writing the page: what it shows is gathered here, how it looks is in the templates."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib import resources
from pathlib import Path, PurePosixPath
from urllib.parse import quote

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from harness.errors import ExitCode
from harness.judge.model import Results
from harness.judge.verdict import exit_code
from harness.report.files import write_atomically
from harness.report.html.cells import METHODS, STANDINGS, Cell, by_id, cells
from harness.report.html.evidence import Evidence
from harness.report.html.grids import article_tables, grids
from harness.report.html.prose import SIGNS, clashes, gaps, statements
from harness.report.ladder_svg import ladder_svg
from harness.report.summary import summary_line
from harness.report.topology_svg import TOPOLOGY_STYLE, topology_svg
from harness.report.wording import attempt_line, plain

_NOTHING = Evidence()
_HEADLINES = {
    ExitCode.AGREES: ("Agrees", "agrees"),
    ExitCode.DIFFERS: ("Differs", "differs"),
    ExitCode.UNPROVEN: ("Unproven", "invalid"),
}


@dataclass(frozen=True)
class Panel:
    """A scenario's details: drawings are markup, everything else is words."""

    cell: Cell
    topology: Markup | None
    ladders: tuple[Markup, ...]
    attempts: tuple[str, ...]
    evidence: Evidence
    links: tuple[tuple[str, str], ...]


def write_report(
    results: Results,
    evidence: Mapping[str, Evidence],
    path: Path,
    notes: Sequence[str] = (),
) -> None:
    """Write the run as one HTML file that needs no other and no network.

    ``evidence`` is by scenario id; a scenario without any is shown from its result alone. Links
    to a bundle's files are relative to ``path``'s folder, as ``results.json`` has them. ``notes``
    are what the reader must know of the models behind the answers.

    Raises:
        OutputError: the file cannot be written.
    """
    write_atomically(path, page(results, evidence, notes).encode())


def page(results: Results, evidence: Mapping[str, Evidence], notes: Sequence[str] = ()) -> str:
    """Return the page's text."""
    told = cells(results.scenarios)
    found = by_id(told)
    headline, standing = _HEADLINES[exit_code(results.scenarios)]
    order = list(STANDINGS)
    script = _own("script.js")
    # A run of one topology is a question about that topology: a table would be mostly empty.
    several = len({(cell.novice, cell.expert) for cell in told}) > 1
    return (
        _environment()
        .get_template("page.html.j2")
        .render(
            run=results.run,
            headline=headline,
            standing=standing,
            summary=summary_line(results).plain,
            findings=sorted(
                (cell for cell in told if cell.finding),
                key=lambda cell: order.index(cell.standing),
            ),
            tables=list(article_tables(found)) if several else [],
            grids=list(grids(told, found)),
            statements=list(statements(found)) if several else [],
            clashes=list(clashes(found)) if several else [],
            gaps=list(gaps(found)) if several else [],
            cells=told,
            panels=_panels(told, evidence),
            notes=[plain(note) for note in notes],
            standings={key: STANDINGS[key] for key in order if _has(told, key)},
            methods=[METHODS[m] for m in METHODS if any(c.result.method is m for c in told)],
            devices=sorted({name for cell in told for name in cell.devices.split()}),
            signs=SIGNS,
            style=Markup(_own("style.css") + TOPOLOGY_STYLE),
            script=Markup(script),
            script_hash=base64.b64encode(hashlib.sha256(script.encode()).digest()).decode(),
        )
    )


def _panels(told: Sequence[Cell], evidence: Mapping[str, Evidence]) -> Iterator[Panel]:
    for cell in told:
        of_it = evidence.get(cell.result.id, _NOTHING)
        observed = cell.result.observed
        drawn = topology_svg(of_it.topology, observed) if of_it.topology is not None else None
        yield Panel(
            cell,
            # Both drawings escape whatever a device or a file said.
            Markup(drawn) if drawn is not None else None,
            tuple(Markup(ladder_svg(t, a)) for a, t in of_it.journeys),
            tuple(map(attempt_line, observed.attempts)) if observed is not None else (),
            of_it,
            tuple(_links(cell.result.bundle, of_it.files)),
        )


def _links(bundle: str | None, files: Sequence[str]) -> Iterator[tuple[str, str]]:
    """Yield name and address of a bundle's files.

    Both come from files that anybody may have written. Quoted and behind ``./`` an address is
    a path whatever it holds, and one that leads out of the folder is left out.
    """
    if bundle is None:
        return
    for name in files:
        path = PurePosixPath(bundle) / name
        if ".." not in path.parts and not path.is_absolute():
            yield plain(name), f"./{quote(str(path), safe='/+,')}"


def _has(told: Sequence[Cell], standing: str) -> bool:
    return any(cell.standing == standing for cell in told)


def _own(name: str) -> str:
    return resources.files("harness.report.html").joinpath(name).read_text(encoding="utf-8")


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("harness.report.html", ""),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["plain"] = plain
    return environment
