"""How a router's words fail, and how they are quoted."""

from __future__ import annotations

_QUOTED = 80


class IgdError(Exception):
    """What a router did is no answer; the text says in one printable line what was wrong."""


class UpnpFault(Exception):
    """The router understood an action and refused it (UPnP Device Architecture 1.0, 3.2.2).

    ``code`` is the UPnP error code, ``text`` the router's own words as printable text; ``str()``
    gives both in one line. It is no :class:`IgdError`: a fault is a proper answer.
    """

    def __init__(self, action: str, code: int, text: str) -> None:
        """Keep what was refused and why."""
        super().__init__(f"{action}: the router refused: {code} {text}".rstrip())
        self.action = action
        self.code = code
        self.text = text


def escaped(text: str) -> str:
    """Return printable text in which control, direction and other unseen characters are written.

    A backslash is doubled, so that no two texts look the same.
    """
    return "".join(
        each
        if each.isprintable() and each != "\\"
        else each.encode("unicode_escape").decode("ascii")
        for each in text
    )


def quoted(said: str | bytes, longest: int = _QUOTED) -> str:
    """Return what a router said between quotes, printable, at most ``longest`` characters of it."""
    # Cut before and after: an escape is longer than what it stands for.
    head = said[:longest]
    text = escaped(head.decode("latin-1") if isinstance(head, bytes) else head)
    more = "..." if len(said) > longest or len(text) > longest else ""
    return f"'{text[:longest]}'{more}"
