"""What a shell may complete: chains of devices, nodes and labs that are up, bundles.

A completion never complains: where nothing can be read there is nothing to offer.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING

import click
from click.shell_completion import CompletionItem

from harness.errors import HarnessError
from harness.words import DIRECT

if TYPE_CHECKING:
    from harness.runner.labs import LabEntry

# A results folder has the first; a bundle, two levels below the second, has the third.
_RESULTS = "results.json"
_BUNDLES = "scenarios"
_VERDICT = "verdict.json"

_SEPARATOR = ","


def chains(context: click.Context, _: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Offer a chain's next device, each that is not yet in it; 'direct' stands alone."""
    names = _devices(context.params.get("topologies"))
    return _next_of([*names, DIRECT] if _SEPARATOR not in incomplete else names, incomplete)


def sides(context: click.Context, _: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Offer the next of a list of devices and 'direct', each that is not yet in it."""
    return _next_of([*_devices(context.params.get("topologies")), DIRECT], incomplete)


def nodes_up(context: click.Context, _: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Offer the nodes of the labs that are up."""
    wanted = context.params.get("wanted")
    labs = [lab for lab in _labs_up() if wanted in (None, lab.id)]
    names = dict.fromkeys(node.name for lab in labs for node in lab.nodes)
    return _items(names, incomplete)


def labs_up(_: click.Context, __: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Offer the ids of the labs that are up, each with its topology."""
    return [
        CompletionItem(lab.id, help=lab.topology)
        for lab in _labs_up()
        if lab.id.startswith(incomplete)
    ]


def bundles(_: click.Context, __: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Offer bundles; where there are none, folders on the way to some."""
    return _items(map(str, _bundles_near(incomplete)), incomplete) or [
        CompletionItem(incomplete, type="dir")
    ]


def bundles_and_results(
    _: click.Context, __: click.Parameter, incomplete: str
) -> list[CompletionItem]:
    """Offer results folders and the bundles in them."""
    offered = chain(map(str, _results_near(incomplete)), map(str, _bundles_near(incomplete)))
    return _items(offered, incomplete) or [CompletionItem(incomplete, type="dir")]


def _next_of(names: Iterable[str], incomplete: str) -> list[CompletionItem]:
    before, comma, _ = incomplete.rpartition(_SEPARATOR)
    used = before.split(_SEPARATOR)
    return _items((before + comma + name for name in names if name not in used), incomplete)


def _items(values: Iterable[str], incomplete: str) -> list[CompletionItem]:
    return [CompletionItem(value) for value in values if value.startswith(incomplete)]


def _devices(folder: Path | None) -> list[str]:
    from harness.topology.load import default_folder  # noqa: PLC0415

    try:
        devices = (Path(folder) if folder is not None else default_folder()) / "devices"
    except HarnessError:
        return []
    return sorted(path.stem for path in devices.glob("*.toml"))


def _labs_up() -> list[LabEntry]:
    from harness.runner.labs import standing  # noqa: PLC0415

    return standing()


def _results_near(incomplete: str) -> Iterator[Path]:
    """Yield results folders: those that the word may become, and those that it is in."""
    folder = Path(incomplete) if incomplete.endswith("/") else Path(incomplete).parent
    for place in (*folder.glob("*/"), folder, *folder.parents):
        if (place / _RESULTS).is_file():
            yield place


def _bundles_near(incomplete: str) -> Iterator[Path]:
    for folder in _results_near(incomplete):
        yield from sorted(each.parent for each in (folder / _BUNDLES).rglob(_VERDICT))
