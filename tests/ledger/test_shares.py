"""What the images of a run may spend: together, and each."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bbquery.errors import UsageError
from bbquery.ledger.records import LARGEST_AMOUNT, Cap
from bbquery.ledger.shares import share

CAPS = st.none() | st.integers(1, LARGEST_AMOUNT)


def test_a_cap_of_the_run_alone_is_shared_evenly() -> None:
    """A hundred queries for three images are 33 for each, and still a hundred in all."""
    assert share(3, Cap(queries=100), Cap()) == (Cap(queries=100), Cap(queries=33))


def test_a_cap_of_each_image_alone_makes_the_runs() -> None:
    """Ten cents for each of three images are thirty for the run."""
    assert share(3, Cap(), Cap(picodollars=10**11)) == (Cap(picodollars=3 * 10**11), Cap(picodollars=10**11))


def test_each_unit_is_shared_for_itself() -> None:
    """Dollars of the run are split, queries of each are added up, tokens have no cap."""
    run, each = share(4, Cap(picodollars=8), Cap(queries=5))

    assert (run, each) == (Cap(queries=20, picodollars=8), Cap(queries=5, picodollars=2))


@pytest.mark.parametrize(
    ("run", "each", "said"),
    [
        (Cap(queries=2), Cap(), "2 queries (--max-queries) shared by 3 images"),
        (Cap(tokens=10), Cap(tokens=11), "each image may take 11 tokens (--max-tokens-per-image)"),
        (Cap(picodollars=10**12), Cap(picodollars=2 * 10**12), "all together only $1.00 (--max-usd)"),
    ],
)
def test_caps_that_make_no_sense_are_refused(run: Cap, each: Cap, said: str) -> None:
    """Less than one for each, or more for one than for all: the caller's mistakes, with the options to change."""
    with pytest.raises(UsageError) as refused:
        share(3, run, each)

    assert said in str(refused.value)


@given(images=st.integers(1, 60), run=CAPS, each=CAPS)
def test_shares_fit_into_the_whole(images: int, run: int | None, each: int | None) -> None:
    """What was said holds; no image may spend more than the run; and a run's cap alone covers all shares, tightly."""
    try:
        (whole, part) = (cap.tokens for cap in share(images, Cap(tokens=run), Cap(tokens=each)))
    except UsageError:
        assert run is not None
        assert (run < images) if each is None else (each > run)
        return

    assert run in (None, whole)
    assert each in (None, part)
    if whole is None or part is None:
        assert run is each is whole is part
        return
    assert 1 <= part <= whole <= LARGEST_AMOUNT
    if each is None:
        assert whole - images < images * part <= whole
    if run is None:
        assert whole in (images * part, LARGEST_AMOUNT)
