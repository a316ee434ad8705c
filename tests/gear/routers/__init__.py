"""Gear for tests: routers that the harness does not manage, each in namespaces of its own.

They are made of other software than the harness's devices where Debian has it, and are reached
through two cables only, as a router of plastic is.
"""

from __future__ import annotations

from routers.base import GearRouter
from routers.bench import TestBench
from routers.kernel import LegacyIgdRouter, LegacyRouter, NftIgdRouter
from routers.liar import LyingRouter
from routers.lies import HOSTILE, Lie
from routers.shorewall import ShorewallRouter
from routers.slirp import SlirpRouter

HONEST: tuple[type[GearRouter], ...] = (
    LegacyRouter,
    LegacyIgdRouter,
    ShorewallRouter,
    SlirpRouter,
    NftIgdRouter,
)
"""The routers that are what they claim."""

__all__ = [
    "TestBench",
    "GearRouter",
    "HONEST",
    "LegacyRouter",
    "LegacyIgdRouter",
    "ShorewallRouter",
    "SlirpRouter",
    "NftIgdRouter",
    "LyingRouter",
    "Lie",
    "HOSTILE",
]
