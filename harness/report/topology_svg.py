"""A topology as SVG: sites, devices, addresses, and where attempts ended.

The text is a whole ``<svg>`` element without ids or references, so that several fit into one page.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from textwrap import wrap
from typing import Final
from xml.sax.saxutils import escape

from harness.judge.model import Observed
from harness.report.causes import Cause
from harness.report.wording import plain
from harness.topology.model import Topology
from harness.topology.plan import INTERNET, SERVICES, Kind, LabPlan, NodePlan, box_nodes, plan
from harness.words import Answer, End, Role

# Pixels; a letter of the monospaced 13 px typeface is at most 7.9 wide. The boxes are narrow, so
# that a chain of five is still legible on a sheet of paper, and two of them are seen on a phone.
_WIDTH: Final = 168
_LETTERS: Final = 19
_TITLE: Final = 16
_GAP: Final = 20
_DROP: Final = 32
_LINE: Final = 18
_PAD: Final = 9
_MARGIN: Final = 12
_TOP: Final = 46

# What has a title of its own; the other nodes are named by their role.
_BOXES: Final = (Kind.DEVICE, Kind.GEAR)

TOPOLOGY_STYLE: Final = """
.ra-topology{font:13px ui-monospace,Menlo,Consolas,"DejaVu Sans Mono",monospace}
.ra-topology text{fill:currentColor;white-space:pre}
.ra-topology .title{font-weight:bold;font-family:system-ui,sans-serif;font-size:13px}
.ra-topology .soft,.ra-topology .aside{color:inherit;opacity:.85}
.ra-topology rect{fill:none;stroke:currentColor;stroke-width:1.25}
.ra-topology .site{stroke-dasharray:4 4;opacity:.6}
.ra-topology path{stroke:currentColor;stroke-width:1.5;fill:none}
.ra-topology .good{color:#1a7f37}
.ra-topology .bad{color:#cf222e}
.ra-topology rect.good,.ra-topology rect.bad{stroke-width:2.5}
@media screen and (prefers-color-scheme:dark){
.ra-topology .good{color:#3fb950}
.ra-topology .bad{color:#ff7b72}
}
"""
"""The rules of the element's classes, which the page has once for all drawings."""


def topology_svg(topology: Topology, observed: Observed | None, cause: Cause | None = None) -> str:
    """Return the drawing: the novice's site to the left, the expert's to the right.

    The services stand below the internet, neighbours below their host. The node of
    ``cause`` is marked as the one that decided. Another where attempts of ``observed`` ended says
    so less loudly; of a "Yes" only those that connected do.
    """
    return _Drawing(plan(topology), _marks(observed, cause)).text()


def _marks(observed: Observed | None, cause: Cause | None) -> Mapping[str, tuple[str, str]]:
    """Return what stands at which node, and its style."""
    if observed is None:
        return {}
    decided = cause.at if cause is not None else ()
    if observed.answer is Answer.YES:
        good = (a.ended_at for a in observed.attempts if a.end is End.CONNECTED)
        let_in = dict.fromkeys(decided, ("\N{CHECK MARK} let it in", "good"))
        return {**let_in, **dict.fromkeys(good, ("\N{CHECK MARK} connected", "good"))}
    ends = (a.ended_at for a in observed.attempts)
    marks = dict.fromkeys(ends, ("\N{MIDDLE DOT} a dial ended here", "aside"))
    return {**marks, **dict.fromkeys(decided, ("\N{BALLOT X} decided here", "bad"))}


class _Drawing:
    """The element as it grows."""

    def __init__(self, lab: LabPlan, marks: Mapping[str, tuple[str, str]]) -> None:
        self._lab = lab
        self._marks = marks
        self._parts: list[str] = []
        self._low = 0

    def text(self) -> str:
        novice, expert = self._site(Role.NOVICE), self._site(Role.EXPERT)
        row = [*novice, INTERNET, *reversed(expert)]
        height = max(self._height(self._lab.node(name)) for name in row)
        for at, name in enumerate(row):
            self._node(self._lab.node(name), at, _TOP, height)
            if at:
                y, x = _TOP + height // 2, self._left(at)
                self._parts.append(f'<path d="M{x - _GAP} {y}H{x}"/>')
        self._below(SERVICES, len(novice), height)
        for role, at in ((Role.NOVICE, 0), (Role.EXPERT, len(row) - 1)):
            for name in self._neighbours(role):
                self._below(name, at, height)
        self._frame("novice's site", 0, len(novice), height)
        self._frame("expert's site", len(row) - len(expert), len(expert), height)
        width, low = self._left(len(row)) - _GAP + _MARGIN, self._low + _MARGIN
        return "\n".join(
            [
                f'<svg xmlns="http://www.w3.org/2000/svg" class="ra-topology" role="img" '
                f'viewBox="0 0 {width} {low}" width="{width}" height="{low}">',
                f"<title>{_safe(self._lab.topology.name)}</title>",
                f"<desc>{_safe('; '.join(self._sentences(row)))}</desc>",
                *self._parts,
                "</svg>\n",
            ]
        )

    def _site(self, role: Role) -> list[str]:
        boxes = box_nodes(role, self._lab.topology.sites[role])
        return [role.value, *(name for name, _ in boxes)]

    def _neighbours(self, role: Role) -> list[str]:
        known = self._site(role)
        return [
            node.name
            for node in self._lab.nodes
            if node.name.startswith(f"{role}.") and node.name not in known
        ]

    def _sentences(self, row: Sequence[str]) -> Iterator[str]:
        """Say the drawing in words."""
        for name in row:
            mark = self._marks.get(name)
            ended = f", {mark[0][2:]}" if mark else ""
            yield f"{', '.join(_words(self._lab.node(name)))}{ended}"

    def _left(self, at: int) -> int:
        return _MARGIN + _PAD + at * (_WIDTH + _GAP)

    def _height(self, node: NodePlan) -> int:
        marked = node.name in self._marks
        return (len(_title(node)) + len(_details(node)) + marked) * _LINE + 2 * _PAD

    def _node(self, node: NodePlan, at: int, top: int, height: int) -> None:
        words, style = self._marks.get(node.name, ("", ""))
        x, y = self._left(at), top + _PAD + _LINE - 5
        marked = f'class="{style}" ' if style else ""
        self._parts.append(
            f'<rect {marked}x="{x}" y="{top}" width="{_WIDTH}" height="{height}" rx="8"/>'
        )
        lines = [(line, "title") for line in _title(node)]
        lines += [(line, "soft") for line in _details(node)]
        lines += [(words, f"title {style}")] if words else []
        for line, kind in lines:
            self._write(x + _PAD, y, line, kind)
            y += _LINE
        self._low = max(self._low, top + height)

    def _below(self, name: str, at: int, height: int) -> None:
        """Draw a node below what is already there in its column's row."""
        node = self._lab.node(name)
        above = _TOP + height
        top = above + _DROP
        x = self._left(at) + _WIDTH // 2
        self._parts.append(f'<path d="M{x} {above}V{top}"/>')
        self._node(node, at, top, self._height(node))

    def _frame(self, words: str, first: int, count: int, height: int) -> None:
        x, width = self._left(first) - _PAD, count * (_WIDTH + _GAP) - _GAP + 2 * _PAD
        self._parts.append(
            f'<rect class="site" x="{x}" y="{_MARGIN // 2}" width="{width}" '
            f'height="{_TOP + height + _PAD - _MARGIN // 2}" rx="12"/>'
        )
        self._low = max(self._low, _TOP + height + _PAD)
        self._write(x + _PAD, _MARGIN // 2 + _LINE + 4, words, "soft")

    def _write(self, x: int, y: int, words: str, kind: str) -> None:
        self._parts.append(f'<text class="{kind}" x="{x}" y="{y}">{_safe(words)}</text>')


def _title(node: NodePlan) -> list[str]:
    if node.kind in _BOXES and node.device is not None:
        return wrap(plain(node.device.title), _TITLE) or [plain(node.device.name)]
    return [node.name.rpartition(".")[2].capitalize()]


def _details(node: NodePlan) -> list[str]:
    """Return the node's name where its title is another, its own firewall, and its addresses."""
    lines = wrap(node.name, _LETTERS) if node.kind in _BOXES else []
    if node.kind is Kind.HOST and node.device is not None:
        lines += wrap(f"with {plain(node.device.title)}", _LETTERS)
    for interface in node.stack.interfaces:
        name = "" if node.kind is Kind.INTERNET else f"{interface.name} "
        lines += wrap(f"{name}{interface.address}", _LETTERS)
    return lines


def _words(node: NodePlan) -> list[str]:
    return [*_title(node), *_details(node)]


def _safe(words: str) -> str:
    # What a definition says went through plain() before; the signs beside it are the page's own.
    return escape(words)
