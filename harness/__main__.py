"""``python -m harness`` is ``ra-harness``."""

from harness.cli import main

main()
