"""Runs a piece of a test inside a sealed world and brings its result out."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from harness.lab import machine
from harness.lab.lab import Lab
from harness.runtime import pool
from harness.runtime.namespaces import Namespaces
from harness.runtime.pool import Send
from harness.runtime.world import SCRATCH, sealed
from harness.topology.load import Library, default_folder
from harness.topology.model import Topology
from harness.topology.plan import plan

DEADLINE = 60.0


def in_world(work: Callable[[Path], object]) -> Any:
    """Run ``work`` with an empty scratch folder in a process of a sealed world.

    Returns what it returned, by way of JSON; an AssertionError or any other failure inside fails
    the caller's test with the inner traceback.
    """

    def job(send: Send) -> None:
        send({"result": work(SCRATCH / "test")})

    def body(sock: Any) -> None:
        pool.serve([pool.Job("test", job, DEADLINE)], 1, sock, lambda: None)

    with sealed(machine.probe, body) as channel:
        while data := channel.recv(pool.MAX_MESSAGE):
            message = json.loads(data)
            if "result" in message:
                return message["result"]
            assert "failed" not in message, message["failed"]
    raise AssertionError("the world ended without a result")


def topology(novice: str = "direct", expert: str = "direct") -> Topology:
    """Make a topology of the project's own devices; chains as on the command line."""
    novice_chain, expert_chain = (
        () if chain == "direct" else tuple(chain.split(",")) for chain in (novice, expert)
    )
    return Library(default_folder()).from_chains(novice_chain, expert_chain)


def in_lab(which: Topology, play: Callable[[Lab], Awaitable[object]]) -> Any:
    """Bring a lab up in a sealed world, play in it, and return what the play returned."""

    def work(scratch: Path) -> object:
        with Lab(plan(which), Namespaces(scratch), lambda node, event: None) as lab:
            lab.check()
            assert all(control.passed for control in lab.controls), lab.controls

            async def whole() -> object:
                return await play(lab)

            return asyncio.run(whole())

    return in_world(work)
