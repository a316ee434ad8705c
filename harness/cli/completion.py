"""The command that prints what makes a shell complete the others."""

from __future__ import annotations

import click
from click.shell_completion import FishComplete, add_completion_class, get_completion_class

PROGRAM = "ra-harness"
VARIABLE = "_RA_HARNESS_COMPLETE"
SHELLS = ("bash", "zsh", "fish")


@add_completion_class
class Fish(FishComplete):
    """Click's own, but that a chain's commas are part of the chain."""

    source_template = FishComplete.source_template.replace(
        'string split ","', 'string split --max 1 ","'
    )


@click.command(short_help="Print a script that makes a shell complete ra-harness.")
@click.argument("shell", type=click.Choice(SHELLS))
@click.pass_context
def completion(context: click.Context, shell: str) -> None:
    """Print the script that makes a shell complete ra-harness.

    It completes commands, options, chains of devices, nodes and ids of labs that are up, and
    bundles. Bash 4.4 or newer.

    \b
    Examples:
      eval "$(ra-harness completion bash)"     # in ~/.bashrc
      eval "$(ra-harness completion zsh)"      # in ~/.zshrc, after compinit
      ra-harness completion fish | source      # in ~/.config/fish/config.fish
    """
    made_by = get_completion_class(shell)
    if made_by is None:
        raise click.UsageError(f"{shell} cannot be completed by click {click.__version__}")
    made = made_by(context.find_root().command, {}, PROGRAM, VARIABLE)
    # Not source(): it starts bash to learn its version, which may not be installed here.
    click.echo((made.source_template % made.source_vars()).strip())
