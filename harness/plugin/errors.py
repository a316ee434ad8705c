"""Why a test does not get what it asked for, each in one line."""

from __future__ import annotations


class Misuse(Exception):
    """The test asks for what cannot be: the text says what, and what would be right."""


class Unfit(Exception):
    """This machine cannot run it: the text says what is missing, and how to get it."""


class Broken(Exception):
    """The harness failed, or the lab did not come up or has ended: nothing was proven."""


class Refused(Exception):
    """A step could not be done, and the lab goes on: the text says which, and why."""
