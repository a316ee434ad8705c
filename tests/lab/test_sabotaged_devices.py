"""A device that is not what it says is seen, at the right place and in the right words."""

from __future__ import annotations

import dataclasses
import shutil
from io import StringIO
from pathlib import Path

import pytest
from rich.console import Console
from runs import fake_daemon, run
from worlds import topology

from harness.assistance.people import Terms
from harness.judge.model import Results
from harness.judge.verdict import contradicts_prediction, exit_code
from harness.lab import lab, miniupnpd, ruleset
from harness.report.progress import PlainProgress
from harness.runner import run as runner
from harness.runner.catalogue import of_topology
from harness.runner.results_folder import ResultsFolder
from harness.runtime.wiring import wire
from harness.topology.model import Firewall, Unsolicited
from harness.words import Answer, End, Method, Verdict

# Runs the real daemon, and behind its back sends what comes for port 3389 to another host.
WRONG_HOST = """
{nft} insert rule inet gateway prerouting iifname wan tcp dport 3389 dnat ip to 192.168.2.9:3389
exec {daemon} "$@"
"""

FORWARDING_PROXY = """
table inet gateway {
    chain postrouting {
        type nat hook postrouting priority srcnat; policy accept;
        oifname "wan" masquerade
    }
}
"""


def test_a_mapping_daemon_that_maps_to_the_wrong_host_names_that_host(tmp_path: Path) -> None:
    nft = shutil.which("nft", path="/usr/sbin:/sbin:/usr/bin")
    path = tmp_path / "topology.toml"
    path.write_text(
        '[novice]\nchain = ["upnp-nat"]\n\n'
        '[[novice.neighbours]]\nname = "printer"\naddress = "192.168.2.9"\nstranger = 3389\n',
        encoding="utf-8",
    )
    script = WRONG_HOST.format(nft=nft, daemon=miniupnpd.find())
    environment = fake_daemon(tmp_path, script)
    ended = run(tmp_path / "out", "--topology", path, "--method", "file", environment=environment)
    result = ended.scenario("file/upnp-nat+direct")
    assert result.observed is not None
    assert result.observed.answer is Answer.NO
    mapped = result.observed.attempts[-1]
    assert (mapped.end, mapped.ended_at) == (End.WRONG_PEER, "novice.printer")
    assert "the listener does not hold the invitation" in mapped.how
    assert result.verdict is Verdict.INVALID
    assert "has exactly the generated rules failed at novice.upnp-nat" in result.why
    assert ended.status == 3


def _run(folder: Path, novice: str = "direct", expert: str = "direct") -> Results:
    """Run by file in this process, whose sabotage the labs inherit."""
    scenarios = of_topology(topology(novice, expert), [Method.FILE], Terms(password="secret"))
    progress = PlainProgress(Console(file=StringIO()))
    return runner.run(scenarios, ResultsFolder(folder), runner.Choice("namespaces", 1), progress)


def test_a_proxy_that_forwards_packets_is_invalid(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its hosts get a default route to it, and it translates: a proxy in name only."""
    monkeypatch.setattr(ruleset, "_PROXY", FORWARDING_PROXY)

    def wire_all_to_forward(stacks, links, namespaces, there=()):  # type: ignore[no-untyped-def]
        proxy = stacks["expert.socks-proxy"]
        stacks["expert.socks-proxy"] = dataclasses.replace(proxy, forwards=True)
        gateway = proxy.interfaces[0].address.ip
        stacks["expert"] = dataclasses.replace(stacks["expert"], gateway=gateway)
        wire(stacks, links, namespaces, there)

    monkeypatch.setattr(lab, "wire", wire_all_to_forward)
    results = _run(tmp_path / "out", expert="socks-proxy")
    (result,) = results.scenarios
    assert result.observed is not None
    assert result.observed.answer is Answer.YES
    assert result.verdict is Verdict.INVALID
    assert "passes packets on exactly where it should failed at expert.socks-proxy" in result.why
    assert result.predicted is not None
    assert "expert.socks-proxy" in result.predicted.why
    assert exit_code(results.scenarios) == 3


def test_a_firewall_that_lets_unsolicited_syns_in_is_invalid(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its definition drops them; the rules that are loaded do not."""
    opened = Firewall(unsolicited=Unsolicited.DROP, inbound=(3389,))
    rules = ruleset._firewall(opened)
    monkeypatch.setattr(ruleset, "_firewall", lambda _: rules)
    results = _run(tmp_path / "out", novice="firewall")
    (result,) = results.scenarios
    assert result.observed is not None
    assert result.observed.answer is Answer.YES
    assert result.verdict is Verdict.INVALID
    assert "an unasked SYN to port 3389 ends where and how it should failed at novice" in result.why
    assert result.predicted is not None
    assert result.predicted.why.startswith("novice.firewall drops the SYN to 80.101.0.2:3389")
    assert exit_code(results.scenarios) == 3


def test_an_icf_that_remote_assistance_fails_to_open_differs_from_the_article(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lab.Lab, "open_port", lambda *_: None)
    monkeypatch.setattr(lab.Lab, "close_port", lambda *_: None)
    results = _run(tmp_path / "out", novice="icf")
    (result,) = results.scenarios
    assert result.verdict is Verdict.DIFFERS
    assert result.documented is not None
    assert result.documented.source.startswith("Internet Connection Firewall (ICF)")
    assert "dropped by novice (unsolicited packet to the host)" in result.why
    assert contradicts_prediction(result)
    assert exit_code(results.scenarios) == 1
