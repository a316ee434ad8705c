"""``make bench``: how long the article's scenarios take, what they cost, and where the time goes.

Wall time is from the prompt and back, in a fresh process each time. CPU is what the run's processes
used; the kernel's own clearing up in the background comes on top and is shown as the machine's.
Memory is the largest sum of proportional set sizes (PSS) seen, in a run of its own. A container's
processes are the engine's: only the machine's CPU has them in it, and no memory.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Sequence
from pathlib import Path

import click
from rich.console import Console
from rich.table import Table

from harness.judge.model import Results, Timing
from harness.report.results_file import read_results

# The page is written when the tables are on the screen; the budgets are the scenarios' own.
COMMAND = (sys.executable, "-m", "harness", "run", "--no-report")
WALL_BUDGETS = {"namespaces": 12.0, "docker": 90.0, "boxed": 30.0}
"""Seconds for the whole article, images having been built."""

MEMORY_BUDGET = 1024.0
EVIDENCE_BUDGET = 0.35
_SAMPLE_SECONDS = 0.02
_TICKS = os.sysconf("SC_CLK_TCK")


@click.command()
@click.option("--runs", default=5, show_default=True, help="Counted runs, after one that is not.")
@click.option("--runtime", type=click.Choice(list(WALL_BUDGETS)), default="namespaces")
@click.argument("arguments", nargs=-1)
def main(runs: int, runtime: str, arguments: Sequence[str]) -> None:
    """Measure ``ra-harness run``; more arguments of it after ``--``."""
    console = Console()
    with tempfile.TemporaryDirectory() as scratch:
        out = Path(scratch) / "results"
        command = [*COMMAND, "--runtime", runtime, "--out", str(out), *arguments]
        subprocess.run(command, check=True, capture_output=True)
        walls, cpus, machine, results = [], [], [], []
        for _ in range(runs):
            wall, cpu, busy = _timed(command)
            walls.append(wall)
            cpus.append(cpu)
            machine.append(busy)
            results.append(read_results(out / "results.json"))
        memory = _peak_memory(command)
    count = len(results[0].scenarios)
    console.print(
        f"{count} scenarios on {runtime}, {results[0].run.jobs} side by side, {runs} runs\n"
    )
    whole = _table("whole run", "min", "median", "max")
    _add(whole, "wall s", walls)
    _add(whole, "CPU s, the run's processes", cpus)
    _add(whole, "CPU s, the whole machine", machine)
    whole.add_row("peak memory MiB", "", f"{memory:.0f}", "")
    console.print(whole)
    each = _table("one scenario", "min", "median", "max")
    timings = list(_timings(results))
    _add(each, "bring-up ms", [timing.bring_up * 1000 for timing in timings], 1)
    _add(each, "scenario ms", [timing.scenario * 1000 for timing in timings], 1)
    _add(each, "tear-down ms", [timing.tear_down * 1000 for timing in timings], 1)
    _add(each, "CPU ms", [timing.cpu * 1000 for timing in timings], 1)
    _add(each, "of it evidence ms", [timing.evidence * 1000 for timing in timings], 1)
    console.print(each)
    evidence = statistics.median(map(_evidence_share, results))
    console.print(
        f"evidence (controls, capture, bundles): {evidence:.0%} of the labs' CPU, "
        f"budget {EVIDENCE_BUDGET:.0%}"
    )
    budget = WALL_BUDGETS[runtime]
    within = statistics.median(walls) <= budget and memory <= MEMORY_BUDGET
    within = within and evidence <= EVIDENCE_BUDGET
    word = "within" if within else "over"
    console.print(f"{word} the budget of {budget:g} s and {MEMORY_BUDGET:g} MiB")
    sys.exit(0 if within else 1)


def _timed(command: Sequence[str]) -> tuple[float, float, float]:
    """Return wall seconds, CPU seconds of the command's tree, and of the whole machine."""
    busy, before, started = _machine_busy(), os.times(), time.perf_counter()
    subprocess.run(command, check=True, capture_output=True)
    wall = time.perf_counter() - started
    after = os.times()
    cpu = (
        after.children_user - before.children_user + after.children_system - before.children_system
    )
    return wall, cpu, _machine_busy() - busy


def _machine_busy() -> float:
    user, nice, system, _, _, irq, softirq, *_ = (
        int(field) for field in Path("/proc/stat").read_text(encoding="ascii").split()[1:11]
    )
    return (user + nice + system + irq + softirq) / _TICKS


def _peak_memory(command: Sequence[str]) -> float:
    """Return the largest sum of PSS, in MiB, of the command and its descendants."""
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    peak = 0.0
    while process.poll() is None:
        peak = max(peak, sum(_pss(pid) for pid in _tree(process.pid)))
        time.sleep(_SAMPLE_SECONDS)
    return peak / 1024


def _tree(root: int) -> set[int]:
    parents: dict[int, int] = {}
    for path in Path("/proc").iterdir():
        if path.name.isdigit():
            try:
                fields = (path / "stat").read_text(errors="replace").rpartition(")")[2].split()
            except OSError:
                continue
            parents[int(path.name)] = int(fields[1])
    found = {root}
    while more := {pid for pid, parent in parents.items() if parent in found} - found:
        found |= more
    return found


def _pss(pid: int) -> int:
    try:
        rollup = Path(f"/proc/{pid}/smaps_rollup").read_text(encoding="ascii")
    except OSError:
        return 0
    return next((int(line.split()[1]) for line in rollup.splitlines() if "Pss:" in line), 0)


def _timings(results: Iterable[Results]) -> Iterable[Timing]:
    for each in results:
        for scenario in each.scenarios:
            if scenario.timing is not None:
                yield scenario.timing


def _evidence_share(results: Results) -> float:
    """Return which part of the CPU time of a run's labs, and of the bundles' writing, it is."""
    timings = list(_timings([results]))
    evidence = sum(timing.evidence for timing in timings) + results.run.bundling
    return evidence / (sum(timing.cpu for timing in timings) + results.run.bundling)


def _table(title: str, *columns: str) -> Table:
    table = Table(title)
    for column in columns:
        table.add_column(column, justify="right")
    return table


def _add(table: Table, name: str, values: Sequence[float], digits: int = 2) -> None:
    shown = (min(values), statistics.median(values), max(values))
    table.add_row(name, *(f"{value:.{digits}f}" for value in shown))


if __name__ == "__main__":
    main()
