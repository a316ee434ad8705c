"""Errors for people: what is wrong, where, and what to do, on one line.

Every error that a user may meet derives from :class:`HarnessError`. The command line prints its
text and leaves with its exit code; a traceback is a defect of the harness.
"""

from __future__ import annotations

from enum import IntEnum


class ExitCode(IntEnum):
    """What the command's exit says (docs: README, "Exit codes")."""

    AGREES = 0
    DIFFERS = 1
    USAGE = 2
    UNPROVEN = 3
    INTERRUPTED = 130


class HarnessError(Exception):
    """Something that stops the run, said in one line for the person who started it."""

    exit_code = ExitCode.USAGE


class DefinitionError(HarnessError):
    """A topology, device or claim file is wrong: the text names file, key and reason."""


class MachineError(HarnessError):
    """This machine cannot run the scenarios: the text says what is missing and how to get it."""


class OutputError(HarnessError):
    """The results folder cannot be written."""


class RunError(HarnessError):
    """The harness failed after a run had begun."""

    exit_code = ExitCode.UNPROVEN


class ScenarioError(Exception):
    """One scenario could not be carried through; its verdict is ``error``, never a "No"."""
