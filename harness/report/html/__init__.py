"""``report.html``: one file that shows a run to people, with everything that it needs inside."""

from harness.report.html.evidence import Evidence
from harness.report.html.page import write_report

__all__ = ["Evidence", "write_report"]
