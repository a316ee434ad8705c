"""A bundle has what was said to and by a real router, which is not ours to look into."""

from __future__ import annotations

import json
from functools import partial
from typing import Any

import pytest
from gear_runs import SECONDS, Later, Outcome, run
from routers import Lie, LyingRouter, NftIgdRouter

from harness.runner.rejudge import bundles, rejudge

pytestmark = pytest.mark.timeout(SECONDS)

BY_FILE = ("--no-card", "--method", "file")
HONEST = run(NftIgdRouter, options=BY_FILE)
FLOODING = run(partial(LyingRouter, Lie.FLOOD), options=BY_FILE)


def transcript(running: Later[Outcome], router: str) -> list[dict[str, Any]]:
    """Return what the novice and its router said to each other; the bundle is judged again too."""
    folder = running.result().folder
    for found in bundles(folder):
        judged = rejudge(found)
        assert judged.now == judged.before, judged.now.why
    path = folder / f"scenarios/file/{router}+direct/transcript.jsonl"
    lines = map(json.loads, path.read_text(encoding="utf-8").splitlines())
    return [line for line in lines if line["node"] == f"novice.{router}"]


def test_a_real_router_s_answers_are_in_the_transcript() -> None:
    lines = transcript(HONEST, NftIgdRouter.name)
    searches = [line for line in lines if line["event"] == "ssdp request"]
    found = [line["text"] for line in lines if line["event"] == "ssdp answer"]
    # To the group and to the router: once for the control, once for the invitation.
    assert [line["to"] for line in searches].count("239.255.255.250:1900") == 2
    assert [line["to"] for line in searches].count("192.168.178.1:1900") == 2
    assert len(found) >= 2
    assert all("LOCATION: http://192.168.178.1:" in text for text in found)
    granted = {line["text"] for line in lines if line["event"] == "nat-pmp answer"}
    assert [words.rpartition(".")[0] for words in granted] == ["the external address is 80.100.10"]
    assert any("AddPortMappingResponse" in line["text"] for line in lines)


def test_a_router_that_floods_its_host_spoils_no_bundle() -> None:
    events = [line["event"] for line in transcript(FLOODING, LyingRouter.name)]
    assert events.count("left out") == 1
    assert 400 < events.count("ssdp answer") < 500
    assert "upnp answer" in events
