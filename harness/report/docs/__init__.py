"""The pages of ``docs/`` that are made from the data, and the schema of ``results.json``.

``python -m harness.report.docs`` writes them; a test says so when one is not current.
"""

from harness.report.docs.article import article_page
from harness.report.docs.devices import devices_page
from harness.report.docs.schema import SCHEMA_ID, results_schema

__all__ = ["article_page", "devices_page", "results_schema", "SCHEMA_ID"]
