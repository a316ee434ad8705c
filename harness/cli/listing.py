"""The command that lists what there is to choose from."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import click

from harness.cli.options import library, topologies_option
from harness.cli.output import output, print_columns

if TYPE_CHECKING:
    from pydantic import BaseModel
    from rich.console import Console

KINDS = ("devices", "topologies", "claims", "images", "labs")

_BUILT = {True: "yes", False: "no", None: "?"}


class _Table(NamedTuple):
    """Things of one kind, and how they are shown: in columns, and each by its name alone."""

    things: Sequence[BaseModel]
    head: tuple[str, ...]
    row: Callable[[Any], tuple[str, ...]]
    remark: str = ""


@click.command("list", short_help="List devices, topologies, claims, images or labs.")
@click.argument("kind", type=click.Choice(KINDS), required=False, metavar="[KIND]")
@click.option("--json", "as_json", is_flag=True, help="As JSON, with all that is known of each.")
@topologies_option
def list_(kind: str | None, as_json: bool, topologies: Path | None) -> None:
    """List what there is: devices, topologies, claims, images or labs.

    Without a KIND, the names of all of them. Labs are those that 'ra-harness up' keeps up now.

    \b
    Examples:
      ra-harness list
      ra-harness list devices
      ra-harness list claims --json
    """
    tables = {each: _TABLES[each](topologies) for each in KINDS if kind in (None, each)}
    with output("the list was made") as console:
        if as_json:
            content = {name: _as_data(table.things) for name, table in tables.items()}
            click.echo(json.dumps(content if kind is None else content[kind], indent=2))
        elif kind is None:
            _print_overview(console, tables)
        else:
            _print_table(console, kind, tables[kind])


def _as_data(things: Iterable[BaseModel]) -> list[object]:
    return [thing.model_dump(mode="json") for thing in things]


def _print_table(console: Console, kind: str, table: _Table) -> None:
    if table.things:
        print_columns(console, table.head, map(table.row, table.things))
    else:
        click.echo(f"there are no {kind}")
    if table.remark:
        click.echo(f"ra-harness: {table.remark}", err=True)


def _print_overview(console: Console, tables: dict[str, _Table]) -> None:
    rows = [
        (kind, str(len(table.things)), ", ".join(table.row(each)[0] for each in table.things))
        for kind, table in tables.items()
    ]
    print_columns(console, ("kind", "how many", "names"), rows)


def _devices(folder: Path | None) -> _Table:
    from harness.runner import inventory  # noqa: PLC0415

    return _Table(
        list(inventory.devices(library(folder))),
        ("device", "what it is", "title"),
        lambda each: (each.name, each.kind, each.title),
    )


def _topologies(folder: Path | None) -> _Table:
    from harness.runner import inventory  # noqa: PLC0415

    return _Table(
        list(inventory.topologies(library(folder))),
        ("topology", "title"),
        lambda each: (each.name, each.title),
    )


def _claims(_: Path | None) -> _Table:
    from harness.runner import inventory  # noqa: PLC0415

    return _Table(
        list(inventory.claims()),
        ("claim", "answer", "statement"),
        lambda each: (each.id, each.answer, each.statement),
    )


def _images(_: Path | None) -> _Table:
    from harness.runner import inventory  # noqa: PLC0415

    images, trouble = inventory.images()
    return _Table(
        images,
        ("role", "built", "image"),
        lambda each: (each.role, _BUILT[each.built], each.image),
        trouble or "",
    )


def _labs(_: Path | None) -> _Table:
    from harness.runner.labs import standing  # noqa: PLC0415

    return _Table(
        standing(),
        ("lab", "process", "since", "topology"),
        lambda each: (
            each.id,
            str(each.pid),
            f"{each.since.astimezone():%Y-%m-%d %H:%M:%S}",
            each.topology,
        ),
    )


_TABLES: dict[str, Callable[[Path | None], _Table]] = {
    "devices": _devices,
    "topologies": _topologies,
    "claims": _claims,
    "images": _images,
    "labs": _labs,
}
