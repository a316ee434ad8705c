"""Reads the kernel's tables of sockets: proc_net_tcp(5), Documentation/networking/proc_net_tcp."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from harness.runtime.netns import NetNs

TABLES = ("tcp", "tcp6", "udp", "udp6")
"""The tables under ``/proc/net`` that hold listening sockets."""

# Of the calling thread, and so of the namespace that it has entered.
_OWN = Path("/proc/thread-self/net")
_TCP_LISTEN = "0A"
_TCP_TIME_WAIT = "06"
# An unconnected UDP socket is shown as closed.
_UDP_UNCONNECTED = "07"
_LISTENING = {"tcp": _TCP_LISTEN, "udp": _UDP_UNCONNECTED}


def listening(namespace: NetNs) -> set[str]:
    """Return where something listens in a namespace: ``TCP 5431``, ``UDP 1900``."""
    return {found for name, table in _tables(namespace) for found in listeners(name, table)}


def unclosed(namespace: NetNs) -> int:
    """Return how many TCP sockets are in a namespace, but for those in TIME_WAIT."""
    rows = [
        row.split()
        for name, table in _tables(namespace)
        if name.startswith("tcp")
        for row in table.splitlines()[1:]
    ]
    return sum(state != _TCP_TIME_WAIT for _, _, _, state, *_ in rows)


def _tables(namespace: NetNs) -> list[tuple[str, str]]:
    with namespace.entered():
        return [
            (name, (_OWN / name).read_text(encoding="ascii"))
            for name in TABLES
            if (_OWN / name).exists()
        ]


def listeners(name: str, table: str) -> Iterator[str]:
    """Yield where something listens, from the text of the table of that name, its header included.

    The same port comes once for each socket.
    """
    protocol = name.removesuffix("6")
    for row in table.splitlines()[1:]:
        _, local, _, state, *_ = row.split()
        if state == _LISTENING[protocol]:
            yield f"{protocol.upper()} {int(local.rpartition(':')[2], 16)}"
