"""How far a run is: a live display on a terminal, one line a finished scenario elsewhere.

Nothing here starts a thread or installs a signal handler, so the run may make namespaces and fork
while the progress is shown. A ``Progress`` is called from one thread at a time.
"""

from __future__ import annotations

from types import TracebackType
from typing import TYPE_CHECKING, Protocol, Self

from harness.judge.model import ScenarioResult
from harness.report.wording import plain

if TYPE_CHECKING:
    from rich.console import Console

# The longest id of the article's own scenarios, and the longest pair of answers: with these the
# lines of a run of the article are aligned and no wider than 80 columns.
_ID_WIDTH = len("messenger/upnp-nat+upnp-nat")
_ANSWERS_WIDTH = len("documented yes, observed yes")
_VERDICT_WIDTH = len("differs")


class Progress(Protocol):
    """What a run tells while it goes on; a context manager that closes the display."""

    def say(self, line: str) -> None:
        """Tell of work that comes before the scenarios and takes long."""

    def started(self, total: int) -> None:
        """Say how many scenarios the run has."""

    def scenario_started(self, scenario_id: str) -> None:
        """Say that a scenario begins."""

    def scenario_finished(self, result: ScenarioResult) -> None:
        """Say what a scenario came to."""

    def close(self) -> None:
        """Leave the terminal as it was; may be called twice."""

    def __enter__(self) -> Self:
        """Begin."""
        ...

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Close, however the run ended."""


def choose(console: Console) -> Progress:
    """Return the live display where the console is a terminal, plain lines elsewhere.

    The file itself is asked too: ``FORCE_COLOR`` makes a log look like a terminal to rich, and a
    display that is redrawn would fill that log with cursor movements.
    """
    if console.is_interactive and console.file.isatty():
        # A log has no use for rich.live and what it brings.
        from harness.report.live import LiveProgress  # noqa: PLC0415

        return LiveProgress(console)
    return PlainProgress(console)


class PlainProgress:
    """One aligned line for each finished scenario."""

    def __init__(self, console: Console) -> None:
        """Print to this console."""
        self._console = console
        self._total = 0
        self._finished = 0

    def say(self, line: str) -> None:
        """Print it."""
        self._console.print(plain(line), highlight=False, markup=False, emoji=False, soft_wrap=True)

    def started(self, total: int) -> None:
        """Note how many scenarios there are."""
        self._total = total

    def scenario_started(self, scenario_id: str) -> None:
        """Do nothing: a log of ends is half as long and says as much."""

    def scenario_finished(self, result: ScenarioResult) -> None:
        """Print the scenario's line."""
        self._finished += 1
        digits = len(str(self._total))
        self._console.print(
            f"{self._finished:>{digits}}/{self._total} "
            f"{result.verdict.value:<{_VERDICT_WIDTH}} "
            f"{plain(result.id):<{_ID_WIDTH}}  "
            f"{_answers(result):<{_ANSWERS_WIDTH}}  "
            f"{result.seconds:.2f} s",
            markup=False,
            highlight=False,
            emoji=False,
            soft_wrap=True,
        )

    def close(self) -> None:
        """Do nothing: every line is complete."""

    def __enter__(self) -> Self:
        """Begin."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """End."""
        self.close()


def _answers(result: ScenarioResult) -> str:
    documented = (
        "not documented" if result.documented is None else f"documented {result.documented.answer}"
    )
    observed = "not observed" if result.observed is None else f"observed {result.observed.answer}"
    return f"{documented}, {observed}"
