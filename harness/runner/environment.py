"""What a run was made with. Nothing here names the machine, its user or its folders."""

from __future__ import annotations

import os
import platform
from importlib import metadata

_PACKAGES = ("ra-harness", "miniupnpc", "pyroute2", "twisted")


def versions() -> dict[str, str]:
    """Return the versions of the harness and of what the packets went through."""
    found = {name: metadata.version(name) for name in _PACKAGES}
    return {"python": platform.python_version(), **found}


def host() -> dict[str, str]:
    """Return what of the machine may matter to a result."""
    return {
        "kernel": platform.release(),
        "machine": platform.machine(),
        "cores": str(os.cpu_count()),
        "user": "root" if os.getuid() == 0 else "ordinary",
    }
