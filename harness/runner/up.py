"""A lab that stays up for a person to look around in, until that person ends it.

It is made like a scenario's, in a sealed world of its own: the same nodes, rules, daemons, services
and controls. Only nobody invites anybody. The namespaces' descriptors come out to the command, so
that other commands of the user may enter them (:mod:`harness.runner.labs`).
"""

from __future__ import annotations

import asyncio
import json
import os
import secrets
import select
import signal
import socket
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from itertools import chain
from pathlib import Path

from pydantic import BaseModel

from harness.assistance.people import Services
from harness.errors import RunError, ScenarioError
from harness.judge.model import Control
from harness.lab.lab import Lab
from harness.runner.labs import Address, LabEntry, NodeEntry, registered
from harness.runner.programs import SERVICES_OF, Programs
from harness.runner.runtimes import NamespacesRuntime
from harness.runtime import pool
from harness.runtime.docker.ownership import Owner
from harness.runtime.namespaces import program
from harness.runtime.pool import Send
from harness.topology.model import Topology
from harness.topology.plan import Kind, NodePlan, plan
from harness.words import Role

_NAME = "lab"
_ALL_SERVICES = tuple(dict.fromkeys(chain.from_iterable(SERVICES_OF.values())))
_ID_BYTES = 2

_FOR_GOOD = 1e9
"""Seconds that a lab may stay up: thirty years. The pool wants a deadline for each job."""

_MOST_DESCRIPTORS = 250
"""The kernel sends 253 at once at the most; the largest topologies have some thirty nodes."""

# Namespaces that all nodes of a lab share, in the order in which they are sent.
_SHARED = ("user", "pid", "mnt")
_OWN = Path("/proc/self/ns")

_ENDINGS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class _Brought(BaseModel):
    """What the lab's process sends of a lab that is up; its nodes in the descriptors' order."""

    controls: tuple[Control, ...]
    disks: dict[str, str]


@dataclass(frozen=True)
class StandingLab:
    """A lab that is up: what others may know of it, its controls, and the expert's mailbox."""

    entry: LabEntry
    controls: Sequence[Control]
    services: Services
    _channel: socket.socket
    _told: socket.socket

    def wait(self) -> None:
        """Wait until this command is told to end: by Ctrl-C, SIGTERM or the terminal's end.

        Raises:
            RunError: the lab has ended by itself.
        """
        ready, _, _ = select.select([self._channel, self._told], [], [])
        if self._told not in ready:
            raise RunError(f"lab {self.entry.id} has ended by itself: {_last_words(self._channel)}")


@contextmanager
def standing_lab(topology: Topology) -> Iterator[StandingLab]:
    """Bring a topology up; it is gone when the context is left.

    Within the context this process's end is asked for by :meth:`StandingLab.wait` alone.

    Raises:
        MachineError: this machine cannot run it.
        RunError: it could not be brought up.
    """
    runtime = NamespacesRuntime()
    runtime.prepare([topology], _say_nothing)
    services = Services(plan(topology).services, Role.EXPERT.value, secrets.token_urlsafe(9))
    with runtime.world(partial(_serve, runtime, topology, services)) as channel:
        brought, descriptors = _receive(channel)
        try:
            entry = _entry(topology, brought, descriptors)
            with _told_to_end() as told, registered(entry):
                yield StandingLab(entry, brought.controls, services, channel, told)
        finally:
            for descriptor in descriptors:
                os.close(descriptor)


def _say_nothing(_: str) -> None:
    """Take no notice: preparing this runtime takes no time."""


# --- In the world ---------------------------------------------------------------------------------


def _serve(
    runtime: NamespacesRuntime, topology: Topology, services: Services, sock: socket.socket
) -> None:
    """Be the world's first process: it reaps what the people who look around leave behind."""
    for name in (*_ALL_SERVICES, *Role, "stranger"):
        program(name)
    keep = partial(_keep, runtime, topology, services, sock)
    pool.serve([pool.Job(_NAME, keep, _FOR_GOOD)], 1, sock, lambda: None)


def _keep(
    runtime: NamespacesRuntime,
    topology: Topology,
    services: Services,
    sock: socket.socket,
    send: Send,
) -> None:
    """Bring the lab up, send what it is and its namespaces, and keep it."""
    try:
        with Lab(plan(topology), runtime.maker(_NAME), _tell_nobody) as lab:
            programs = Programs(lab, _ALL_SERVICES)
            lab.check()
            asyncio.run(_play(lab, programs, services, sock))
    except ScenarioError as failure:
        send({"trouble": str(failure)})


def _tell_nobody(node: str, event: object) -> None:
    """Take no notice of what programs say: nobody plays a scenario."""


async def _play(lab: Lab, programs: Programs, services: Services, sock: socket.socket) -> None:
    await programs.begin(services)
    await programs.search()
    await lab.probe()
    lab.watch.close()
    disks = {name: str(lab.disk(name)) for name in lab.namespaces}
    brought = _Brought(controls=tuple(lab.controls), disks=disks)
    shared = [os.open(_OWN / kind, os.O_RDONLY | os.O_CLOEXEC) for kind in _SHARED]
    nodes = [namespace.fd for namespace in lab.namespaces.values()]
    socket.send_fds(sock, [brought.model_dump_json().encode()], [*shared, *nodes])
    # The programs' streams are read for as long as the lab is up.
    await asyncio.Event().wait()


# --- Outside --------------------------------------------------------------------------------------


def _receive(channel: socket.socket) -> tuple[_Brought, list[int]]:
    """Receive what the lab is, and its namespaces' descriptors.

    Raises:
        RunError: it could not be brought up.
    """
    trouble = None
    while trouble is None:
        data, descriptors, _, _ = socket.recv_fds(channel, pool.MAX_MESSAGE, _MOST_DESCRIPTORS)
        if descriptors:
            return _Brought.model_validate_json(data), descriptors
        trouble = _trouble(data)
    raise RunError(f"the lab could not be brought up: {trouble}")


def _last_words(channel: socket.socket) -> str:
    """Return why a lab ended that nobody asked to end."""
    trouble = None
    while trouble is None:
        trouble = _trouble(channel.recv(pool.MAX_MESSAGE))
    return trouble


def _trouble(data: bytes) -> str | None:
    """Return what a message of the pool says is wrong; None where it says nothing of the kind.

    A defect's traceback is its last line.
    """
    message = json.loads(data) if data else {"ended": "no word"}
    if "trouble" in message:
        return str(message["trouble"])
    if "failed" in message:
        return str(message["failed"]).strip().splitlines()[-1]
    if "ended" in message:
        return f"its process ended with {message['ended']}"
    return None


def _entry(topology: Topology, brought: _Brought, descriptors: Sequence[int]) -> LabEntry:
    user, world, mounts, *networks = descriptors
    is_own = os.path.samestat(os.fstat(user), (_OWN / "user").stat())
    planned = plan(topology)
    nodes = [
        _node(planned.node(name), disk, network)
        for (name, disk), network in zip(brought.disks.items(), networks, strict=True)
    ]
    return LabEntry(
        id=secrets.token_hex(_ID_BYTES),
        topology=topology.name,
        since=datetime.now(UTC),
        owner=Owner.current().text(),
        user=None if is_own else user,
        world=world,
        mounts=mounts,
        nodes=tuple(nodes),
    )


def _node(node: NodePlan, disk: str, network: int) -> NodeEntry:
    addresses = tuple(
        Address(interface=each.name, address=each.address) for each in node.stack.interfaces
    )
    return NodeEntry(
        name=node.name,
        what=_what(node),
        addresses=addresses,
        disk=disk,
        network=network,
    )


def _what(node: NodePlan) -> str:
    """Say in words what a node is."""
    if node.kind is Kind.INTERNET:
        return "the internet's router"
    if node.kind is Kind.SERVICES:
        return "mail, relay and reflector"
    if node.kind is Kind.DEVICE and node.device is not None:
        return node.device.title
    if node.name not in set(Role):
        stranger = f", a stranger on TCP {node.stranger}" if node.stranger is not None else ""
        return f"a neighbour{stranger}"
    firewall = f" with {node.device.title}" if node.device is not None else ""
    return f"the {node.name}'s computer{firewall}"


@contextmanager
def _told_to_end() -> Iterator[socket.socket]:
    """Take signals that ask for the end as something to read from the socket.

    What the caller ignores, as a shell has it for its background jobs, stays ignored. Children that
    were forked before keep their own ways.
    """
    told, bell = socket.socketpair()
    bell.setblocking(False)
    heeded = [each for each in _ENDINGS if signal.getsignal(each) is not signal.SIG_IGN]
    before = {each: signal.signal(each, lambda *_: None) for each in heeded}
    bell_before = signal.set_wakeup_fd(bell.fileno(), warn_on_full_buffer=False)
    try:
        yield told
    finally:
        signal.set_wakeup_fd(bell_before)
        for each, handler in before.items():
            signal.signal(each, handler)
        told.close()
        bell.close()
