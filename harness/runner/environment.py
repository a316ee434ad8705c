"""What a run was made with. Nothing here names the machine, its user or its folders."""

from __future__ import annotations

import os
import platform
from functools import cache
from importlib import metadata
from pathlib import Path

_PACKAGES = ("ra-harness", "pyroute2", "twisted")


# What a lab's packets may meet on the way, as the host has it; a new namespace copies some of it.
_SYSCTLS = (
    "net/bridge/bridge-nf-call-iptables",
    "net/core/rmem_max",
    "net/core/wmem_max",
    "net/ipv4/ip_local_port_range",
    "net/ipv4/tcp_syn_retries",
    "net/ipv4/tcp_syncookies",
    "net/ipv4/tcp_timestamps",
    "net/netfilter/nf_conntrack_max",
    "net/netfilter/nf_conntrack_tcp_loose",
)


@cache
def environment() -> dict[str, object]:
    """Return what a bundle says of where it was made: kernel, versions, sysctls that matter.

    A sysctl is null where the kernel has none: without br_netfilter there is no ``net/bridge``.
    """
    sysctls = {name: _sysctl(name) for name in _SYSCTLS}
    return {"host": host(), "versions": versions(), "sysctls": sysctls}


def _sysctl(name: str) -> str | None:
    path = Path("/proc/sys") / name
    return path.read_text(encoding="ascii").strip() if path.exists() else None


@cache
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
