"""What every comparison of two runs shares: the way things went, and which belong together."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from enum import StrEnum
from typing import TypeVar

_T = TypeVar("_T")


class Direction(StrEnum):
    """Where something went."""

    WORSE = "worse"
    BETTER = "better"
    OTHER = "other"


def numbered(things: Iterable[_T], name: Callable[[_T], str]) -> dict[tuple[str, int], _T]:
    """Key each thing by its name and how many of that name came before it."""
    found: dict[tuple[str, int], _T] = {}
    for thing in things:
        number = 0
        while (name(thing), number) in found:
            number += 1
        found[name(thing), number] = thing
    return found
