"""Evidence: what is looked at in process is what programs show, and what is broken is invalid."""

from __future__ import annotations

import subprocess
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console
from runs import COMMAND, own_topologies, replace_in, run
from worlds import in_lab, topology

from harness.assistance.people import Terms
from harness.judge.evidence import CAPTURE_CONTROL, JOURNEY_CONTROL
from harness.judge.model import ScenarioResult
from harness.lab.controls import host_of, look
from harness.lab.lab import Lab
from harness.protocol import pcapng
from harness.report.progress import PlainProgress
from harness.runner import evidence
from harness.runner import run as runner
from harness.runner.catalogue import of_topology
from harness.runner.rejudge import bundles, rejudge
from harness.runner.results_folder import ResultsFolder
from harness.runtime import capture, inside
from harness.words import Answer, End, Method, Verdict


def test_what_is_answered_in_process_is_what_the_programs_print() -> None:
    async def both(lab: Lab) -> list[Any]:
        seen = []
        for node, namespace in lab.namespaces.items():
            quick = look(host_of(node, namespace), rules=True)
            with pytest.MonkeyPatch.context() as patch:
                patch.setattr(inside, "_answer", lambda *_: None)
                real = look(host_of(node, namespace), rules=True)
            seen.append((node, quick == real, sorted(quick.listening), bool(quick.rules)))
        return seen

    seen = {node: found for node, *found in in_lab(topology("upnp-nat", "socks-proxy"), both)}
    assert all(same and rules for same, _, rules in seen.values())
    assert {"TCP 1080"} == set(seen["expert.socks-proxy"][1])
    assert {"UDP 1900", "TCP 5000"} < set(seen["novice.upnp-nat"][1])


def _run(folder: Path, novice: str) -> ScenarioResult:
    """Run by file in this process, whose sabotage the labs inherit."""
    scenarios = of_topology(topology(novice), [Method.FILE], Terms(password="secret"))
    progress = PlainProgress(Console(file=StringIO()))
    choice = runner.Choice("namespaces", 1)
    (result,) = runner.run(scenarios, ResultsFolder(folder), choice, progress).scenarios
    return result


def _failed(result: ScenarioResult) -> set[str]:
    return {control.name for control in result.controls if not control.passed}


def _judged_again(bundle: Path) -> Verdict:
    (found,) = bundles(bundle)
    return rejudge(found).now.verdict


@pytest.mark.parametrize("novice", ["nat", "upnp-nat"])
def test_a_capture_with_gaps_is_invalid(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, novice: str
) -> None:
    """The kernel keeps so little that it has to drop frames."""
    monkeypatch.setattr(capture, "BUFFER", 2304)
    result = _run(tmp_path / "out", novice)
    assert result.verdict is Verdict.INVALID
    assert CAPTURE_CONTROL in _failed(result)
    assert _judged_again(tmp_path / "out" / str(result.bundle)) is Verdict.INVALID


@pytest.mark.parametrize(("novice", "node"), [("nat", "expert"), ("upnp-nat", "expert")])
def test_a_capture_that_lacks_a_node_s_syns_bears_nothing_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, novice: str, node: str
) -> None:
    whole = capture.Capture.read

    def blind(self: capture.Capture) -> list[pcapng.Frame]:
        return [frame for frame in whole(self) if frame.node != node]

    monkeypatch.setattr(capture.Capture, "read", blind)
    result = _run(tmp_path / "out", novice)
    assert result.verdict is Verdict.INVALID
    assert JOURNEY_CONTROL in _failed(result)


def test_without_capture_all_is_as_before_but_the_capture(tmp_path: Path) -> None:
    ended = run(tmp_path / "out", "--no-capture", "--method", "file", "--novice", "upnp-nat")
    assert ended.status == 0
    result = ended.scenario("file/upnp-nat+direct")
    bundle = ended.folder / str(result.bundle)
    assert not (bundle / evidence.CAPTURE).exists()
    assert {CAPTURE_CONTROL, JOURNEY_CONTROL}.isdisjoint({each.name for each in result.controls})
    assert "upnp request" not in (bundle / "transcript.jsonl").read_text(encoding="utf-8")
    assert _judged_again(bundle) is Verdict.AGREES


def test_the_transcript_has_the_soap_bodies_where_they_were_said(tmp_path: Path) -> None:
    ended = run(tmp_path / "out", "--method", "file", "--novice", "upnp-nat")
    bundle = ended.folder / str(ended.scenario("file/upnp-nat+direct").bundle)
    lines = (bundle / "transcript.jsonl").read_text(encoding="utf-8").splitlines()
    asked = [number for number, line in enumerate(lines) if "<NewExternalPort>3389<" in line]
    granted = [number for number, line in enumerate(lines) if "AddPortMappingResponse" in line]
    mapped = next(number for number, line in enumerate(lines) if '"event": "mapped"' in line)
    assert asked[0] < granted[0] < mapped


REJECTING = 'unsolicited = "reject"'


@pytest.mark.parametrize(
    ("change", "end", "how"),
    [
        ("", End.TIMEOUT, "dropped by novice.nat (unsolicited packet on wan)"),
        (
            "reject",
            End.REFUSED,
            "ICMP port unreachable from novice.nat (unsolicited packet on wan)",
        ),
    ],
)
def test_a_no_names_its_device_and_moves_with_that_device_s_policy(
    tmp_path: Path, change: str, end: End, how: str
) -> None:
    folder = own_topologies(tmp_path)
    if change:
        replace_in(folder / "devices" / "nat.toml", 'unsolicited = "drop"', REJECTING)
    arguments = ("--topologies", folder, "--method", "file", "--novice", "nat")
    ended = run(tmp_path / "out", *arguments)
    result = ended.scenario("file/nat+direct")
    assert (result.verdict, ended.status) == (Verdict.AGREES, 0)
    assert result.observed is not None
    public = result.observed.attempts[-1]
    assert (public.end, public.ended_at, public.how) == (end, "novice.nat", how)


def test_a_forward_in_that_device_moves_the_end_to_the_host(tmp_path: Path) -> None:
    ended = run(tmp_path / "out", "--method", "file", "--novice", "nat-forwarded")
    result = ended.scenario("file/nat-forwarded+direct")
    assert result.observed is not None
    assert result.observed.answer is Answer.YES
    assert result.observed.attempts[-1].ended_at == "novice"


def test_a_difference_is_drawn_in_junit_and_first_in_the_summary(tmp_path: Path) -> None:
    """A NAT that forwards what the article says it does not: CI shows where the SYN went."""
    folder = own_topologies(tmp_path)
    opened = 'unsolicited = "drop"\n\n[[nat.forward]]\nport = 3389\nto_port = 3389\n'
    replace_in(folder / "devices" / "nat.toml", 'unsolicited = "drop"\n', opened)
    arguments = ("--topologies", folder, "--method", "file", "--novice", "nat")
    ended = run(tmp_path / "out", *arguments)
    assert ended.status == 1
    assert ended.scenario("file/nat+direct").verdict is Verdict.DIFFERS
    junit = (ended.folder / "junit.xml").read_text(encoding="utf-8")
    assert "novice.nat" in junit
    assert "SYN-ACK" in junit
    summary = (ended.folder / "summary.md").read_text(encoding="utf-8")
    assert "file/nat+direct" in summary
    assert "differs" in summary


def test_the_report_of_a_run_has_its_bundles_evidence_in_it(tmp_path: Path) -> None:
    ended = run(tmp_path / "out", "--method", "file", "--novice", "upnp-nat")
    written = subprocess.run(
        [*COMMAND, "report", ended.folder], capture_output=True, text=True, check=False
    )
    assert (written.returncode, written.stderr) == (0, "")
    page = (ended.folder / "report.html").read_text(encoding="utf-8")
    assert "<svg" in page
    assert "SYN-ACK" in page
    assert "UPLOADINFO" in page
    # What the gateway calls itself in its UPnP description.
    assert "Debian router" in page
    assert "scenarios/file/upnp-nat+direct/capture.pcapng" in page
