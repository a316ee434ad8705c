"""The command line. Errors are one line on standard error, exit codes are in README."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from harness import __version__
from harness.errors import ExitCode, HarnessError, RunError
from harness.words import Method

if TYPE_CHECKING:
    from harness.runner.scenario import Scenario
    from harness.topology.load import Library

DIRECT = "direct"
RUNTIMES = ("namespaces",)


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="ra-harness")
def cli() -> None:
    """Run the connection scenarios of Microsoft's KB301529 and compare them with the article."""


@cli.command()
@click.option(
    "--runtime", type=click.Choice(RUNTIMES), default=RUNTIMES[0], help="What nodes are made of."
)
@click.option(
    "--method",
    "methods",
    type=click.Choice([method.value for method in Method]),
    multiple=True,
    help="Only this method; may be given again.  [default: all three]",
)
@click.option(
    "--novice",
    metavar="CHAIN",
    help="The novice's devices joined by commas, host outward; 'direct' for none.",
)
@click.option("--expert", metavar="CHAIN", help="The expert's devices.")
@click.option(
    "--topology",
    "topology_file",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Run the topology of this TOML file.",
)
@click.option(
    "--topologies",
    type=click.Path(path_type=Path, file_okay=False),
    help="Folder with devices/*.toml, internet.toml and kb301529/*.toml instead of the project's.",
)
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    default=Path("results"),
    show_default=True,
    help="Results folder.",
)
@click.option(
    "--jobs",
    type=click.IntRange(1, 64),
    default=lambda: (os.cpu_count() or 1) + 1,
    show_default="cores + 1",
    help="Scenarios side by side.",
)
def run(
    runtime: str,
    methods: Sequence[str],
    novice: str | None,
    expert: str | None,
    topology_file: Path | None,
    topologies: Path | None,
    out: Path,
    jobs: int,
) -> None:
    """Run the article's scenarios, or one topology's, and judge them.

    \b
    Examples:
      ra-harness run
      ra-harness run --method file --novice nat --expert direct
      ra-harness run --novice nat,upnp-nat --expert xp-ics --out /tmp/double-nat
    """
    # Imported here so that --help and mistakes are answered at once.
    from rich.console import Console  # noqa: PLC0415

    from harness.judge.verdict import exit_code  # noqa: PLC0415
    from harness.report.progress import choose  # noqa: PLC0415
    from harness.report.tables import render  # noqa: PLC0415
    from harness.runner.results_folder import RESULTS, ResultsFolder  # noqa: PLC0415
    from harness.runner.run import run as run_all  # noqa: PLC0415
    from harness.runtime.world import check_folder  # noqa: PLC0415
    from harness.topology.load import Library, default_folder  # noqa: PLC0415

    del runtime  # there is one so far, and click has checked the name
    library = Library(topologies or default_folder())
    chosen = [Method(method) for method in methods] or list(Method)
    scenarios = _scenarios(library, chosen, novice, expert, topology_file)
    if out == Path():
        raise click.UsageError("--out (make: OUT=) names no folder")
    check_folder(out)
    folder = ResultsFolder(out)
    results = run_all(scenarios, folder, jobs, choose(Console(stderr=True)))
    folder.write_results(results)
    notes = {
        device.name: f"{device.name}: {device.note}"
        for scenario in scenarios
        for device in scenario.topology.devices
        if device.note
    }

    class Output(Console):
        """A console that does not answer a closed pipe with an exit code of its own."""

        def on_broken_pipe(self) -> None:
            raise  # noqa: PLE0704 - rich calls this where it handles the BrokenPipeError

    console = Output()
    try:
        render(results, console, list(notes.values()))
        console.print(f"results: {folder.path / RESULTS}", highlight=False, markup=False)
        sys.stdout.flush()
    except OSError as error:
        # What is still buffered would fail again when the interpreter closes the stream.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise RunError(
            f"the run is over and {folder.path / RESULTS} is written, but standard output "
            f"could not be: {error.strerror}"
        ) from error
    sys.exit(exit_code(results.summary))


@cli.command()
def doctor() -> None:
    """Say whether this machine can run the scenarios, and what it lacks."""
    from harness.runner.run import check_machine  # noqa: PLC0415

    check_machine()
    click.echo("namespaces: ready")


def _scenarios(
    library: Library,
    methods: Sequence[Method],
    novice: str | None,
    expert: str | None,
    topology_file: Path | None,
) -> list[Scenario]:
    from harness.runner.catalogue import article, of_topology  # noqa: PLC0415

    by_chain = novice is not None or expert is not None
    if topology_file is not None and by_chain:
        raise click.UsageError(
            "--topology says both chains already: leave --novice and --expert out"
        )
    if topology_file is not None:
        return of_topology(library.from_file(topology_file), methods)
    if by_chain:
        return of_topology(library.from_chains(_chain(novice), _chain(expert)), methods)
    return article(library, methods)


def _chain(text: str | None) -> tuple[str, ...]:
    if text is None or text == DIRECT:
        return ()
    return tuple(text.split(","))


def main() -> None:
    """Run the command line; every way out has the documented exit code."""
    try:
        cli.main(prog_name="ra-harness", standalone_mode=False)
        code = ExitCode.AGREES
    except (click.Abort, KeyboardInterrupt):
        _say("interrupted; nothing of the run is left, and no results were written")
        code = ExitCode.INTERRUPTED
    except click.exceptions.NoArgsIsHelpError as error:
        click.echo(error.format_message(), err=True)
        code = ExitCode.USAGE
    except click.ClickException as error:
        _say(error.format_message())
        code = ExitCode.USAGE
    except HarnessError as error:
        _say(str(error))
        code = error.exit_code
    sys.exit(code)


def _say(text: str) -> None:
    click.echo(f"ra-harness: {' '.join(text.split())}", err=True)
