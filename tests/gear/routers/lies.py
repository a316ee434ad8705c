"""What can be wrong with a lying gateway."""

from __future__ import annotations

from enum import StrEnum


class Lie(StrEnum):
    """One thing that is wrong with a gateway; :data:`HOSTILE` names those that would do harm."""

    NONE = "none"
    WRONG_ADDRESS = "wrong-address"
    """It says that its WAN address is :data:`routers.table.WRONG_ADDRESS`. It forwards rightly."""
    PERMANENT_ONLY = "permanent-only"
    """725 to every lease but 0, as IGD:1 allows. It forwards rightly."""
    ALWAYS_CONFLICT = "always-conflict"
    """718 to every AddPortMapping."""
    ACTION_FAILED = "action-failed"
    """501 to every AddPortMapping."""
    FORWARDS_NOTHING = "forwards-nothing"
    """It accepts, reads back and forwards nothing."""
    KEEPS = "keeps"
    """501 to every DeletePortMapping. It forwards rightly, and goes on to."""
    STEALS = "steals"
    """It gives a port to whoever asks last, and tells nobody."""

    HUGE = "huge"
    """A description with a name of 256 MiB."""
    DRIP = "drip"
    """A description without an end, a byte at a time."""
    ENTITIES = "entities"
    """A description that grows by entities to 10 GB in its reader."""
    REDIRECT = "redirect"
    """The description is said to be on another host, by HTTP's 302."""
    MANY_SERVICES = "many-services"
    """A description of 10,000 services. It is well-formed, and forwards rightly."""
    BINARY_NAME = "binary-name"
    """A name that is neither UTF-8 nor XML."""
    MARKUP_NAME = "markup-name"
    """A name of markup and terminal controls. It is well-formed, and forwards rightly."""
    FOREIGN_LOCATION = "foreign-location"
    """The answer to a search points to another host."""
    FOREIGN_CONTROL = "foreign-control"
    """The description points to another host for control."""
    FLOOD = "flood"
    """2,000 answers to each search, each of another device."""


HOSTILE = tuple(lie for lie in Lie if list(Lie).index(lie) >= list(Lie).index(Lie.HUGE))
"""The lies that would do harm to their reader, rather than to a mapping."""
