"""Colours, and lines that wrap under themselves: what the parts of a report share."""

from __future__ import annotations

from collections.abc import Mapping

from rich.console import Console
from rich.text import Text

from harness.words import Verdict

COLOURS: Mapping[Verdict, str] = {
    Verdict.AGREES: "green",
    Verdict.DIFFERS: "bold red",
    Verdict.UNDOCUMENTED: "cyan",
    Verdict.INVALID: "bold yellow",
    Verdict.ERROR: "bold magenta",
}

# Where a terminal is narrower than label and text need, the terminal itself breaks the line.
_LEAST_WIDTH = 20


def print_hanging(console: Console, label: Text, words: Text, column: int) -> None:
    """Print a label and, from the given column on, words that wrap below their own beginning.

    Rich's own tables would do it too, but they fill every line with blanks up to the terminal's
    width, which is what people then paste into a mail.
    """
    width = max(console.width - column, _LEAST_WIDTH)
    before = Text.assemble(label, " " * (column - len(label)))
    for line in words.wrap(console, width):
        line.rstrip()
        console.print(Text.assemble(before, line), soft_wrap=True)
        before = Text(" " * column)
