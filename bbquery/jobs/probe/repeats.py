"""Best number of repeats of each mask for a fixed number of queries.

A map is estimated from rows: masks, each with the mean of r answers. Its variance is σ_b² + σ_w² / r, with the
components of `bbquery.jobs.probe.reliability`. N queries buy N / r rows, so every effect that averages over rows (a
cell's effect, a gradient's component) has a variance in proportion to

    (σ_b² + σ_w² / r) / (N / r)  =  (r σ_b² + σ_w²) / N  =  (σ_b² + σ_w²) / N · (1 + (r - 1) ρ)

with the reliability ρ = σ_b² / (σ_b² + σ_w²). So r repeats are worth 1 / (1 + (r - 1) ρ) of as many new masks: Kish's
design effect (Survey Sampling, 1965) of clusters of r. That falls with r whatever the noise: **one answer a mask is the
optimum**, and the noisier the oracle, the less repeating loses. It is Cochran's optimum r = √(c σ_w² / σ_b²) (Sampling
Techniques, two-stage sampling) with c, the price of a new mask beyond its query, being 0, as it is here. Nor does a
regression that explains all of σ_b² gain by repeating: then σ_w² / N is left for any r. Noise is met with more masks:
1 / ρ times as many leave an effect as certain as without noise.

Repeats serve where one image is judged by itself: the spread of answers to it (`trusted`), or a decision by vote
(`votes`), as attacks and bisections take.
"""

from __future__ import annotations

import math

BEST = 1
"""Answers a mask that a fixed number of queries buys most with, by the derivation above, whatever the noise."""

SHOWN = (1, 2, 3, 5, 10)
TRUSTED = 0.8  # a reliability by which single things are commonly told apart (Nunnally 1978)
RIGHT = 0.95  # of votes
MOST_VOTES = 99


def worth(reliability: float, repeats: int) -> float:
    """Return what queries in groups of so many repeats are worth, as a share of as many new masks."""
    return 1 / (1 + (repeats - 1) * reliability)


def trusted(reliability: float) -> int | None:
    """Return how many answers to one image have a mean of reliability 0.8 (Spearman 1910, Brown 1910); None: no number.

    Of k answers it is k ρ / (1 + (k - 1) ρ).
    """
    if not reliability > 0:
        return None
    return max(1, math.ceil(TRUSTED * (1 - reliability) / (reliability * (1 - TRUSTED)) - 1e-9))


def votes(flips: float) -> int | None:
    """Return the odd number of answers whose majority is right 95 times in 100; None where none up to 99 is.

    flips: the share of answers that differ from the commonest, independently of each other (Condorcet).
    """
    return next((n for n in range(1, MOST_VOTES + 1, 2) if _majority(n, flips) >= RIGHT), None)


def _majority(n: int, flips: float) -> float:
    """Return the probability that fewer than half of n answers flip."""
    return sum(math.comb(n, k) * flips**k * (1 - flips) ** (n - k) for k in range((n + 1) // 2))
