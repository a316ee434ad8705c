"""Routers that are what they claim get the article's verdict of their class on every scenario."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from bundles import change, mend
from gear_runs import SECONDS, Ended, Gear, Later, Outcome, command, later, router, run
from lying_igd import LyingIgd
from routers import (
    HONEST,
    GearRouter,
    LegacyIgdRouter,
    LegacyRouter,
    Lie,
    LyingRouter,
    NftIgdRouter,
    ShorewallRouter,
    TestBench,
)
from routers.liar import ELSEWHERE

from harness.protocol import pcapng
from harness.runner.rejudge import Found, bundles, rejudge
from harness.words import Answer, Method, Verdict

pytestmark = pytest.mark.timeout(SECONDS)

# E-mail and file differ in the ticket's way only: with some routers one of them will do.
METHODS = {
    ShorewallRouter: (Method.MESSENGER, Method.FILE),
    LegacyRouter: (Method.MESSENGER, Method.FILE),
}

Kind = type[GearRouter]


def methods(kind: Kind) -> tuple[Method, ...]:
    return METHODS.get(kind, tuple(Method))


def options(kind: Kind) -> list[str]:
    return ["--no-card", *(f"--method={method}" for method in methods(kind))]


RUNS: dict[str, Later[Outcome]] = {kind.name: run(kind, options=options(kind)) for kind in HONEST}
BOTH = run(NftIgdRouter, LegacyIgdRouter, options=("--no-card", "--method", "file"))


class HardOfHearing(LyingRouter):
    """It does not hear the first search: a datagram was lost, or its UPnP is not up yet."""

    def __init__(self) -> None:
        super().__init__(Lie.NONE)
        self._igd = _HeardOnlyAgain(Lie.NONE, self.lan.ip, ELSEWHERE)


class _HeardOnlyAgain(LyingIgd):
    _searches = 0

    def _found(self, data: bytes) -> list[bytes]:
        self._searches += 1
        return super()._found(data) if self._searches > 1 else []


AGAIN = run(HardOfHearing, options=("--no-card", "--method", "file"))


def alone(folder: Path) -> Ended:
    """Run the command as somebody does who has written no bench file."""
    with TestBench() as bench:
        gear = Gear(bench, folder, router(NftIgdRouter))
        arguments = ["gear", "--lan", "lan0", "--wan", "wan0", "--model", "X 1", "--firmware", "2"]
        arguments += ["--no-card", "--method", "file", "--out", str(folder / "results")]
        return command(arguments, folder, gear.bench.host)


ALONE = later(alone)

honest = pytest.mark.parametrize("kind", HONEST, ids=lambda kind: kind.name)
with_upnp = pytest.mark.parametrize(
    "kind", [kind for kind in HONEST if kind.claims == "upnp-nat"], ids=lambda kind: kind.name
)

# What the article's tables say of a NAT without UPnP: the columns of which one is "yes" each.
NAT_YES = {"messenger/{}+direct", "messenger/direct+{}", "email/direct+{}", "file/direct+{}"}


def pairs(name: str, reference: str) -> list[str]:
    return [f"{name}+direct", f"direct+{name}", f"{name}+{reference}", f"{reference}+{name}"]


@honest
def test_every_scenario_has_the_article_s_verdict(kind: Kind) -> None:
    outcome = RUNS[kind.name].result()
    assert outcome.ended.status == 0, outcome.ended.said
    saw = {}
    for each in outcome.results.scenarios:
        assert each.verdict is Verdict.AGREES, each
        assert each.documented is not None
        assert each.observed is not None
        assert all(control.passed for control in each.controls)
        saw[each.id] = each.observed.answer
    expected = {f"{m}/{pair}" for m in methods(kind) for pair in pairs(kind.name, kind.claims)}
    assert set(saw) == expected
    yes = {each for each, answer in saw.items() if answer is Answer.YES}
    upnp = kind.claims == "upnp-nat"
    nat = {each.format(kind.name) for each in NAT_YES}
    assert yes == (expected if upnp else nat & expected)


@honest
def test_every_bundle_shows_again_what_the_run_saw(kind: Kind) -> None:
    outcome = RUNS[kind.name].result()
    judged = [rejudge(found) for found in bundles(outcome.folder)]
    assert len(judged) == 4 * len(methods(kind))
    assert [each.now for each in judged] == [each.before for each in judged]


def test_a_no_whose_frames_were_taken_out_of_its_bundle_is_invalid(tmp_path: Path) -> None:
    """As a careful alterer does it: counts and checksums are put right."""
    bundle = tmp_path / "bundle"
    shutil.copytree(RUNS["legacy"].result().folder / "scenarios/file/legacy+direct", bundle)
    assert rejudge(Found(bundle)).now.verdict is Verdict.AGREES
    capture = bundle / "capture.pcapng"
    with capture.open("rb") as stream:
        frames = list(pcapng.read(stream))
    kept = [frame for frame in frames if frame.interface != "internet/to-legacy"]
    assert 0 < len(kept) < len(frames)
    with capture.open("wb") as stream:
        pcapng.write(stream, [], kept)
    for name in ("controls.json", "verdict.json"):
        change(bundle / name, f"{len(frames)} frames", f"{len(kept)} frames")
    mend(bundle)
    altered = rejudge(Found(bundle)).now
    assert altered.verdict is Verdict.INVALID
    assert "another observation" in altered.why


def test_the_judge_needs_only_the_results_folder(tmp_path: Path) -> None:
    outcome = RUNS["legacy-igd"].result()
    ended = command(("judge", str(outcome.folder)), tmp_path)
    assert ended.status == 0, ended.said
    assert "12 of 12 as the run judged them" in ended.out


@honest
def test_no_nic_is_other_than_before(kind: Kind) -> None:
    outcome = RUNS[kind.name].result()
    assert outcome.after == outcome.before


@honest
def test_results_name_the_router_that_was_tested(kind: Kind) -> None:
    outcome = RUNS[kind.name].result()
    (found,) = outcome.results.run.routers
    told = (found.name, found.model, found.firmware, found.claims, found.wan_addressing)
    assert told == (kind.name, *outcome.models, *outcome.firmwares, kind.claims, "dhcp")
    assert found.gateway == str(kind.lan)


@honest
@pytest.mark.parametrize("file", ["junit.xml", "summary.md", "report.html"])
def test_every_report_names_model_and_firmware(kind: Kind, file: str, tmp_path: Path) -> None:
    outcome = RUNS[kind.name].result()
    if file == "report.html":
        ended = command(("report", str(outcome.folder)), tmp_path)
        assert ended.status == 0, ended.said
    text = (outcome.folder / file).read_text(encoding="utf-8")
    for words in (*outcome.models, *outcome.firmwares):
        assert words in text


@honest
def test_the_terminal_says_what_was_tested_and_what_the_other_side_was(kind: Kind) -> None:
    outcome = RUNS[kind.name].result()
    said = " ".join(outcome.ended.out.split())
    (model,), (firmware,) = outcome.models, outcome.firmwares
    assert f"{kind.name}: {model}, firmware {firmware}; its maker claims {kind.claims}" in said
    reference = f"the other side is this project's own {kind.claims}, as reference"
    assert reference in said
    number = 4 * len(methods(kind))
    assert f"{number} of {number} agree" in said


@with_upnp
def test_what_a_router_said_of_itself_is_in_every_bundle(kind: Kind) -> None:
    outcome = RUNS[kind.name].result()
    for each in outcome.results.scenarios:
        assert each.bundle is not None
        bundle = outcome.folder / each.bundle
        answers = (bundle / f"{kind.name}.discovery.txt").read_text(encoding="utf-8")
        assert f"# from {kind.lan.ip}:1900" in answers
        assert "InternetGatewayDevice" in answers
        description = (bundle / f"{kind.name}.description.xml").read_bytes()
        assert b"<friendlyName>" in description
        assert description.rstrip().endswith(b"</root>")


def test_a_router_that_missed_the_first_search_is_asked_again() -> None:
    outcome = AGAIN.result()
    assert outcome.ended.status == 0, outcome.ended.said
    bundle = outcome.folder / "scenarios/file/liar+direct"
    assert (bundle / "liar.discovery.txt").exists()
    assert b"<friendlyName>" in (bundle / "liar.description.xml").read_bytes()


def test_a_router_without_upnp_has_said_nothing_that_could_be_kept() -> None:
    outcome = RUNS["legacy"].result()
    assert not list(outcome.folder.rglob("*.description.xml"))
    assert not list(outcome.folder.rglob("*.discovery.txt"))


def test_the_names_of_two_nics_are_enough() -> None:
    ended = ALONE.result()
    assert ended.status == 0, ended.said
    said = " ".join(ended.out.split())
    assert "gear: X 1, firmware 2; its maker claims upnp-nat" in said
    assert "4 of 4 agree" in said


def test_two_routers_stand_on_both_sides_both_ways() -> None:
    outcome = BOTH.result()
    assert outcome.ended.status == 0, outcome.ended.said
    assert {each.id for each in outcome.results.scenarios} == {
        "file/nft-igd+direct",
        "file/direct+nft-igd",
        "file/legacy-igd+direct",
        "file/direct+legacy-igd",
        "file/nft-igd+legacy-igd",
        "file/legacy-igd+nft-igd",
    }
    both = outcome.scenario("file/nft-igd+legacy-igd")
    assert both.documented is not None
    assert both.documented.claim == "file-email/both/upnp-nat"
    assert "this project's own" not in outcome.ended.out
    assert [each.name for each in outcome.results.run.routers] == ["nft-igd", "legacy-igd"]
    assert outcome.after == outcome.before


def test_bundles_of_two_routers_have_what_both_said_and_show_it_again() -> None:
    outcome = BOTH.result()
    judged = [rejudge(found) for found in bundles(outcome.folder)]
    assert [each.now for each in judged] == [each.before for each in judged]
    bundle = outcome.folder / "scenarios/file/nft-igd+legacy-igd"
    kept = {each.name for each in bundle.iterdir()}
    said = {"discovery.txt", "description.xml"}
    assert kept >= {f"{name}.{each}" for name in ("nft-igd", "legacy-igd") for each in said}
