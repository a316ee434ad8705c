"""What a node program answers, in the shape that both its sides know."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from harness.words import End


@dataclass(frozen=True)
class Dialled:
    """One attempt: ``started`` is CLOCK_MONOTONIC and ``seconds`` its length, both in seconds.

    ``via_proxy`` says that it went through the site's proxy, whose SYN it then is. ``session``
    names the proven connection as its listener does; ``proven`` is when it was proven.
    """

    address: str
    port: int
    local_port: int
    started: float
    seconds: float
    end: End
    detail: str
    via_proxy: bool = False
    session: str | None = None
    proven: float | None = None

    @classmethod
    def read(cls, facts: Mapping[str, Any]) -> Dialled:
        """Read it from a reply."""
        return cls(**{**facts, "end": End(facts["end"])})
