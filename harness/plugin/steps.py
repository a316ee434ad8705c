"""What a test holds in its hands: a scenario's outcome, a lab, an invitation, a dial."""

from __future__ import annotations

import base64
import json
from collections.abc import Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Interface
from pathlib import Path
from typing import Any

from harness.judge.model import Attempt, Control, Observed, ScenarioResult, Winner
from harness.judge.verdict import explain
from harness.plugin.errand import Errand, Facts
from harness.plugin.errors import Broken
from harness.report.wording import reason
from harness.words import Answer, Role, Verdict

STEP_DEADLINE = 90.0
"""Seconds that a step may take: a few commands of 20 s at the most, where nobody answers."""

_MARGIN = 10.0


class Said(str):
    """An answer, ``yes`` or ``no``, that has its reason: an assertion that fails shows it."""

    why: str

    @classmethod
    def because(cls, answer: Answer, why: str) -> Said:
        """Give an answer its reason."""
        said = cls(answer.value)
        said.why = why
        return said


class Outcome:
    """What a scenario came to: it was played end to end, and every control passed."""

    def __init__(self, result: ScenarioResult, folder: Path) -> None:
        """Wrap a result whose evidence is in a results folder."""
        self.result = result
        self.folder = folder

    @property
    def answer(self) -> Said:
        """What the packets said: yes or no."""
        return Said.because(self._observed.answer, f"{self.result.id}: {reason(self.result)}")

    @property
    def documented(self) -> Answer | None:
        """What the article says: yes, no or depends; None where it does not speak of this."""
        return None if self.result.documented is None else self.result.documented.answer

    @property
    def predicted(self) -> Answer | None:
        """What the model of devices and methods says: yes or no."""
        return None if self.result.predicted is None else self.result.predicted.answer

    @property
    def verdict(self) -> Verdict:
        """The comparison with the article: agrees, differs or undocumented."""
        return self.result.verdict

    @property
    def why(self) -> str:
        """The reason in one line."""
        return self.result.why

    @property
    def attempts(self) -> Sequence[Attempt]:
        """Every dial of every address, in order: its ``end``, ``ended_at`` and ``how``."""
        return self._observed.attempts

    @property
    def winner(self) -> Winner | None:
        """The connection that counted; None where there was none."""
        return self._observed.winner

    @property
    def controls(self) -> Sequence[Control]:
        """The checks that every node is what its definition says."""
        return self.result.controls

    @property
    def seconds(self) -> float:
        """How long bring-up and scenario took."""
        return self.result.seconds

    @property
    def bundle(self) -> Path:
        """The folder with the evidence."""
        return self.folder / str(self.result.bundle)

    @property
    def _observed(self) -> Observed:
        if self.result.observed is None:
            raise ValueError(f"{self.result.id} was not observed: {self.result.why}")
        return self.result.observed

    def __repr__(self) -> str:
        """Say what it was and came to, for an assertion that fails."""
        observed = "nothing" if self.result.observed is None else self.answer
        documented = self.documented or "nothing"
        return (
            f"<{self.result.id}: observed {observed}, documented {documented}: "
            f"{reason(self.result)}>"
        )


@dataclass(frozen=True)
class Dial:
    """What came of dialling a ticket once."""

    observed: Observed

    @property
    def answer(self) -> Said:
        """Whether somebody was reached who holds the same invitation: yes or no."""
        return Said.because(self.observed.answer, explain(self.observed))

    @property
    def attempts(self) -> Sequence[Attempt]:
        """Every dial of every address, in the order made."""
        return self.observed.attempts

    @property
    def winner(self) -> Winner | None:
        """The connection that counted; None where there was none."""
        return self.observed.winner

    def __repr__(self) -> str:
        """Say what came of it, for an assertion that fails."""
        return f"<dial: {self.answer}: {explain(self.observed)}>"


@dataclass(frozen=True)
class Ran:
    """How a command in a node ended, and what it wrote."""

    status: int
    out: str
    err: str


class Lab:
    """A running lab, which passed its controls; it ends with the test."""

    def __init__(self, errand: Errand, nodes: Facts) -> None:
        """Take over an errand that holds a lab; ``nodes`` is as in ``definition.json``."""
        self._errand = errand
        self._nodes = nodes

    @property
    def nodes(self) -> tuple[str, ...]:
        """The names of its nodes: ``novice``, ``novice.nat``, ``internet``, ..."""
        return tuple(self._nodes)

    def address(self, node: str, interface: str = "eth0") -> IPv4Address:
        """Return an interface's address: ``eth0`` of a host, ``lan`` or ``wan`` of a device."""
        interfaces = self._nodes[node]["interfaces"]
        return IPv4Interface(interfaces[interface]).ip

    def run(self, node: str, command: str, deadline: float = 30.0) -> Ran:
        """Run a shell command of this machine's in a node's network, and in the folder of its disk.

        Raises:
            Refused: it did not end within ``deadline`` seconds.
        """
        __tracebackhide__ = True
        if node not in self._nodes:
            raise ValueError(f"there is no node {node!r}; there are: {', '.join(self._nodes)}")
        facts = self.step("run", deadline + _MARGIN, node=node, command=command, deadline=deadline)
        return Ran(**facts)

    def invite(
        self, inviter: str = Role.NOVICE, *, password: str | None = None, minutes: int = 60
    ) -> Invitation:
        """Make an invitation: the inviter listens, asks the gateway for a mapping, writes a ticket.

        ``minutes`` is how long it is in force; without a password one is made.

        Raises:
            Refused: it cannot be made.
        """
        __tracebackhide__ = True
        facts = self.step("invite", inviter=Role(inviter).value, password=password, minutes=minutes)
        return Invitation(self, Role(inviter), base64.b64decode(facts["ticket"]), facts["password"])

    def step(self, do: str, within: float = STEP_DEADLINE, **said: object) -> Any:
        """Have one thing done within so many seconds; return its facts.

        Raises:
            Refused: it cannot be done.
            Broken: the lab has ended.
        """
        __tracebackhide__ = True
        if self._errand.over:
            raise Broken("the lab has ended")
        self._errand.tell(do=do, **said)
        answer, content = self._errand.hear(within)
        facts = json.loads(content)
        if "ended" in answer:
            raise Broken(f"the lab has ended: {facts['why']}")
        return facts


class Invitation:
    """An open invitation, and the ticket that says so."""

    def __init__(self, lab: Lab, inviter: Role, ticket: bytes, password: str) -> None:
        """Take over what the inviter has made."""
        self.lab = lab
        self.inviter = inviter
        self.ticket = ticket
        self.password = password
        self._carried = False

    @property
    def addresses(self) -> tuple[str, ...]:
        """The addresses in the ticket, each ``address:port``, in its order."""
        from harness.protocol import incident  # noqa: PLC0415 - it brings XML and ciphers

        return tuple(map(str, incident.parse(self.ticket).candidates))

    def carry(self, ticket: bytes | None = None) -> None:
        """Carry the ticket, or another one instead, to the other person.

        The own one travels by the test's method; another one is put on that person's disk.

        Raises:
            Refused: mail or relay is out of reach, for one.
        """
        __tracebackhide__ = True
        other = None if ticket is None else base64.b64encode(ticket).decode()
        self.lab.step("carry", inviter=self.inviter.value, ticket=other)
        self._carried = True

    def dial(self, password: str | None = None, *, patience: float = 4.0) -> Dial:
        """Let the other person dial every address of the ticket that was carried last.

        A ticket that was not carried yet is carried first. ``password`` is what the other person
        was told, the right one if it is left out; ``patience`` the seconds that an attempt may take
        to connect.

        Raises:
            Refused: the ticket cannot be opened, is not in force any more, or what came of an
                attempt was not seen.
        """
        __tracebackhide__ = True
        if not self._carried:
            self.carry()
        facts = self.lab.step(
            "dial",
            inviter=self.inviter.value,
            password=self.password if password is None else password,
            patience=patience,
        )
        return Dial(Observed.model_validate(facts))

    def close(self) -> None:
        """End the invitation: nobody listens any more, and the gateway is asked to end the mapping.

        Raises:
            Refused: it was ended already.
        """
        __tracebackhide__ = True
        self.lab.step("close", inviter=self.inviter.value)
