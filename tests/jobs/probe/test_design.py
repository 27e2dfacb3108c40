"""What a probe asks: never more than allowed, nested, and the same images as an explanation asks."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bbquery.errors import UsageError
from bbquery.estimators.lr import LikelihoodRatio
from bbquery.jobs.probe.design import BLOCKS, FEWEST, SHARES, Condition, Design
from bbquery.perturb.masks import MaskedCopies, Upsampling
from bbquery.saliency.rise import Rise
from bbquery.types import UINT8, Images

X = np.random.default_rng(0).integers(0, 256, (31, 20, 3), dtype=np.uint8)


def pixels(images: Images) -> list[bytes]:
    return [np.ascontiguousarray(images[row]).tobytes() for row in range(len(images))]


@given(st.integers(FEWEST, 5000))
def test_no_more_is_asked_than_is_allowed(queries: int) -> None:
    """A design takes at most its queries and what it asks is what it says, five sixths of them where they are few."""
    design = Design.of(queries)

    assert design.queries == design.clean(X).queries + design.perturbed(X, UINT8, 0).queries <= queries
    assert design.queries >= min(queries, 400) * 5 // 6
    assert design.looks >= 5
    assert all(0 < c.twice < c.masks for c in design.conditions)
    assert len(design.condition_of) == len(design.perturbed(X, UINT8, 0).images)


def test_too_few_queries_are_refused() -> None:
    """Below the fewest the message says how many are needed."""
    with pytest.raises(UsageError, match="at least 20 queries, not 19"):
        Design.of(FEWEST - 1)


@given(st.integers(FEWEST, 300), st.integers(0, 100))
def test_a_larger_probe_asks_all_that_a_smaller_one_asked(queries: int, more: int) -> None:
    """Every condition's rows begin with those of a smaller design, so that their answers are found again."""
    small, large = Design.of(queries), Design.of(queries + 6 * more)
    shared = {(c.visible, c.cells, c.fill): c for c in large.conditions if c.usual}

    for condition in (c for c in small.conditions if c.usual):
        other = shared[condition.visible, condition.cells, condition.fill]
        rows = min(condition.masks, other.masks)
        np.testing.assert_array_equal(condition.rows[:rows], other.rows[:rows])


@pytest.mark.parametrize("share", SHARES)
def test_an_explanation_asks_the_same_masks(share: float) -> None:
    """Every image at a share of visible cells is one that RISE asks first at that share with this seed."""
    first = next(Rise(p=share).plan(X, UINT8, 7)).images
    condition = next(c for c in Design.of(400).conditions if c.visible == share and c.usual)

    assert set(pixels(condition.images(X, UINT8, 7))) <= set(pixels(first))


def test_a_gradient_asks_the_same_noise() -> None:
    """Every noisy image is one that the likelihood ratio asks first with this seed."""
    first = next(LikelihoodRatio().plan(X, UINT8, 7)).images
    (condition,) = (c for c in Design.of(100).conditions if c.visible is None)

    assert pixels(condition.images(X, UINT8, 7)) == pixels(first)[: condition.masks]


def test_no_two_shares_have_the_same_grid() -> None:
    """Masks of different shares of visible cells are drawn independently."""
    rows = [set(c.rows.tolist()) for c in Design.of(400).conditions if c.usual]

    assert sum(map(len, rows)) == len(set.union(*rows))


def test_other_fills_hide_the_same_pixels() -> None:
    """What differs between fills of one share is what is hidden, so that they are compared in pairs."""
    conditions = [c for c in Design.of(100).conditions if c.visible == 0.5 and c.cells == 7]
    usual, black, white = ([c.images(X, UINT8, 0)[row] for row in range(3)] for c in conditions)

    for grey, dark, light in zip(usual, black, white, strict=True):
        assert (dark <= grey).all()
        assert (grey.astype(int) <= light.astype(int) + 1).all()


def test_blocks_tell_how_much_of_each_is_visible() -> None:
    """The mean over a block is that of the mask's pixels, on sides that blocks do not divide too."""
    condition = Condition(visible=0.5, masks=2, twice=0, turn=2)
    masked = MaskedCopies(X, Upsampling((31, 20), 7), UINT8, p=0.5, fill=127.0, rows=256, key=(3, 0))
    mask = Upsampling((31, 20), 7).mask(*masked.draw(7))  # its second row: 1 * 5 + 2

    found = condition.blocks(X, UINT8, 3)[1]

    fine = np.repeat(np.repeat(mask, BLOCKS, axis=0), BLOCKS, axis=1)  # every pixel in thirds
    expected = fine.reshape(BLOCKS, 31, BLOCKS, 20).mean(axis=(1, 3))
    np.testing.assert_allclose(found, expected, atol=1e-12)
    assert found.mean() == pytest.approx(mask.mean())


def test_half_of_the_cells_show_about_half_of_the_photo() -> None:
    """The visible share is near the share of visible cells, and all of it under noise."""
    design = Design.of(400)
    visible = design.blocks(X, UINT8, 0).mean(axis=(1, 2))

    means = [visible[design.condition_of == place].mean() for place in range(len(design.conditions))]
    np.testing.assert_allclose(means[: len(SHARES)], SHARES, atol=0.06)
    assert means[-1] == 1


@pytest.mark.parametrize(
    ("condition", "name"),
    [
        (Condition(visible=0.75, masks=1, twice=0), "75% visible"),
        (Condition(visible=0.5, fill=0.0, cells=4, masks=1, twice=0), "50% visible, fill 0, 4×4"),
        (Condition(visible=None, sigma=16.0, masks=1, twice=0), "noise of 16 grey levels"),
    ],
)
def test_a_condition_says_what_it_is(condition: Condition, name: str) -> None:
    """Its name tells what differs from RISE's own."""
    assert condition.name == name
