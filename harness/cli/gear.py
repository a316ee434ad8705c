"""The command that runs scenarios against real routers."""

from __future__ import annotations

import secrets
import sys
from collections.abc import Sequence
from pathlib import Path

import click

from harness.cli.options import library
from harness.cli.output import output
from harness.words import Method


@click.command(short_help="Run the scenarios against a real router.")
@click.option(
    "--bench",
    "bench_file",
    type=click.Path(path_type=Path, dir_okay=False),
    help="The bench file: one or two routers, their NICs, what their makers claim.",
)
@click.option("--lan", metavar="NIC", help="The NIC on the LAN side of the one router.")
@click.option("--wan", metavar="NIC", help="The NIC on its WAN side.")
@click.option(
    "--claims",
    type=click.Choice(["nat", "upnp-nat"]),
    default="upnp-nat",
    show_default=True,
    help="What the one router's maker claims.",
)
@click.option("--model", default="unnamed router", help="The one router's model.")
@click.option("--firmware", default="unknown", help="The one router's firmware.")
@click.option("--move", is_flag=True, help="Take the NICs themselves: some drivers need it.")
@click.option("--power-cycle", is_flag=True, help="Turn routers off and on first.")
@click.option("--card/--no-card", default=True, show_default=True, help="Make each router's card.")
@click.option("--slow", is_flag=True, help="With the checks of the card that take hours.")
@click.option(
    "--method",
    "methods",
    type=click.Choice([method.value for method in Method]),
    multiple=True,
    help="Only this method; may be given again.  [default: all three]",
)
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    default=Path("results"),
    show_default=True,
    help="Results folder.",
)
def gear(
    bench_file: Path | None,
    lan: str | None,
    wan: str | None,
    claims: str,
    model: str,
    firmware: str,
    move: bool,
    power_cycle: bool,
    card: bool,
    slow: bool,
    methods: Sequence[str],
    out: Path,
) -> None:
    """Run the scenarios against a real router that is plugged into two NICs.

    Needs root. The NICs are given back as they were, however the run ends.

    \b
    Examples:
      ra-harness gear --lan enp3s0 --wan enp4s0
      ra-harness gear --lan enp3s0 --wan enp4s0 --claims nat --model "X1"
      ra-harness gear --bench bench.toml --out results-1.2
    """
    from rich.console import Console  # noqa: PLC0415

    from harness.assistance.people import Terms  # noqa: PLC0415
    from harness.judge.verdict import exit_code  # noqa: PLC0415
    from harness.report.gear import render_gear  # noqa: PLC0415
    from harness.report.progress import choose  # noqa: PLC0415
    from harness.runner.gear import run_gear  # noqa: PLC0415
    from harness.runner.gear_scenarios import notes  # noqa: PLC0415
    from harness.runner.gear_world import GearChoice  # noqa: PLC0415
    from harness.runner.reporting import report  # noqa: PLC0415
    from harness.runner.results_folder import RESULTS, ResultsFolder  # noqa: PLC0415
    from harness.runtime.world import check_folder  # noqa: PLC0415
    from harness.topology.bench import Claims, bench_of, load_bench  # noqa: PLC0415

    definitions = library(None)
    if bench_file is not None:
        if lan or wan:
            raise click.UsageError("--bench says it all: leave --lan and --wan out")
        bench = load_bench(bench_file, definitions.devices)
    elif lan and wan:
        bench = bench_of(lan, wan, Claims(claims), model, firmware)
    else:
        raise click.UsageError("name the NICs: --lan NIC --wan NIC, or --bench FILE")
    check_folder(out)
    folder = ResultsFolder(out)
    chosen = [Method(method) for method in methods] or list(Method)
    terms = Terms(password=secrets.token_urlsafe(9))
    choice = GearChoice(chosen, terms, move, power_cycle, card, slow)
    results, trouble = run_gear(bench, definitions, choice, folder, choose(Console(stderr=True)))
    folder.write_results(results)
    written = folder.path / RESULTS
    with output(f"the run is over and {written} is written") as console:
        render_gear(results, console, notes(bench))
        console.print(f"results: {written}", highlight=False, markup=False)
        page = report(results, folder.path)
        console.print(f"report: {page}", highlight=False, markup=False)
    if trouble is not None:
        raise trouble
    sys.exit(exit_code(results.scenarios))
