"""What novice and expert can do: invite, carry an invitation, dial, and end it.

The two programs differ in who they are; by Windows Messenger both make a ticket and both dial.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import asdict
from ipaddress import IPv4Address
from pathlib import Path
from typing import Any

from harness.nodes import post
from harness.nodes.chat import Line
from harness.nodes.dialler import Dialler
from harness.nodes.gateway import Mapping, MappingError, PortMapper, discover
from harness.nodes.host import default_gateway, own_address
from harness.nodes.listener import Listener
from harness.nodes.program import Command, Console, Facts, Refusal
from harness.nodes.reflector import ask as reflect
from harness.nodes.way import ProxyServer
from harness.protocol import incident
from harness.protocol.incident import Candidate, Incident, IncidentError

RDP_PORT = 3389


class Endpoint:
    """One person's computer. Its disk is the working folder."""

    def __init__(self, console: Console, name: str) -> None:
        """Call the person ``name``: ``novice`` or ``expert``."""
        self._console = console
        self._name = name
        self._listener: Listener | None = None
        self._mapper: PortMapper | None = None
        self._mapping: Mapping | None = None
        self._dialler: Dialler | None = None
        self._line: Line | None = None
        self._opened: Incident | None = None
        self._proxy: ProxyServer | None = None

    def commands(self) -> dict[str, Command]:
        """Return what the harness may ask for."""
        every: tuple[Callable[..., Any], ...] = (
            self.use_proxy,
            self.search,
            self.invite,
            self.close,
            self.submit,
            self.fetch,
            self.sign_in,
            self.send,
            self.receive,
            self.open,
            self.dial,
            self.abandon,
        )
        return {command.__name__: command for command in every}

    async def use_proxy(self, protocol: str, address: str, port: int) -> None:
        """Reach mail, relay and reflector through a proxy from now on."""
        self._proxy = ProxyServer(protocol, IPv4Address(address), port)

    async def search(self, believe_refusal: bool) -> Facts:
        """Look for a mapping protocol at the gateway, and ask it for nothing."""
        gateway = default_gateway()
        mapper = None if gateway is None else await discover(gateway, believe_refusal)
        return {"offered": None if mapper is None else mapper.protocol}

    async def invite(
        self,
        path: str,
        password: str,
        minutes: int,
        listen_port: int,
        ticket_port: int | None,
        reflector: str,
        believe_refusal: bool,
    ) -> Facts:
        """Make an invitation: listen, have the port mapped, write the ticket to ``path``.

        The ticket names this host's own address and the mapping's external one. Where nothing was
        mapped it names the address that the reflector sees this host by: then a "No" is not for
        want of the right address, it is the gateway's.

        ``listen_port`` 0 takes a free port above 1024. ``ticket_port`` is what the ticket (and the
        mapping) say instead of the port that is listened on, where a test wants them to differ.
        """
        self._listener = Listener(self._console, listen_port)
        await self._listener.open()
        port = self._listener.port if ticket_port is None else ticket_port
        own = Candidate(str(own_address()), port)
        candidates = [own]
        mapping = await self._map(port, minutes * 60, believe_refusal)
        if mapping is not None:
            candidates.append(Candidate(str(mapping.external), mapping.port))
        elif (reflexive := await reflect(self._proxy, reflector)) is not None:
            candidates.append(Candidate(str(reflexive), port))
        invitation = incident.compose(
            username=self._name, candidates=candidates, now=time.time(), minutes=minutes
        )
        self._listener.admit(incident.invitation_key(invitation, password))
        Path(path).write_bytes(incident.write(invitation))
        self._console.tell("invited", addresses=[str(each) for each in candidates])
        return {"addresses": [str(each) for each in candidates], "port": self._listener.port}

    async def close(self) -> Facts:
        """End the invitation: stop to listen and have the mapping removed.

        A gateway that keeps the mapping is told of, and hinders nothing.

        Returns the port that was listened on, None where there was no invitation.
        """
        port = None
        if self._listener is not None:
            port = self._listener.port
            await self._listener.close()
        if self._mapper is not None and self._mapping is not None:
            try:
                await self._mapper.unmap(self._mapping)
            except MappingError as error:
                self._console.tell("not unmapped", port=self._mapping.port, why=str(error))
            else:
                self._console.tell("unmapped", port=self._mapping.port)
            self._mapping = None
        if self._line is not None:
            self._line.close()
        return {"port": port}

    async def submit(self, path: str, server: str, sender: str, recipient: str) -> None:
        """Send the invitation on this disk by e-mail."""
        invitation = Path(path).read_bytes()
        await asyncio.to_thread(post.submit, self._proxy, server, sender, recipient, invitation)
        self._console.tell("submitted", server=server, recipient=recipient)

    async def fetch(self, path: str, server: str, user: str, password: str) -> None:
        """Fetch an invitation from the mailbox to this disk."""
        invitation = await asyncio.to_thread(post.fetch, self._proxy, server, user, password)
        Path(path).write_bytes(invitation)
        self._console.tell("fetched", server=server, size=len(invitation))

    async def sign_in(self, server: str) -> None:
        """Sign in to the Messenger relay."""
        self._line = await Line.sign_in(self._proxy, server, self._name)
        self._console.tell("signed in", server=server)

    async def send(self, path: str, recipient: str) -> None:
        """Send the ticket on this disk through the relay."""
        await self._signed_in().send(recipient, Path(path).read_bytes())

    async def receive(self, path: str) -> None:
        """Put the ticket that comes through the relay on this disk."""
        Path(path).write_bytes(await self._signed_in().receive())
        self._console.tell("received")

    async def open(self, path: str) -> Facts:
        """Open an invitation on this disk; it must be well-formed, in force, and name addresses."""
        try:
            opened = incident.parse(incident.read(Path(path)))
            incident.check_usable(opened, time.time())
        except IncidentError as error:
            raise Refusal(str(error)) from error
        self._opened = opened
        addresses = [str(each) for each in opened.candidates]
        self._console.tell("opened", inviter=opened.username, addresses=addresses)
        return {"addresses": addresses}

    async def dial(self, password: str, patience: float, proxy_client: bool) -> Facts:
        """Dial every address of the opened invitation; return every attempt.

        Only with ``proxy_client`` does the connection itself go through the proxy.
        """
        if self._opened is None:
            raise Refusal("there is no opened invitation to dial")
        key = incident.invitation_key(self._opened, password)
        via = self._proxy if proxy_client else None
        self._dialler = Dialler(self._console, key, patience, via)
        attempts = await self._dialler.dial(self._opened.candidates)
        return {"attempts": [asdict(attempt) for attempt in attempts]}

    async def abandon(self, address: str, port: int) -> None:
        """Stop to wait for one attempt, whose SYN the harness has seen end."""
        if self._dialler is not None:
            self._dialler.abandon(address, port)

    async def _map(self, port: int, lifetime: int, believe_refusal: bool) -> Mapping | None:
        gateway = default_gateway()
        if gateway is None:
            return None
        self._mapper = await discover(gateway, believe_refusal)
        if self._mapper is None:
            self._console.tell("no mapping protocol", gateway=str(gateway))
            return None
        try:
            self._mapping = await self._mapper.map(port, lifetime)
        except MappingError as error:
            self._console.tell("not mapped", gateway=str(gateway), why=str(error))
            return None
        self._console.tell(
            "mapped",
            gateway=str(gateway),
            protocol=self._mapping.protocol,
            external=str(self._mapping.external),
            port=self._mapping.port,
        )
        return self._mapping

    def _signed_in(self) -> Line:
        if self._line is None:
            raise Refusal("not signed in to the relay")
        return self._line


async def main(console: Console, name: str) -> None:
    """Obey the harness until it closes the stream."""
    await console.serve(Endpoint(console, name).commands())
