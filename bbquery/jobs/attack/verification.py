"""Verification of what a search found: it is asked again; where it is refuted, the next nearest candidate is.

The result is the nearest image that was not refuted. Where all were, it is the nearest of all, which was refuted.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from bbquery.jobs.attack import preprocessing, votes
from bbquery.types import Reply

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bbquery.attacks import AttackResult
    from bbquery.client.client import Client
    from bbquery.jobs.attack.preprocessing import Treated
    from bbquery.jobs.attack.search import Sought
    from bbquery.jobs.attack.votes import Votes
    from bbquery.jobs.watch import Watch
    from bbquery.types import Image


@dataclass(frozen=True)
class Refuted:
    """An image that was found, and kept the label when asked again. rmse, linf: its distances, 0 to 1."""

    rmse: float
    linf: float
    votes: Votes


@dataclass(frozen=True, eq=False)
class Verified:
    """What was found, and what was asked of it.

    found: the attack's result with that image as its best; None where nothing was attacked. replies: to the image, None
    where it was not asked again. refuted: all images that were, the nearest first.
    """

    found: AttackResult | None
    replies: Sequence[Reply | None] | None
    refuted: tuple[Refuted, ...]
    treated: tuple[Treated, ...] | None


async def verified(client: Client, x: Image, sought: Sought, checks: int, watch: Watch) -> Verified:
    """Ask what was found again, and how preprocessing changes it. x: the clean image. checks: queries for that."""
    nearest = None if sought.driven is None else sought.driven.result
    if nearest is None or nearest.best is None or client.halt:
        return Verified(nearest, None, (), None)
    found, replies, refuted = await _asked_again(client, sought, nearest, watch)
    treated = None
    if checks and not client.halt and found.best is not None:
        treated = await preprocessing.treated(client, x, found.best, sought.bound.goal, checks)
    return Verified(found, replies, refuted, treated)


async def _asked_again(
    client: Client, sought: Sought, nearest: AttackResult, watch: Watch
) -> tuple[AttackResult, Sequence[Reply | None], tuple[Refuted, ...]]:
    """Return the nearest image that is not refuted, or else the nearest; the replies to it; and what was refuted."""
    refuted, of_nearest = list[Refuted](), list[Reply | None]()
    further = (each.reported(nearest) for each in sought.candidates.beyond(nearest)[: sought.further])
    for found in (nearest, *further):
        assert found.best is not None  # noqa: S101 - it was asked
        replies = await votes.ask(client, found.best, sought.times, first=1)  # the search had its 0
        counted = votes.count(sought.bound.goal, replies)
        if votes.verdict(sought.votes, counted) != "refuted":
            return found, replies, tuple(refuted)
        refuted.append(Refuted(found.rmse, found.linf, counted))
        of_nearest = of_nearest or replies
        if client.halt:
            break
        watch.measuring(client, sought.times)
    return nearest, of_nearest, tuple(refuted)
