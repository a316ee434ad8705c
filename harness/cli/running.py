"""The commands that run scenarios."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from harness.cli.complete import sides
from harness.cli.options import (
    BOXED,
    NAMESPACES,
    Chosen,
    chain,
    chain_option,
    run_options,
    topology_option,
)
from harness.cli.output import output
from harness.words import DIRECT, Role

if TYPE_CHECKING:
    from rich.console import Console

    from harness.judge.model import Results
    from harness.runner.scenario import Scenario


@click.command(short_help="Run the article's scenarios, or one topology's.")
@chain_option(Role.NOVICE)
@chain_option(Role.EXPERT)
@click.option(
    "--proxy-client",
    "proxy_clients",
    type=click.Choice([role.value for role in Role]),
    multiple=True,
    help="Whose Remote Assistance connection goes through the site's proxy; may be given again.",
)
@topology_option
@run_options
def run(
    novice: str | None,
    expert: str | None,
    proxy_clients: Sequence[str],
    topology_file: Path | None,
    **options: Any,
) -> None:
    """Run the article's scenarios, or one topology's, and judge them.

    \b
    Examples:
      ra-harness run
      ra-harness run --method file --novice nat --expert direct
      ra-harness run --novice nat,upnp-nat --expert xp-ics --out /tmp/double-nat
      ra-harness run --method file --expert socks-proxy --proxy-client expert
    """
    from harness.report.tables import render  # noqa: PLC0415
    from harness.runner.catalogue import article, of_topology  # noqa: PLC0415

    chosen = Chosen(**options)
    library = chosen.library()
    by_chain = novice is not None or expert is not None
    if topology_file is not None and (by_chain or proxy_clients):
        raise click.UsageError(
            "--topology says it all: leave --novice, --expert and --proxy-client out"
        )
    if topology_file is not None:
        scenarios = of_topology(library.from_file(topology_file), chosen.methods, chosen.terms)
    elif by_chain:
        clients = [Role(role) for role in proxy_clients]
        topology = library.from_chains(chain(novice), chain(expert), clients)
        scenarios = of_topology(topology, chosen.methods, chosen.terms)
    else:
        scenarios = article(library, chosen.methods, chosen.terms)
    _perform(chosen, scenarios, render)


@click.command(short_help="Run every device against every device.")
@click.option(
    "--devices",
    metavar="NAMES",
    shell_complete=sides,
    help="Devices joined by commas, 'direct' among them for none.  [default: all there are]",
)
@run_options
def matrix(devices: str | None, **options: Any) -> None:
    """Run every device against every device by every method, and print the grids.

    \b
    Examples:
      ra-harness matrix
      ra-harness matrix --devices direct,nat,upnp-nat,firewall --method file
    """
    from harness.report.grid import print_grid  # noqa: PLC0415
    from harness.runner.catalogue import every_pair  # noqa: PLC0415

    chosen = Chosen(**options)
    library = chosen.library()
    names = [DIRECT, *library.devices] if devices is None else devices.split(",")
    chains = [chain(name) for name in names]
    scenarios = every_pair(library, chains, chosen.methods, chosen.terms)
    _perform(chosen, scenarios, lambda results, console, _: print_grid(results, console))


def _perform(
    chosen: Chosen,
    scenarios: Sequence[Scenario],
    show: Callable[[Results, Console, Sequence[str]], None],
) -> None:
    """Run scenarios, write what came of them, show it, and leave with the exit code."""
    # Imported here so that --help and mistakes are answered at once.
    from rich.console import Console  # noqa: PLC0415

    from harness.judge.verdict import exit_code  # noqa: PLC0415
    from harness.report.progress import choose  # noqa: PLC0415
    from harness.runner.results_folder import RESULTS, ResultsFolder  # noqa: PLC0415
    from harness.runner.run import Choice  # noqa: PLC0415
    from harness.runner.run import run as run_all  # noqa: PLC0415
    from harness.runtime.world import check_folder  # noqa: PLC0415

    if chosen.runtime == NAMESPACES:
        check_folder(chosen.out)
    folder = ResultsFolder(chosen.out)
    progress = choose(Console(stderr=True))
    if chosen.runtime == BOXED:
        # Imported here because the Docker library takes 0.2 s.
        from harness.runner import boxed  # noqa: PLC0415

        errand = boxed.errand(click.get_current_context())
        results = boxed.run(errand, scenarios, folder, progress)
    else:
        results = run_all(
            scenarios, folder, Choice(chosen.runtime, chosen.jobs, chosen.capture), progress
        )
    folder.write_results(results)
    notes = {
        device.name: f"{device.name}: {device.note}"
        for scenario in scenarios
        for device in scenario.topology.devices
        if device.note
    }
    written = folder.path / RESULTS
    with output(f"the run is over and {written} is written") as console:
        show(results, console, list(notes.values()))
        console.print(f"results: {written}", highlight=False, markup=False, soft_wrap=True)
        if chosen.report:
            # Last: whoever waits has read the tables by then.
            from harness.runner import reporting  # noqa: PLC0415

            page = reporting.report(results, folder.path)
            console.print(f"report: {page}", highlight=False, markup=False, soft_wrap=True)
    sys.exit(exit_code(results.scenarios))
