"""What the article states, as data: a claim for each cell of its tables, and its prose."""

from harness.kb.claims import Claim, Table, claim_for, load_tables
from harness.kb.prose import (
    Bound,
    Contradiction,
    Gap,
    Statement,
    load_contradictions,
    load_gaps,
    load_prose,
    prose_scenarios,
    source_of,
    statements_for,
)
from harness.kb.variant import Variant

__all__ = [
    "Claim",
    "Table",
    "claim_for",
    "load_tables",
    "Bound",
    "Variant",
    "Statement",
    "Contradiction",
    "Gap",
    "load_prose",
    "load_contradictions",
    "load_gaps",
    "prose_scenarios",
    "source_of",
    "statements_for",
]
