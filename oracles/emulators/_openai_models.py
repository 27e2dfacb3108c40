"""The models that the OpenAI emulator serves, with prices of its own: a second opinion, restated from vendor pages.

Prices are picodollars a token (10**12 to the dollar): $2.50 for a million tokens is 2,500,000. Read 2026-04-13 from
openai.com/api/pricing and platform.openai.com/docs/pricing; image rules from developers.openai.com, 2026-10.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

Reasons: TypeAlias = Literal["never", "if asked", "always"]

CACHE_WRITE = (5, 4)  # of the input price
HALF_PRICED = ("flex", "batch")  # tiers


@dataclass(frozen=True, kw_only=True)
class Served:
    """One model. snapshot: what answers under its name. A model has either a patch factor or a base and a tile.

    factor: tokens a patch. budget: patches, above which an image is shrunk in high detail.
    """

    snapshot: str
    input: int
    cached: int
    output: int
    reasons: Reasons
    flex: bool = False
    factor: float | None = None
    budget: int = 6144
    base: int = 0
    tile: int = 0


SERVED = {
    "gpt-5.4": Served(
        snapshot="gpt-5.4-2026-03-05",
        input=2_500_000,
        cached=250_000,
        output=15_000_000,
        reasons="if asked",
        flex=True,
        factor=1.2,
        budget=2500,
    ),
    "gpt-5.4-mini": Served(
        snapshot="gpt-5.4-mini-2026-03-17",
        input=750_000,
        cached=75_000,
        output=4_500_000,
        reasons="if asked",
        flex=True,
        factor=1.62,
    ),
    "gpt-5.4-nano": Served(
        snapshot="gpt-5.4-nano-2026-03-17",
        input=200_000,
        cached=20_000,
        output=1_250_000,
        reasons="if asked",
        flex=True,
        factor=2.46,
    ),
    "gpt-5.2": Served(
        snapshot="gpt-5.2-2025-12-11",
        input=1_750_000,
        cached=175_000,
        output=14_000_000,
        reasons="if asked",
        flex=True,
        factor=1.2,
    ),
    "gpt-5.1": Served(
        snapshot="gpt-5.1-2025-11-13",
        input=1_250_000,
        cached=125_000,
        output=10_000_000,
        reasons="if asked",
        flex=True,
        base=70,
        tile=140,
    ),
    "gpt-4.1": Served(
        snapshot="gpt-4.1-2025-04-14",
        input=2_000_000,
        cached=500_000,
        output=8_000_000,
        reasons="never",
        base=85,
        tile=170,
    ),
    "gpt-4.1-mini": Served(
        snapshot="gpt-4.1-mini-2025-04-14",
        input=400_000,
        cached=100_000,
        output=1_600_000,
        reasons="never",
        factor=1.62,
    ),
    "gpt-4.1-nano": Served(
        snapshot="gpt-4.1-nano-2025-04-14",
        input=100_000,
        cached=25_000,
        output=400_000,
        reasons="never",
        factor=2.46,
    ),
    "gpt-4o": Served(
        snapshot="gpt-4o-2024-08-06",
        input=2_500_000,
        cached=1_250_000,
        output=10_000_000,
        reasons="never",
        base=85,
        tile=170,
    ),
    "gpt-4o-mini": Served(
        snapshot="gpt-4o-mini-2024-07-18",
        input=150_000,
        cached=75_000,
        output=600_000,
        reasons="never",
        base=2833,
        tile=5667,
    ),
    "o4-mini": Served(
        snapshot="o4-mini-2025-04-16",
        input=1_100_000,
        cached=275_000,
        output=4_400_000,
        reasons="always",
        flex=True,
        factor=1.72,
    ),
}
BY_NAME = SERVED | {served.snapshot: served for served in SERVED.values()}
"""Families and their snapshots."""


def price(served: Served, tier: str, *, plain: int, cached: int, written: int, output: int) -> int:
    """Return what tokens cost in picodollars: input neither cached nor written, read from a cache, written to one."""
    write = served.input * CACHE_WRITE[0] // CACHE_WRITE[1]
    full = plain * served.input + cached * served.cached + written * write + output * served.output
    return full // 2 if tier in HALF_PRICED else full
