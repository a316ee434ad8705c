"""The XML of an ``.MsRcIncident`` file: bytes from a stranger in, raw field texts out.

[MS-RAI] section 6 shows the form: one ``UPLOADINFO`` of type ``Escalated`` around one empty
``UPLOADDATA`` whose attributes are the fields. This module knows the markup and nothing of what
the fields mean; :mod:`harness.protocol.incident` knows that. Every input ends in an
:class:`UploadData` or an :class:`IncidentError`.
"""

from __future__ import annotations

import codecs
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Final
from xml.parsers import expat

__all__ = ["IncidentError", "UploadData", "read_upload_data", "shown"]

_XML_SPACE: Final = " \t\r\n"
_LONGEST_SHOWN: Final = 40


class IncidentError(ValueError):
    """An invitation cannot be used: one line for a person, naming the field and the reason."""


@dataclass(frozen=True)
class UploadData:
    """The attributes of ``UPLOADDATA``, none of them empty, their meaning not yet looked at."""

    username: str
    ticket: str
    encrypted: str
    start: str
    length: str
    pass_stub: str
    low_speed: str


_FIELDS: Final = {
    "USERNAME": "username",
    "RCTICKET": "ticket",
    "RCTICKETENCRYPTED": "encrypted",
    "DtStart": "start",
    "DtLength": "length",
    "PassStub": "pass_stub",
    "L": "low_speed",
}


def shown(text: str) -> str:
    """Quote a stranger's text for a message: ASCII, escaped, and no longer than a person reads."""
    quoted = ascii(text[: _LONGEST_SHOWN + 1])
    if len(quoted) <= _LONGEST_SHOWN + 2:
        return quoted
    return quoted[: _LONGEST_SHOWN + 1] + quoted[0] + "..."


def read_upload_data(data: bytes) -> UploadData:
    """Take the fields out of an invitation file.

    The text may be 8-bit (ASCII or UTF-8) or UTF-16 with a byte order mark. The encoding that the
    XML declaration names is not consulted: files say ``Unicode`` whatever they are.

    Raises :class:`IncidentError` when the text, the markup or the set of fields is wrong.
    """
    text = _decode(data)
    if "\0" in text:
        # Expat would take NULs for UTF-16, whatever encoding it is told, and read another text.
        raise IncidentError("invitation: it holds NULs; UTF-16 needs its byte order mark")
    if "<!DOCTYPE" in text:
        # Looked for in the text because expat, once told to stop by a handler, reads on to the end
        # of its input, and would expand an entity bomb there. Without a DOCTYPE there is no entity.
        raise IncidentError("invitation: it has a DOCTYPE; an invitation declares no entities")
    reader = _Reader()
    parser = expat.ParserCreate("UTF-8")
    parser.StartElementHandler = reader.start
    parser.EndElementHandler = reader.end
    parser.CharacterDataHandler = reader.text
    try:
        parser.Parse(text.encode(), True)
    except expat.ExpatError as error:
        reason = expat.ErrorString(error.code)
        where = f"line {error.lineno}, column {error.offset + 1}"
        raise IncidentError(f"invitation: not well-formed XML: {reason}, {where}") from None
    if reader.found is None:
        raise IncidentError("invitation: UPLOADINFO holds no UPLOADDATA")
    return reader.found


def _decode(data: bytes) -> str:
    if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        encoding = "utf-16"
    else:
        encoding = "utf-8-sig"
    try:
        return data.decode(encoding)
    except UnicodeDecodeError as error:
        name = encoding.removesuffix("-sig").upper()
        raise IncidentError(f"invitation: not {name} text at byte {error.start}") from None


class _Reader:
    """The handlers of one parse: at each element, what may stand here and nothing else."""

    def __init__(self) -> None:
        self.found: UploadData | None = None
        self._open: list[str] = []

    def start(self, name: str, attributes: dict[str, str]) -> None:
        match self._open, name:
            case [], "UPLOADINFO":
                _check_upload_info(attributes)
            case ["UPLOADINFO"], "UPLOADDATA":
                if self.found is not None:
                    raise IncidentError("invitation: UPLOADINFO holds more than one UPLOADDATA")
                self.found = _upload_data(attributes)
            case _:
                raise IncidentError(f"invitation: element {shown(name)} does not belong here")
        self._open.append(name)

    def end(self, _name: str) -> None:
        self._open.pop()

    def text(self, text: str) -> None:
        if stray := text.strip(_XML_SPACE):
            raise IncidentError(f"invitation: text {shown(stray)} in {self._open[-1]}")


def _check_upload_info(attributes: Mapping[str, str]) -> None:
    _only("UPLOADINFO", attributes, {"TYPE"})
    kind = _required("UPLOADINFO", attributes, "TYPE")
    if kind != "Escalated":
        raise IncidentError(f"invitation: UPLOADINFO has TYPE {shown(kind)}, not 'Escalated'")


def _upload_data(attributes: Mapping[str, str]) -> UploadData:
    if "LHTICKET" in attributes:
        raise IncidentError(
            "invitation: LHTICKET makes this a type 2 invitation (Windows Vista and later); "
            "only type 1 (Windows XP) is supported"
        )
    _only("UPLOADDATA", attributes, _FIELDS)
    return UploadData(
        **{field: _required("UPLOADDATA", attributes, name) for name, field in _FIELDS.items()}
    )


def _only(element: str, attributes: Mapping[str, str], known: Collection[str]) -> None:
    for name in attributes:
        if name not in known:
            raise IncidentError(f"invitation: {element} has an unknown attribute {shown(name)}")


def _required(element: str, attributes: Mapping[str, str], name: str) -> str:
    if name not in attributes:
        raise IncidentError(f"invitation: {element} has no {name}")
    if not attributes[name]:
        raise IncidentError(f"invitation: {name} is empty")
    return attributes[name]
