"""The JSON lines between the harness and a node program, held with real programs at the far end."""

from __future__ import annotations

import asyncio
import json
import socket
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Coroutine, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

import pytest
from loopback import HOST, PATIENCE, is_silent, reserved_port

from harness.errors import ScenarioError
from harness.lab.program import Facts, NodeProgram

SOON = 3.0
"""Seconds within which the end of a program is known, whatever deadline was given."""

NODE_PROGRAMS = ("novice", "expert", "stranger")

# A program that does as it is told, among other things what no program should do.
OBEDIENT = """
import json, os, sys

def say(**message):
    sys.stdout.write(json.dumps(message) + "\\n")
    sys.stdout.flush()

held = []
say(event="ready", port=3389)
for line in sys.stdin:
    command = json.loads(line)
    number, do = command.pop("id"), command.pop("do")
    if do == "answer":
        say(id=number, **command)
    elif do == "hold":
        held.append((number, command))
    elif do == "release":
        while held:
            other, facts = held.pop()
            say(id=other, **facts)
        say(id=number)
    elif do == "refuse":
        say(id=number, error="no invitation is open")
    elif do == "tell":
        say(**command)
        say(id=number)
    elif do == "babble":
        sys.stdout.write("this is no JSON\\n")
        sys.stdout.flush()
    elif do == "leave":
        sys.stderr.write("first line\\nlast words\\n")
        sys.stderr.flush()
        os._exit(3)
    elif do == "die":
        os.kill(os.getpid(), 9)
"""
BARE = ("-IS", "-c")
NEVER_READS = "import os, sys; os.read(0, 1); print('cannot start', file=sys.stderr); os._exit(1)"


class Told:
    """Keeps what a program reported."""

    def __init__(self) -> None:
        self.events: list[tuple[str, Facts]] = []

    def __call__(self, node: str, event: Facts) -> None:
        self.events.append((node, event))


@asynccontextmanager
async def running(log: Path, *command: str, told: Told | None = None) -> AsyncIterator[NodeProgram]:
    """Start a program and take it over as the lab does."""
    ours, theirs = socket.socketpair()
    with theirs, log.open("wb") as errors:
        child = subprocess.Popen(
            [sys.executable, *command],
            stdin=theirs.fileno(),
            stdout=theirs.fileno(),
            stderr=errors,
        )
    program = NodeProgram("novice", ours, log, told or Told())
    try:
        await program.connect()
        yield program
    finally:
        child.kill()
        child.wait()
        ours.close()


@pytest.fixture
def log(tmp_path: Path) -> Path:
    return tmp_path / "novice.log"


async def soon(asked: Coroutine[Any, Any, Facts] | asyncio.Task[Facts]) -> Facts:
    """Wait for what must come long before its own deadline."""
    async with asyncio.timeout(SOON):
        return await asked


# --- asking


def test_a_command_gets_its_reply(log: Path) -> None:
    async def main() -> None:
        async with running(log, *BARE, OBEDIENT) as program:
            reply = await program.ask("answer", PATIENCE, addresses=["10.0.0.2:3389"], port=1)
        assert reply == {"addresses": ["10.0.0.2:3389"], "port": 1}

    asyncio.run(main())


def test_each_command_gets_its_own_reply_in_whatever_order_they_come(log: Path) -> None:
    async def main() -> None:
        async with running(log, *BARE, OBEDIENT) as program:
            held = [
                asyncio.create_task(program.ask("hold", PATIENCE, number=number))
                for number in range(20)
            ]
            assert await program.ask("answer", PATIENCE, number=20) == {"number": 20}
            assert not any(task.done() for task in held)
            await program.ask("release", PATIENCE)
            assert await asyncio.gather(*held) == [{"number": number} for number in range(20)]

    asyncio.run(main())


def test_a_reply_that_nobody_waits_for_disturbs_no_other(log: Path) -> None:
    async def main() -> None:
        async with running(log, *BARE, OBEDIENT) as program:
            first = program.post("answer", number=1)
            assert program.post("refuse") == first + 1
            assert await program.ask("answer", PATIENCE, number=3) == {"number": 3}

    asyncio.run(main())


def test_a_refusal_is_an_error_that_names_node_command_and_reason(log: Path) -> None:
    async def main() -> None:
        async with running(log, *BARE, OBEDIENT) as program:
            with pytest.raises(
                ScenarioError, match=r"^novice could not refuse: no invitation is open$"
            ):
                await program.ask("refuse", PATIENCE)
            assert await program.ask("answer", PATIENCE, number=1) == {"number": 1}

    asyncio.run(main())


def test_a_command_that_is_not_done_by_its_deadline_is_an_error(log: Path) -> None:
    async def main() -> None:
        async with running(log, *BARE, OBEDIENT) as program:
            with pytest.raises(ScenarioError, match=r"^novice did not hold within 0\.1 s$"):
                await program.ask("hold", 0.1)

    asyncio.run(main())


def test_a_reply_after_the_deadline_disturbs_no_other(log: Path) -> None:
    async def main() -> None:
        async with running(log, *BARE, OBEDIENT) as program:
            with pytest.raises(ScenarioError):
                await program.ask("hold", 0.01, number=1)
            await program.ask("release", PATIENCE)
            assert await program.ask("answer", PATIENCE, number=2) == {"number": 2}

    asyncio.run(main())


def test_a_long_line_passes_whole(log: Path) -> None:
    async def main() -> None:
        async with running(log, *BARE, OBEDIENT) as program:
            ticket = "x" * 500_000
            assert await program.ask("answer", PATIENCE, ticket=ticket) == {"ticket": ticket}

    asyncio.run(main())


def test_a_program_is_not_spoken_to_before_it_is_connected(log: Path) -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs, pytest.raises(RuntimeError, match=r"connect\(\) comes before write\(\)"):
        NodeProgram("novice", ours, log, Told()).write({})


# --- a program that ends or breaks

ENDED = r"^novice's program ended: "


def test_a_program_that_dies_at_a_command_is_an_error_with_its_last_words(log: Path) -> None:
    async def main() -> None:
        async with running(log, *BARE, OBEDIENT) as program:
            waiting = asyncio.create_task(program.ask("hold", 60))
            with pytest.raises(ScenarioError, match=ENDED + "last words$"):
                await soon(program.ask("leave", 60))
            with pytest.raises(ScenarioError, match=ENDED + "last words$"):
                await soon(waiting)

    asyncio.run(main())


def test_a_program_that_is_killed_is_an_error(log: Path) -> None:
    async def main() -> None:
        async with running(log, *BARE, OBEDIENT) as program:
            waiting = asyncio.create_task(program.ask("hold", 60))
            await program.ask("answer", PATIENCE)
            program.post("die")
            with pytest.raises(ScenarioError, match=ENDED + "no word$"):
                await soon(waiting)

    asyncio.run(main())


def test_a_program_that_dies_before_it_reads_its_command_is_an_error(log: Path) -> None:
    """The kernel tells of the unread rest by ECONNRESET, not by the end of the stream."""

    async def main() -> None:
        async with running(log, *BARE, NEVER_READS) as program:
            with pytest.raises(ScenarioError, match=ENDED + "cannot start$"):
                await soon(program.ask("answer", 60))

    asyncio.run(main())


def test_a_program_that_has_ended_is_not_waited_for(log: Path) -> None:
    async def main() -> None:
        async with running(log, *BARE, OBEDIENT) as program:
            with pytest.raises(ScenarioError):
                await soon(program.ask("leave", 60))
            with pytest.raises(ScenarioError, match=ENDED + "last words$"):
                await soon(program.ask("answer", 60))

    asyncio.run(main())


def test_a_program_that_says_what_is_no_message_is_an_error_and_no_hang(log: Path) -> None:
    async def main() -> None:
        async with running(log, *BARE, OBEDIENT) as program:
            with pytest.raises(ScenarioError, match="novice"):
                await soon(program.ask("babble", 60))

    asyncio.run(main())


# --- events


def test_events_are_told_as_they_come_with_the_node(log: Path) -> None:
    async def main() -> None:
        told = Told()
        async with running(log, *BARE, OBEDIENT, told=told) as program:
            await program.ask("tell", PATIENCE, event="accepted", session="1")
            await program.ask("tell", PATIENCE, event="turned away")
        assert [each for each in told.events if "event" in each[1]] == [
            ("novice", {"event": "ready", "port": 3389}),
            ("novice", {"event": "accepted", "session": "1"}),
            ("novice", {"event": "turned away"}),
        ]

    asyncio.run(main())


def test_every_command_and_its_reply_are_told(log: Path) -> None:
    async def main() -> None:
        told = Told()
        async with running(log, *BARE, OBEDIENT, told=told) as program:
            await program.ask("answer", PATIENCE, port=3389)
            with pytest.raises(ScenarioError):
                await program.ask("refuse", PATIENCE)
        lines = [line for _, line in told.events if "event" not in line]
        times = [line.pop("t") for line in lines]
        assert times == sorted(times)
        assert lines == [
            {"asked": "answer", "id": 1, "facts": {"port": 3389}},
            {"answered": 1, "facts": {"port": 3389}},
            {"asked": "refuse", "id": 2, "facts": {}},
            {"answered": 2, "facts": {"error": "no invitation is open"}},
        ]

    asyncio.run(main())


def test_an_event_that_was_is_found(log: Path) -> None:
    async def main() -> None:
        async with running(log, *BARE, OBEDIENT) as program:
            for session in "12":
                await program.ask("tell", PATIENCE, event="accepted", session=session, port=1)
            for session in "121":
                found = await program.expect("accepted", PATIENCE, session=session, port=1)
                assert found == {"event": "accepted", "session": session, "port": 1}

    asyncio.run(main())


def test_an_event_to_come_is_waited_for(log: Path) -> None:
    async def main() -> None:
        async with running(log, *BARE, OBEDIENT) as program:
            expecting = asyncio.create_task(program.expect("accepted", PATIENCE, session="2"))
            for session in "12":
                assert not expecting.done()
                await program.ask("tell", PATIENCE, event="accepted", session=session)
            assert await expecting == {"event": "accepted", "session": "2"}

    asyncio.run(main())


@pytest.mark.parametrize(
    ("event", "facts"),
    [
        pytest.param("accepted", {"session": "3"}, id="another value"),
        pytest.param("accepted", {"peer": "1"}, id="another fact"),
        pytest.param("turned away", {"session": "1"}, id="another event"),
    ],
)
def test_an_event_that_does_not_come_is_none(
    log: Path, event: str, facts: dict[str, object]
) -> None:
    async def main() -> None:
        async with running(log, *BARE, OBEDIENT) as program:
            await program.ask("tell", PATIENCE, event="accepted", session="1")
            assert await program.expect(event, 0.05, **facts) is None

    asyncio.run(main())


def test_no_event_is_waited_for_from_a_program_that_ends(log: Path) -> None:
    async def main() -> None:
        async with running(log, *BARE, OBEDIENT) as program:
            await program.ask("answer", PATIENCE)
            expecting = asyncio.create_task(program.expect("accepted", 60))
            program.post("leave")
            async with asyncio.timeout(PATIENCE):
                assert await expecting is None
                assert await program.expect("accepted", 60) is None
                assert await program.expect("ready", 60) is not None

    asyncio.run(main())


# --- the node programs themselves


def node_program(name: str) -> tuple[str, str]:
    return "-m", f"harness.nodes.{name}"


@pytest.mark.parametrize("name", NODE_PROGRAMS)
def test_a_node_program_answers_an_unknown_command_by_an_error_and_goes_on(
    log: Path, name: str
) -> None:
    async def main() -> None:
        async with running(log, *node_program(name)) as program:
            for _ in range(2):
                with pytest.raises(ScenarioError, match=r"^novice could not reboot: .*reboot"):
                    await program.ask("reboot", PATIENCE)

    asyncio.run(main())


def test_a_node_program_answers_wrong_arguments_by_an_error(log: Path) -> None:
    async def main() -> None:
        async with running(log, *node_program("stranger")) as program:
            with pytest.raises(ScenarioError, match=r"^novice could not listen: .*ports"):
                await program.ask("listen", PATIENCE, ports=3389)

    asyncio.run(main())


def test_a_node_program_refuses_in_one_line_what_cannot_be_done(log: Path) -> None:
    async def main() -> None:
        async with running(log, *node_program("expert")) as program:
            for command, facts, why in (
                (
                    "dial",
                    {"password": "x", "patience": 1, "proxy_client": False},
                    "no opened invitation to dial",
                ),
                ("open", {"path": "missing.MsRcIncident"}, "missing.* is not a file"),
                ("receive", {"path": "x"}, "not signed in to the relay"),
            ):
                with pytest.raises(ScenarioError, match=f"novice could not {command}: .*{why}"):
                    await program.ask(command, PATIENCE, **facts)

    asyncio.run(main())


def test_a_node_programs_events_have_the_time_of_this_machines_clock(log: Path) -> None:
    async def main() -> None:
        with reserved_port() as port:
            async with running(log, *node_program("stranger")) as program:
                before = time.monotonic()
                await program.ask("listen", PATIENCE, port=port)
                reader, writer = await asyncio.open_connection(HOST, port)
                writer.close()
                called = await program.expect("caller", PATIENCE, peer=HOST)
                await is_silent(reader, writer)
        assert called is not None
        assert before <= called["t"] <= time.monotonic()

    asyncio.run(main())


@contextmanager
def over_pipes(name: str, log: Path) -> Iterator[subprocess.Popen[bytes]]:
    """Start a node program as a person in a shell would, by two pipes."""
    with log.open("wb") as errors:
        child = subprocess.Popen(
            [sys.executable, *node_program(name)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=errors,
        )
    with child:
        try:
            yield child
        finally:
            child.kill()


@pytest.mark.parametrize("name", NODE_PROGRAMS)
def test_a_node_program_ends_when_its_stream_closes(log: Path, name: str) -> None:
    with over_pipes(name, log) as child:
        out, _ = child.communicate(b'{"id": 7, "do": "reboot"}\n', timeout=PATIENCE)
        assert child.returncode == 0
    assert [json.loads(line)["id"] for line in out.splitlines()] == [7]
    assert "KeyError" in log.read_text()


def test_a_node_program_with_a_listener_ends_when_its_stream_closes(log: Path) -> None:
    with reserved_port() as port, over_pipes("stranger", log) as child:
        listen = json.dumps({"id": 1, "do": "listen", "port": port}).encode()
        assert child.stdin is not None
        assert child.stdout is not None
        child.stdin.write(listen + b"\n")
        child.stdin.flush()
        assert json.loads(child.stdout.readline()) == {"id": 1}
        with socket.create_connection((HOST, port), PATIENCE):
            child.stdin.close()
            assert child.wait(PATIENCE) == 0
