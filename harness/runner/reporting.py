"""The report of a results folder: gathers from its bundles what the page shows of them."""

from __future__ import annotations

import html
import json
import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path, PurePosixPath
from typing import Any

from harness.errors import DefinitionError
from harness.judge.card import Card
from harness.judge.model import Attempt, Results, ScenarioResult
from harness.judge.trace import Trace
from harness.report.html import Evidence, write_report
from harness.runner.bundle import TRANSCRIPT, VERDICT, Bundle, unpack
from harness.runner.evidence import INVITATIONS
from harness.runner.ladders import journeys_of
from harness.runner.results_folder import REPORT
from harness.words import Role

_FRIENDLY_NAME = re.compile(r"<friendlyName>([^<]{1,200})</friendlyName>")
_TOLD = "upnp answer"


def report(results: Results, folder: Path) -> Path:
    """Write a results folder's ``report.html``; return its path.

    Raises:
        OutputError: it cannot be written.
    """
    evidence, notes = gather(results, folder)
    path = folder / REPORT
    write_report(results, evidence, path, notes, card_files(results.cards, folder))
    return path


def gather(results: Results, folder: Path) -> tuple[dict[str, Evidence], list[str]]:
    """Return each scenario's evidence by id, and the notes of the devices that were used.

    A scenario whose bundle is not there, or is none, is shown by its result alone.
    """
    found, notes = {}, dict[str, str]()
    for result in results.scenarios:
        bundle = _bundle(folder, result)
        if bundle is None:
            continue
        found[result.id] = _evidence(bundle)
        for device in bundle.definition.topology.devices:
            if device.note:
                notes[device.name] = f"{device.name}: {device.note}"
    return found, list(notes.values())


def card_files(cards: Iterable[Card], folder: Path) -> dict[str, tuple[str, ...]]:
    """Return the names of the files in each card's folder, by that folder's path in the results.

    A folder that is not there, or not within the results, has none.
    """
    found = {}
    for card in cards:
        place = _inside(folder, card.bundle)
        if place is None or not place.is_dir():
            continue
        files = (path for path in place.iterdir() if path.is_file())
        found[card.bundle] = tuple(sorted(path.name for path in files))
    return found


def _bundle(folder: Path, result: ScenarioResult) -> Bundle | None:
    place = None if result.bundle is None else _inside(folder, result.bundle)
    try:
        return None if place is None else unpack(place)
    except DefinitionError:
        return None


def _inside(folder: Path, path: str) -> Path | None:
    """Return what a results file calls a path within its folder; None where it leads out of it."""
    place = PurePosixPath(path)
    return None if place.is_absolute() or ".." in place.parts else folder / place


def _evidence(bundle: Bundle) -> Evidence:
    made: tuple[tuple[Attempt, Trace], ...] = ()
    missing = ""
    try:
        made = tuple(journeys_of(bundle))
    except DefinitionError as error:
        missing = str(error)
    return Evidence(
        topology=bundle.definition.topology,
        journeys=made,
        no_journeys=missing,
        invitation=bundle.files.get(INVITATIONS[Role.NOVICE], b"").decode("latin-1"),
        files=(*bundle.files, VERDICT),
        devices_said=tuple(dict.fromkeys(_names(bundle))),
    )


def _names(bundle: Bundle) -> Iterator[tuple[str, str]]:
    """Yield what gateways call themselves in their UPnP descriptions, by node.

    A description's first name is the gateway's own, the others are of the devices within it.
    """
    for content in bundle.files.get(TRANSCRIPT, b"").splitlines():
        line = _read(content)
        if line.get("event") == _TOLD:
            name = _FRIENDLY_NAME.search(str(line.get("text")))
            if name is not None:
                yield str(line.get("node")), html.unescape(name[1])


def _read(content: bytes) -> Mapping[str, Any]:
    try:
        line = json.loads(content)
    except (ValueError, RecursionError):
        return {}
    return line if isinstance(line, dict) else {}
