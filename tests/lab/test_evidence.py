"""Evidence: what is looked at in process is what programs show, and what is broken is invalid."""

from __future__ import annotations

import json
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
from harness.words import Method, Verdict


def test_what_is_answered_in_process_is_what_the_programs_print() -> None:
    async def both(lab: Lab) -> list[Any]:
        seen = []
        for node, namespace in lab.namespaces.items():
            quick = look(host_of(node, namespace), rules=True)
            with pytest.MonkeyPatch.context() as patch:
                patch.setattr(inside, "_answer", lambda *_: None)
                real = look(host_of(node, namespace), rules=True)
            assert quick.listening is not None
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
    assert not [line for line in _lines(bundle) if str(line.get("event")).endswith(" request")]
    assert _judged_again(bundle) is Verdict.AGREES


def _lines(bundle: Path) -> list[dict[str, Any]]:
    """Return a bundle's transcript."""
    written = (bundle / "transcript.jsonl").read_text(encoding="utf-8")
    return [json.loads(line) for line in written.splitlines()]


def _bundle(folder: Path, novice: str) -> Path:
    """Run by file with the novice behind a device; return the bundle."""
    ended = run(folder / "out", "--method", "file", "--novice", novice)
    return ended.folder / str(ended.scenario(f"file/{novice}+direct").bundle)


def test_the_transcript_has_the_soap_bodies_where_they_were_said(tmp_path: Path) -> None:
    lines = _lines(_bundle(tmp_path, "upnp-nat"))
    said = [str(line.get("text")) for line in lines]
    asked = [number for number, text in enumerate(said) if "<NewExternalPort>3389<" in text]
    granted = [number for number, text in enumerate(said) if "AddPortMappingResponse" in text]
    events = [line.get("event") for line in lines]
    assert asked[0] < granted[0] < events.index("mapped")


def test_the_transcript_has_each_search_and_each_whole_answer_once(tmp_path: Path) -> None:
    bundle = _bundle(tmp_path, "upnp-nat")
    lines = [line for line in _lines(bundle) if line["node"] == "novice.upnp-nat"]
    searches = [line for line in lines if line.get("event") == "ssdp request"]
    answers = [line for line in lines if line.get("event") == "ssdp answer"]
    assert {line["to"] for line in searches} == {"239.255.255.250:1900", "192.168.2.1:1900"}
    assert all(line["text"].startswith("M-SEARCH * HTTP/1.1\r\n") for line in searches)
    assert {line["from"] for line in answers} == {"192.168.2.1:1900"}
    for line in answers:
        # More than the capture file keeps of a frame.
        assert len(line["text"]) > 160
        assert "\r\nLOCATION: http://192.168.2.1:5000/" in line["text"]
        assert line["text"].endswith("\r\n\r\n")
    with (bundle / "capture.pcapng").open("rb") as stream:
        seen = [frame.data for frame in pcapng.read(stream) if frame.interface.endswith("nat/lan")]
    captured = [data for data in seen if data[14 + 9] == 17 and b" HTTP/1.1\r\n" in data]
    found = [data for data in seen if data[14 + 9] == 17 and b"HTTP/1.1 200 OK\r\n" in data]
    assert len(searches) == sum(b"M-SEARCH" in data for data in captured) >= 4
    assert len(answers) == len(found) >= 2


def test_the_transcript_says_in_words_what_nat_pmp_asks_and_grants(tmp_path: Path) -> None:
    lines = _lines(_bundle(tmp_path, "me-ics"))
    told = [
        (line["event"], line["hex"], line["text"])
        for line in lines
        if line["node"] == "novice.me-ics" and "nat-pmp" in line.get("event", "")
    ]
    # An answer's second four bytes are the time since the gateway began (RFC 6886 3.6).
    told = [(event, hex_[:8] + hex_[16:], words) for event, hex_, words in told]
    asks = [
        ("nat-pmp request", "0000", "asks for the external address"),
        ("nat-pmp answer", "0080000050640a02", "the external address is 80.100.10.2"),
    ]
    assert told[:2] == asks
    assert [(event, words) for event, _, words in told[-4:]] == [
        ("nat-pmp request", "asks to map TCP port 3389, external port 3389, for 3600 s"),
        ("nat-pmp answer", "maps external TCP port 3389 to port 3389 for 3600 s"),
        ("nat-pmp request", "asks to remove the mapping of TCP port 3389"),
        ("nat-pmp answer", "has removed the mapping of TCP port 3389"),
    ]
    events = [line.get("event") for line in lines]
    grants = [str(line.get("text")).startswith("maps external") for line in lines]
    assert events.index("listening") < grants.index(True) < events.index("mapped")


def test_searches_that_nobody_answers_are_in_the_transcript_too(tmp_path: Path) -> None:
    lines = _lines(_bundle(tmp_path, "nat"))
    asked = {
        (line["node"], line["event"].removesuffix(" request"))
        for line in lines
        if str(line.get("event")).endswith(" request")
    }
    gateways = ("novice.nat", "internet")
    assert asked == {(node, protocol) for node in gateways for protocol in ("ssdp", "nat-pmp")}
    assert not [line for line in lines if str(line.get("event")).endswith(" answer")]


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
