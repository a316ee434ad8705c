"""A bad invitation ends in one clear error at the expert's, and no SYN ever leaves for it."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest
from worlds import in_lab, topology

from harness.errors import ScenarioError
from harness.judge.journey import Event
from harness.lab.lab import Lab
from harness.lab.program import Facts
from harness.protocol import incident
from harness.protocol.incident import Candidate
from harness.protocol.packet import Segment

GOOD = incident.write(
    incident.compose(
        username="novice",
        candidates=[Candidate("80.100.10.2", 3389)],
        now=time.time(),
        minutes=60,
    )
)

BOMB = (
    b'<?xml version="1.0"?><!DOCTYPE b [<!ENTITY a "ha"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;">]>'
    b'<UPLOADINFO TYPE="Escalated"><UPLOADDATA USERNAME="&b;"/></UPLOADINFO>'
)


def _expired() -> bytes:
    long_ago = time.time() - 7200
    candidates = [Candidate("80.100.10.2", 3389)]
    return incident.write(
        incident.compose(username="novice", candidates=candidates, now=long_ago, minutes=60)
    )


BAD: dict[str, tuple[Callable[[], bytes], str]] = {
    "entity bomb": (lambda: BOMB, "DOCTYPE"),
    "expired": (_expired, "expired"),
    "no address": (lambda: GOOD.replace(b"80.100.10.2:3389", b""), "no address at all"),
    "port out of range": (lambda: GOOD.replace(b":3389", b":70000"), "70000"),
    "missing field": (lambda: GOOD.replace(b'DtLength="60"', b""), "DtLength"),
    "doubled field": (lambda: GOOD.replace(b'L="0"', b'L="0" L="0"'), "duplicate"),
    "50 MB": (lambda: GOOD + b" " * 50_000_000, "65536"),
    "empty": (lambda: b"", "no element found"),
}


@pytest.mark.parametrize("name", BAD)
def test_a_bad_invitation_never_leads_to_a_connection(name: str) -> None:
    make, word = BAD[name]

    async def play(lab: Lab) -> Facts:
        (lab.disk("expert") / "received.MsRcIncident").write_bytes(make())
        expert = lab.start("expert", "expert")
        await expert.connect()
        said = []
        for do, facts in (
            ("open", {"path": "received.MsRcIncident"}),
            ("dial", {"password": "secret", "patience": 4, "proxy_client": False}),
        ):
            try:
                await expert.ask(do, 10, **facts)
            except ScenarioError as error:
                said.append(str(error))
        lab.watch.drain()
        left = [
            sighting
            for sighting in lab.watch.sightings
            if sighting.event is Event.SENT and isinstance(sighting.packet, Segment)
        ]
        return {"said": said, "left": len(left)}

    seen = in_lab(topology(), play)
    opened, dialled = seen["said"]
    assert opened.startswith("expert could not open: ")
    assert word in opened
    assert "\n" not in opened
    assert len(opened) < 300
    assert dialled == "expert could not dial: there is no opened invitation to dial"
    assert seen["left"] == 0
