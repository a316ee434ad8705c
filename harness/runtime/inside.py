"""A testinfra backend that runs commands in a network namespace, with the host's own programs.

It works on a node of any runtime, and starts nothing in a container: ``docker exec`` takes 58 ms,
a command here 2 ms, and those that every scenario needs are answered in this process.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from testinfra.backend.base import BaseBackend, CommandResult

from harness.runtime import nftables, sockdiag
from harness.runtime.namespaces import SYSTEM_PATH
from harness.runtime.netns import NetNs

LIST_RULES = "nft list ruleset"
"""Lists all rules of a node; answered by nft's own library."""

LIST_SOCKETS = "ss -Hlntu"
"""Lists where something listens; answered by asking the kernel as ss does."""

# Reads a setting of the network; answered by reading it.
_CAT = re.compile(r"cat (?P<path>/proc/sys/net/[a-z0-9_/]+)")


class NamespaceBackend(BaseBackend):  # type: ignore[misc]
    """Commands see the network of one node; files and processes are the host's."""

    NAME = "namespace"

    def __init__(self, node: str, namespace: NetNs) -> None:
        """Enter ``namespace`` for each command; ``node`` is the name to show."""
        super().__init__(node)
        self._namespace = namespace

    def run(self, command: str, *args: str, **_: Any) -> CommandResult:
        """Run a shell command to its end."""
        command = self.get_command(command, *args)
        text = _answer(self._namespace, command)
        if text is not None:
            return self.result(0, self.encode(command), text, "")
        with self._namespace.entered():
            # An ordinary user's PATH lacks the folders that nft and ss are in.
            return self.run_local(f'PATH="$PATH:{SYSTEM_PATH}"; {command}')


def _answer(namespace: NetNs, command: str) -> str | None:
    """Return what a command would print in a namespace, if that is known.

    Where it cannot be known the command itself is run, and says why.
    """
    if command == LIST_SOCKETS:
        return "".join(map(_row, sockdiag.listening(namespace)))
    with namespace.entered():
        if command == LIST_RULES:
            try:
                return nftables.listing()
            except nftables.RulesetError:
                return None
        cat = _CAT.fullmatch(command)
        path = Path(cat["path"]) if cat is not None else None
        return path.read_text(encoding="ascii") if path is not None and path.exists() else None


def _row(where: str) -> str:
    """Write as ss does where something listens: protocol, state, queues, address, peer."""
    protocol, port = where.split()
    state = "LISTEN" if protocol == "TCP" else "UNCONN"
    return f"{protocol.lower()} {state} 0 0 *:{port} *:*\n"
