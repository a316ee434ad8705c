"""Writing a file that is either whole or not there."""

from __future__ import annotations

import os
import secrets
from pathlib import Path

from harness.errors import OutputError


def write_atomically(path: Path, content: bytes) -> None:
    """Write a file under another name in the same folder and then give it its own name.

    A reader, or the next run, never meets half a file, even when this process is killed midway.

    Raises:
        OutputError: the folder or the file cannot be written.
    """
    # A random name, not the process id: runs in separate pid namespaces share their numbers.
    # Plain open() and not tempfile, whose files nobody but their owner may read.
    draft = path.with_name(f".{path.name}.{secrets.token_hex(8)}.tmp")
    try:
        try:
            with draft.open("xb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            draft.replace(path)
        finally:
            draft.unlink(missing_ok=True)
    except OSError as error:
        raise OutputError(f"{path}: {error.strerror}") from error
