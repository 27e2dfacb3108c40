"""Caps on three levels: whatever is held, and however it ends, no level holds and has posted more than it may."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hypothesis import given, settings
from hypothesis import strategies as st

from bbquery.errors import BudgetExhausted
from bbquery.ledger.ledger import Ledger
from bbquery.ledger.records import Cap, Granted, HoldRequest, Settlement
from bbquery.units import Units
from tests.support.bookkeeping import guard_caps, question

if TYPE_CHECKING:
    from collections.abc import Callable

    from bbquery.ledger.places import Place

IMAGES = 3
LEVELS = ("queries", "tokens", "picodollars")
CAPS = st.builds(
    Cap,
    queries=st.none() | st.integers(1, 12),
    tokens=st.none() | st.integers(1, 60),
    picodollars=st.none() | st.integers(1, 60),
)
HOLDS = st.builds(Units, st.just(1), st.integers(0, 12), st.integers(0, 12))
ENDINGS = st.sampled_from(["posted", "voided", "unknown", "open"])
STEPS = st.tuples(st.integers(0, IMAGES - 1), st.lists(st.tuples(HOLDS, ENDINGS), min_size=1, max_size=5))


def fits(cap: Cap, spent: Units) -> bool:
    return all(getattr(cap, unit) is None or getattr(spent, unit) <= getattr(cap, unit) for unit in LEVELS)


@settings(max_examples=30)
@given(project=CAPS, run=CAPS, images=st.tuples(*[CAPS] * IMAGES), steps=st.lists(STEPS, max_size=15))
async def test_no_level_is_ever_overdrawn(
    project: Cap,
    run: Cap,
    images: tuple[Cap, ...],
    steps: list[tuple[int, list[tuple[Units, str]]]],
    new_place: Callable[[], Place],
) -> None:
    """Checked by the database at every statement, and against a sum of our own: what is refused did not fit.

    A query is granted just when it fits into its image's budget, the run's and the project's, in every unit; each
    level then has posted and held what its images have. Costs are half of what was held.
    """
    spent, number = [Units()] * IMAGES, 0
    with Ledger(new_place()) as ledger:
        guard_caps(ledger)
        top = ledger.open_budget("p", project)
        middle = ledger.open_budget("p/r", run, top)
        below = [ledger.open_budget(f"p/r/{n}", cap, middle) for n, cap in enumerate(images)]
        for image, batch in steps:
            requests = [HoldRequest(question(number + n), below[image], hold) for n, (hold, _) in enumerate(batch)]
            number += len(batch)
            results = await ledger.reserve(requests)
            expected = spent.copy()
            for (hold, _), result in zip(batch, results, strict=True):
                own = expected[image].plus(hold)
                whole = summed([*expected[:image], own, *expected[image + 1 :]])
                granted = isinstance(result, Granted)
                assert granted or isinstance(result, BudgetExhausted)
                assert granted == (fits(images[image], own) and fits(run, whole) and fits(project, whole))
                expected[image] = own if granted else expected[image]
            ended = [(r, *b) for r, b in zip(results, batch, strict=True) if isinstance(r, Granted)]
            for _, hold, ending in ended:
                spent[image] = spent[image].plus(left_of(hold, ending))
            done = [settlement(r.attempt, hold, ending) for r, hold, ending in ended if ending != "open"]
            if done:
                await ledger.settle(done)
        states = [ledger.budget(each) for each in (*below, middle, top)]

    assert [state.posted.plus(state.held) for state in states] == [*spent, summed(spent), summed(spent)]


def half(hold: Units) -> Units:
    return Units(hold.queries, hold.tokens // 2, hold.picodollars // 2)


def left_of(hold: Units, ending: str) -> Units:
    return {"posted": half(hold), "voided": Units()}.get(ending, hold)


def settlement(attempt: int, hold: Units, ending: str) -> Settlement:
    return Settlement(attempt, ending, half(hold) if ending == "posted" else Units())  # type: ignore[arg-type] # sampled from the outcomes


def summed(amounts: list[Units]) -> Units:
    total = Units()
    for amount in amounts:
        total = total.plus(amount)
    return total
