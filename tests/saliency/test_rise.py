from __future__ import annotations

import itertools
import math
import tracemalloc
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from skimage.transform import resize

from bbquery.errors import UsageError
from bbquery.perturb.masks import Upsampling
from bbquery.plan import Ask, replay
from bbquery.saliency.rise import MaskEvidence, Rise
from bbquery.types import FLOAT, UINT8, Scores

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from bbquery.types import Domain, Image

    Form = Literal["centred", "published"]

WHITE = np.full((9, 12, 3), 255.0)  # with fill 0, a copy of it is its mask times 255


def answer(score: Callable[[Image], float]) -> Callable[[Ask], Scores]:
    """Answer each row with the score of its image."""

    def answers(ask: Ask) -> Scores:
        values = np.array([score(ask.images[row]) for row in range(len(ask.images))])
        return Scores(np.zeros(len(values), dtype=np.int8), values)

    return answers


def brightness(image: Image) -> float:
    """A score with something for and something against: left half minus lower quarter."""
    return float(image[:, :6].mean() - 2.0 * image[7:].mean()) / 255


def every_grid(s: int) -> NDArray[np.bool_]:
    """All 2^(s s) grids."""
    return np.array(list(itertools.product([False, True], repeat=s * s))).reshape(-1, s, s)


def bilinear_weights(s: int, size: tuple[int, int]) -> NDArray[np.float64]:
    """The weight (s, s, H, W) of every cell in every pixel of an unshifted mask, by skimage on one cell at a time."""
    up_size = [(s + 1) * math.ceil(side / s) for side in size]
    units = np.eye(s * s).reshape(-1, s, s)
    enlarge: Any = resize  # ships no types
    up = [enlarge(unit, up_size, order=1, mode="reflect", anti_aliasing=False) for unit in units]
    return np.array(up)[:, : size[0], : size[1]].reshape(s, s, *size)


@pytest.mark.parametrize("s", [2, 3])
def test_over_all_grids_of_an_additive_score_both_forms_have_their_closed_form(s: int) -> None:
    """An additive score's cell effects are in both maps as derived: f = b + Σ a_c m_c over all N unshifted grids.

    With w the bilinear weights of a pixel, which sum to 1,
    published: E[m_c m_d] = ¼ + δ/4 gives b + ½ Σ a_c + ½ Σ w_c a_c, affine in the cells' effects;
    centred: Σ w_c a_c, times N / (N - 1) since a complete enumeration has no sampling error for n - 1 to correct.
    """
    size, b = (8, 11), 3.0
    a = np.random.default_rng(s).normal(size=(s, s))
    grids = every_grid(s)
    evidence = MaskEvidence(Upsampling(size, s))

    evidence.add(grids, np.zeros((len(grids), 2), dtype=np.int64), b + (grids * a).sum(axis=(1, 2)))

    effects = np.tensordot(a, bilinear_weights(s, size), axes=2)
    n = len(grids)
    np.testing.assert_allclose(evidence.published(0.5), b + 0.5 * a.sum() + 0.5 * effects, atol=1e-12)
    np.testing.assert_allclose(evidence.centred(0.5), n / (n - 1) * effects, atol=1e-12)


def test_centred_evidence_is_unbiased_for_any_p() -> None:
    """Averaged over many seeds at p = 0.3, an additive score's cell effects come back, without the published offset."""
    s, size, p, n = 2, (4, 6), 0.3, 40
    a = np.array([[1.0, -2.0], [0.5, 0.0]])
    maps = []
    for seed in range(400):
        grids = np.random.default_rng(seed).random((n, s, s)) < p
        evidence = MaskEvidence(Upsampling(size, s))
        evidence.add(grids, np.zeros((n, 2), dtype=np.int64), 5.0 + (grids * a).sum(axis=(1, 2)))
        maps.append(evidence.centred(p))

    effects = np.tensordot(a, bilinear_weights(s, size), axes=2)
    error = np.std(maps, axis=0, ddof=1) / np.sqrt(len(maps))
    assert np.all(np.abs(np.mean(maps, axis=0) - effects) < 5 * error)


@given(
    stop_after=st.integers(0, 24),
    batch=st.integers(1, 25),
    refused=st.sets(st.integers(0, 22)),
    form=st.sampled_from(["centred", "published"]),
)
@settings(deadline=None, max_examples=60)
def test_stopped_anywhere_it_returns_the_map_of_exactly_the_answered_rows(
    stop_after: int, batch: int, refused: set[int], form: Form
) -> None:
    """Stopped at any query, refusals anywhere: the map is that of the answered rows as if no other had been asked.

    Checked against the formula over the masks that were really sent.
    """
    sent: list[Image] = []

    def score(image: Image) -> float:
        sent.append(image)
        return math.nan if len(sent) - 1 in refused else brightness(image)

    rise = Rise(queries=23, form=form, cells=3, p=0.4, fill=0.0, batch=batch)
    found = replay(rise.plan(WHITE, FLOAT, 0), answer(score), stop_after=stop_after)

    kept = [sent[i] for i in range(min(stop_after, 23)) if i not in refused]
    assert (found.rows, found.answered, len(sent)) == (23, len(kept), min(stop_after, 23))
    assert found.partial == (len(kept) < 23)
    np.testing.assert_allclose(found.values, _formula(form, kept, p=0.4), atol=1e-12)


def _formula(form: Form, images: list[Image], *, p: float) -> NDArray[np.float64]:
    n = len(images)
    total = np.zeros(WHITE.shape[:2])
    if n == 0 or (form == "centred" and n == 1):
        return total
    f = np.array([brightness(image) for image in images])
    for i, image in enumerate(images):
        others = np.delete(f, i).mean() if form == "centred" else 0.0
        total += (f[i] - others) * image[..., 0] / 255
    return total / (n * p * ((1 - p) if form == "centred" else 1.0))


@pytest.mark.parametrize("domain", [UINT8, FLOAT], ids=lambda d: d.dtype)
def test_a_constant_in_the_score_changes_nothing_once_centred(domain: Domain) -> None:
    """Adding 1000 to a score of size 1 leaves the centred map as it was, to rounding."""
    plan = Rise(queries=100, cells=3, fill=0.0).plan

    plain = replay(plan(WHITE, domain, 0), answer(brightness))
    raised = replay(plan(WHITE, domain, 0), answer(lambda image: 1e3 + brightness(image)))

    np.testing.assert_allclose(raised.values, plain.values, atol=1e-10)


@pytest.mark.parametrize("constant", [1 / 3, 0.0, -7.1])
def test_a_score_that_never_moves_gives_a_map_of_zeros(constant: float) -> None:
    """No rounding is drawn as evidence: where every answer scores the same, the centred map is exactly 0."""
    found = replay(Rise(queries=50, cells=3, batch=7).plan(WHITE, UINT8, 0), answer(lambda _: constant))

    assert not found.values.any()


def test_evidence_for_is_positive_and_evidence_against_negative() -> None:
    """A score that likes the left half and dislikes the bottom gets a map that says so, with its sign and unit."""
    found = replay(Rise(queries=600, cells=3, fill=0.0).plan(WHITE, UINT8, 0), answer(brightness))

    assert found.values[:4, :3].min() > 0
    assert found.values[8, 9:].max() < 0
    assert (found.signed, found.unit) == (True, "score gained by revealing a cell")


def test_the_published_form_is_marked_unsigned() -> None:
    """The published map is a mean score: its zero means nothing, and it says so."""
    found = replay(Rise(queries=600, form="published", cells=3, fill=0.0).plan(WHITE, UINT8, 0), answer(lambda _: 0.7))

    assert (found.signed, found.unit) == (False, "mean score where the pixel is visible")
    np.testing.assert_allclose(found.values, 0.7, atol=0.15)


@pytest.mark.parametrize("form", ["centred", "published"])
def test_the_same_seed_gives_the_same_bits_and_another_seed_another_map(form: Form) -> None:
    """A plan is a function of its arguments, its seed and the scores."""
    plan = Rise(queries=40, form=form, cells=3, batch=16).plan

    first, again, other = (replay(plan(WHITE, UINT8, seed), answer(brightness)).values for seed in (7, 7, 8))

    np.testing.assert_array_equal(first, again)
    assert np.abs(first - other).max() > 0


def test_memory_does_not_grow_with_queries() -> None:
    """Sixteen times the masks take no more memory at their peak than one more image would."""
    x = np.full((48, 48, 3), 128, dtype=np.uint8)
    peaks = []
    for queries in (64, 1024):
        tracemalloc.start()
        replay(Rise(queries=queries, batch=64).plan(x, UINT8, 0), answer(lambda image: float(image[0, 0, 0])))
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()

    assert peaks[1] - peaks[0] < x.nbytes


def test_a_share_p_of_the_photo_is_visible() -> None:
    """The masks that are sent keep a share p of the photo on average."""
    shares: list[float] = []

    def score(image: Image) -> float:
        shares.append(float(image.mean()) / 255)
        return 0.0

    replay(Rise(queries=400, cells=3, p=0.9, fill=0.0).plan(WHITE, FLOAT, 0), answer(score))

    assert abs(np.mean(shares) - 0.9) < 5 * np.std(shares) / np.sqrt(400)


def test_every_mask_is_asked_once_in_batches() -> None:
    """It asks `queries` rows in all, `batch` at a time, no two alike."""
    asked: list[int] = []
    seen: set[bytes] = set()

    def score(ask: Ask) -> Scores:
        asked.append(len(ask.images))
        seen.update(ask.images[row].tobytes() for row in range(len(ask.images)))
        return Scores.blank(len(ask.images))

    replay(Rise(queries=50, batch=20).plan(WHITE, UINT8, 0), score)

    assert (asked, len(seen)) == ([20, 20, 10], 50)


@pytest.mark.parametrize(
    ("name", "value"),
    [("queries", 0), ("form", "signed"), ("cells", 0), ("p", 0.0), ("p", 1.0), ("fill", 256.0), ("batch", 0)],
)
def test_values_that_cannot_work_are_refused_before_anything_is_asked(name: str, value: Any) -> None:
    """A constructor value out of range, or an unknown form, is a UsageError that names it."""
    with pytest.raises(UsageError, match=name):
        Rise(**{name: value})


def test_its_repr_is_its_constructor_call() -> None:
    """A printed map can be pasted back."""
    assert repr(Rise(queries=5)) == ("Rise(queries=5, form='centred', cells=7, p=0.5, fill=127.0, batch=256)")


def test_refusals_are_told_against_what_was_visible() -> None:
    """A model that refuses what it sees too much of is seen to: every refusal counts, in the range of its mask."""

    def shy(ask: Ask) -> Scores:
        values = np.array([ask.images[row].mean() for row in range(len(ask.images))])
        return Scores(np.ones(len(values), dtype=np.int8), np.where(values > 140, np.nan, values))

    found = replay(Rise(queries=300, cells=4, fill=0.0).plan(np.full((20, 20, 3), 255.0), FLOAT, 0), shy)

    assert sum(part.asked for part in found.visibility) == 300
    assert sum(part.unanswered for part in found.visibility) == 300 - found.answered
    dark, bright = found.visibility[0], found.visibility[-1]
    assert dark.unanswered == 0
    assert bright.unanswered == bright.asked


@pytest.mark.parametrize("after", [0, 3, 10])
def test_what_was_never_asked_is_no_refusal(after: int) -> None:
    """Stopped, it counts what was answered."""
    plan = Rise(queries=20, batch=7).plan(np.full((20, 20, 3), 255.0), FLOAT, 0)

    found = replay(plan, answer(brightness), stop_after=after)

    assert sum(part.asked for part in found.visibility) == found.answered == after
    assert not any(part.unanswered for part in found.visibility)
