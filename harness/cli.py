"""The command line. Errors are one line on standard error, exit codes are in README."""

from __future__ import annotations

import os
import secrets
import signal
import sys
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from harness import __version__
from harness.errors import ExitCode, HarnessError, MachineError, RunError
from harness.words import Method, Role

if TYPE_CHECKING:
    from rich.console import Console

    from harness.assistance.people import Terms
    from harness.judge.model import Results
    from harness.runner.scenario import Scenario
    from harness.topology.load import Library

DIRECT = "direct"
RUNTIMES = ("namespaces", "docker", "boxed")
ORDERS = ("both", "expert-first", "novice-first")


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="ra-harness")
def cli() -> None:
    """Run the connection scenarios of Microsoft's KB301529 and compare them with the article."""


def _run_options(command: Callable[..., None]) -> Callable[..., None]:
    """Add the options that every command has which runs scenarios."""
    options = (
        click.option(
            "--runtime",
            type=click.Choice(RUNTIMES),
            default=RUNTIMES[0],
            show_default=True,
            help="What nodes are made of.",
        ),
        click.option(
            "--method",
            "methods",
            type=click.Choice([method.value for method in Method]),
            multiple=True,
            help="Only this method; may be given again.  [default: all three]",
        ),
        click.option(
            "--topologies",
            type=click.Path(path_type=Path, file_okay=False),
            help="Folder with devices/*.toml, internet.toml and kb301529/*.toml instead of the "
            "project's.",
        ),
        click.option(
            "--out",
            type=click.Path(path_type=Path),
            default=Path("results"),
            show_default=True,
            help="Results folder.",
        ),
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


@cli.command()
@click.option(
    "--novice",
    metavar="CHAIN",
    help="The novice's devices joined by commas, host outward; 'direct' for none.",
)
@click.option("--expert", metavar="CHAIN", help="The expert's devices.")
@click.option(
    "--proxy-client",
    "proxy_clients",
    type=click.Choice([role.value for role in Role]),
    multiple=True,
    help="Whose Remote Assistance connection goes through the site's proxy; may be given again.",
)
@click.option(
    "--topology",
    "topology_file",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Run the topology of this TOML file.",
)
@_run_options
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

    chosen = _Chosen(**options)
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
        topology = library.from_chains(_chain(novice), _chain(expert), clients)
        scenarios = of_topology(topology, chosen.methods, chosen.terms)
    else:
        scenarios = article(library, chosen.methods, chosen.terms)
    _perform(chosen, scenarios, render)


@cli.command()
@click.option(
    "--devices",
    metavar="NAMES",
    help="Devices joined by commas, 'direct' among them for none.  [default: all there are]",
)
@_run_options
def matrix(devices: str | None, **options: Any) -> None:
    """Run every device against every device by every method, and print the grids.

    \b
    Examples:
      ra-harness matrix
      ra-harness matrix --devices direct,nat,upnp-nat,firewall --method file
    """
    from harness.report.grid import print_grid  # noqa: PLC0415
    from harness.runner.catalogue import every_pair  # noqa: PLC0415

    chosen = _Chosen(**options)
    library = chosen.library()
    names = [DIRECT, *library.devices] if devices is None else devices.split(",")
    chains = [_chain(name) for name in names]
    scenarios = every_pair(library, chains, chosen.methods, chosen.terms)
    _perform(chosen, scenarios, lambda results, console, _: print_grid(results, console))


@dataclass
class _Chosen:
    """The options that every command has which runs scenarios."""

    methods: Sequence[Method]
    topologies: Path | None
    out: Path
    jobs: int
    runtime: str
    capture: bool
    order: str
    expert_port: int

    def __post_init__(self) -> None:
        self.methods = [Method(method) for method in self.methods] or list(Method)
        if self.out == Path():
            raise click.UsageError("--out (make: OUT=) names no folder")

    def library(self) -> Library:
        """Read the definitions."""
        from harness.topology.load import Library, default_folder  # noqa: PLC0415

        return Library(self.topologies or default_folder())

    @property
    def terms(self) -> Terms:
        """What the two people agree on."""
        from harness.assistance.people import Order, Terms  # noqa: PLC0415

        return Terms(
            password=secrets.token_urlsafe(9),
            order=Order(self.order),
            expert_port=self.expert_port,
        )


def _perform(
    chosen: _Chosen,
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

    if chosen.runtime == RUNTIMES[0]:
        check_folder(chosen.out)
    folder = ResultsFolder(chosen.out)
    progress = choose(Console(stderr=True))
    if chosen.runtime == RUNTIMES[2]:
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
    with _output(f"the run is over and {written} is written") as console:
        show(results, console, list(notes.values()))
        console.print(f"results: {written}", highlight=False, markup=False)
    sys.exit(exit_code(results.scenarios))


@contextmanager
def _output(done: str) -> Iterator[Console]:
    """Give standard output as a console; where it cannot be written, say so, and what is done.

    Raises:
        RunError: it cannot be written.
    """
    from rich.console import Console  # noqa: PLC0415

    class Output(Console):
        """A console that does not answer a closed pipe with an exit code of its own."""

        def on_broken_pipe(self) -> None:
            raise  # noqa: PLE0704 - rich calls this where it handles the BrokenPipeError

    try:
        yield Output()
        sys.stdout.flush()
    except OSError as error:
        # What is still buffered would fail again when the interpreter closes the stream.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise RunError(f"{done}, but standard output could not be: {error.strerror}") from error


@cli.command("judge")
@click.argument("path", type=click.Path(path_type=Path))
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
    with _output("every bundle was judged") as console:
        print_rejudged(console, [(each.before, each.now) for each in judged])
    sys.exit(exit_code(each.now for each in judged))


@cli.command()
@click.argument("folder", type=click.Path(path_type=Path, file_okay=False))
def report(folder: Path) -> None:
    """Write FOLDER/report.html: a results folder as one page, with everything that it needs inside.

    \b
    Examples:
      ra-harness report results
    """
    from harness.report.html import write_report  # noqa: PLC0415
    from harness.report.results_file import read_results  # noqa: PLC0415
    from harness.runner.reporting import gather  # noqa: PLC0415
    from harness.runner.results_folder import REPORT, RESULTS  # noqa: PLC0415

    results = read_results(folder / RESULTS)
    evidence, notes = gather(results, folder)
    write_report(results, evidence, folder / REPORT, notes)
    click.echo(f"report: {folder / REPORT}")


@cli.command()
@click.argument("old", type=click.Path(path_type=Path, exists=True))
@click.argument("new", type=click.Path(path_type=Path, exists=True))
def diff(old: Path, new: Path) -> None:
    """Say what changed from the results folder OLD to NEW; ends with 1 when a verdict got worse.

    \b
    Examples:
      ra-harness diff results-1.0 results-1.1
    """
    from harness.judge.changes import compare  # noqa: PLC0415
    from harness.report.changes import print_changes  # noqa: PLC0415
    from harness.report.results_file import read_results  # noqa: PLC0415
    from harness.runner.results_folder import RESULTS  # noqa: PLC0415

    changes = compare(read_results(old / RESULTS), read_results(new / RESULTS))
    with _output("the two were compared") as console:
        print_changes(changes, console)
    sys.exit(ExitCode.DIFFERS if changes.worse else ExitCode.AGREES)


@cli.command()
@click.argument("path", type=click.Path(path_type=Path))
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
    with _output("nothing is amiss with the bundle") as console:
        for place, (attempt, trace) in chosen:
            if folder is None:
                print_ladder(trace, attempt, console)
                console.print()
                continue
            folder.mkdir(parents=True, exist_ok=True)
            drawing = folder / f"attempt-{place}.svg"
            write_atomically(drawing, ladder_svg(trace, attempt).encode())
            console.print(str(drawing), highlight=False, markup=False, soft_wrap=True)


@cli.command()
def doctor() -> None:
    """Say which runtimes this machine can run, and what stops the others.

    Ends with 2 where the namespaces runtime, which is the default, cannot be run.
    """
    from harness.runner.doctor import examine  # noqa: PLC0415

    findings = list(examine())
    for finding in findings:
        click.echo(f"{finding.runtime}: {finding.trouble or 'ready'}")
    if findings[0].trouble is not None:
        sys.exit(ExitCode.USAGE)


@cli.command()
def images() -> None:
    """Build the images of the docker and boxed runtimes that are missing or out of date."""
    from harness.runtime.docker import engine, images  # noqa: PLC0415

    client = engine.connect()
    images.ensure(client, list(images.Role), click.echo)
    for role in images.Role:
        click.echo(f"{images.tag(role)} is up to date")


@cli.command()
def clean() -> None:
    """Remove this clone's images, and containers whose run is dead.

    Containers of a run that is alive, and the images that they use, are left alone.
    """
    from harness.runtime.docker import cleanup, engine, images  # noqa: PLC0415

    try:
        client = engine.connect()
    except MachineError as error:
        click.echo(f"nothing of Docker's was removed: {error}")
        return
    click.echo(f"containers of dead runs removed: {cleanup.remove_orphans(client)}")
    click.echo(f"images removed: {len(images.remove_all(client))}")


def _chain(text: str | None) -> tuple[str, ...]:
    if text is None or text == DIRECT:
        return ()
    return tuple(text.split(","))


def main() -> None:
    """Run the command line; every way out has the documented exit code."""
    # A caller may have had it ignored: then no child could be waited for.
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
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
    except Exception as error:  # noqa: BLE001 - Python's own exit code for it would mean "differs"
        traceback.print_exc()
        _say(f"a defect of the harness: {type(error).__name__}: {error}")
        code = ExitCode.UNPROVEN
    sys.exit(code)


def _say(text: str) -> None:
    click.echo(f"ra-harness: {' '.join(text.split())}", err=True)
