"""Every check of a router's card, in the order in which they are made."""

from __future__ import annotations

from harness.gear.card import bad_input, discovery, guard, leases, mapping, pcp, pmp
from harness.gear.card.check import Check

CHECKS: tuple[Check, ...] = (
    *discovery.CHECKS,
    *mapping.CHECKS,
    *leases.CHECKS,
    *bad_input.CHECKS,
    *guard.CHECKS,
    *pmp.CHECKS,
    *pcp.CHECKS,
)
