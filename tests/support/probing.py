"""Oracles whose truth a probe can find."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

import bbquery
from oracles import function

if TYPE_CHECKING:
    from collections.abc import Callable

    from bbquery.jobs.probe.result import Probe
    from bbquery.ledger.ledger import Ledger
    from bbquery.oracle import Oracle
    from bbquery.types import Image


PHOTO = np.full((28, 28, 3), 247, dtype=np.uint8)
"""Nearly white, so that behind grey masks the visible share can be read off the mean."""


def visible(image: Image) -> float:
    """Return the share of the photo that is visible through a mask of mid-grey."""
    return float((image.mean() - 127) / 120)


def linear(image: Image) -> list[float]:
    """A probability that is linear in what is visible, and does not vary."""
    share = min(max(visible(image), 0.0), 1.0)
    return [0.2 + 0.6 * share, 0.8 - 0.6 * share]


def oracle_of(call: Callable[[Image], Any], **options: Any) -> Oracle:
    return function.connect(call, version="1", **options)


async def probed(
    oracle: Oracle, ledger: Ledger, *, queries: int = 100, scores: tuple[str, ...] = ("soft",), **options: Any
) -> Probe:
    return await bbquery.probe_async(PHOTO, oracle, score=scores, max_queries=queries, ledger=ledger, **options)
