"""The live display of a run: a bar, a count, what is running, and how much is amiss."""

from __future__ import annotations

from types import TracebackType
from typing import Self

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from harness.judge.model import ScenarioResult
from harness.report.wording import is_finding, plain

_BAR_WIDTH = 40
_COUNT_WIDTH = len("  100 of 100, 100 do not agree  ")


class LiveProgress:
    """Two lines at the foot of the terminal, redrawn at every event and gone at the end."""

    def __init__(self, console: Console) -> None:
        """Prepare the display; it appears when the context is entered."""
        self._console = console
        self._total = 0
        self._finished = 0
        self._findings = 0
        self._running: list[str] = []
        # No refresh thread: a process with a second thread may not enter a user namespace, and
        # a fork copies locks that such a thread holds.
        self._live = Live(console=console, auto_refresh=False, transient=True)

    def say(self, line: str) -> None:
        """Print it above the display."""
        self._console.print(plain(line), highlight=False, markup=False, emoji=False)

    def started(self, total: int) -> None:
        """Note how many scenarios there are and draw the empty bar."""
        self._total = total
        self._draw()

    def scenario_started(self, scenario_id: str) -> None:
        """Add the scenario to those that are running."""
        self._running.append(scenario_id)
        self._draw()

    def scenario_finished(self, result: ScenarioResult) -> None:
        """Count the scenario."""
        if result.id in self._running:
            self._running.remove(result.id)
        self._finished += 1
        self._findings += is_finding(result)
        self._draw()

    def close(self) -> None:
        """Take the display away and show the cursor again."""
        self._live.stop()

    def __enter__(self) -> Self:
        """Begin to draw."""
        self._live.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Leave a clean screen, also when the run was interrupted."""
        self.close()

    def _draw(self) -> None:
        self._live.update(self._view(), refresh=True)

    def _view(self) -> RenderableType:
        width = max(min(_BAR_WIDTH, self._console.width - _COUNT_WIDTH), 1)
        colour = "red" if self._findings else "green"
        bar = ProgressBar(
            total=max(self._total, 1),
            completed=self._finished,
            width=width,
            complete_style=colour,
            finished_style=colour,
        )
        count = Text(f"{self._finished} of {self._total}")
        if self._findings:
            amiss = "does not agree" if self._findings == 1 else "do not agree"
            count.append(f", {self._findings} {amiss}", style="bold red")
        first = Table.grid(padding=(0, 2, 0, 0))
        first.add_row(bar, count)
        return Group(first, self._running_line())

    def _running_line(self) -> Text:
        """Name the running scenarios, the longest running first, as many as one line holds."""
        line = ""
        for number, scenario_id in enumerate(map(plain, self._running)):
            more = f" and {len(self._running) - number} more"
            longer = f"{line}, {scenario_id}" if line else f"running {scenario_id}"
            if line and len(longer) + len(more) > self._console.width:
                return Text(line + more, style="dim", no_wrap=True, overflow="ellipsis")
            line = longer
        return Text(line, style="dim", no_wrap=True, overflow="ellipsis")
