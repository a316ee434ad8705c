"""The command that runs scenarios against real routers."""

from __future__ import annotations

import secrets
import sys
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from harness.cli.options import library, method_option, out_option
from harness.cli.output import output, print_columns
from harness.words import Method

if TYPE_CHECKING:
    from harness.gear.card.check import Check


def _list_checks(context: click.Context, _: click.Parameter, wanted: bool) -> None:
    """Print every check of the card and end, as ``--help`` does."""
    if not wanted or context.resilient_parsing:
        return
    from harness.gear.card.catalogue import CHECKS  # noqa: PLC0415

    rows = [(each.id, each.level, "yes" if each.slow else "", each.title) for each in CHECKS]
    with output("the list was made") as console:
        print_columns(console, ("check", "level", "slow", "title"), rows)
    context.exit()


def _checks(ids: Collection[str]) -> tuple[Check, ...]:
    """Return the checks with these ids in the card's order, all where none is named.

    Raises:
        click.UsageError: there is no check of that id.
    """
    from harness.gear.card.catalogue import CHECKS  # noqa: PLC0415

    known = {check.id for check in CHECKS}
    for each in ids:
        if each not in known:
            raise click.UsageError(f"--check {each}: no such check; --list-checks lists them")
    return tuple(check for check in CHECKS if check.id in (ids or known))


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
    "--check",
    "check_ids",
    metavar="ID",
    multiple=True,
    help="Only this check of the card, a slow one too; may be given again.",
)
@click.option(
    "--list-checks",
    is_flag=True,
    is_eager=True,
    expose_value=False,
    callback=_list_checks,
    help="List the checks of the card and end.",
)
@click.option(
    "--scenarios/--no-scenarios",
    default=True,
    show_default=True,
    help="Run the article's scenarios.",
)
@method_option
@out_option
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
    check_ids: Sequence[str],
    scenarios: bool,
    methods: Sequence[str],
    out: Path,
) -> None:
    """Run the scenarios against a real router that is plugged into two NICs, and make its card.

    Needs root. The NICs are given back as they were, however the run ends.

    \b
    Examples:
      ra-harness gear --lan enp3s0 --wan enp4s0
      ra-harness gear --lan enp3s0 --wan enp4s0 --claims nat --model "X1"
      ra-harness gear --bench bench.toml --out results-1.2
      ra-harness gear --bench bench.toml --no-scenarios --check map-conflict
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

    contradictions = {
        "--no-card leaves nothing for --no-scenarios": not card and not scenarios,
        "--no-card leaves nothing for --check": not card and check_ids,
        "--no-card leaves nothing for --slow": not card and slow,
        "--no-scenarios leaves nothing for --method": not scenarios and methods,
    }
    for words, contradicted in contradictions.items():
        if contradicted:
            raise click.UsageError(words)
    checks = _checks(check_ids) if card else ()
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
    choice = GearChoice(
        chosen if scenarios else (), terms, move, power_cycle, checks, slow or bool(check_ids)
    )
    results, trouble = run_gear(bench, definitions, choice, folder, choose(Console(stderr=True)))
    folder.write_results(results)
    written = folder.path / RESULTS
    with output(f"the run is over and {written} is written") as console:
        render_gear(results, console, notes(bench) if scenarios else ())
        console.print(f"results: {written}", highlight=False, markup=False, soft_wrap=True)
        page = report(results, folder.path)
        console.print(f"report: {page}", highlight=False, markup=False, soft_wrap=True)
    if trouble is not None:
        raise trouble
    sys.exit(exit_code(results.scenarios))
