"""The programs of a lab: the two people's computers, the services, and strangers in a LAN."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable

from harness.assistance.people import Services
from harness.errors import ScenarioError
from harness.judge.model import Control
from harness.lab.lab import Lab
from harness.topology.model import Site
from harness.topology.plan import SERVICES
from harness.words import Method, Role

READY_DEADLINE = 10.0
"""Seconds that a program has to be ready, or to find its gateway; it takes 3 at the most."""

SERVICES_OF = {
    Method.FILE: ("reflector",),
    Method.EMAIL: ("reflector", "mail"),
    Method.MESSENGER: ("reflector", "relay"),
}
"""What a method needs: a service that it does not need is not there to help it."""

OFFER_CONTROL = "a mapping protocol is offered exactly where it should be"


class Programs:
    """What runs in a lab beside its devices' own daemons."""

    def __init__(self, lab: Lab, services: Iterable[str]) -> None:
        """Start the people's programs, these services, and each stranger of the plan.

        Raises:
            ScenarioError: one could not be started.
        """
        self._lab = lab
        self.people = {role: lab.start(role.value, role.value) for role in Role}
        self._services = {name: lab.start(SERVICES, name) for name in services}
        self._strangers = [
            (lab.start(node.name, "stranger"), node.stranger)
            for node in lab.plan.nodes
            if node.stranger is not None
        ]

    async def begin(self, services: Services) -> None:
        """Listen to every program, and wait until the services are ready.

        The mail server gets the account of ``services``.

        Raises:
            ScenarioError: one was not ready within :data:`READY_DEADLINE` seconds.
        """
        for program in self.people.values():
            await program.connect()
        for name, service in self._services.items():
            await service.connect()
            if name == "mail":
                service.write({services.mailbox: services.mailbox_password})
        for name, service in self._services.items():
            if await service.expect("ready", READY_DEADLINE) is None:
                raise ScenarioError(f"the {name} did not start within {READY_DEADLINE:g} s")
        for stranger, port in self._strangers:
            await stranger.connect()
            await stranger.ask("listen", READY_DEADLINE, port=port)

    async def search(self) -> None:
        """Check on both sites that a mapping protocol is offered exactly where it should be.

        Raises:
            ScenarioError: a person's program did not answer.
        """
        sites = self._lab.plan.topology.sites
        asked = [
            program.ask("search", READY_DEADLINE, believe_refusal=believes_refusal(sites[role]))
            for role, program in self.people.items()
        ]
        for role, answer in zip(self.people, await asyncio.gather(*asked), strict=True):
            self._lab.controls.append(_offer_control(role, sites[role], answer["offered"]))


def believes_refusal(site: Site) -> bool:
    """A real router may listen for a multicast search only, which none of our devices does."""
    return site.gear is None


def _offer_control(role: Role, site: Site, offered: str | None) -> Control:
    """Compare what a host found at its gateway with what its site's innermost box offers."""
    wanted = site.offers_mapping
    should = {True: "should offer one", False: "should offer none", None: "a real router's choice"}
    return Control(
        name=OFFER_CONTROL,
        node=role.value,
        passed=wanted in (None, offered is not None),
        detail=f"the gateway offers {offered or 'none'}, {should[wanted]}",
    )
