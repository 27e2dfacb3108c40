"""Shares as people read them."""

from __future__ import annotations

SMALLEST_PERCENT = 0.1  # that is written as it is


def percent(share: float) -> str:
    """Return a share, 0 to 1, for people: "38 %", "0.4 %", "under 0.1 %"; near 100 % likewise."""
    value = 100 * share
    if 0 < value < SMALLEST_PERCENT:
        return f"under {SMALLEST_PERCENT} %"
    if 100 - SMALLEST_PERCENT < value < 100:
        return f"over {100 - SMALLEST_PERCENT} %"
    return f"{value:.0f} %" if 0.95 <= value <= 99 or value in (0, 100) else f"{value:.1f} %"
