"""XML from a router as a small tree, and nothing that the bytes themselves do not hold.

Document types and with them entities are refused: nothing is expanded, nothing is fetched. Names
are kept without their prefix, because routers get namespaces wrong that their readers never cared
for; attributes are not kept.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import NoReturn
from xml.parsers import expat

from harness.protocol.igd.errors import IgdError, quoted

# Those that expat itself reads, and the one that routers write by mistake for the second.
_ENCODINGS = {"utf-8", "utf-16", "utf-16be", "utf-16le", "us-ascii", "iso-8859-1", "windows-1252"}


@dataclass(frozen=True)
class XmlLimits:
    """How large a document may be: levels, elements, and characters of one element's text."""

    depth: int = 32
    elements: int = 10_000
    text: int = 4096


@dataclass(slots=True)
class Element:
    """An element: its name without prefix, the text right inside it, stripped, and its children."""

    name: str
    text: str = ""
    children: list[Element] = field(default_factory=list)

    def child(self, name: str) -> Element | None:
        """Return the first child of that name; None where there is none."""
        return next(self.named(name), None)

    def named(self, name: str) -> Iterator[Element]:
        """Yield the children of that name."""
        return (child for child in self.children if child.name == name)

    def text_of(self, name: str) -> str:
        """Return the text of the first child of that name; empty where there is none."""
        child = self.child(name)
        return "" if child is None else child.text


def read(data: bytes, limits: XmlLimits) -> Element:
    """Return the root element of a document.

    Raises:
        IgdError: it is no well-formed XML, has a document type, or breaks a limit.
    """
    if not data.strip():
        raise IgdError("nothing where XML was due")
    builder = _Builder(limits)
    try:
        builder.parser.Parse(data, True)
    except expat.ExpatError as error:
        raise IgdError(f"no well-formed XML: {error}, it begins {quoted(data, 40)}") from error
    return builder.root


class _Builder:
    """Builds the tree from expat's events; what breaks a limit ends the parsing there."""

    def __init__(self, limits: XmlLimits) -> None:
        self.root = Element("")
        self.parser = expat.ParserCreate()
        self.parser.buffer_text = True
        self.parser.XmlDeclHandler = self._declared
        self.parser.StartDoctypeDeclHandler = self._doctype
        self.parser.StartElementHandler = self._start
        self.parser.EndElementHandler = self._end
        self.parser.CharacterDataHandler = self._characters
        self._limits = limits
        self._open: list[Element] = []
        self._texts: list[list[str]] = []
        self._sizes: list[int] = []
        self._elements = 0

    def _declared(self, _version: str, encoding: str | None, _standalone: int) -> None:
        # Any other name would be looked up among Python's codecs.
        if encoding is not None and encoding.lower() not in _ENCODINGS:
            raise IgdError(f"XML in an encoding that is not read: {quoted(encoding, 40)}")

    def _doctype(self, name: str, *_: object) -> NoReturn:
        raise IgdError(f"XML with a document type, {quoted(name, 40)}; its entities are not read")

    def _start(self, name: str, _attributes: dict[str, str]) -> None:
        self._elements += 1
        if self._elements > self._limits.elements:
            raise IgdError(f"XML with more than {self._limits.elements} elements")
        if len(self._open) == self._limits.depth:
            raise IgdError(f"XML with more than {self._limits.depth} levels")
        element = Element(name.rpartition(":")[2])
        if self._open:
            self._open[-1].children.append(element)
        else:
            self.root = element
        self._open.append(element)
        self._texts.append([])
        self._sizes.append(0)

    def _characters(self, text: str) -> None:
        self._sizes[-1] += len(text)
        if self._sizes[-1] > self._limits.text:
            name = quoted(self._open[-1].name, 40)
            raise IgdError(f"XML with more than {self._limits.text} characters in {name}")
        self._texts[-1].append(text)

    def _end(self, _name: str) -> None:
        self._sizes.pop()
        self._open.pop().text = "".join(self._texts.pop()).strip()
