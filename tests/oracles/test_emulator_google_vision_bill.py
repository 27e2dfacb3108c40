"""The google_vision oracle against its emulator: what is held and what replies say they cost, against the bill."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, get_args

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import oracles.google_vision
from bbquery.errors import MalformedAnswer, NotBilled, OracleError, UsageError
from bbquery.types import NoAnswer, Reply
from bbquery.units import Units
from oracles._google_vision.features import Feature
from oracles.emulators.google_vision import Faults, GoogleVisionEmulator
from tests.support.google_vision_helpers import ask
from tests.support.images import tiny_images
from tests.support.oracles import colour_oracle, share_of_colours

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bbquery.types import Answer

FEATURES = get_args(Feature)
FAULTS = ("rate_limited", "quota", "server_error", "dropped", "truncated", "junk", "drip")


async def outcomes(emulator: GoogleVisionEmulator, feature: Any, calls: Sequence[int]) -> tuple[list[Any], Units]:
    """Return one outcome for each image of these calls, and what is held for each image."""
    found: list[Any] = []
    async with emulator.running() as url:
        oracle = oracles.google_vision.connect(endpoint=url, feature=feature)
        for images in calls:
            answered = await ask(oracle, images)
            found += answered if isinstance(answered, list) else [answered] * images
        await oracle.aclose()
    return found, oracle.quote(oracle.encode(tiny_images(1)[0])).worst


def posted(outcome: Reply | OracleError) -> Units:
    """Return what an outcome says was paid."""
    if isinstance(outcome, Reply | MalformedAnswer) and outcome.cost is not None:
        return outcome.cost
    return Units()


def unknown(outcome: Reply | OracleError) -> bool:
    """Whether the hold of an outcome stays."""
    return isinstance(outcome, OracleError) and not isinstance(outcome, NotBilled | MalformedAnswer)


def total(amounts: Sequence[Units]) -> Units:
    result = Units()
    for amount in amounts:
        result = result.plus(amount)
    return result


@settings(deadline=None, max_examples=20)
@given(st.sampled_from(FEATURES), st.lists(st.integers(1, 16), min_size=1, max_size=4), st.integers(0, 99))
async def test_without_faults_the_bill_is_the_sum_of_the_replies(feature: str, calls: list[int], seed: int) -> None:
    """Whatever is asked in whatever batches, both sides come to the same money, refusals and empty answers included."""

    def reply(image: Any) -> Answer:
        return share_of_colours(image) if int(image.sum()) % 3 else NoAnswer("nothing to see")

    emulator = GoogleVisionEmulator(colour_oracle(reply), Faults(seed=seed))

    found, hold = await outcomes(emulator, feature, calls)

    costs = [posted(outcome) for outcome in found]
    assert all(isinstance(outcome, Reply) for outcome in found)
    assert all(cost.within(hold) for cost in costs)
    assert total(costs).picodollars == emulator.bill.picodollars
    assert total(costs).queries == emulator.bill.images_answered == sum(calls)


@settings(deadline=None, max_examples=20)
@given(
    st.sampled_from(FEATURES),
    st.lists(st.integers(1, 16), min_size=1, max_size=6),
    st.integers(0, 10**6),
    st.lists(st.integers(1, 5), min_size=len(FAULTS) + 1, max_size=len(FAULTS) + 1),
    st.sampled_from((0.0, 0.3)),
)
async def test_with_faults_the_bill_lies_between_what_is_posted_and_what_is_held(
    feature: str, calls: list[int], seed: int, weights: list[int], item_error: float
) -> None:
    """Money is never lost from sight: the bill is at least what replies cost, at most that and the unknowns' holds."""
    shares = {kind: weight / sum(weights) for kind, weight in zip(FAULTS, weights, strict=False)}
    emulator = GoogleVisionEmulator(colour_oracle(), Faults(seed=seed, **shares, item_error=item_error, drip_seconds=0))

    found, hold = await outcomes(emulator, feature, calls)

    paid = total([posted(outcome) for outcome in found])
    doubtful = hold.times(sum(map(unknown, found)))
    bill = Units(queries=emulator.bill.images_answered, picodollars=emulator.bill.picodollars)
    assert paid.within(bill)
    assert bill.within(paid.plus(doubtful))


@pytest.mark.parametrize("feature", ["LABEL_DETECTION", "OBJECT_LOCALIZATION", "WEB_DETECTION", "FACE_DETECTION"])
async def test_a_thousand_queries_agree_to_the_picodollar(feature: str) -> None:
    """A thousand images in batches of sixteen: ledger's and vendor's arithmetic, written apart, give one number."""
    emulator = GoogleVisionEmulator(colour_oracle())

    found, hold = await outcomes(emulator, feature, [16] * 62 + [8])

    assert len(found) == 1000
    assert emulator.bill.picodollars == total([posted(outcome) for outcome in found]).picodollars
    assert emulator.bill.picodollars == hold.times(1000).picodollars


@pytest.mark.parametrize(("usd", "picodollars"), [("0.5", 500_000_000), (0.5, 500_000_000), ("1e-9", 1), ("0", 0)])
async def test_a_price_of_ones_own_is_billed_and_quoted_alike(usd: Any, picodollars: int) -> None:
    """Told the same dollars for 1,000, the server bills each image what the oracle says it costs, rounded up."""
    emulator = GoogleVisionEmulator(colour_oracle(), usd_per_thousand=str(usd))
    async with emulator.running() as url:
        oracle = oracles.google_vision.connect(endpoint=url, usd_per_thousand=usd)
        found = await ask(oracle, 3)
        await oracle.aclose()

    assert emulator.bill.picodollars == total([posted(outcome) for outcome in found]).picodollars == 3 * picodollars


@pytest.mark.parametrize(("usd", "fault"), [("much", "be an amount of dollars, not 'much'"), ("-1", "not be negative")])
def test_what_is_no_price_is_the_users_mistake(usd: str, fault: str) -> None:
    """A price that is no amount is refused before anything is served."""
    with pytest.raises(UsageError, match=rf"usd_per_thousand must {fault}"):
        GoogleVisionEmulator(colour_oracle(), usd_per_thousand=usd)
