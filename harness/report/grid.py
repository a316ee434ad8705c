"""Every novice against every expert: a grid for each method, a cell for each pair."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Final, NamedTuple

from rich.console import Console
from rich.text import Text

from harness.judge.model import Results, ScenarioResult
from harness.judge.verdict import contradicts_prediction, summarize
from harness.report.layout import COLOURS, print_hanging
from harness.report.pairs import Chain, Grid, sort
from harness.report.summary import print_findings
from harness.report.wording import is_finding, plain
from harness.words import Answer, Method, Verdict, chain_name

_TITLES: Final = {
    Method.MESSENGER: "Windows Messenger",
    Method.EMAIL: "Invitation by e-mail",
    Method.FILE: "Invitation by file",
}

# Behind an answer that is not as predicted or documented: colour alone would be lost in a log.
_MARK: Final = "!"


class _Signs(NamedTuple):
    """What a cell says, each with its meaning in the legend."""

    yes: str
    no: str
    invalid: str
    error: str
    missing: str

    @property
    def width(self) -> int:
        """How wide a cell is: a sign, the mark, and a blank before them."""
        return max(map(len, self)) + len(_MARK) + 1


_WORDS: Final = _Signs("yes", "no", "inv", "err", "-")
_LETTERS: Final = _Signs("Y", "n", "?", "E", "-")


class _Axis(NamedTuple):
    """The chains of one side in order, and what each is called in the grid."""

    chains: tuple[Chain, ...]
    numbers: Mapping[Chain, int]

    def number(self, chain: Chain) -> str:
        return str(self.numbers[chain])

    def label(self, chain: Chain) -> str:
        """Name a chain with its number in front."""
        digits = len(str(len(self.numbers)))
        return f"{self.numbers[chain]:>{digits}} {_name(chain)}"


def print_grid(results: Results, console: Console) -> None:
    """Print one grid for each method, novice down and expert across, and what is to be seen in it.

    The columns bear the numbers of the rows, so that fifteen devices fit a terminal; where the
    terminal is too narrow for words the cells have letters, and where it is too narrow for these
    the columns are told in parts. Scenarios with options stand below the grids, for a pair has
    one cell. Then comes a line for each finding, and one for the whole.
    """
    grids, others = sort(results.scenarios)
    for grid in grids:
        _print_grid(console, grid)
    _print_others(console, others)
    print_findings(console, results.scenarios)
    print_hanging(console, Text(), _summary_line(results), 0)


def _print_grid(console: Console, grid: Grid) -> None:
    novices, experts = _axes(grid)
    names = max(len("novice behind"), *(len(novices.label(chain)) for chain in novices.chains))
    room = console.width - names
    signs = _WORDS if len(experts.chains) * _WORDS.width <= room else _LETTERS
    fit = max(room // signs.width, 1)
    console.print(Text(_TITLES[grid.method], style="bold"))
    for first in range(0, len(experts.chains), fit):
        part = experts._replace(chains=experts.chains[first : first + fit])
        for line in _rows(novices, part, grid, signs, names):
            line.rstrip()
            console.print(line, soft_wrap=True)
        if first + fit < len(experts.chains):
            console.print()
    only_experts = [chain for chain in experts.chains if chain not in novices.chains]
    if only_experts:
        words = ", ".join(f"{experts.number(chain)} {_name(chain)}" for chain in only_experts)
        print_hanging(console, Text("experts", style="dim"), Text(words), len("experts  "))
    legend = _legend(signs, grid)
    if legend:
        print_hanging(console, Text("legend", style="dim"), Text(legend), len("experts  "))
    console.print()


def _axes(grid: Grid) -> tuple[_Axis, _Axis]:
    """Return both sides; a chain has one number on both."""
    chains = dict.fromkeys((*grid.novices, *grid.experts))
    numbers = {chain: number for number, chain in enumerate(chains, start=1)}
    return _Axis(grid.novices, numbers), _Axis(grid.experts, numbers)


def _rows(novices: _Axis, experts: _Axis, grid: Grid, signs: _Signs, names: int) -> Iterator[Text]:
    blank = signs.width - 1
    yield Text.assemble(" " * (names + 1), ("expert behind", "dim"))
    head = "".join(f" {experts.number(chain):<{blank}}" for chain in experts.chains)
    yield Text.assemble((f"{'novice behind':<{names}}", "dim"), (head, "bold"))
    for novice in novices.chains:
        line = Text(f"{novices.label(novice):<{names}}")
        for expert in experts.chains:
            words, style = _cell(grid.cells.get((novice, expert)), signs)
            line.append(" ")
            line.append(f"{words:<{blank}}", style=style)
        yield line


def _cell(result: ScenarioResult | None, signs: _Signs) -> tuple[str, str]:
    """Return what a pair's cell says, and in which colour."""
    if result is None:
        return signs.missing, "dim"
    if result.verdict is Verdict.INVALID:
        return signs.invalid, COLOURS[Verdict.INVALID]
    if result.verdict is Verdict.ERROR or result.observed is None:
        return signs.error, COLOURS[Verdict.ERROR]
    answer = signs.yes if result.observed.answer is Answer.YES else signs.no
    if is_finding(result):
        return answer + _MARK, COLOURS[Verdict.DIFFERS]
    return answer, "green" if result.observed.answer is Answer.YES else ""


def _legend(signs: _Signs, grid: Grid) -> str:
    """Explain the signs that the grid has, and no others."""
    cells = {
        _cell(grid.cells.get((novice, expert)), signs)[0]
        for novice in grid.novices
        for expert in grid.experts
    }
    marked = any(cell.endswith(_MARK) for cell in cells)
    answers = {cell.removesuffix(_MARK) for cell in cells}
    meanings = [
        (signs is _LETTERS and signs.yes in answers, f"{signs.yes} yes"),
        (signs is _LETTERS and signs.no in answers, f"{signs.no} no"),
        (marked, f"{_MARK} not as predicted or not as documented"),
        (signs.invalid in answers, f"{signs.invalid} invalid: it proves nothing"),
        (signs.error in answers, f"{signs.error} error"),
        (signs.missing in answers, f"{signs.missing} not run"),
    ]
    return ", ".join(meaning for present, meaning in meanings if present)


def _print_others(console: Console, others: Sequence[ScenarioResult]) -> None:
    """Print the scenarios that have no cell: those with options, and second ones."""
    if not others:
        return
    console.print(Text("Beside the grids", style="bold"))
    for result in others:
        words, style = _cell(result, _WORDS)
        label = Text(f"{words:<{_WORDS.width}}", style=style)
        print_hanging(console, label, Text(plain(result.id)), _WORDS.width)
    console.print()


def _summary_line(results: Results) -> Text:
    """Say how many pairs connect, and how many of the answers were expected."""
    scenarios = results.scenarios
    if not scenarios:
        return Text("no scenario was run")
    counts = summarize(scenarios)
    proven = [
        result
        for result in scenarios
        if result.observed is not None and result.verdict not in (Verdict.INVALID, Verdict.ERROR)
    ]
    answers = [result.observed.answer for result in proven if result.observed is not None]
    predicted = [result for result in proven if result.predicted is not None]
    as_predicted = len(predicted) - sum(map(contradicts_prediction, predicted))
    documented = counts.agrees + counts.differs
    number = f"{len(scenarios)} scenario{'' if len(scenarios) == 1 else 's'}"
    parts = [f"{answers.count(Answer.YES)} yes", f"{answers.count(Answer.NO)} no"]
    parts += [f"{counts.invalid} invalid"] if counts.invalid else []
    parts += [f"{counts.error} error{'' if counts.error == 1 else 's'}"] if counts.error else []
    held = [f"{as_predicted} of {len(predicted)} as predicted"] if predicted else []
    held += [f"{counts.agrees} of {documented} as documented"] if documented else []
    words = "; ".join([f"{number}: {', '.join(parts)}", *([", ".join(held)] if held else [])])
    style = "bold red" if any(map(is_finding, scenarios)) else "bold green"
    return Text.assemble((words, style), f" ({results.run.seconds:.1f} s)")


def _name(chain: Chain) -> str:
    return plain(chain_name(chain))
