"""A run, or what changed since another, as one page with everything that it needs inside."""

from harness.report.html.changes import write_changes
from harness.report.html.evidence import Evidence
from harness.report.html.page import write_report

__all__ = ["Evidence", "write_changes", "write_report"]
