"""docs/troubleshooting.md quotes the program: every text that it quotes is in the code."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from functools import cache
from itertools import pairwise

import pytest
from pages import DOCS, ROOT, tokens

PAGE = DOCS / "troubleshooting.md"
GAP = "…"
# In place of a value; no text has it.
HOLE = "\0"


@cache
def code() -> tuple[str, ...]:
    """Return every text of the program, with holes where it puts a value."""
    files = sorted((ROOT / "harness").rglob("*.py"))
    trees = (ast.parse(file.read_text(encoding="utf-8")) for file in files)
    return tuple(text for tree in trees for text in texts(tree))


def texts(node: ast.AST) -> Iterator[str]:
    """Yield the texts of a piece of code; what only documents is none."""
    if isinstance(node, ast.JoinedStr):
        yield "".join(text for piece in node.values for text in texts(piece))
    elif isinstance(node, ast.FormattedValue):
        yield HOLE
    elif isinstance(node, ast.Constant) and isinstance(node.value, str):
        yield node.value
    elif not (isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)):
        for part in ast.iter_child_nodes(node):
            yield from texts(part)


def quotes(text: str, quoted: str) -> bool:
    """Say whether a quotation is of this text: a gap for each value.

    It may break off before the text's end; a gap at its own end stands for all the rest.
    """
    return text.startswith(quoted.removesuffix(GAP).replace(GAP, HOLE))


def messages() -> list[str]:
    """Return the headings that quote a text: those written as code."""
    found = tokens(PAGE)
    return [
        inline.content.removeprefix("`").removesuffix("`")
        for opening, inline in pairwise(found)
        if opening.type == "heading_open" and inline.content.startswith("`")
    ]


@pytest.mark.parametrize("quoted", messages())
def test_a_quoted_message_is_one_that_the_program_has(quoted: str) -> None:
    assert len(quoted.replace(GAP, "").strip()) >= 6, "too little to be found by"
    assert any(quotes(text, quoted) for text in code())


def test_a_message_that_the_program_does_not_have_is_found_out() -> None:
    assert not any(quotes(text, "the flux capacitor is empty") for text in code())
    source = '"""What is missing."""\nraise Missing(f"{a} is missing: install {b} now")'
    (text,) = texts(ast.parse(source))
    assert quotes(text, "… is missing: install …")
    assert quotes(text, "… is missing: install … now")
    assert quotes(text, "… is missing: …")
    assert not quotes(text, "… is missing: get …")
    assert not quotes(text, "nftables is missing: …")
    assert not quotes(text, "is missing: install")


def test_the_page_quotes_enough_and_nothing_twice() -> None:
    quoted = messages()
    assert len(quoted) == len(set(quoted))
    assert len(quoted) > 50
