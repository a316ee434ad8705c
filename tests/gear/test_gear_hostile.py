"""A router that would do harm to whoever reads it costs neither time nor memory, nor leads astray.

It sends its readers to a host that stands here on the router itself, so that a single connection
there would be counted.
"""

from __future__ import annotations

import re
import socket
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import hosts
import pytest
from gear_runs import MEMORY, SECONDS, Gear, Later, Outcome, command, later, played, router
from lying_igd import ELSEWHERE_PORT
from routers import HOSTILE, Lie, LyingRouter, TestBench
from routers.liar import ELSEWHERE
from tenacity import retry, retry_if_exception_type, stop_after_delay, wait_fixed

from harness.runner.rejudge import bundles, rejudge
from harness.words import Verdict

pytestmark = pytest.mark.timeout(SECONDS)

LONGEST = 150.0
"""Seconds that such a run may take here; an honest router's takes 20 to 40, and others go on."""

MARKUP = "<script>alert(1)</script> \"'&</title>"

# The router's card reads what the scenarios read, and more of it.
WITH_CARD = (Lie.HUGE, Lie.FLOOD)

SEEN_THROUGH = {
    Lie.HUGE: "the reply announces a body of 268436708 bytes, at most 1048576 are taken",
    Lie.DRIP: r"the reply is not complete after \d+ s",
    Lie.ENTITIES: "XML with a document type",
    Lie.REDIRECT: "a redirect to .*, not followed",
    Lie.MANY_SERVICES: r"a body of \d+ bytes, at most",
    Lie.BINARY_NAME: "no well-formed XML",
    Lie.FOREIGN_CONTROL: "controlURL .* it is on another host than 192.168.77.1",
}
"""What the reason of the "No" says, where the router offers nothing that can be used."""

HARMLESS = (Lie.MARKUP_NAME, Lie.FLOOD)
"""What is strange, and works."""

CONTROLS = re.compile(r"[^\n -~\u00a0-\u2029\u202f-\u2065\u2070-\ud7ff\uf900-\uffff]")
"""What a terminal could take for a command, and what turns text around (U+202A to U+202E)."""


class Misleading(LyingRouter):
    """It has the address of the host that it sends its readers to."""

    def interfaces(self) -> Sequence[str]:
        return (*super().interfaces(), f"ip addr add {ELSEWHERE}/32 dev lo")


@dataclass(frozen=True)
class Led:
    """A run, and how many connections the other host got; ``counted`` says that it counts."""

    outcome: Outcome
    visits: int
    counted: bool


def led(lie: Lie, folder: Path) -> Led:
    liar = router(partial(Misleading, lie))
    if lie is Lie.MARKUP_NAME:
        liar.model = MARKUP
    options = ["--method", "file", *([] if lie in WITH_CARD else ["--no-card"])]
    with TestBench() as bench:
        gear = Gear(bench, folder, liar)
        _, inside = bench.namespaces
        with inside.entered():
            elsewhere = socket.create_server((str(ELSEWHERE), ELSEWHERE_PORT), backlog=100)
        outcome = played(gear, [liar], options)
        visits = count(elsewhere)
        visit(bench)
        return Led(outcome, visits, counted=count(elsewhere) == 1)


def count(server: socket.socket) -> int:
    """Return how many connections have come."""
    server.setblocking(False)
    found = 0
    while True:
        try:
            server.accept()[0].close()
        except BlockingIOError:
            return found
        found += 1


@retry(
    retry=retry_if_exception_type(OSError), stop=stop_after_delay(20), wait=wait_fixed(0.1),
    reraise=True,
)  # fmt: skip
def visit(bench: TestBench) -> None:
    """Connect to the other host as somebody on the LAN would who is led there."""
    with bench.host.entered():
        hosts.run("ip link set lan0 up")
        hosts.run("ip addr replace 192.168.77.9/24 dev lan0")
        hosts.run(f"ip route replace {ELSEWHERE}/32 via 192.168.77.1")
        socket.create_connection((str(ELSEWHERE), ELSEWHERE_PORT), 2).close()


RUNS: dict[Lie, Later[Led]] = {lie: later(partial(led, lie)) for lie in HOSTILE}
every = pytest.mark.parametrize("lie", HOSTILE)


@every
def test_a_run_ends_soon_by_verdicts(lie: Lie) -> None:
    outcome = RUNS[lie].result().outcome
    assert outcome.ended.status == (0 if lie in HARMLESS else 1), outcome.ended.said
    assert outcome.ended.seconds < LONGEST
    assert {each.verdict for each in outcome.results.scenarios} <= {
        Verdict.AGREES,
        Verdict.DIFFERS,
    }


@every
def test_no_process_of_a_run_needs_much_memory(lie: Lie) -> None:
    assert RUNS[lie].result().outcome.ended.memory < MEMORY


@every
def test_nothing_is_fetched_from_any_other_host(lie: Lie) -> None:
    found = RUNS[lie].result()
    assert found.visits == 0
    assert found.counted, "a visit would not have been seen"


@every
def test_nothing_said_is_a_traceback_or_a_command_to_the_terminal(lie: Lie) -> None:
    said = RUNS[lie].result().outcome.ended.said
    assert "Traceback" not in said
    assert "defect" not in said
    assert CONTROLS.findall(boxless(said)) == []


@pytest.mark.parametrize("lie", SEEN_THROUGH)
def test_the_reason_is_what_is_wrong_with_it(lie: Lie) -> None:
    outcome = RUNS[lie].result().outcome
    for name in ("file/liar+direct", "file/liar+upnp-nat"):
        found = outcome.scenario(name)
        assert found.verdict is Verdict.DIFFERS
        assert "the novice's gateway granted no mapping: UPnP: " in found.why
        assert re.search(SEEN_THROUGH[lie], found.why), found.why


def test_a_location_on_another_host_is_told_when_the_router_is_looked_at() -> None:
    outcome = RUNS[Lie.FOREIGN_LOCATION].result().outcome
    said = " ".join(outcome.ended.err.split())
    assert re.search("UPnP: none of 1 answers is of use: .* another host than 192.168.77.1", said)
    assert outcome.scenario("file/liar+direct").verdict is Verdict.DIFFERS


@every
def test_every_bundle_shows_again_what_the_run_saw(lie: Lie) -> None:
    judged = [rejudge(found) for found in bundles(RUNS[lie].result().outcome.folder)]
    assert [each.now for each in judged] == [each.before for each in judged]


@every
def test_no_nic_is_other_than_before(lie: Lie) -> None:
    outcome = RUNS[lie].result().outcome
    assert outcome.after == outcome.before


@pytest.mark.parametrize("lie", WITH_CARD)
def test_the_card_is_made_to_its_end(lie: Lie) -> None:
    (card,) = RUNS[lie].result().outcome.results.cards
    assert len(card.checks) > 50
    assert [check for check in card.checks if check.outcome == "error"] == []


def test_markup_in_names_stays_text_in_every_report(tmp_path: Path) -> None:
    outcome = RUNS[Lie.MARKUP_NAME].result().outcome
    ended = command(("report", str(outcome.folder)), tmp_path)
    assert ended.status == 0, ended.said
    page = (outcome.folder / "report.html").read_text(encoding="utf-8")
    assert "<script>alert" not in page
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in page
    summary = (outcome.folder / "summary.md").read_text(encoding="utf-8")
    assert "<script>alert" not in re.sub("`[^`]*`", "", summary)
    assert MARKUP in outcome.results.run.routers[0].model


def test_what_the_router_said_is_kept_as_it_came() -> None:
    outcome = RUNS[Lie.BINARY_NAME].result().outcome
    (description,) = (outcome.folder / "scenarios/file/liar+direct").glob("*.description.xml")
    assert b"\xff\xfe\x00\x01\x1b[31m" in description.read_bytes()


def boxless(text: str) -> str:
    """Return text without the lines that tables are drawn with."""
    return re.sub("[\u2500-\u257f]", "", text)
