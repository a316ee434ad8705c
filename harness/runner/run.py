"""A run: every scenario in a lab of its own, side by side, each judged as it ends."""

from __future__ import annotations

import secrets
import socket
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial

from harness.judge.model import Results, Run, ScenarioResult
from harness.judge.verdict import summarize
from harness.lab import controls
from harness.report.progress import Progress
from harness.runner.environment import host, versions
from harness.runner.record import Ended, Record
from harness.runner.results_folder import ResultsFolder
from harness.runner.runtimes import Runtime, choose
from harness.runner.scenario import Scenario, perform
from harness.runtime import pool
from harness.runtime.meter import CpuMeter
from harness.runtime.namespaces import program
from harness.topology.plan import plan
from harness.words import Method

SCENARIO_DEADLINE = 30.0
"""Seconds that each of a lab's scenarios adds to the lab's deadline; one takes about 0.15, and 5
where nobody answers."""

# Programs that every scenario needs, and those that can be imported while the first ones run.
_FIRST_PROGRAMS = ("novice", "expert", "reflector", "relay", "stranger")
_LATER_PROGRAMS = ("mail",)


@dataclass(frozen=True)
class Choice:
    """What nodes are made of, how many labs there are at once, and whether they are captured."""

    runtime: str
    jobs: int
    capture: bool = True


def new_id(started: datetime) -> str:
    """Return an id for a run that starts then."""
    return f"{started:%Y%m%dT%H%M%SZ}-{secrets.token_hex(3)}"


def run(
    scenarios: Sequence[Scenario], folder: ResultsFolder, choice: Choice, progress: Progress
) -> Results:
    """Run the scenarios; return their results in the order given.

    Raises:
        MachineError: this machine cannot run them.
        RunError: the results folder could not be written any more.
    """
    started = datetime.now(UTC)
    begin = time.monotonic()
    run_id = new_id(started)
    runtime = choose(choice.runtime, run_id)
    topologies = list(dict.fromkeys(scenario.topology for scenario in scenarios))
    runtime.prepare(topologies, progress.say)
    labs = _labs(scenarios, runtime.shares_labs)
    collected = Collector(scenarios, labs, folder, progress)
    body = partial(_serve, runtime, labs, choice)
    with runtime.world(body) as channel, progress:
        progress.started(len(scenarios))
        while not collected.over and (received := pool.receive(channel)):
            collected.hear(*received)
    ordered = collected.results()
    return Results(
        run=Run(
            id=run_id,
            started=started,
            seconds=round(time.monotonic() - begin, 3),
            bundling=collected.bundling,
            runtime=runtime.name,
            jobs=choice.jobs,
            versions=versions(),
            host=host(),
        ),
        scenarios=ordered,
        summary=summarize(ordered),
    )


class Collector:
    """Hears what labs send, and judges each scenario when its lab has ended."""

    def __init__(
        self,
        scenarios: Sequence[Scenario],
        labs: Sequence[Mapping[int, Scenario]],
        folder: ResultsFolder,
        progress: Progress,
    ) -> None:
        """Begin with nothing; ``labs`` groups the scenarios by number, as their jobs do."""
        self._meter = CpuMeter()
        self._labs = labs
        self._folder = folder
        self._progress = progress
        self._records = [Record(scenario, self._meter) for scenario in scenarios]
        self._results: dict[int, ScenarioResult] = {}

    @property
    def over(self) -> bool:
        """Whether every scenario has been judged."""
        return len(self._results) == len(self._records)

    @property
    def bundling(self) -> float:
        """CPU seconds that writing bundles has taken."""
        return round(self._meter.seconds, 3)

    def hear(self, message: pool.Message, content: bytes) -> None:
        """Take one message of a job.

        Raises:
            RunError: a bundle could not be written.
        """
        lab = self._labs[int(message.pop("job"))]
        if "ended" in message:
            for number in lab:
                record = self._records[number]
                result = record.result(self._folder, _ended(message, number, lab))
                self._results[number] = result
                self._progress.scenario_finished(result)
        elif "failed" in message:
            for number in lab:
                self._records[number].take(message)
        elif "scenario" in message:
            record = self._records[message.pop("scenario")]
            if "began" in message:
                self._progress.scenario_started(record.scenario.id)
            record.take(message, content)

    def results(self) -> tuple[ScenarioResult, ...]:
        """Return every result, in the scenarios' order; what nobody told of is an error."""
        for number, record in enumerate(self._records):
            if number not in self._results:
                self._results[number] = record.result(self._folder, None)
        return tuple(self._results[number] for number in range(len(self._records)))


def _labs(scenarios: Sequence[Scenario], shared: bool) -> list[dict[int, Scenario]]:
    """Group the scenarios, by number, into labs: one each, or one for all of a topology."""
    labs: dict[object, dict[int, Scenario]] = {}
    for number, scenario in enumerate(scenarios):
        key = scenario.topology if shared else number
        labs.setdefault(key, {})[number] = scenario
    # The mail server's library takes longest to import: that happens while other labs are up.
    return sorted(labs.values(), key=_begins_with_mail)


def _begins_with_mail(lab: Mapping[int, Scenario]) -> bool:
    return next(iter(lab.values())).method is Method.EMAIL


def _ended(message: pool.Message, number: int, lab: Mapping[int, Scenario]) -> Ended:
    return Ended(
        status=message["ended"],
        at=message["t"],
        cpu=message["cpu"] / len(lab),
        last=number == list(lab)[-1],
    )


def _serve(
    runtime: Runtime,
    labs: Sequence[Mapping[int, Scenario]],
    choice: Choice,
    sock: socket.socket,
) -> None:
    """Be the body of the runtime's world."""
    for name in _FIRST_PROGRAMS:
        program(name)
    for lab in labs:
        # Once for all labs, before their processes are forked.
        controls.prepare(plan(next(iter(lab.values())).topology))
    numbered = [
        pool.Job(str(number), partial(_perform, runtime, choice, str(number), lab), _deadline(lab))
        for number, lab in enumerate(labs)
    ]
    pool.serve(numbered, choice.jobs, sock, _import_later_programs)


def _perform(
    runtime: Runtime, choice: Choice, job: str, lab: Mapping[int, Scenario], send: pool.Send
) -> None:
    perform(lab, runtime.maker(job), choice.capture, send)


def _deadline(lab: Mapping[int, Scenario]) -> float:
    return SCENARIO_DEADLINE * len(lab)


def _import_later_programs() -> None:
    for name in _LATER_PROGRAMS:
        program(name)
