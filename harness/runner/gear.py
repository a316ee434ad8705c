"""A run against real routers: the article's scenarios with them in a device's place."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

from harness.errors import MachineError, RunError
from harness.gear import internet_side, lan_side
from harness.gear.stage import NIC, Stage
from harness.gear.survey import Surveyed
from harness.judge.card import Card, CheckResult, Level, Outcome
from harness.judge.model import Results, Router, Run, ScenarioResult
from harness.judge.verdict import summarize
from harness.lab import machine
from harness.report.progress import Progress
from harness.runner.environment import host, versions
from harness.runner.gear_scenarios import facts
from harness.runner.gear_world import CARD_JOB, Conduct, GearChoice
from harness.runner.paths import without_paths
from harness.runner.results_folder import CARDS, ResultsFolder
from harness.runner.run import Collector, new_id
from harness.runtime import pool
from harness.runtime.nics.examine import examined
from harness.runtime.nics.taking import Place, taken
from harness.runtime.world import sealed
from harness.topology.bench import Bench, Nic
from harness.topology.load import Library

RUNTIME = "gear"
"""What ``results.json`` says that the nodes were made of."""

_CARD_FILE = "card.json"


def run_gear(
    bench: Bench, library: Library, choice: GearChoice, folder: ResultsFolder, progress: Progress
) -> tuple[Results, RunError | None]:
    """Take the bench's NICs, run the scenarios, make the cards, and give the NICs back.

    With the results comes what is to be said after they are written: that a NIC could not be given
    back as it was, if that is so.

    Raises:
        DefinitionError: a WAN address of the bench cannot be had on the lab's internet.
        MachineError: a NIC cannot be had, a program is missing, or a router did not come up.
        RunError: the results folder could not be written any more, or the run ended too soon.
    """
    started = datetime.now(UTC)
    begin = time.monotonic()
    internet_side.isp_links(bench, library.internet)
    # Before anything is done to a router: it is looked at again when the NICs are taken.
    examined(_nics(bench), move=choice.move)
    check_programs(library)
    if choice.power_cycle:
        _power_cycle(bench, progress)
    stands = Stage.make([router.name for router in bench.routers])
    conduct = Conduct(bench, library, choice, stands)
    heard = _Heard(conduct, folder, progress)
    kept: RunError | None = None
    try:
        with (
            taken(_places(bench, stands), choice.move),
            sealed(machine.probe, conduct.serve) as channel,
            progress,
        ):
            # The world alone holds them from here on: they end with it.
            stands.close()
            while not heard.over and (received := pool.receive(channel)):
                heard.hear(*received)
    except RunError as error:
        if not heard.over:
            raise
        kept = error
    results = heard.results()
    made = Results(
        run=Run(
            id=new_id(started),
            started=started,
            seconds=round(time.monotonic() - begin, 3),
            bundling=heard.bundling,
            runtime=RUNTIME,
            jobs=1,
            versions=versions(),
            host=host(),
            routers=heard.routers,
        ),
        scenarios=results,
        summary=summarize(results),
        cards=heard.cards(),
    )
    return made, kept


def _nics(bench: Bench) -> list[Nic]:
    return [nic for router in bench.routers for nic in (router.lan_nic, router.wan_nic)]


def check_programs(library: Library) -> None:
    """Check that the machine has the programs that a run needs.

    Raises:
        MachineError: one is missing; the text names the package that has it.
    """
    internet_side.find()
    lan_side.find()
    machine.check_programs([library.from_chains(("upnp-nat",), ())])


def _power_cycle(bench: Bench, progress: Progress) -> None:
    for router in bench.routers:
        command = router.power_cycle
        if command is None:
            continue
        progress.say(f"{router.name}: turning it off and on")
        try:
            subprocess.run(
                command,
                check=True,
                timeout=bench.patience.boot,
                stdin=subprocess.DEVNULL,
                capture_output=True,
            )
        except OSError as error:
            raise MachineError(
                f"{router.name}: power_cycle: {command[0]}: {error.strerror}"
            ) from error
        except subprocess.SubprocessError as error:
            raise MachineError(f"{router.name}: power_cycle: {error}") from error


def _places(bench: Bench, stands: Stage) -> dict[Nic, Place]:
    places = {}
    for router in bench.routers:
        dock = stands.docks[router.name]
        places[router.lan_nic] = Place(dock.switch, NIC)
        places[router.wan_nic] = Place(stands.internet, dock.wan)
    return places


def _broken_off(why: str, trace: Sequence[str]) -> CheckResult:
    """A card that was not finished must not look as if it was."""
    return CheckResult(
        id="card",
        title="The card was carried through",
        source="ra-harness",
        level=Level.INFORMATIONAL,
        outcome=Outcome.ERROR,
        detail=why,
        seconds=0.0,
        evidence=tuple(trace),
    )


@dataclass
class _CardMade:
    """A card in the making."""

    began: datetime = field(default_factory=lambda: datetime.now(UTC))
    begin: float = field(default_factory=time.monotonic)
    seconds: float = 0.0
    failed: bool = False
    checks: list[CheckResult] = field(default_factory=list)


class _Heard:
    """What the world has told so far."""

    def __init__(self, conduct: Conduct, folder: ResultsFolder, progress: Progress) -> None:
        self.routers: tuple[Router, ...] = ()
        self._conduct = conduct
        self._folder = folder
        self._progress = progress
        self._collected: Collector | None = None
        self._surveyed: list[Surveyed] = []
        self._cards: dict[str, _CardMade] = {}
        self._cards_over: set[str] = set()

    @property
    def over(self) -> bool:
        """Whether there is nothing more to hear."""
        judged = self._collected is not None and self._collected.over
        return judged and self._cards_over.issuperset(self._conduct.cards)

    @property
    def bundling(self) -> float:
        """CPU seconds that writing bundles has taken."""
        return self._collected.bundling if self._collected is not None else 0.0

    def hear(self, message: pool.Message, content: bytes) -> None:
        """Take one message.

        Raises:
            MachineError: a router did not come up.
            RunError: a file could not be written.
        """
        if "say" in message:
            self._progress.say(message["say"])
        elif "trouble" in message:
            raise MachineError(message["trouble"])
        elif "surveyed" in message:
            self._begin([Surveyed.read(each) for each in message["surveyed"]])
        elif message["job"].startswith(CARD_JOB):
            self._hear_of_card(message["job"].removeprefix(CARD_JOB), message, content)
        elif self._collected is not None:
            self._collected.hear(message, content)

    def results(self) -> tuple[ScenarioResult, ...]:
        """Return every scenario's result.

        Raises:
            MachineError: there are none: the world ended too soon.
        """
        if self._collected is None:
            raise MachineError("the sealed world ended before the routers were surveyed")
        return self._collected.results()

    def cards(self) -> tuple[Card, ...]:
        """Return the cards, as far as they were made."""
        return tuple(
            self._card(router, found)
            for router, found in zip(self.routers, self._surveyed, strict=True)
            if router.name in self._cards
        )

    def _begin(self, surveyed: list[Surveyed]) -> None:
        self._surveyed = surveyed
        self.routers = facts(self._conduct.bench, surveyed)
        scenarios = self._conduct.scenarios(surveyed)
        labs = [{number: scenario} for number, scenario in enumerate(scenarios)]
        self._collected = Collector(scenarios, labs, self._folder, self._progress)
        if scenarios:
            self._progress.started(len(scenarios))

    def _hear_of_card(self, name: str, message: pool.Message, content: bytes) -> None:
        made = self._cards.setdefault(name, _CardMade())
        if "check" in message:
            result = CheckResult.model_validate(message["check"])
            made.checks.append(result)
            self._progress.say(f"{name}: {result.outcome:<13} {result.id}: {result.detail}")
        elif "file" in message:
            self._folder.write(f"{CARDS}/{name}/{message['file']}", content)
        elif "failed" in message:
            trace = without_paths(message["failed"]).strip().splitlines()
            last = trace[-1]
            made.failed = True
            made.checks.append(_broken_off(f"it was not finished: {last}", trace))
            self._progress.say(f"{name}: its card was not finished: {last}")
        elif "ended" in message:
            if message["ended"] and not made.failed:
                status = f"its process ended with status {message['ended']}"
                made.checks.append(_broken_off(f"it was not finished: {status}", ()))
            made.seconds = round(time.monotonic() - made.begin, 3)
            self._cards_over.add(name)
            (card,) = (each for each in self.cards() if each.router == name)
            self._folder.write(
                f"{card.bundle}/{_CARD_FILE}", card.model_dump_json(indent=1).encode()
            )

    def _card(self, router: Router, found: Surveyed) -> Card:
        made = self._cards[router.name]
        return Card(
            router=router.name,
            model=router.model,
            firmware=router.firmware,
            claims=router.claims,
            gateway=str(found.router),
            external=str(found.external),
            started=made.began,
            seconds=made.seconds,
            checks=tuple(made.checks),
            bundle=f"{CARDS}/{router.name}",
        )
