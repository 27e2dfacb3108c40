"""Prospect of an audit: what it would cost at worst and as expected, and how many photos its caps admit.

Nothing is asked, no key is needed. Each photo is looked through, for its size and for damage. What a query costs is
quoted of the first photo of each size that an oracle would be sent. Another picture of the same size may be quoted a
little otherwise where a price depends on more than the size; what is held is always the photo's own quote.
"""

from __future__ import annotations

import asyncio
import itertools
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from bbquery import load
from bbquery.errors import BadImage, UsageError
from bbquery.images.placement import placed
from bbquery.jobs.audit.admission import Admission, Item, Room
from bbquery.jobs.audit.asking import Asking, asking
from bbquery.jobs.audit.beforehand import Size, looked_through, unknown_labels
from bbquery.jobs.audit.photos import Listing, listing
from bbquery.jobs.estimate import Estimate, estimate
from bbquery.units import Units, total

if TYPE_CHECKING:
    from bbquery.jobs.audit.faults import Faults
    from bbquery.jobs.audit.photos import Photo
    from bbquery.jobs.audit.plan import OraclePlan, Plan
    from bbquery.jobs.audit.reading import PlanFile
    from bbquery.oracle import Limits, Oracle


@dataclass(frozen=True, kw_only=True)
class OracleProspect:
    """The questions that one oracle would be asked, and their cost.

    name: in the plan. model: how it calls itself. prices: where its prices are from; empty where there are none.
    photos: that can be asked. queries: at most, of all of them. expected, worst: of all photos, if no query is lost,
    and if all that may be are; stored answers count too. of_a_photo: the most that one photo may take. seconds: at
    known or stated limits; None where there are none. above: photos that may take more than the plan allows for one,
    and so are not begun: they count in nothing else; needed: the most that one of them may take. as_expected: how many
    photos the caps admit if each takes what is expected; at_worst: if each takes all that it may, and no more than
    as_expected: where oracles share a cap, one that must end earlier leaves more to the others.
    """

    name: str
    model: str
    prices: str
    photos: int
    queries: int
    expected: Units
    worst: Units
    of_a_photo: Units
    seconds: float | None
    above: int
    needed: Units
    at_worst: int
    as_expected: int


@dataclass(frozen=True, kw_only=True)
class Prospect:
    """The questions of an audit. damaged: why photos cannot be read, by name. oracles: in the plan's order.

    seconds: of all oracles side by side, those that share limits one after another; None where none are known.
    """

    plan: Plan
    photos: Listing
    damaged: Mapping[str, str]
    oracles: tuple[OracleProspect, ...]
    seconds: float | None

    @property
    def expected(self) -> Units:
        """Of all oracles."""
        return total(oracle.expected for oracle in self.oracles)

    @property
    def worst(self) -> Units:
        """Of all oracles."""
        return total(oracle.worst for oracle in self.oracles)


@dataclass(frozen=True, eq=False)
class _Lane:
    """An oracle, and what each of its photos costs. costs: in the plan's order: at most, and as expected."""

    own: OraclePlan
    oracle: Oracle
    costs: Sequence[Cost]

    @property
    def begun(self) -> list[Cost]:
        """The cost of the photos that may begin."""
        return [cost for cost in self.costs if cost.fits]


@dataclass(frozen=True)
class _Photos:
    """Photos, by name: sizes, (height, width) of those that can be read; damaged, why the others cannot."""

    listed: Sequence[Photo]
    sizes: dict[str, Size]
    damaged: dict[str, str]


class Cost(NamedTuple):
    """The cost of one photo. worst: the most that it may take. fits: whether the plan allows so much for one."""

    worst: Units
    fits: bool
    estimate: Estimate


async def prospect(file: PlanFile) -> Prospect:
    """Return what an audit would cost.

    Raises:
        UsageError: the plan cannot be asked; says every fault that can be found without asking.
    """
    found = await asyncio.to_thread(listing, file)
    photos = await asyncio.to_thread(_seen, found.photos)
    faults, damaged, lanes = file.faults(), photos.damaged, []
    for place, own in enumerate(file.plan.oracles):
        try:
            lanes.append(await _lane(file.plan, own, photos, faults))
        except UsageError as error:
            faults.add(("oracles", place), str(error))
    if len(damaged) == len(found.photos):
        first, why = next(iter(damaged.items()))
        faults.add(("photos", "from"), f"of {len(damaged)} photos none can be read; {first}: {why}")
    faults.check()
    return _prospect(file.plan, found, damaged, lanes)


def _seen(photos: Sequence[Photo]) -> _Photos:
    seen = _Photos(photos, {}, {})
    for name, found in looked_through(photos).items():
        if isinstance(found, BadImage):
            seen.damaged[name] = found.reason
        else:
            seen.sizes[name] = found
    return seen


async def _lane(plan: Plan, own: OraclePlan, photos: _Photos, faults: Faults) -> _Lane:
    """Return an oracle with what its photos cost; of labels that it does not know, the faults instead."""
    oracle = await load.oracle(own.oracle)
    try:
        unknown = await asyncio.to_thread(unknown_labels, plan, own, oracle, photos.listed)
        for message in unknown:
            faults.add(("photos", "from"), message)
        costs = [] if unknown else await asyncio.to_thread(_costs, plan, own, oracle, photos)
    finally:
        await oracle.aclose()
    return _Lane(own, oracle, costs)


def _costs(plan: Plan, own: OraclePlan, oracle: Oracle, photos: _Photos) -> list[Cost]:
    """Return what each photo costs that is not damaged."""
    view, known, costs = oracle.capabilities.view, dict[Size, Cost](), []
    for photo in photos.listed:
        if photo.name not in photos.damaged:
            sent = placed(np.broadcast_to(np.uint8(0), (*photos.sizes[photo.name], 3)), view).size
            known[sent] = known.get(sent) or _cost(asking(plan, own, photo, oracle), plan)
            costs.append(known[sent])
    return costs


def _cost(asked: Asking, plan: Plan) -> Cost:
    oracle = asked.oracle
    quote, limits = oracle.quote(oracle.encode(asked.x)), _limits(asked.setting, oracle.capabilities.limits)
    fits = Room(plan.caps.photo.cap).fits(asked.promise)
    return Cost(asked.promise, fits, estimate(quote, asked.planned, limits))


def _limits(own: OraclePlan, known: Limits) -> Limits:
    """Return an oracle's limits, and those of the plan where it knows none."""
    return replace(
        known,
        requests_per_minute=known.requests_per_minute or own.requests_per_minute,
        tokens_per_minute=known.tokens_per_minute or own.tokens_per_minute,
    )


def _prospect(plan: Plan, found: Listing, damaged: Mapping[str, str], lanes: Sequence[_Lane]) -> Prospect:
    at_worst = _admitted(plan, lanes, lambda cost: cost.worst)
    as_expected = _admitted(plan, lanes, lambda cost: _least(cost.worst, cost.estimate.expected))
    oracles = tuple(
        OracleProspect(
            name=lane.own.name,
            model=lane.oracle.capabilities.name,
            prices=lane.oracle.capabilities.price.source,
            photos=len(lane.begun),
            queries=sum(cost.worst.queries for cost in lane.begun),
            expected=total(cost.estimate.expected for cost in lane.begun),
            worst=total(cost.worst for cost in lane.begun),
            of_a_photo=_most(cost.worst for cost in lane.begun),
            seconds=_seconds(lane),
            above=len(lane.costs) - len(lane.begun),
            needed=_most(cost.worst for cost in lane.costs if not cost.fits),
            at_worst=min(at_worst[lane.own.name], as_expected[lane.own.name]),
            as_expected=as_expected[lane.own.name],
        )
        for lane in lanes
    )
    return Prospect(plan=plan, photos=found, damaged=damaged, oracles=oracles, seconds=_side_by_side(lanes))


def _admitted(plan: Plan, lanes: Sequence[_Lane], spent: Callable[[Cost], Units]) -> dict[str, int]:
    """Return how many photos of each oracle begin within the caps, one after another. spent: what each takes."""
    rooms = {lane.own.name: Room(lane.own.cap) for lane in lanes}
    admission, ended, admitted = Admission(Room(plan.caps.cap), rooms), set[str](), Counter[str]()
    for costs in itertools.zip_longest(*(lane.costs for lane in lanes)):
        for lane, cost in zip(lanes, costs, strict=True):
            name = lane.own.name
            if cost is None or not cost.fits or name in ended:
                continue
            item = Item(name, cost.worst)
            if admission.decide(item) != "begin":
                ended.add(name)
                continue
            admission.begin(item)
            admission.end(item, spent(cost))
            admitted[name] += 1
    return admitted


def _least(one: Units, other: Units) -> Units:
    return Units(*map(min, one.amounts, other.amounts))


def _most(several: Iterable[Units]) -> Units:
    return Units(*map(max, zip(*(each.amounts for each in several), strict=True)))


def _seconds(lane: _Lane) -> float | None:
    seconds = [cost.estimate.seconds for cost in lane.begun if cost.estimate.seconds is not None]
    return sum(seconds) if seconds else None


def _side_by_side(lanes: Sequence[_Lane]) -> float | None:
    """Return how long the oracles take side by side; those of one provider share its limits."""
    shared: dict[str, float] = {}
    for lane in lanes:
        seconds = _seconds(lane)
        if seconds is not None:
            provider = lane.oracle.capabilities.provider or lane.own.name
            shared[provider] = shared.get(provider, 0) + seconds
    return max(shared.values(), default=None)
