"""What commands are told about topologies and runs, in the words of the command line."""

from __future__ import annotations

import os
import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import click

from harness.cli.complete import chains
from harness.words import DIRECT, Method, Role, read_chain

if TYPE_CHECKING:
    from harness.assistance.people import Terms
    from harness.topology.load import Library

NAMESPACES, BOXED = "namespaces", "boxed"
RUNTIMES = (NAMESPACES, "docker", BOXED)
ORDERS = ("both", "expert-first", "novice-first")


topologies_option = click.option(
    "--topologies",
    type=click.Path(path_type=Path, file_okay=False),
    help="Folder with devices/*.toml, internet.toml and kb301529/*.toml instead of the project's.",
)
"""The option of every command that reads definitions."""

topology_option = click.option(
    "--topology",
    "topology_file",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Take the topology of this TOML file.",
)
"""The option of every command that one topology may be named to."""

method_option = click.option(
    "--method",
    "methods",
    type=click.Choice([method.value for method in Method]),
    multiple=True,
    help="Only this method; may be given again.  [default: all three]",
)


def _is_a_folder(_: click.Context, __: click.Parameter, out: Path) -> Path:
    # What an empty OUT comes to would be the working directory.
    if out == Path():
        raise click.UsageError("--out (make: OUT=) names no folder")
    return out


out_option = click.option(
    "--out",
    type=click.Path(path_type=Path),
    callback=_is_a_folder,
    default=Path("results"),
    show_default=True,
    help="Results folder.",
)
"""With the one before it, the options of every command that runs scenarios on anything."""


def chain_option(role: Role, *names: str) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Return the option for one site's chain; ``names`` is what its parameter is called."""
    return click.option(
        f"--{role}",
        *names,
        metavar="CHAIN",
        shell_complete=chains,
        help=f"The {role}'s devices joined by commas, host outward; '{DIRECT}' for none.",
    )


def run_options(command: Callable[..., None]) -> Callable[..., None]:
    """Add the options that every command has which runs scenarios."""
    options = (
        click.option(
            "--runtime",
            type=click.Choice(RUNTIMES),
            default=NAMESPACES,
            show_default=True,
            help="What nodes are made of.",
        ),
        method_option,
        topologies_option,
        out_option,
        click.option(
            "--jobs",
            type=click.IntRange(1, 64),
            default=lambda: (os.cpu_count() or 1) + 1,
            show_default="cores + 1",
            help="Scenarios side by side.",
        ),
        click.option(
            "--capture/--no-capture",
            default=True,
            show_default=True,
            help="Keep every interface's traffic in the bundles.",
        ),
        click.option(
            "--report/--no-report",
            default=True,
            show_default=True,
            help="Write the run as one page, report.html, too.",
        ),
        click.option(
            "--order",
            type=click.Choice(ORDERS),
            default=ORDERS[0],
            help="Who dials first by Messenger.  [default: both at once]",
        ),
        click.option(
            "--expert-port",
            type=click.IntRange(0, 65535),
            default=0,
            help="Where the expert listens by Messenger.  [default: a free port above 1024]",
        ),
    )
    for option in reversed(options):
        command = option(command)
    return command


@dataclass
class Chosen:
    """The options that every command has which runs scenarios.

    Raises:
        click.UsageError: one is given and says nothing.
    """

    methods: Sequence[Method]
    topologies: Path | None
    out: Path
    jobs: int
    runtime: str
    capture: bool
    report: bool
    order: str
    expert_port: int

    def __post_init__(self) -> None:
        """Take words for what they name."""
        self.methods = [Method(method) for method in self.methods] or list(Method)

    def library(self) -> Library:
        """Read the definitions."""
        return library(self.topologies)

    @property
    def terms(self) -> Terms:
        """What the two people agree on."""
        from harness.assistance.people import Order, Terms  # noqa: PLC0415

        return Terms(
            password=secrets.token_urlsafe(9),
            order=Order(self.order),
            expert_port=self.expert_port,
        )


def chain(text: str | None) -> tuple[str, ...]:
    """Read a chain of devices: names joined by commas, host outward."""
    return () if text is None else read_chain(text)


def library(folder: Path | None) -> Library:
    """Read the definitions of a folder, the project's own where none is given.

    Raises:
        DefinitionError: one is wrong.
    """
    from harness.topology.load import Library, default_folder  # noqa: PLC0415

    return Library(folder or default_folder())
