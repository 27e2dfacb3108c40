"""`bbquery explain --batch --dry-run`: estimate of what a batch run would cost."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bbquery.batches import feasibility
from bbquery.commands.output import NOTHING_ASKED
from bbquery.money import dollars

if TYPE_CHECKING:
    from bbquery.jobs.explain.job import ExplainJob


def estimate(job: ExplainJob) -> list[str]:
    """Return, for people, what a batch run would send and cost; every image is rendered, and nothing is sent."""
    assert job.batch is not None  # noqa: S101 - made so by the caller
    clean, found = job.oracle.quote(job.oracle.encode(job.x)), feasibility.files(job.batch, job.wanted())
    expected, worst = found.expected.plus(clean.expected), found.worst.plus(clean.worst)
    return [
        f"queries      {1 + found.lines:,} at most, stored answers not counted: 1 at once, {found.lines:,} as a batch",
        f"batches      {found.files:,}, {found.bytes:,} bytes together",
        f"tokens       {expected.tokens:,} expected, {worst.tokens:,} at worst",
        f"dollars      {dollars(expected.picodollars)} expected, {dollars(worst.picodollars)} at worst",
        f"prices       {job.oracle.capabilities.price.source or 'none'}, as a batch",
        "time         as long as the vendor takes for a batch: mostly within a day",
        NOTHING_ASKED,
    ]
