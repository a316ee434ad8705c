"""The commands around a lab that stays up: bring it up, and look around in it."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

import click

from harness.cli.complete import chains, labs_up, nodes_up
from harness.cli.options import chain, chain_option, library, topologies_option, topology_option
from harness.cli.output import output
from harness.errors import ExitCode
from harness.words import Role


@click.command(short_help="Bring a topology up and keep it until Ctrl-C.")
@click.argument("novice", required=False, shell_complete=chains)
@click.argument("expert", required=False, shell_complete=chains)
@chain_option(Role.NOVICE, "novice_option")
@chain_option(Role.EXPERT, "expert_option")
@topology_option
@topologies_option
def up(
    novice: str | None,
    expert: str | None,
    novice_option: str | None,
    expert_option: str | None,
    topology_file: Path | None,
    topologies: Path | None,
) -> None:
    """Bring a topology up and keep it until Ctrl-C: real stacks, real daemons.

    NOVICE and EXPERT are chains: device names joined by commas, host outward, 'direct' for none,
    which is also what is left out. The lab is checked as a scenario's is, and what a check found
    amiss is said. From another terminal 'ra-harness shell NODE' enters a node. With Ctrl-C, SIGTERM
    or the end of the terminal all of it is gone.

    Ends with 3 where a check failed.

    \b
    Examples:
      ra-harness up nat
      ra-harness up nat,upnp-nat xp-ics
      ra-harness up --topology mine.toml
    """
    from harness.cli.lab_views import show_lab  # noqa: PLC0415
    from harness.runner.up import standing_lab  # noqa: PLC0415

    for given in ((novice, novice_option), (expert, expert_option)):
        if topology_file is not None and given != (None, None):
            raise click.UsageError("--topology says it all: leave the chains out")
        if None not in given:
            raise click.UsageError(f"one of {' and '.join(map(repr, given))} is too many")
    definitions = library(topologies)
    if topology_file is not None:
        topology = definitions.from_file(topology_file)
    else:
        novice = novice if novice_option is None else novice_option
        expert = expert if expert_option is None else expert_option
        topology = definitions.from_chains(chain(novice), chain(expert))
    with standing_lab(topology) as lab:
        with output("the lab was brought up") as console:
            show_lab(lab, console)
        lab.wait()
    click.echo(f"lab {lab.entry.id} is gone")
    if not all(control.passed for control in lab.controls):
        sys.exit(ExitCode.UNPROVEN)


@click.command(short_help="Open a shell, or run a command, in a node of a lab.")
@click.option("--lab", "wanted", metavar="ID", shell_complete=labs_up, help="The node's lab.")
@click.argument("node", required=False, shell_complete=nodes_up)
@click.argument("command", nargs=-1, type=click.UNPROCESSED)
def shell(wanted: str | None, node: str | None, command: Sequence[str]) -> None:
    """Open a shell in NODE of a lab that is up, or run COMMAND there.

    Without NODE, list the nodes that there are. Programs and files are this machine's, network and
    processes the lab's. With several labs up, --lab says which is meant. The exit code is that of
    the command.

    \b
    Examples:
      ra-harness shell
      ra-harness shell novice
      ra-harness shell novice.nat -- nft list ruleset
      ra-harness shell internet --lab 3f9a -- tcpdump -ni to-novice
    """
    from harness.cli.lab_views import show_nodes  # noqa: PLC0415
    from harness.runner import labs  # noqa: PLC0415
    from harness.runtime.enter import KILLED  # noqa: PLC0415

    chosen = labs.choose(wanted)
    if node is None:
        with output("the nodes were found") as console:
            for lab in chosen:
                show_nodes(lab, console)
        return
    lab, entry = labs.find_node(chosen, node)
    code = labs.run_in_node(lab, entry, command)
    if code == KILLED and not labs.is_up(lab):
        raise labs.ended(lab)
    sys.exit(code)
