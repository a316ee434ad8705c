"""The specification's sample of an invitation, and others made from it or composed anew."""

from __future__ import annotations

from harness.protocol.incident import Candidate, Incident, compose

SESSION_ID = "c2Vzc2lvbiBpZGVudGlmaWVyIG9mIDMyIGJ5dGVzISE="
PARAMETERS = "cGFyYW1ldGVycyAyMCBieXRlcyE="

# The structure of the sample in [MS-RAI] section 6, with base64 of our own.
SAMPLE = (
    '<?xml version="1.0" encoding="Unicode" ?>\n'
    '<UPLOADINFO TYPE="Escalated">\n'
    '    <UPLOADDATA \n        USERNAME="jeff" \n'
    '        RCTICKET="65538,1,192.168.1.65:3389;jeff_xp:3389,*,'
    f'{SESSION_ID},*,*,{PARAMETERS}" \n'
    '        RCTICKETENCRYPTED="1" \n        DtStart="1160080069" \n        DtLength="60" \n'
    '        PassStub="o2*5GdBARK_JBB" \n        L="0" />\n'
    "</UPLOADINFO>\n"
)
MEANT = Incident(
    username="jeff",
    candidates=(Candidate("192.168.1.65", 3389), Candidate("jeff_xp", 3389)),
    session_id=SESSION_ID,
    parameters=PARAMETERS,
    start=1160080069,
    minutes=60,
    pass_stub="o2*5GdBARK_JBB",
)


def with_addresses(text: str) -> str:
    return SAMPLE.replace("192.168.1.65:3389;jeff_xp:3389", text)


def a_composed_one(**changes: object) -> Incident:
    values: dict[str, object] = {
        "username": "novice",
        "candidates": (Candidate("10.0.0.2", 3389),),
        "now": 1_000_000_000.9,
        "minutes": 60,
    }
    return compose(**(values | changes))  # type: ignore[arg-type]
