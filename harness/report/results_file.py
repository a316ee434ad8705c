"""``results.json``: written whole, read with suspicion."""

from __future__ import annotations

from pathlib import Path

from pydantic import ValidationError

from harness.errors import DefinitionError
from harness.judge.model import Results
from harness.report.files import write_atomically
from harness.report.wording import plain


def write_results(results: Results, path: Path) -> None:
    """Write the results as indented UTF-8 JSON.

    Raises:
        OutputError: the file cannot be written.
    """
    text = results.model_dump_json(by_alias=True, indent=1)
    write_atomically(path, f"{text}\n".encode())


def read_results(path: Path) -> Results:
    """Read results that this harness, or anybody else, wrote.

    Raises:
        DefinitionError: the file cannot be read or is not what the contract says.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise DefinitionError(f"{path}: {error.strerror}") from error
    try:
        return Results.model_validate_json(content)
    except ValidationError as error:
        raise DefinitionError(f"{path}: {first_error(error)}") from error


def first_error(error: ValidationError) -> str:
    """Say in one line which key is wrong and why, and how many more are."""
    first, *others = error.errors(include_url=False, include_context=False, include_input=False)
    # The keys come from the file, so they may be anything, and any length.
    key = plain(".".join(str(part) for part in first["loc"]))[:120]
    more = f" (and {len(others)} more)" if others else ""
    return f"{key}: {plain(first['msg'])}{more}" if key else f"{plain(first['msg'])}{more}"
