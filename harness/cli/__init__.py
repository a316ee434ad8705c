"""What people type: ``ra-harness``, one module for each group of commands."""

from harness.cli.main import main

__all__ = ["main"]
