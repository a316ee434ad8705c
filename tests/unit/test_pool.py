"""Jobs in processes of their own: a few at a time, each with a deadline, none hurting another."""

from __future__ import annotations

import json
import os
import signal
import socket
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace

import pytest

from harness.runtime import pool
from harness.runtime.pool import Job, Message, Send
from harness.runtime.syscalls import die_with_parent

PATIENCE = 10.0
"""Seconds that nothing here takes, as a deadline and to wait for a message."""

SHORT = 0.3
"""A deadline that is there to be missed."""

MESSAGES = 100
"""How many each of several writers sends."""


@dataclass(frozen=True)
class Served:
    """A pool at work."""

    pid: int
    messages: Iterator[Message]


def a_job(name: str, run: Callable[[Send], None]) -> Job:
    """Make a job whose deadline is the test's."""
    return Job(name, run, PATIENCE)


@contextmanager
def served(
    jobs: Iterable[Job],
    workers: int = 4,
    deadline: float = PATIENCE,
    meanwhile: Callable[[], None] = lambda: None,
) -> Iterator[Served]:
    """Serve the jobs in a child of ours; its messages end with the last process of all."""
    ours, theirs = pool.channel()
    with ours:
        ours.settimeout(PATIENCE)
        pid = os.fork()
        if pid == 0:
            status = 1
            try:
                ours.close()
                with_deadline = [replace(each, deadline=deadline) for each in jobs]
                pool.serve(with_deadline, workers, theirs, meanwhile)
                status = 0
            finally:
                os._exit(status)
        theirs.close()
        try:
            yield Served(pid, received(ours))
        finally:
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)


def received(sock: socket.socket) -> Iterator[Message]:
    while data := sock.recv(pool.MAX_MESSAGE):
        yield json.loads(data)


def messages(
    jobs: Iterable[Job],
    workers: int = 4,
    deadline: float = PATIENCE,
    meanwhile: Callable[[], None] = lambda: None,
) -> list[Message]:
    """Serve the jobs to their end; return all that came."""
    with served(jobs, workers, deadline, meanwhile) as at_work:
        return list(at_work.messages)


def ends(came: Iterable[Message]) -> dict[str, int]:
    return {each["job"]: each["ended"] for each in came if "ended" in each}


def says_hello(send: Send) -> None:
    send({"hello": os.getpid()})


def hangs(_send: Send) -> None:
    signal.pause()


def raises(_send: Send) -> None:
    raise ValueError("the lab burnt down")


@pytest.fixture
def gate() -> Iterator[tuple[int, int]]:
    """A pipe's two ends."""
    ends = os.pipe()
    yield ends
    for end in ends:
        os.close(end)


# --- the ordinary course


def test_a_job_begins_says_what_it_has_to_say_and_ends() -> None:
    before = time.monotonic()
    began, hello, ended = messages([a_job("one", says_hello)])
    assert began.keys() == {"job", "began"}
    assert ended.keys() == {"job", "ended", "t", "cpu"}
    assert {each["job"] for each in (began, hello, ended)} == {"one"}
    assert hello["hello"] not in (os.getpid(), 0)
    assert ended["ended"] == 0
    assert before <= began["began"] <= ended["t"] <= time.monotonic()
    assert 0 <= ended["cpu"] < PATIENCE


def test_no_jobs_are_nothing_to_do() -> None:
    assert messages([]) == []


def test_jobs_run_side_by_side_up_to_the_number_of_workers(gate: tuple[int, int]) -> None:
    """Each of three waits until it is let go, so all three are under way at once."""
    read_end, write_end = gate

    def waits(send: Send) -> None:
        send({"here": True})
        os.read(read_end, 1)

    waiting = 0
    with served([a_job(str(number), waits) for number in range(3)], workers=3) as at_work:
        for message in at_work.messages:
            waiting += "here" in message
            if waiting == 3:
                waiting = 0
                os.write(write_end, b"123")
            if "ended" in message:
                assert message["ended"] == 0


def test_no_more_jobs_run_than_there_are_workers() -> None:
    running, most, done = 0, 0, 0
    for message in messages([a_job(str(number), says_hello) for number in range(10)], workers=3):
        running += ("began" in message) - ("ended" in message)
        done += "ended" in message
        most = max(most, running)
    assert (most, running, done) == (3, 0, 10)


def test_jobs_begin_in_the_order_given_and_each_once() -> None:
    names = [str(number) for number in range(10)]
    came = messages([a_job(name, says_hello) for name in names], workers=2)
    assert [each["job"] for each in came if "began" in each] == names
    assert Counter(each["job"] for each in came) == dict.fromkeys(names, 3)


def test_a_long_job_does_not_hold_up_those_that_wait(gate: tuple[int, int]) -> None:
    read_end, write_end = gate

    def waits(_send: Send) -> None:
        os.read(read_end, 1)

    jobs = [a_job("long", waits), *(a_job(str(number), says_hello) for number in range(5))]
    order = []
    with served(jobs, workers=2) as at_work:
        for message in at_work.messages:
            if "ended" in message:
                order.append(message["job"])
                if len(order) == 5:
                    os.write(write_end, b"1")
    assert order == ["0", "1", "2", "3", "4", "long"]


def test_what_can_be_done_meanwhile_is_done_once_after_the_first_jobs_began(
    gate: tuple[int, int],
) -> None:
    read_end, write_end = gate

    def waits(_send: Send) -> None:
        os.read(read_end, 1)

    def lets_go() -> None:
        os.write(write_end, b"1")

    jobs = [a_job("first", waits), a_job("second", says_hello)]
    came = messages(jobs, workers=1, meanwhile=lets_go)
    assert ends(came) == {"first": 0, "second": 0}
    os.set_blocking(read_end, False)
    with pytest.raises(BlockingIOError):
        os.read(read_end, 1)


def test_the_processor_time_of_a_jobs_children_is_counted() -> None:
    def works(_send: Send) -> None:
        pid = os.fork()
        if pid == 0:
            while time.process_time() < 0.05:
                pass
            os._exit(0)
        os.waitpid(pid, 0)

    idle, busy = (messages([a_job("one", run)])[-1]["cpu"] for run in (says_hello, works))
    assert busy >= 0.05
    assert idle < busy


# --- jobs that go wrong


def test_a_job_past_its_deadline_is_killed_and_reported() -> None:
    came = messages([a_job("hung", hangs)], deadline=SHORT)
    assert ends(came) == {"hung": -9}
    assert not any("failed" in each for each in came)
    assert SHORT <= came[-1]["t"] - came[0]["began"] < PATIENCE


def test_a_deadline_runs_from_the_jobs_own_begin() -> None:
    """The second waits for the first's worker, and has its whole time then."""
    came = messages([a_job("first", hangs), a_job("second", hangs)], workers=1, deadline=SHORT)
    began = {each["job"]: each["began"] for each in came if "began" in each}
    ended = {each["job"]: each["t"] for each in came if "ended" in each}
    assert began["second"] >= ended["first"]
    assert ended["second"] - began["second"] >= SHORT


def test_a_hung_job_hurts_no_other() -> None:
    jobs = [a_job("hung", hangs), *(a_job(str(number), says_hello) for number in range(6))]
    came = messages(jobs, workers=2, deadline=SHORT)
    assert ends(came) == {"hung": -9} | {str(number): 0 for number in range(6)}
    assert sum("hello" in each for each in came) == 6


def test_a_job_that_cannot_be_interrupted_is_killed_too() -> None:
    def holds_out(_send: Send) -> None:
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, signal.SIG_IGN)
        while True:
            signal.pause()

    assert ends(messages([a_job("hung", holds_out)], deadline=SHORT)) == {"hung": -9}


def test_a_job_that_raises_reports_its_traceback_and_hurts_no_other() -> None:
    jobs = [a_job("bad", raises), *(a_job(str(number), says_hello) for number in range(4))]
    came = messages(jobs, workers=2)
    assert ends(came) == {"bad": 1} | {str(number): 0 for number in range(4)}
    (failed,) = (each for each in came if "failed" in each)
    assert failed["job"] == "bad"
    assert failed["failed"].startswith("Traceback ")
    assert "in raises" in failed["failed"]
    assert failed["failed"].endswith("ValueError: the lab burnt down\n")
    assert sum("hello" in each for each in came) == 4


@pytest.mark.parametrize("error", [SystemExit, KeyboardInterrupt])
def test_no_exception_leaves_a_jobs_process(error: type[BaseException]) -> None:
    def leaves(_send: Send) -> None:
        raise error

    came = messages([a_job("bad", leaves), a_job("good", says_hello)], workers=1)
    assert ends(came) == {"bad": 1, "good": 0}
    assert sum("failed" in each for each in came) == 1


def test_a_job_that_says_what_is_no_json_reports_that() -> None:
    def stammers(send: Send) -> None:
        send({"file": b"bytes"})

    came = messages([a_job("bad", stammers)])
    assert ends(came) == {"bad": 1}
    assert "not JSON serializable" in came[1]["failed"]


@pytest.mark.parametrize("status", [0, 3])
def test_a_job_that_leaves_without_a_word_is_reported(status: int) -> None:
    jobs = [a_job("silent", lambda _: os._exit(status)), a_job("good", says_hello)]
    assert ends(messages(jobs)) == {"silent": status, "good": 0}


def test_a_job_that_is_killed_from_outside_is_reported_with_its_signal() -> None:
    def dies(_send: Send) -> None:
        os.kill(os.getpid(), signal.SIGUSR1)

    assert ends(messages([a_job("dies", dies)])) == {"dies": -signal.SIGUSR1}


def test_a_job_has_the_signals_that_a_process_usually_has() -> None:
    """The pool's own blocking of SIGCHLD would keep a job from hearing of its daemons."""

    def tells(send: Send) -> None:
        send({"blocked": [int(each) for each in signal.pthread_sigmask(signal.SIG_BLOCK, [])]})

    assert messages([a_job("one", tells)])[1]["blocked"] == []


# --- what a job leaves behind


def descendants(send: Send) -> None:
    """Start a child that starts a child, each bound to its parent as a lab's processes are."""
    for _ in range(2):
        parent = os.getpid()
        if os.fork():
            break
        die_with_parent()
        if os.getppid() != parent:
            os._exit(1)
        send({"descendant": os.getpid()})
    signal.pause()


def test_the_children_of_a_killed_job_are_gone() -> None:
    """Each holds the channel, which would not end before the last of them has."""
    came = messages([a_job("hung", descendants)], deadline=SHORT)
    assert ends(came) == {"hung": -9}
    assert sum("descendant" in each for each in came) == 2


def test_a_jobs_processes_do_not_outlive_the_pool() -> None:
    with served([a_job("one", descendants)]) as at_work:
        coming = at_work.messages
        assert sum("descendant" in next(coming) for _ in range(3)) == 2
        os.kill(at_work.pid, signal.SIGKILL)
        assert list(coming) == []


# --- the channel


def test_messages_of_several_writers_do_not_mix() -> None:
    def chatters(send: Send) -> None:
        for number in range(MESSAGES):
            send({"number": number, "text": chr(ord("a") + number % 26) * (number * 397 % 40_000)})

    came = messages([a_job(str(number), chatters) for number in range(4)], workers=4)
    assert len(came) == 4 * (MESSAGES + 2)
    for job in "0123":
        own = [each for each in came if each["job"] == job and "number" in each]
        assert [each["number"] for each in own] == list(range(MESSAGES))
        for each in own:
            expected = chr(ord("a") + each["number"] % 26) * (each["number"] * 397 % 40_000)
            assert each["text"] == expected


def test_a_message_of_evidence_may_be_large() -> None:
    text = "x" * 150_000
    came = messages([a_job("one", lambda send: send({"file": "log", "text": text}))])
    assert came[1] == {"job": "one", "file": "log", "text": text}


def test_a_message_that_is_too_large_fails_its_job_alone() -> None:
    def shouts(send: Send) -> None:
        send({"text": "x" * 4 * pool.MAX_MESSAGE})

    came = messages([a_job("bad", shouts), a_job("good", says_hello)])
    assert ends(came) == {"bad": 1, "good": 0}
    (failed,) = (each for each in came if "failed" in each)
    assert "Message too long" in failed["failed"]
