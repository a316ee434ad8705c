"""The command line. Errors are one line on standard error, exit codes are in README."""

from __future__ import annotations

import signal
import sys
import traceback

import click

from harness import __version__
from harness.cli import completion, gear, labs, listing, machine, reading, running
from harness.errors import ExitCode, HarnessError

_COMMANDS = (
    running.run,
    running.matrix,
    gear.gear,
    reading.judge_again,
    reading.report,
    reading.diff,
    reading.show,
    reading.schema,
    labs.up,
    labs.shell,
    listing.list_,
    completion.completion,
    machine.doctor,
    machine.images,
    machine.clean,
)


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="ra-harness")
def cli() -> None:
    """Run the connection scenarios of Microsoft's KB301529 and compare them with the article."""


for _command in _COMMANDS:
    cli.add_command(_command)


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
