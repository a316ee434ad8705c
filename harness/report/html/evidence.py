"""What the page shows of a scenario beside its result."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from harness.judge.model import Attempt
from harness.judge.trace import Trace
from harness.topology.model import Topology


@dataclass(frozen=True)
class Evidence:
    """What a bundle has of one scenario; anything that it lacks is left as it is here.

    ``journeys`` are the attempts in the order made. ``no_journeys`` says in one line why there are
    none. ``invitation`` is the text of the novice's ticket file. ``files`` are paths relative to
    the bundle. ``devices_said`` are ``(node, words)``: what a gateway told of itself.
    """

    topology: Topology | None = None
    journeys: tuple[tuple[Attempt, Trace], ...] = ()
    no_journeys: str = ""
    invitation: str = ""
    files: tuple[str, ...] = ()
    devices_said: tuple[tuple[str, str], ...] = ()


NOTHING: Final = Evidence()
"""Of a scenario without a bundle."""
