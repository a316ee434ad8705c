"""Standard output, and what is said where it cannot be written."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

from harness.errors import RunError

if TYPE_CHECKING:
    from rich.console import Console


@contextmanager
def output(done: str) -> Iterator[Console]:
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


def print_columns(console: Console, head: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """Print rows of as many cells as ``head`` has, the last of which wraps under itself."""
    from rich.text import Text  # noqa: PLC0415

    from harness.report.layout import print_hanging  # noqa: PLC0415
    from harness.report.wording import plain  # noqa: PLC0415

    table = [[plain(cell) for cell in row] for row in rows]
    widths = [max(map(len, cells)) for cells in zip(head, *table, strict=True)][:-1]
    column = sum(widths) + 2 * len(widths)
    for row, style in ((head, "bold"), *((row, "") for row in table)):
        cells = [cell.ljust(width) for cell, width in zip(row, widths, strict=False)]
        label = "  ".join(cells)
        if row[-1]:
            print_hanging(console, Text(label, style), Text(row[-1], style), column)
        else:
            console.print(Text(label.rstrip(), style), soft_wrap=True)
