"""Why a file of definitions is refused, in the words of somebody who writes one."""

from __future__ import annotations

from pydantic import ValidationError

# The schema library's own words where a TOML file's author would not know them.
_REASONS = {
    "extra_forbidden": "there is no such key",
    "missing": "this key is missing",
    "model_type": "a table is due here",
    "dict_type": "a table is due here",
    "tuple_type": "an array is due here",
    "string_type": "a string is due here",
}


def first_reason(error: ValidationError) -> str:
    """Say the first thing that is wrong: its key and the reason.

    Elements of an array are counted from 1, as in ``router[1].name``.
    """
    first = error.errors(include_url=False)[0]
    reason = first["msg"].removeprefix("Value error, ")
    for kind, words in _REASONS.items():
        if first["type"].startswith(kind):
            reason = words
    key = ""
    for part in first["loc"]:
        if isinstance(part, int):
            key += f"[{part + 1}]"
        else:
            key += f".{part}" if key else str(part)
    return f"{key}: {reason}" if key else reason
