"""Markdown for pages that people also read as plain text: paragraphs, lists, tables."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Sequence
from typing import Final

GENERATED: Final = (
    "<!-- Generated from the project's data. To change it, change the data, then run:\n"
    "     .venv/bin/python -m harness.report.docs -->"
)
"""What a generated page says of itself, invisibly."""

_WIDTH: Final = 100


def page(blocks: Iterable[str]) -> str:
    """Join a page's blocks, each by an empty line."""
    return "\n\n".join(blocks) + "\n"


def paragraph(text: str) -> str:
    """Return a text in lines of at most 100 columns; nothing is broken inside a word."""
    return _wrapped(text, "")


def items(texts: Iterable[str]) -> str:
    """Return a list, one item a text."""
    return "\n".join(_wrapped(f"- {text}", "  ") for text in texts)


def table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a table; a bar in a cell stays a bar."""
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join(f"| {' | '.join(map(_cell, line))} |" for line in lines)


def code_block(lines: Iterable[str]) -> str:
    """Return lines as a block of code."""
    return "\n".join(f"    {line}" for line in lines)


def codes(names: Iterable[str]) -> str:
    """Return names as code, joined by commas."""
    return ", ".join(f"`{name}`" for name in names)


def said(text: str) -> str:
    """Return a text as a sentence: with a capital letter and a full stop."""
    return f"{text[:1].upper()}{text[1:].rstrip('.')}."


def _wrapped(text: str, hang: str) -> str:
    return textwrap.fill(
        text, _WIDTH, subsequent_indent=hang, break_long_words=False, break_on_hyphens=False
    )


def _cell(text: str) -> str:
    return text.replace("|", r"\|")
