"""The script of a lab that a test plays in: what the test says, step by step, until it says end.

The test's commands come on a socket as JSON, a datagram each. Each is answered with ``did`` and the
facts as content, or with ``refused`` and the reason.
"""

from __future__ import annotations

import asyncio
import base64
import json
import os
import signal
import socket
import subprocess
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import replace
from typing import Any

from harness.assistance.people import INVITATION, RECEIVED, Person, Terms
from harness.errors import ScenarioError
from harness.judge.evidence import Call, trace_controls
from harness.runner.bundle import nodes
from harness.runner.scenario import Stage
from harness.runtime.namespaces import SYSTEM_PATH
from harness.runtime.pool import MAX_MESSAGE, send_on
from harness.runtime.syscalls import die_with_parent
from harness.words import Method, Role

Facts = dict[str, Any]

END = "end"


async def obey(sock: socket.socket, stage: Stage) -> list[Call]:
    """Be told what to do on ``sock``; return every attempt that was made.

    Raises:
        ScenarioError: a control failed, so that nothing done here would prove anything.
    """
    for control in stage.lab.controls:
        if not control.passed:
            raise ScenarioError(
                f"control {control.name} failed at {control.node}: {control.detail}"
            )
    await asyncio.gather(stage.novice.prepare(), stage.expert.prepare())
    send, hands = send_on(sock), _Hands(stage)
    send({"did": "build"}, json.dumps(nodes(stage.scenario.topology)).encode())
    while (command := await _next(sock)) is not None and command["do"] != END:
        try:
            facts = await hands.do(**command)
        except ScenarioError as error:
            send({"refused": str(error)})
        else:
            send({"did": command["do"]}, json.dumps(facts).encode())
    await hands.close_all()
    return sorted(hands.calls, key=lambda call: call.dialled.started)


async def _next(sock: socket.socket) -> Facts | None:
    """Return the next command; None where nobody gives one any more."""
    loop = asyncio.get_running_loop()
    there = asyncio.Event()
    loop.add_reader(sock, there.set)
    try:
        await there.wait()
    finally:
        loop.remove_reader(sock)
    data = sock.recv(MAX_MESSAGE)
    command: Facts | None = json.loads(data) if data else None
    return command


class _Hands:
    """Does what a test says."""

    def __init__(self, stage: Stage) -> None:
        self.calls: list[Call] = []
        self._stage = stage
        self._people = {Role.NOVICE: stage.novice, Role.EXPERT: stage.expert}
        self._open: dict[Role, Terms] = {}
        self._signed_in: set[Role] = set()

    async def do(self, do: str, **said: Any) -> Facts:
        """Do one thing.

        Raises:
            ScenarioError: it cannot be done.
        """
        commands: dict[str, Callable[..., Awaitable[Facts]]] = {
            "run": self.run,
            "invite": self.invite,
            "carry": self.carry,
            "dial": self.dial,
            "close": self.close,
        }
        return await commands[do](**said)

    async def close_all(self) -> None:
        """End every invitation that is still open."""
        for inviter in list(self._open):
            await self.close(inviter)

    async def run(self, node: str, command: str, deadline: float) -> Facts:
        """Run a shell command of the host's in a node's network; return status and output."""
        namespace = self._stage.lab.namespaces[node]
        path = f"{os.environ.get('PATH', '')}:{SYSTEM_PATH}"
        with namespace.entered():
            process = subprocess.Popen(
                ("sh", "-c", command),
                cwd=self._stage.lab.disk(node),
                env={**os.environ, "PATH": path},
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                start_new_session=True,
                preexec_fn=die_with_parent,  # noqa: PLW1509 - a lab's process has one thread
            )
        try:
            out, err = process.communicate(timeout=deadline)
        except subprocess.TimeoutExpired as error:
            raise ScenarioError(f"{node}: {command!r} did not end in {deadline:g} s") from error
        finally:
            # Whatever it has left behind in its session, too.
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        return {
            "status": process.returncode,
            "out": out.decode(errors="replace"),
            "err": err.decode(errors="replace"),
        }

    async def invite(self, inviter: str, password: str | None, minutes: int) -> Facts:
        """Make an invitation; return the ticket."""
        role = Role(inviter)
        terms = replace(self._stage.scenario.terms, minutes=minutes)
        if password is not None:
            terms = replace(terms, password=password)
        if role in self._open:
            raise ScenarioError(f"the {role} has an open invitation already: close it first")
        person = self._people[role]
        await person.invite(self._stage.services, terms)
        self._open[role] = terms
        ticket = person.disk.take(INVITATION)
        return {"ticket": base64.b64encode(ticket).decode(), "password": terms.password}

    async def carry(self, inviter: str, ticket: str | None) -> Facts:
        """Carry the ticket to the other one by the method, or put another one there."""
        sender, receiver = self._both(inviter)
        services = self._stage.services
        match self._stage.scenario.method:
            case _ if ticket is not None:
                receiver.disk.put(RECEIVED, base64.b64decode(ticket))
            case Method.FILE:
                receiver.disk.put(RECEIVED, sender.disk.take(INVITATION))
            case Method.EMAIL if sender.role is Role.NOVICE:
                await sender.submit(services)
                await receiver.fetch(services)
            case Method.EMAIL:
                raise ScenarioError("by e-mail the novice invites: only the expert has a mailbox")
            case Method.MESSENGER:
                await asyncio.gather(self._sign_in(sender), self._sign_in(receiver))
                await sender.send(receiver.role)
                await receiver.receive()
        return {}

    async def dial(self, inviter: str, password: str, patience: float) -> Facts:
        """Let the other one dial all of the ticket it was given; return what was observed."""
        listener, dialler = self._both(inviter)
        terms = replace(self._stage.scenario.terms, password=password, patience=patience)
        calls = [Call(dialler.role, each) for each in await dialler.dial(listener, terms)]
        self.calls += calls
        observed = self._stage.observe(calls)
        for control in trace_controls(observed):
            if not control.passed:
                raise ScenarioError(f"this proves nothing: {control.name}: not {control.detail}")
        return observed.model_dump(mode="json")

    async def close(self, inviter: str) -> Facts:
        """End an invitation."""
        role = Role(inviter)
        if self._open.pop(role, None) is None:
            raise ScenarioError(f"the {role} has no open invitation")
        self._signed_in.discard(role)
        await self._people[role].close()
        return {}

    def _both(self, inviter: str) -> tuple[Person, Person]:
        listener = self._people[Role(inviter)]
        (dialler,) = (each for each in self._people.values() if each is not listener)
        return listener, dialler

    async def _sign_in(self, person: Person) -> None:
        if person.role not in self._signed_in:
            await person.sign_in(self._stage.services)
            self._signed_in.add(person.role)
