"""One attempt as a ladder: a lifeline for each node, time down, an arrow for each hop.

The addresses stand beside the arrows where somebody has rewritten them. Where the terminal is too
narrow for a lifeline each, the hops are listed one below the other.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from textwrap import wrap
from typing import Final

from rich.console import Console
from rich.text import Text

from harness.judge.model import Attempt
from harness.judge.trace import ICMP, RST, SYN, SYN_ACK, Step, Trace
from harness.report.layout import print_hanging
from harness.report.wording import endpoint, plain
from harness.words import End

NOT_SEEN: Final = "no SYN of it was on any interface"
"""What stands in place of the arrows where the capture has nothing of the attempt."""

STYLES: Final = {SYN: "", SYN_ACK: "green", RST: "red", ICMP: "red"}

_THEN = "=> "

_TIME_WIDTH = 8
_FIRST = _TIME_WIDTH + 2
_LEAST_GAP = len(f"|-{SYN_ACK}>")
_WIDEST_GAP = 16
_NOTE_INDENT = 3
_LIST_NOTES = _FIRST + len(SYN_ACK) + 2
_NOTE_WIDTH = len("from 255.255.255.255:65535")


@dataclass(frozen=True)
class Hop:
    """A packet on its way from one node to the next; None where it was not seen there.

    ``time_ns`` is its first sighting. A bridge and its port each see a frame, so an end of a hop
    has one interface or more; ``interfaces`` has those of both ends.
    """

    time_ns: int
    label: str
    sender: str | None
    receiver: str | None
    source: str
    destination: str
    notes: tuple[str, ...]
    interfaces: tuple[str, ...]


def hops(trace: Trace) -> tuple[Hop, ...]:
    """Join what two nodes saw of a packet to one hop, in the order of time.

    The notes say what of the packet is new: its reason, that it is sent again, and its addresses
    where they are not what they were on the hop before, or, behind an arrow, change on the hop.
    """
    found: list[Hop] = []
    sent: set[tuple[str, str, str, str]] = set()
    for step in trace.steps:
        label = step.kind.partition(" ")[0]
        of_kind = (at for at in reversed(range(len(found))) if found[at].label == label)
        at = next(of_kind, None)
        before = found[at] if at is not None else None
        joined = _joined(before, step)
        if at is not None and joined is not None:
            found[at] = joined
        else:
            sending = (label, step.interface, step.source, step.destination)
            found.append(_new(before, step, label, again=step.outgoing and sending in sent))
            sent.add(sending)
    return tuple(found)


def _joined(hop: Hop | None, step: Step) -> Hop | None:
    """Return the hop with a further sighting of its packet; None where it is another one's."""
    if hop is None:
        return None
    seen = (*hop.interfaces, step.interface)
    if not step.outgoing and hop.receiver is None and hop.sender != step.node:
        # Between two nodes nothing changes, unless there is a box without a capture.
        notes = (*hop.notes, *(f"{_THEN}{note}" for note in _changed(hop, step)))
        hop = replace(hop, source=step.source, destination=step.destination, notes=notes)
        return replace(hop, receiver=step.node, interfaces=seen)
    # The other one of a bridge and its port.
    if step.outgoing:
        same_end = hop.sender == step.node and hop.receiver is None
    else:
        same_end = hop.receiver == step.node
    if same_end and step.interface not in hop.interfaces:
        return replace(hop, interfaces=seen)
    return None


def _new(before: Hop | None, step: Step, label: str, *, again: bool) -> Hop:
    goes_on = before is not None and before.receiver == step.node and step.outgoing
    if goes_on:
        notes = tuple(_changed(before, step))
    else:
        reason = step.kind.removeprefix(label).strip()
        addresses = ("sent again",) if again else tuple(_changed(None, step))
        notes = (reason, *addresses) if reason else addresses
    return Hop(
        step.time_ns,
        label,
        step.node if step.outgoing else None,
        None if step.outgoing else step.node,
        step.source,
        step.destination,
        notes,
        (step.interface,),
    )


def _changed(before: Hop | None, step: Step) -> Iterator[str]:
    if before is None or step.source != before.source:
        yield f"from {step.source}"
    if before is None or step.destination != before.destination:
        yield f"to   {step.destination}"


def remarks(hop: Hop) -> tuple[str, ...]:
    """Return the notes of a hop, and before them which of its ends was not seen."""
    if hop.sender is None:
        return (f"{hop.label} from elsewhere", *hop.notes)
    if hop.receiver is None:
        return (f"{hop.label} not seen to arrive", *hop.notes)
    return hop.notes


def is_address(note: str) -> bool:
    """Tell whether a note is an address that has changed."""
    return note.startswith(("from ", "to ", _THEN))


def milliseconds(trace: Trace, hop: Hop) -> str:
    """Say when a hop began, in milliseconds since the first SYN."""
    return f"{(hop.time_ns - trace.steps[0].time_ns) / 1e6:.3f}"


def title(trace: Trace, attempt: Attempt) -> str:
    """Name an attempt: who dialled what, and through which proxy."""
    sender = trace.nodes[0]
    through = f" through {plain(sender)}" if sender != attempt.dialler else ""
    return f"{attempt.dialler} -> {endpoint(attempt.address, attempt.port)}{through}"


def end(attempt: Attempt) -> str:
    """Say how, where and why an attempt ended."""
    where = f" at {plain(attempt.ended_at)}" if attempt.ended_at else ""
    return f"{attempt.end}{where}: {plain(attempt.how)}"


def print_ladder(trace: Trace, attempt: Attempt, console: Console) -> None:
    """Print an attempt's ladder."""
    way = hops(trace)
    room = console.width - _FIRST - 1 - _NOTE_INDENT - _NOTE_WIDTH
    gap = min(_WIDEST_GAP, room // max(len(trace.nodes) - 1, 1))
    caption = "  (ms since its SYN)" if way else ""
    heading = Text.assemble((title(trace, attempt), "bold"), (caption, "dim"))
    console.print(heading, soft_wrap=True)
    if not way:
        print_hanging(console, Text(), Text(NOT_SEEN), _FIRST)
    elif gap >= _LEAST_GAP:
        signs = _ASCII if console.options.ascii_only else _BOX
        for line in _Ladder(trace, gap, console.width, signs).lines(way):
            line.rstrip()
            console.print(line, soft_wrap=True)
    else:
        _print_list(console, trace, way)
    style = "green" if attempt.end is End.CONNECTED else "red"
    print_hanging(console, Text("ended", style="dim"), Text(end(attempt), style=style), _FIRST)


@dataclass(frozen=True)
class _Signs:
    """What lines are drawn with."""

    line: str
    wire: str
    right: str
    left: str
    to_right: str
    to_left: str
    crossing: str
    dropped: str


_BOX: Final = _Signs("│", "─", "▶", "◀", "├", "┤", "┼", "\N{BOX DRAWINGS LIGHT DIAGONAL CROSS}")
_ASCII: Final = _Signs("|", "-", ">", "<", "+", "+", "+", "X")


class _Ladder:
    """Lifelines ``gap`` columns apart, and the rows across them."""

    def __init__(self, trace: Trace, gap: int, width: int, signs: _Signs) -> None:
        self._trace = trace
        self._gap = gap
        self._signs = signs
        self._column = {node: _FIRST + at * gap for at, node in enumerate(trace.nodes)}
        self._width = _FIRST + (len(trace.nodes) - 1) * gap + 1
        self._note_width = width - self._width - _NOTE_INDENT

    def lines(self, way: Sequence[Hop]) -> Iterator[Text]:
        """Yield the header, the rows of each hop, and the end."""
        yield from self._header()
        yield self._lifelines()
        for hop in way:
            line = self._arrow(hop)
            for note in remarks(hop) or ("",):
                style = "cyan" if is_address(note) else STYLES[hop.label]
                for part in wrap(plain(note), self._note_width) or [""]:
                    yield Text.assemble(line, " " * _NOTE_INDENT, (part, style))
                    line = self._lifelines()
        yield self._end()

    def _header(self) -> Iterator[Text]:
        names = [broken(plain(node), self._gap - 1) for node in self._trace.nodes]
        height = max(map(len, names))
        for row in range(height):
            line = Text()
            for column, parts in zip(self._column.values(), names, strict=True):
                part = ([""] * (height - len(parts)) + parts)[row]
                line.append(" " * (column - len(part) // 2 - len(line)))
                line.append(part, "bold")
            yield line

    def _lifelines(self) -> Text:
        line = Text(" " * self._width)
        for column in self._column.values():
            _put(line, column, self._signs.line, "dim")
        return line

    def _arrow(self, hop: Hop) -> Text:
        line = self._lifelines()
        _put(line, 0, f"{milliseconds(self._trace, hop):>{_TIME_WIDTH}}", "dim")
        style, signs = STYLES[hop.label], self._signs
        if hop.sender is None or hop.receiver is None:
            _put(line, self._column[str(hop.sender or hop.receiver)], "?", "bold red")
            return line
        start, stop = self._column[hop.sender], self._column[hop.receiver]
        rightward = start < stop
        low, high = sorted((start, stop))
        for column in range(low + 1, high):
            crossed = column in self._column.values()
            _put(line, column, signs.crossing if crossed else signs.wire, style)
        _put(line, start, signs.to_right if rightward else signs.to_left, style)
        # The label is between the tail and the head, in the gap next to the tail.
        first = start + 1 if rightward else start - self._gap + 2
        _put(line, first + (self._gap - 2 - len(hop.label)) // 2, hop.label, f"bold {style}")
        head = stop - 1 if rightward else stop + 1
        _put(line, head, signs.right if rightward else signs.left, style)
        return line

    def _end(self) -> Text:
        line = self._lifelines()
        if self._trace.answer is None and self._trace.delivered:
            _put(line, self._column[self._trace.last_node], self._signs.dropped, "bold red")
        return line


def _put(line: Text, column: int, words: str, style: str) -> None:
    """Write over what stands in a line."""
    before, after = line[:column], line[column + len(words) :]
    line.truncate(0)
    line.append_text(before).append(words, style).append_text(after)


def broken(name: str, width: int) -> list[str]:
    """Break a node's name into lines, behind its dots and hyphens if that will do."""
    lines = [""]
    for part in re.findall(r"[^.-]*[.-]|[^.-]+", name):
        for piece in (part[at : at + width] for at in range(0, len(part), width)):
            if len(lines[-1]) + len(piece) <= width:
                lines[-1] += piece
            else:
                lines.append(piece)
    return lines


def _print_list(console: Console, trace: Trace, way: Sequence[Hop]) -> None:
    for hop in way:
        time = Text(f"{milliseconds(trace, hop):>{_TIME_WIDTH}}", style="dim")
        nodes = f"{plain(hop.sender or '?')} -> {plain(hop.receiver or '?')}"
        words = Text.assemble((f"{hop.label:<{len(SYN_ACK)}}", f"bold {STYLES[hop.label]}"), "  ")
        print_hanging(console, time, words.append(nodes), _FIRST)
        for note in remarks(hop):
            style = "cyan" if is_address(note) else STYLES[hop.label]
            print_hanging(console, Text(), Text(plain(note), style=style), _LIST_NOTES)
