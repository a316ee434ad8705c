"""What happens in the sealed world of a run against routers: survey, scenarios, cards."""

from __future__ import annotations

import asyncio
import io
import socket
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from ipaddress import IPv4Address, IPv4Interface

from harness.assistance.people import Terms
from harness.errors import MachineError
from harness.gear import internet_side, stage
from harness.gear.card.check import Check, make_all
from harness.gear.maker import GearMaker
from harness.gear.rig import Rig, Station
from harness.gear.stage import ETH0, Stage
from harness.gear.survey import Stood, Surveyed, survey
from harness.judge.card import CheckResult
from harness.lab import controls
from harness.protocol import pcapng
from harness.runner.gear_scenarios import scenarios_of
from harness.runner.scenario import Scenario, perform
from harness.runtime import pool
from harness.runtime.capture import Capture
from harness.runtime.netns import NetNs
from harness.runtime.world import SCRATCH
from harness.topology.bench import Bench
from harness.topology.load import Library
from harness.topology.plan import INTERNET, plan
from harness.words import Method

SCENARIO_DEADLINE = 180.0
"""Seconds that one scenario has; a router that is silent takes about 20 of them."""

CARD_DEADLINE = 3600.0
SLOW_CARD_DEADLINE = 6 * 3600.0

CARD_JOB = "card:"
"""What the name of a card's job begins with; the router's follows."""

CARD_CAPTURE = "capture.pcapng"

OTHER = IPv4Address("93.40.40.10")
"""A public-looking address on the internet's side that is in no network of ``internet.toml``."""

# Of a card's packets their heads are kept: a bulk transfer would fill any buffer.
_SNAPLEN = 256


@dataclass(frozen=True)
class GearChoice:
    """What a run against routers does.

    Without ``methods`` no scenario is run. ``move`` takes the NICs themselves instead of a macvlan
    on them; ``power_cycle`` turns each router that has a command for it off and on first.
    ``checks`` are made for each router's card after the scenarios, ``slow`` with those of them that
    take hours; without any there is no card.
    """

    methods: Collection[Method]
    terms: Terms
    move: bool
    power_cycle: bool
    checks: Collection[Check]
    slow: bool


@dataclass(frozen=True)
class Conduct:
    """What both sides of the world's wall know of a run."""

    bench: Bench
    library: Library
    choice: GearChoice
    stands: Stage

    def scenarios(self, surveyed: Sequence[Surveyed]) -> list[Scenario]:
        """Return the scenarios, the same on both sides."""
        choice = self.choice
        return scenarios_of(self.bench, surveyed, self.library, choice.methods, choice.terms)

    @property
    def cards(self) -> list[str]:
        """The routers of which a card is made."""
        return [router.name for router in self.bench.routers] if self.choice.checks else []

    def serve(self, sock: socket.socket) -> None:
        """Be the body of the world.

        Sends ``{"say": line}`` as it goes, ``{"trouble": line}`` where a router did not come up,
        ``{"surveyed": [...]}``; then what :func:`harness.runtime.pool.serve` and
        :func:`harness.runner.scenario.perform` send, with the scenario's number as job; then, with
        ``card:NAME`` as job, ``{"check": {...}}`` for each check and the card's capture.
        """
        send = pool.send_on(sock)
        try:
            stood = self._survey(send)
        except MachineError as error:
            send({"trouble": str(error)})
            return
        surveyed = [each.surveyed for each in stood]
        send({"surveyed": [found.facts() for found in surveyed]})
        scenarios = self.scenarios(surveyed)
        for scenario in scenarios:
            # Once for all labs, before their processes are forked.
            controls.prepare(plan(scenario.topology))
        said = {name: content for each in stood for name, content in each.files.items()}
        jobs = [
            pool.Job(str(number), partial(self._perform, number, scenario, said), SCENARIO_DEADLINE)
            for number, scenario in enumerate(scenarios)
        ]
        pool.serve(jobs, 1, sock, _nothing)
        deadline = SLOW_CARD_DEADLINE if self.choice.slow else CARD_DEADLINE
        cards = [
            pool.Job(f"{CARD_JOB}{found.name}", partial(self._card, found), deadline)
            for found in surveyed
            if found.name in self.cards
        ]
        pool.serve(cards, 1, sock, _nothing)

    def _survey(self, send: pool.Send) -> list[Stood]:
        internet = self.library.internet
        return survey(
            self.bench,
            self.stands,
            internet_side.isp_links(self.bench, internet),
            internet.services.site,
            SCRATCH / "bench",
            lambda line: send({"say": line}),
        )

    def _perform(
        self, number: int, scenario: Scenario, said: Mapping[str, bytes], send: pool.Send
    ) -> None:
        maker = GearMaker(SCRATCH / str(number), self.stands, scenario.topology)
        for name, content in said.items():
            send({"scenario": number, "file": name}, content)
        perform({number: scenario}, maker, True, send)

    def _card(self, found: Surveyed, send: pool.Send) -> None:
        rig = self._rig(found)
        namespaces: dict[str, NetNs] = {
            rig.lan.name: rig.lan.namespace,
            rig.neighbour.name: rig.neighbour.namespace,
            INTERNET: self.stands.internet,
        }
        capture = Capture(namespaces, _SNAPLEN)

        def told(result: CheckResult) -> None:
            send({"check": result.model_dump(mode="json")})

        asyncio.run(make_all(self.choice.checks, rig, self.choice.slow, told))
        frames, interfaces, lost = capture.read(), capture.interfaces, capture.lost
        capture.close()
        stream = io.BytesIO()
        comment = f"{lost} frames are missing" if lost else ""
        pcapng.write(stream, interfaces, frames, comment, _SNAPLEN)
        send({"file": CARD_CAPTURE}, stream.getvalue())

    def _rig(self, found: Surveyed) -> Rig:
        """Clear what scenarios left, and give the internet's side three hosts."""
        stands, internet = self.stands, self.library.internet
        dock = stands.docks[found.name]
        stage.sweep(stands.internet, [each.wan for each in stands.docks.values()])
        for namespace in (dock.host, dock.neighbour):
            stage.sweep(namespace, [ETH0])
        far = internet.services.site
        for address in (far, OTHER):
            stage.add_address(stands.internet, "lo", IPv4Interface(address))
        return Rig(
            lan=Station("lan", dock.host, found.lan),
            neighbour=Station("neighbour", dock.neighbour, found.neighbour),
            wan=Station("wan", stands.internet, found.isp.ip),
            far=Station("far", stands.internet, far),
            other=Station("other", stands.internet, OTHER),
            router=found.router,
            external=found.external,
            answer=self.bench.patience.answer,
        )


def _nothing() -> None:
    pass
