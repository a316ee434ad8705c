"""The commands that read what a run wrote: they need neither root nor a network."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from harness.cli.complete import bundles, bundles_and_results
from harness.cli.output import output
from harness.errors import ExitCode


@click.command("judge", short_help="Judge a bundle or a results folder again.")
@click.argument("path", type=click.Path(path_type=Path), shell_complete=bundles_and_results)
def judge_again(path: Path) -> None:
    """Judge a bundle, or all of a results folder, again: from its files alone, without root.

    \b
    Examples:
      ra-harness judge results
      ra-harness judge results/scenarios/messenger/nat+nat
    """
    from harness.judge.verdict import exit_code  # noqa: PLC0415
    from harness.report.rejudged import print_rejudged  # noqa: PLC0415
    from harness.runner.rejudge import bundles, rejudge  # noqa: PLC0415

    judged = [rejudge(bundle) for bundle in bundles(path)]
    with output("every bundle was judged") as console:
        print_rejudged(console, [(each.before, each.now) for each in judged])
    sys.exit(exit_code(each.now for each in judged))


@click.command(short_help="Write a results folder as one HTML page.")
@click.argument("folder", type=click.Path(path_type=Path, file_okay=False))
def report(folder: Path) -> None:
    """Write FOLDER/report.html: a results folder as one page, with everything that it needs inside.

    \b
    Examples:
      ra-harness report results
    """
    from harness.report.results_file import read_results  # noqa: PLC0415
    from harness.runner import reporting  # noqa: PLC0415
    from harness.runner.results_folder import RESULTS  # noqa: PLC0415

    click.echo(f"report: {reporting.report(read_results(folder / RESULTS), folder)}")


@click.command(short_help="Say what changed from one run to another.")
@click.argument("old", type=click.Path(path_type=Path, exists=True))
@click.argument("new", type=click.Path(path_type=Path, exists=True))
@click.option(
    "--html",
    "page",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Write them as one page too, which leads to the two reports where these are written.",
)
def diff(old: Path, new: Path, page: Path | None) -> None:
    """Say what changed from the results folder OLD to NEW.

    Ends with 1 when a verdict got worse, or a check of a router's card that its source requires.

    \b
    Examples:
      ra-harness diff results-1.0 results-1.1
      ra-harness diff results-1.0 results-1.1 --html changes.html
    """
    from harness.judge.changes import compare  # noqa: PLC0415
    from harness.report.changes import print_changes  # noqa: PLC0415
    from harness.report.html import write_changes  # noqa: PLC0415
    from harness.report.results_file import read_results  # noqa: PLC0415
    from harness.runner.results_folder import REPORT, RESULTS  # noqa: PLC0415

    changes = compare(read_results(old / RESULTS), read_results(new / RESULTS))
    if page is not None:
        reports = (folder / REPORT for folder in (old, new))
        write_changes(changes, page, *(each if each.exists() else None for each in reports))
    with output("the two were compared") as console:
        print_changes(changes, console)
        if page is not None:
            console.print(f"page: {page}", highlight=False, markup=False, soft_wrap=True)
    sys.exit(ExitCode.DIFFERS if changes.worse else ExitCode.AGREES)


@click.command(short_help="Draw the journeys of a bundle's SYNs.")
@click.argument("path", type=click.Path(path_type=Path), shell_complete=bundles)
@click.option("--attempt", "number", type=click.IntRange(1), help="Only this attempt, from 1.")
@click.option(
    "--svg",
    "folder",
    type=click.Path(path_type=Path, file_okay=False),
    help="Write each ladder to FOLDER/attempt-N.svg instead.",
)
def show(path: Path, number: int | None, folder: Path | None) -> None:
    """Draw the journeys of a bundle's attempts: which nodes a SYN passed, and where it ended.

    \b
    Examples:
      ra-harness show results/scenarios/messenger/nat+nat
      ra-harness show results/scenarios/file/nat+direct --attempt 2 --svg drawings
    """
    from harness.report.files import write_atomically  # noqa: PLC0415
    from harness.report.ladder import print_ladder  # noqa: PLC0415
    from harness.report.ladder_svg import ladder_svg  # noqa: PLC0415
    from harness.runner.ladders import journeys  # noqa: PLC0415

    made = list(enumerate(journeys(path), start=1))
    chosen = [each for each in made if number in (None, each[0])]
    if not chosen:
        raise click.UsageError(f"{path} has {len(made)} attempts")
    with output("nothing is amiss with the bundle") as console:
        for place, (attempt, trace) in chosen:
            if folder is None:
                print_ladder(trace, attempt, console)
                console.print()
                continue
            folder.mkdir(parents=True, exist_ok=True)
            drawing = folder / f"attempt-{place}.svg"
            write_atomically(drawing, ladder_svg(trace, attempt).encode())
            console.print(str(drawing), highlight=False, markup=False, soft_wrap=True)


@click.command(short_help="Print the JSON Schema of results.json.")
def schema() -> None:
    """Print the JSON Schema of results.json.

    \b
    Examples:
      ra-harness schema > results.schema.json
    """
    from harness.report.docs import results_schema  # noqa: PLC0415

    click.echo(results_schema(), nl=False)
