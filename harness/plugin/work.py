"""What an errand does: runs a scenario, holds a lab, or draws a bundle's journeys."""

from __future__ import annotations

import importlib
import secrets
import socket
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

from rich.console import Console

from harness.assistance.people import Terms
from harness.plugin.asked import Asked
from harness.plugin.heard import Heard
from harness.plugin.obey import obey
from harness.report.progress import PlainProgress
from harness.runner.catalogue import of_topology
from harness.runner.ladders import drawn
from harness.runner.programs import SERVICES_OF
from harness.runner.results_folder import ResultsFolder
from harness.runner.run import Choice, new_id, run
from harness.runner.runtimes import Runtime, choose
from harness.runner.scenario import Scenario, perform
from harness.runtime import pool
from harness.runtime.namespaces import program
from harness.runtime.pool import Send, send_on
from harness.topology.load import Library, default_folder
from harness.words import Method, Role, read_chain

# A lab lives as long as its test does, and how long that may be is for pytest to say.
_LIFE = 24 * 3600.0


def play(asked: Asked, sock: socket.socket) -> None:
    """Run one scenario, and send its result."""
    scenario = _scenario(asked)
    folder = ResultsFolder(Path(asked.folder))
    results = run([scenario], folder, Choice(asked.runtime, 1), _progress())
    folder.write_results(results)
    (result,) = results.scenarios
    send_on(sock)({"ended": result.id}, result.model_dump_json().encode())


def hold(asked: Asked, sock: socket.socket) -> None:
    """Hold a lab in which a test says what happens; at last send what came of it."""
    scenario = _scenario(asked)
    folder = ResultsFolder(Path(asked.folder))
    send = send_on(sock)
    runtime = choose(asked.runtime, new_id(datetime.now(UTC)))
    runtime.prepare([scenario.topology], _progress().say)
    heard = Heard(scenario)
    with runtime.world(partial(_serve, runtime, scenario, sock)) as channel:
        send({"began": scenario.id})
        while received := pool.receive(channel):
            heard.take(*received)
    result = heard.write(folder)
    send({"ended": result.id}, result.model_dump_json().encode())


def draw(asked: Asked, sock: socket.socket) -> None:
    """Send a bundle's journeys, drawn."""
    send_on(sock)({"ended": asked.folder}, drawn(Path(asked.folder)).encode())


def prepare(asked: Asked) -> None:
    """Import what an errand needs, before it is forked: so it is there for those after it too.

    Mail alone takes 0.3 s to import.
    """
    if asked.runtime == "docker":
        importlib.import_module("harness.runner.docker")
    services = SERVICES_OF[Method(asked.method)] if asked.method else ()
    for name in (*Role, "stranger", *services):
        program(name)


DOES: Mapping[str, Callable[[Asked, socket.socket], None]] = {
    "scenario": play,
    "lab": hold,
    "invite": hold,
    "draw": draw,
}


def _scenario(asked: Asked) -> Scenario:
    """Read the definitions that an errand names.

    Raises:
        DefinitionError: one is wrong.
    """
    library = Library(Path(asked.topologies) if asked.topologies else default_folder())
    if asked.file:
        topology = library.from_file(Path(asked.file))
    else:
        clients = [Role(role) for role in asked.proxy_client]
        topology = library.from_chains(read_chain(asked.novice), read_chain(asked.expert), clients)
    terms = Terms(password=secrets.token_urlsafe(9))
    (scenario,) = of_topology(topology, [Method(asked.method)], terms)
    return scenario


def _progress() -> PlainProgress:
    """What takes long is told on standard error, which pytest captures."""
    return PlainProgress(Console(stderr=True))


def _serve(
    runtime: Runtime, scenario: Scenario, sock: socket.socket, channel: socket.socket
) -> None:
    """Be the body of the runtime's world."""
    job = pool.Job("lab", partial(_play, runtime, scenario, sock), _LIFE)
    pool.serve([job], 1, channel, lambda: None)


def _play(runtime: Runtime, scenario: Scenario, sock: socket.socket, send: Send) -> None:
    script = partial(obey, sock)
    perform({0: scenario}, runtime.maker("lab"), capture=True, send=send, script=script)
