"""What the article states, as data: one claim for each cell of its two tables."""

from harness.kb.claims import Claim, Table, claim_for, load_tables

__all__ = ["Claim", "Table", "claim_for", "load_tables"]
