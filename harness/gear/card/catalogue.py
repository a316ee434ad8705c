"""Every check of a router's card, in the order in which they are made."""

from __future__ import annotations

from harness.gear.card import (
    bad_input,
    discovery,
    filtering,
    guard,
    idle,
    leases,
    mapping,
    nat,
    pcp,
    pmp,
    signals,
    transfer,
    wan_side,
)
from harness.gear.card.check import Check

CHECKS: tuple[Check, ...] = (
    *discovery.CHECKS,
    *mapping.CHECKS,
    *leases.CHECKS,
    *bad_input.CHECKS,
    *guard.CHECKS,
    *pmp.CHECKS,
    *pcp.CHECKS,
    *nat.CHECKS,
    *filtering.CHECKS,
    *signals.CHECKS,
    *transfer.CHECKS,
    *idle.CHECKS,
    # Last: a router may shut out whoever looks for open ports.
    *wan_side.CHECKS,
)
