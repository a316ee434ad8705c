"""Nodes that are network namespaces: whose processes they see."""

from __future__ import annotations

import os
from pathlib import Path

from harness.runtime.child import finish
from harness.runtime.namespaces import _processes_in
from harness.runtime.netns import NetNs

# Debian's user and group of nobody; only root may become another user.
NOBODY = 65534


def test_processes_of_others_are_passed_over(tmp_path: Path) -> None:
    """The first process of a machine is root's: nobody else may see which network it is in."""
    namespace = NetNs.of_process(os.getpid())
    seen = (tmp_path / "seen").open("w", encoding="ascii")

    def look() -> None:
        if os.getuid() == 0:
            os.setresuid(NOBODY, NOBODY, NOBODY)
        print(os.getpid() in list(_processes_in(namespace)), file=seen, flush=True)

    with seen:
        pid = os.fork()
        if pid == 0:
            finish(look)
        _, status = os.waitpid(pid, 0)
    namespace.close()
    assert os.waitstatus_to_exitcode(status) == 0
    assert (tmp_path / "seen").read_text(encoding="ascii") == "True\n"
