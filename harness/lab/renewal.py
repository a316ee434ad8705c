"""Makes a used node as it was when it came up, and shows that it is.

Where a lab serves several scenarios, nothing of one may help or hinder the next: no process, no
connection that the kernel tracks, no file, and no rule or element that a daemon or a packet added.
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path

from pyroute2.netlink.nfnetlink.nfctsocket import NFCTSocket
from tenacity import retry, retry_if_result, stop_after_delay, wait_fixed

from harness.judge.model import Control
from harness.runtime.node import Node
from harness.runtime.sockdiag import unclosed
from harness.topology.plan import LabPlan

CONTROL = "nothing is left of the scenario before"

_QUIET_DEADLINE = 2.0
"""Seconds in which what killed processes leave on the wires must have come to rest."""


def renew(plan: LabPlan, nodes: Mapping[str, Node]) -> list[Control]:
    """End all processes, empty the disks, forget all tracked connections; say what was left.

    The rules are loaded anew by the lab, and compared as in every scenario.
    """
    left = {name: node.end_all() for name, node in nodes.items()}
    # The kernels take leave of each other for what was killed. As long as the NATs know the
    # connections that takes microseconds; later these would be nobody's packets, sent again and
    # again, and tracked anew.
    unclosed = {name: _await_closed(node) for name, node in nodes.items()}
    return [
        _clean(nodes[each.name], each.name, left[each.name], unclosed[each.name])
        for each in plan.own
    ]


def _clean(node: Node, name: str, processes: int, unclosed: int) -> Control:
    _empty(node.disk)
    tracked = _forget_connections(node)
    files = sum(1 for _ in node.disk.iterdir())
    clean = not (processes or unclosed or tracked or files)
    detail = (
        f"left: {processes} processes, {unclosed} open connections, "
        f"{tracked} tracked connections, {files} files"
    )
    return Control(name=CONTROL, node=name, passed=clean, detail=detail)


@retry(
    retry=retry_if_result(bool),
    stop=stop_after_delay(_QUIET_DEADLINE),
    wait=wait_fixed(0.001),
    retry_error_callback=lambda state: state.outcome.result() if state.outcome else -1,
)
def _await_closed(node: Node) -> int:
    """Wait until the kernel has closed every connection; return how many it has not."""
    return unclosed(node.namespace)


def _empty(disk: Path) -> None:
    for path in disk.iterdir():
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink()


@retry(
    retry=retry_if_result(bool),
    stop=stop_after_delay(_QUIET_DEADLINE),
    wait=wait_fixed(0.001),
    retry_error_callback=lambda state: state.outcome.result() if state.outcome else -1,
)
def _forget_connections(node: Node) -> int:
    """Flush connection tracking; return how many entries there are afterwards."""
    with node.namespace.entered(), NFCTSocket() as conntrack:
        if _tracked(conntrack):
            conntrack.flush()
        return _tracked(conntrack)


def _tracked(conntrack: NFCTSocket) -> int:
    (answer,) = conntrack.count()
    return int(answer.get_attr("CTA_STATS_GLOBAL_ENTRIES"))
