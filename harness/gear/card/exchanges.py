"""Evidence of what was said to a router over HTTP, a line for each exchange."""

from __future__ import annotations

import re
from functools import partial

from harness.gear.card.check import Attempt
from harness.gear.rig import Station
from harness.nodes.igd.client import Exchange, OnExchange
from harness.protocol.igd.errors import quoted

_ARGUMENT = re.compile(rb"<(New\w+)>([^<]*)</")
_ERROR_CODE = re.compile(rb"<errorCode>\s*([0-9]{1,5})\s*</errorCode>")
_ACTION = re.compile(rb"SOAPACTION: \"[^\"]*#(\w+)\"", re.IGNORECASE)
_LONGEST_VALUE = 40
_MOST_READ = 1 << 14


def noting(attempt: Attempt, station: Station) -> OnExchange:
    """Return what notes a station's exchanges in a check's evidence."""
    return partial(_note, attempt, station)


def _note(attempt: Attempt, station: Station, exchange: Exchange) -> None:
    """Note who asked for what, and what came."""
    request, reply = exchange.request[:_MOST_READ], exchange.reply[:_MOST_READ]
    action = _ACTION.search(request)
    if action is None:
        asked = quoted(request.partition(b"\r\n")[0].removesuffix(b" HTTP/1.1"))
    else:
        asked = action[1].decode("ascii", "replace") + _arguments(request)
    code = _ERROR_CODE.search(reply)
    if exchange.problem is not None:
        came = exchange.problem
    elif code is not None:
        came = f"error {code[1].decode()}"
    else:
        came = quoted(reply.partition(b"\r\n")[0], _LONGEST_VALUE) + _arguments(reply)
    took = f"{exchange.ended - exchange.started:.3f} s"
    attempt.note(f"{station.name}: {asked} -> {came} ({took})")


def _arguments(message: bytes) -> str:
    given = ", ".join(
        f"{name.decode('ascii', 'replace')}={quoted(value, _LONGEST_VALUE)}"
        for name, value in _ARGUMENT.findall(message)
    )
    return f"({given})" if given else ""
