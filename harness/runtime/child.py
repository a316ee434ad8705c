"""What every forked child does: its work, and nothing of its parent's code after that."""

from __future__ import annotations

import os
import sys
import traceback
from collections.abc import Callable
from typing import NoReturn


def finish(work: Callable[[], None]) -> NoReturn:
    """Do the work and end the process: with 0, or with 1 and a traceback where it raised."""
    status = 1
    try:
        work()
        status = 0
    except BaseException:  # noqa: BLE001 - nothing of the parent's code may run in the child
        traceback.print_exc()
    finally:
        try:
            sys.stderr.flush()
        finally:
            # Also where nobody reads standard error any more.
            os._exit(status)
