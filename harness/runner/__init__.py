"""Schedules scenarios, keeps their progress, and writes what came of them."""
