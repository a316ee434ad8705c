"""How much CPU time a part of the work takes."""

from __future__ import annotations

import resource
from types import TracebackType


class CpuMeter:
    """Adds up the CPU seconds of this process, and of the children it waited for, while entered."""

    def __init__(self) -> None:
        """Begin at 0."""
        self.seconds = 0.0
        self._before = 0.0

    def __enter__(self) -> CpuMeter:
        """Begin to count."""
        self._before = _used()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Stop to count."""
        self.seconds += _used() - self._before


def _used() -> float:
    # os.times() counts in hundredths of a second, which is more than most of what is measured.
    both = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return sum(each.ru_utime + each.ru_stime for each in both)
