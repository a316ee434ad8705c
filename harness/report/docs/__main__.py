"""``python -m harness.report.docs`` writes the generated pages into the folder ``docs``.

Another folder can be named. It says of each file whether it was written or is current, and ends
with 2 where one cannot be written.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path

from harness.errors import ExitCode, HarnessError, OutputError
from harness.report.docs import article_page, devices_page, results_schema
from harness.report.files import write_atomically
from harness.topology.load import Library, default_folder

FOLDER = Path("docs")


def pages() -> Mapping[str, str]:
    """Return the text of each generated file by its name.

    Raises:
        DefinitionError: the project's own definitions or claims are wrong.
    """
    return {
        "article.md": article_page(),
        "devices.md": devices_page(Library(default_folder()).devices.values()),
        "results.schema.json": results_schema(),
    }


def main(arguments: list[str]) -> ExitCode:
    """Write what is not current, say so, and return the exit status."""
    folder = Path(arguments[0]) if arguments else FOLDER
    try:
        if not folder.is_dir():
            raise OutputError(f"{folder} is no folder: run this in a clone, or name another")
        for name, text in pages().items():
            path = folder / name
            current = path.exists() and path.read_bytes() == text.encode()
            if not current:
                write_atomically(path, text.encode())
            sys.stdout.write(f"{path} {'is current' if current else 'written'}\n")
    except HarnessError as error:
        sys.stderr.write(f"docs: {error}\n")
        return error.exit_code
    return ExitCode.AGREES


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
