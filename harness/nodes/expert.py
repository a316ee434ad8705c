"""The expert's program."""

from __future__ import annotations

from harness.nodes import endpoint, program
from harness.nodes.program import Console


async def main(console: Console) -> None:
    """Be the expert."""
    await endpoint.main(console, "expert")


def start() -> None:
    """Run the program on this process's standard streams."""
    program.run(main)


if __name__ == "__main__":
    start()
