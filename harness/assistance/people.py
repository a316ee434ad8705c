"""The two people and what each can be asked to do."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from ipaddress import IPv4Address
from typing import Any, Protocol

from harness.judge.evidence import confirmed
from harness.protocol.replies import Dialled
from harness.words import End, Role

INVITATION = "invitation.MsRcIncident"
"""The invitation that a person made, on that person's disk."""

RECEIVED = "received.MsRcIncident"
"""The invitation that a person was given, on that person's disk."""

RDP_PORT = 3389

_DEADLINE = 20.0
"""Seconds any one step may take; the slowest, a search that nobody answers, takes 3."""

_CONFIRM_DEADLINE = 5.0


class Computer(Protocol):
    """A person's program in its node."""

    async def ask(self, do: str, deadline: float, **facts: object) -> dict[str, Any]:
        """Give a command; return the reply's facts."""

    async def expect(self, event: str, deadline: float, **facts: object) -> dict[str, Any] | None:
        """Wait for an event with these facts; None at the deadline."""


class Disk(Protocol):
    """A person's disk."""

    def take(self, name: str) -> bytes:
        """Copy a file from it."""

    def put(self, name: str, content: bytes) -> None:
        """Copy a file onto it."""


class HostFirewall(Protocol):
    """The firewall on a person's computer, which Remote Assistance opens for itself."""

    def open(self, port: int) -> None:
        """Let TCP connections to a port in."""

    def close(self, port: int) -> None:
        """Keep them out again."""


@dataclass(frozen=True)
class ProxyServer:
    """A site's proxy: what it speaks, and where."""

    protocol: str
    address: IPv4Address
    port: int


class Order(StrEnum):
    """Who dials first by Windows Messenger once both have a ticket (KB306298 does not say)."""

    BOTH = "both"
    EXPERT_FIRST = "expert-first"
    NOVICE_FIRST = "novice-first"


@dataclass(frozen=True)
class Terms:
    """What the two agree on, and how patient they are.

    ``password`` is told by voice. ``minutes`` is how long an invitation is in force, ``patience``
    the seconds an attempt has to connect. ``listens`` is set where the novice listens on another
    port than its ticket says; ``expert_port`` is where the expert listens by Windows Messenger, 0
    for a free port above 1024 as KB306298 has it.
    """

    password: str
    minutes: int = 60
    patience: float = 4.0
    listens: int | None = None
    expert_port: int = 0
    order: Order = Order.BOTH


@dataclass(frozen=True)
class Services:
    """Where mail server, relay and reflector are, and the expert's account at the first."""

    address: IPv4Address
    mailbox: str
    mailbox_password: str


@dataclass(frozen=True)
class Person:
    """One of the two, at a computer with a disk.

    ``firewall`` is set where Remote Assistance opens the computer's own firewall, ``proxy`` where
    the site has one; with ``proxy_client`` the connection itself goes through it as well.
    ``witness`` is called with the port when an invitation has been opened. ``believe_refusal``: see
    :func:`harness.nodes.gateway.discover`.
    """

    role: Role
    computer: Computer
    disk: Disk
    firewall: HostFirewall | None = None
    proxy: ProxyServer | None = None
    proxy_client: bool = False
    witness: Callable[[int], None] | None = None
    believe_refusal: bool = True

    async def prepare(self) -> None:
        """Tell the computer of the site's proxy."""
        if self.proxy is not None:
            await self._ask(
                "use_proxy",
                protocol=self.proxy.protocol,
                address=str(self.proxy.address),
                port=self.proxy.port,
            )

    async def invite(self, services: Services, terms: Terms) -> None:
        """Make an invitation: listen, map, write the ticket, open the own firewall."""
        if self.role is Role.EXPERT:
            listen_port, ticket_port = terms.expert_port, None
        elif terms.listens is None:
            listen_port, ticket_port = RDP_PORT, None
        else:
            listen_port, ticket_port = terms.listens, RDP_PORT
        reply = await self._ask(
            "invite",
            path=INVITATION,
            password=terms.password,
            minutes=terms.minutes,
            listen_port=listen_port,
            ticket_port=ticket_port,
            reflector=str(services.address),
            believe_refusal=self.believe_refusal,
        )
        if self.firewall is not None:
            self.firewall.open(reply["port"])
        if self.witness is not None:
            self.witness(reply["port"])

    async def submit(self, services: Services) -> None:
        """Send the own invitation to the expert's mailbox."""
        await self._ask(
            "submit",
            path=INVITATION,
            server=str(services.address),
            sender="novice@lab.example",
            recipient=f"{services.mailbox}@lab.example",
        )

    async def fetch(self, services: Services) -> None:
        """Fetch the invitation from the mailbox."""
        await self._ask(
            "fetch",
            path=RECEIVED,
            server=str(services.address),
            user=services.mailbox,
            password=services.mailbox_password,
        )

    async def sign_in(self, services: Services) -> None:
        """Sign in to the relay."""
        await self._ask("sign_in", server=str(services.address))

    async def send(self, to: Role) -> None:
        """Send the own ticket through the relay."""
        await self._ask("send", path=INVITATION, recipient=to.value)

    async def receive(self) -> None:
        """Receive the other's ticket through the relay."""
        await self._ask("receive", path=RECEIVED)

    async def dial(self, peer: Person, terms: Terms) -> list[Dialled]:
        """Open the received invitation and dial all of it.

        A connection counts when its listener has accepted it too.
        """
        await self._ask("open", path=RECEIVED)
        reply = await self._ask(
            "dial",
            password=terms.password,
            patience=terms.patience,
            proxy_client=self.proxy_client,
        )
        attempts = [Dialled.read(facts) for facts in reply["attempts"]]
        return [await self._confirm(attempt, peer) for attempt in attempts]

    async def close(self) -> None:
        """End the invitation, and close the own firewall that was opened for it."""
        reply = await self._ask("close")
        if self.firewall is not None and reply["port"] is not None:
            self.firewall.close(reply["port"])

    async def _confirm(self, attempt: Dialled, peer: Person) -> Dialled:
        if attempt.end is not End.CONNECTED:
            return attempt
        accepted = await peer.computer.expect(
            "accepted", _CONFIRM_DEADLINE, session=attempt.session
        )
        return confirmed(attempt, peer.role, accepted is not None)

    async def _ask(self, do: str, **facts: object) -> dict[str, Any]:
        return await self.computer.ask(do, _DEADLINE, **facts)
