"""Builds a topology from a runtime's nodes, watches it, and ends it."""
