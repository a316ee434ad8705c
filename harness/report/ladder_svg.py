"""One attempt as a ladder in SVG, for a page: the same content as the terminal's.

The text is a whole ``<svg>`` element that refers to nothing outside of itself. Its rules are bound
to its own class and it has no ids, so that several fit into one page, which has the rules once.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from textwrap import wrap
from typing import Final
from xml.sax.saxutils import escape

from harness.judge.model import Attempt
from harness.judge.trace import ICMP, RST, SYN, SYN_ACK, Trace
from harness.report.ladder import (
    NOT_SEEN,
    Hop,
    broken,
    end,
    hops,
    is_address,
    milliseconds,
    remarks,
    title,
)
from harness.report.wording import plain
from harness.words import End

# Pixels; a letter of the typeface below is at most 0.62 of its size wide.
_LETTER = 8
_LINE = 18
_LEFT = 84
_GAP = 132
_NOTES = 24
_NOTE_LETTERS = 28
# Of a line above or below the ladder: what a phone shows without being moved sideways.
_WORDS = 50
_MARGIN = 16
_HEAD = 7
_CROSS = 7

_KINDS: Final = {SYN: "syn", SYN_ACK: "good", RST: "bad", ICMP: "bad"}

LADDER_STYLE: Final = """
.ra-ladder{max-width:100%;height:auto;font:13px ui-monospace,Menlo,Consolas,monospace}
.ra-ladder text{fill:currentColor;white-space:pre}
.ra-ladder .middle{text-anchor:middle}
.ra-ladder .last{text-anchor:end}
.ra-ladder .strong{font-weight:bold}
.ra-ladder .dim{opacity:.85}
.ra-ladder path{stroke:currentColor;fill:none;stroke-width:1.5}
.ra-ladder .life{stroke-width:1;opacity:.4}
.ra-ladder path.head{stroke:none;fill:currentColor}
.ra-ladder .good{color:#1a7f37}
.ra-ladder .bad{color:#cf222e}
.ra-ladder .new{color:#0969da}
@media screen and (prefers-color-scheme:dark){
.ra-ladder .good{color:#3fb950}
.ra-ladder .bad{color:#ff7b72}
.ra-ladder .new{color:#58a6ff}
}
"""
"""The rules of the element's classes, which a page has once for all ladders.

There a ladder has the page's own colours. Print is light whatever the reader prefers.
"""

# As a file it is :root and brings its own page; a file put into a page takes on that page's colour.
_ALONE: Final = """
.ra-ladder:root{color:#1f2328}
.ra-ladder .page{fill:none}
.ra-ladder:root .page{fill:#fff}
@media screen and (prefers-color-scheme:dark){
.ra-ladder:root{color:#e6edf3}
.ra-ladder:root .page{fill:#0d1117}
}
"""


def ladder_svg(trace: Trace, attempt: Attempt) -> str:
    """Return an attempt's ladder as an SVG file; node names and reasons may hold anything."""
    page = '<rect class="page" width="100%" height="100%"/>'
    return _Drawing(trace, attempt).text(f"<style>{LADDER_STYLE}{_ALONE}</style>", page)


def ladder_element(trace: Trace, attempt: Attempt) -> str:
    """Return the same as an element for a page that has :data:`LADDER_STYLE`."""
    return _Drawing(trace, attempt).text()


class _Drawing:
    """The element as it grows; ``_at`` is how far down it has come, in pixels."""

    def __init__(self, trace: Trace, attempt: Attempt) -> None:
        self._trace = trace
        self._attempt = attempt
        self._hops = hops(trace)
        self._x = {node: _LEFT + at * _GAP for at, node in enumerate(trace.nodes)}
        self._right = _LEFT + (len(trace.nodes) - 1) * _GAP
        self._width = max(
            self._right + _NOTES + _NOTE_LETTERS * _LETTER, 2 * _MARGIN + _WORDS * _LETTER
        )
        self._at = _MARGIN
        self._parts: list[str] = []

    def text(self, *background: str) -> str:
        """Return the element; ``background`` are elements below everything else."""
        attempt, trace = self._attempt, self._trace
        heading = title(trace, attempt) + (" (ms since its SYN)" if self._hops else "")
        for line in wrap(heading, _WORDS):
            self._line(_MARGIN, line, "strong")
        if self._hops:
            self._ladder()
        else:
            self._line(_MARGIN, NOT_SEEN, "dim")
        style = "good" if attempt.end is End.CONNECTED else "bad"
        for line in wrap(end(attempt), _WORDS):
            self._line(_MARGIN, line, style)
        size = f"{self._width} {self._at + _MARGIN // 2}"
        width, height = size.split()
        described = "; ".join([*_sentences(trace, self._hops), end(attempt)])
        return "\n".join(
            [
                f'<svg xmlns="http://www.w3.org/2000/svg" class="ra-ladder" role="img" '
                f'viewBox="0 0 {size}" width="{width}" height="{height}">',
                f"<title>{_safe(title(trace, attempt))}</title>",
                f"<desc>{_safe(described)}</desc>",
                *background,
                *self._parts,
                "</svg>\n",
            ]
        )

    def _ladder(self) -> None:
        names = {node: broken(plain(node), _GAP // _LETTER - 1) for node in self._x}
        height = max(map(len, names.values()))
        self._at += _LINE // 2
        for row in range(height):
            for node, parts in names.items():
                part = ([""] * (height - len(parts)) + parts)[row]
                self._write(self._x[node], part, "middle strong")
            self._at += _LINE
        top, lifelines = self._at - _LINE // 2, len(self._parts)
        self._at += _LINE
        for hop in self._hops:
            self._hop(hop)
        if self._trace.answer is None and self._trace.delivered:
            x, y = self._x[self._trace.last_node], self._at - _CROSS
            arm = f"l{2 * _CROSS} {2 * _CROSS}m0 {-2 * _CROSS}l{-2 * _CROSS} {2 * _CROSS}"
            self._draw(f"M{x - _CROSS} {y - _CROSS}{arm}", "bad")
        bottom = self._at
        lines = "".join(f"M{x} {top}V{bottom}" for x in self._x.values())
        # Below everything else: what is drawn later covers what is drawn before.
        self._parts.insert(lifelines, f'<path class="life" d="{lines}"/>')
        self._at += _LINE

    def _hop(self, hop: Hop) -> None:
        kind = _KINDS[hop.label]
        self._write(_LEFT - _NOTES, milliseconds(self._trace, hop), "last dim")
        if hop.sender is None or hop.receiver is None:
            self._write(self._x[str(hop.sender or hop.receiver)], "?", "middle strong bad")
        else:
            self._arrow(self._x[hop.sender], self._x[hop.receiver], hop.label, kind)
        for note in remarks(hop) or ("",):
            for part in wrap(note, _NOTE_LETTERS) or [""]:
                self._line(self._right + _NOTES, part, "new" if is_address(note) else kind)
        self._at += _LINE // 2

    def _arrow(self, start: int, stop: int, label: str, kind: str) -> None:
        y = self._at - _LINE // 4
        way = 1 if start < stop else -1
        self._draw(f"M{start} {y}H{stop - way * _HEAD}", kind)
        self._draw(f"M{stop} {y}l{-way * _HEAD} -4v8z", f"head {kind}")
        middle = start + way * _GAP // 2
        self._at -= _LINE // 2
        self._write(middle, label, f"middle {kind}")
        self._at += _LINE // 2

    def _draw(self, path: str, style: str) -> None:
        self._parts.append(f'<path class="{style}" d="{path}"/>')

    def _line(self, x: int, words: str, style: str) -> None:
        self._write(x, words, style)
        self._at += _LINE

    def _write(self, x: int, words: str, style: str) -> None:
        if words:
            self._parts.append(
                f'<text class="{style}" x="{x}" y="{self._at}">{_safe(words)}</text>'
            )


def _sentences(trace: Trace, way: Sequence[Hop]) -> Iterator[str]:
    """Say the ladder in words."""
    for hop in way:
        ends = f"{hop.label} from {hop.sender or 'elsewhere'} to {hop.receiver or 'nobody seen'}"
        yield f"{milliseconds(trace, hop)} ms {ends}"


def _safe(words: str) -> str:
    return escape(plain(words))
