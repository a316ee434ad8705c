"""The journeys of a bundle's attempts, for whoever draws them."""

from __future__ import annotations

from collections.abc import Iterator
from io import BytesIO, TextIOWrapper
from pathlib import Path

from rich.console import Console

from harness.errors import DefinitionError
from harness.judge.evidence import trace_of
from harness.judge.model import Attempt
from harness.judge.trace import Packets, Trace
from harness.report.ladder import print_ladder
from harness.runner.bundle import Bundle, unpack
from harness.runner.evidence import CAPTURE
from harness.runner.scenario import proxies_of
from harness.runner.shown import show

# Of the characters that a CI server shows in a line.
_WIDTH = 100


def journeys(path: Path) -> Iterator[tuple[Attempt, Trace]]:
    """Yield every attempt of a bundle with what the capture has of it, in the order made.

    Raises:
        DefinitionError: it is no bundle, is damaged, or has no capture.
    """
    yield from journeys_of(unpack(path))


def journeys_of(bundle: Bundle) -> Iterator[tuple[Attempt, Trace]]:
    """Yield the same of a bundle that was read.

    Raises:
        DefinitionError: it was altered, is damaged, or has no capture.
    """
    path = bundle.path
    if bundle.altered is not None:
        raise DefinitionError(f"{path} was altered: {bundle.altered}")
    if CAPTURE not in bundle.files:
        raise DefinitionError(f"{path} has no {CAPTURE}: the run was made with --no-capture")
    try:
        shown = show(bundle)
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        said = str(error).splitlines()
        raise DefinitionError(f"{path} is damaged: {said[0] if said else error!r}") from error
    packets = Packets(shown.seen_frames)
    proxies = proxies_of(shown.scenario.topology)
    for call, attempt in zip(shown.made, shown.observed.attempts, strict=True):
        yield attempt, trace_of(call, packets, proxies)


def drawn(path: Path) -> str:
    """Return the ladders of a bundle's attempts in ASCII, or what is wrong with the bundle."""
    content = BytesIO()
    file = TextIOWrapper(content, encoding="ascii", write_through=True)
    console = Console(file=file, width=_WIDTH, force_terminal=False)
    try:
        for attempt, trace in journeys(path):
            print_ladder(trace, attempt, console)
            console.print()
    except DefinitionError as error:
        return f"no drawing: {error}"
    return content.getvalue().decode("ascii").rstrip()
