"""A run: every scenario in a lab of its own, side by side, each judged as it ends."""

from __future__ import annotations

import json
import secrets
import socket
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from functools import partial

from harness.judge.model import Results, Run, ScenarioResult
from harness.judge.verdict import summarize
from harness.lab import machine
from harness.lab.lab import program
from harness.report.progress import Progress
from harness.runner.environment import host, versions
from harness.runner.record import Record
from harness.runner.results_folder import ResultsFolder
from harness.runner.scenario import Scenario, perform
from harness.runtime import pool
from harness.runtime.world import SCRATCH, check_folder, sealed
from harness.topology.load import Library, default_folder
from harness.words import Method

RUNTIME = "namespaces"

SCENARIO_DEADLINE = 30.0
"""Seconds after which a scenario is killed; one takes about 0.15, and 5 where nobody answers."""

# Programs that every scenario needs, and those that can be imported while the first ones run.
_FIRST_PROGRAMS = ("novice", "expert", "reflector", "relay", "stranger")
_LATER_PROGRAMS = ("mail",)


def run(
    scenarios: Sequence[Scenario], folder: ResultsFolder, jobs: int, progress: Progress
) -> Results:
    """Run the scenarios, ``jobs`` at a time; return their results in the order given.

    Raises:
        MachineError: this machine cannot run them.
        RunError: the results folder could not be written any more.
    """
    check_folder(folder.path)
    machine.check_programs(scenario.topology for scenario in scenarios)
    started = datetime.now(UTC)
    begin = time.monotonic()
    body = partial(_serve, scenarios, jobs)
    records = [Record(scenario) for scenario in scenarios]
    results: dict[int, ScenarioResult] = {}
    with sealed(machine.probe, body) as channel, progress:
        progress.started(len(scenarios))
        while len(results) < len(scenarios) and (data := channel.recv(pool.MAX_MESSAGE)):
            message = json.loads(data)
            number = int(message.pop("job"))
            record = records[number]
            if "began" in message:
                progress.scenario_started(record.scenario.id)
            elif "ended" in message:
                results[number] = record.result(folder, message)
                progress.scenario_finished(results[number])
            else:
                record.take(message)
    for number, record in enumerate(records):
        if number not in results:
            results[number] = record.result(folder, None)
    ordered = tuple(results[number] for number in range(len(scenarios)))
    return Results(
        run=Run(
            id=f"{started:%Y%m%dT%H%M%SZ}-{secrets.token_hex(3)}",
            started=started,
            seconds=round(time.monotonic() - begin, 3),
            runtime=RUNTIME,
            jobs=jobs,
            versions=versions(),
            host=host(),
        ),
        scenarios=ordered,
        summary=summarize(ordered),
    )


def check_machine() -> None:
    """Try for real what the namespaces runtime needs.

    Raises:
        MachineError: this machine lacks something; the text names the remedy.
    """
    library = Library(default_folder())
    machine.check_programs([library.from_chains((name,), ()) for name in library.devices])
    with sealed(machine.probe, lambda _: None):
        pass


def _serve(scenarios: Sequence[Scenario], jobs: int, sock: socket.socket) -> None:
    """Be the body of the sealed world."""
    for name in _FIRST_PROGRAMS:
        program(name)
    numbered = [
        pool.Job(str(number), partial(perform, scenario, SCRATCH / str(number)))
        for number, scenario in enumerate(scenarios)
    ]
    # The mail server's library takes longest to import: that happens while other labs are up.
    numbered.sort(key=lambda job: scenarios[int(job.name)].method is Method.EMAIL)
    pool.serve(numbered, jobs, SCENARIO_DEADLINE, sock, _import_later_programs)


def _import_later_programs() -> None:
    for name in _LATER_PROGRAMS:
        program(name)
