"""How often a query is tried, and how long is waited between."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bbquery.client.retry import RetryPolicy
from bbquery.errors import (
    BudgetExhausted,
    MalformedAnswer,
    OracleError,
    OutcomeUnknown,
    RateLimited,
    Rejected,
    Unreachable,
)
from tests.support.clocks import FakeClock

FEW = RetryPolicy(rate_limited=3, not_billed=3, unknown=2)


class Failing:
    """Fails as told, in order, then for ever with the last error."""

    def __init__(self, *errors: Exception) -> None:
        self.errors, self.tries = errors, 0

    async def __call__(self) -> str:
        self.tries += 1
        raise self.errors[min(self.tries, len(self.errors)) - 1]


async def waits_of(failing: Failing, policy: RetryPolicy, seed: int = 0) -> list[float]:
    """Try until the policy gives up; return the seconds waited after each try but the last."""
    clock = FakeClock()
    with pytest.raises(type(failing.errors[-1])):
        await policy.retrying(clock.sleep, seed)(failing)
    return clock.slept


@pytest.mark.parametrize(
    ("error", "tries"),
    [
        (RateLimited("busy"), 30),
        (Unreachable("no route"), 6),
        (OutcomeUnknown("lost"), 6),
        (Rejected("bad key"), 1),
        (MalformedAnswer("not JSON"), 3),
        (OracleError("a bug"), 1),
        (BudgetExhausted("b", "queries", remaining=0, needed=1, cap=1), 1),
        (ZeroDivisionError(), 1),
    ],
)
async def test_tries_depend_on_how_they_end(error: Exception, tries: int) -> None:
    """By default a rate limit gets 30 tries, what was not billed and a doubtful outcome 6, junk 3, all else 1."""
    failing = Failing(error)

    await waits_of(failing, RetryPolicy())

    assert failing.tries == tries


async def test_each_way_to_end_has_tries_of_its_own() -> None:
    """Rate limits do not use up the tries of doubtful outcomes: the kind that is used up first ends it."""
    failing = Failing(
        RateLimited("busy"), OutcomeUnknown("lost"), RateLimited("busy"), Unreachable("down"), OutcomeUnknown("lost")
    )

    await waits_of(failing, FEW)

    assert failing.tries == 5


async def test_the_last_error_is_raised_as_it_was() -> None:
    """Whoever asked sees the oracle's own error, not the retry library's."""
    error = OutcomeUnknown("lost")

    with pytest.raises(OutcomeUnknown) as caught:
        await FEW.retrying(FakeClock().sleep, 0)(Failing(error))

    assert caught.value is error


async def test_a_success_after_failures_is_returned() -> None:
    """What is answered at last is the answer."""
    errors = iter([Unreachable("down"), RateLimited("busy")])

    async def recovering() -> str:
        for error in errors:
            raise error
        return "a cat"

    assert await FEW.retrying(FakeClock().sleep, 0)(recovering) == "a cat"


@pytest.mark.parametrize("seconds", [0.0, 0.25, 7.5, 120.0])
async def test_an_oracle_that_says_how_long_to_wait_is_obeyed(seconds: float) -> None:
    """Retry-After is waited exactly, also beyond the longest wait of one's own."""
    waits = await waits_of(Failing(RateLimited("busy", retry_after=seconds)), FEW)

    assert waits == [seconds] * 2


@given(
    seed=st.integers(0, 2**64 - 1),
    first=st.floats(0.01, 5.0),
    longest=st.floats(0.01, 60.0),
    tries=st.integers(2, 12),
)
async def test_waits_double_with_jitter_up_to_the_longest(seed: int, first: float, longest: float, tries: int) -> None:
    """The k-th wait lies between half of and all of min(first × 2^k, longest)."""
    policy = RetryPolicy(not_billed=tries, first_wait=first, longest_wait=longest)

    waits = await waits_of(Failing(Unreachable("down")), policy, seed)

    assert len(waits) == tries - 1
    for k, wait in enumerate(waits):
        bound = min(first * 2.0**k, longest)
        assert bound / 2 <= wait <= bound


async def test_a_rate_limit_without_a_time_backs_off_too() -> None:
    """Where the oracle does not say how long, the wait grows like any other."""
    waits = await waits_of(Failing(RateLimited("busy")), RetryPolicy(rate_limited=9, first_wait=1.0, longest_wait=1e6))

    assert all(2**k / 2 <= wait <= 2**k for k, wait in enumerate(waits))


async def test_jitter_repeats_with_its_seed() -> None:
    """Equal seeds wait equally long, other seeds do not: retries of several queries spread out, and runs repeat."""
    policy = RetryPolicy(unknown=8)

    first, again, other = [await waits_of(Failing(OutcomeUnknown("lost")), policy, seed) for seed in (1, 1, 2)]

    assert first == again
    assert set(first).isdisjoint(other)


async def test_tries_without_end_never_overflow() -> None:
    """A policy patient enough for thousands of tries keeps waiting its longest wait."""
    policy = RetryPolicy(rate_limited=1100)

    waits = await waits_of(Failing(RateLimited("busy")), policy)

    assert len(waits) == 1099
    assert max(waits) <= policy.longest_wait


async def test_two_loops_of_one_policy_count_for_themselves() -> None:
    """A policy is shared by all queries of a run; the tries of one are not charged to another."""
    for _ in range(2):
        failing = Failing(OutcomeUnknown("lost"))
        await waits_of(failing, FEW)
        assert failing.tries == 2
