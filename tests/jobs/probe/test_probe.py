"""Probes of oracles whose truth is known: what is found."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from bbquery.jobs.probe.design import SHARES
from oracles import function

if TYPE_CHECKING:
    from bbquery.jobs.probe.result import Probe
    from bbquery.ledger.ledger import Ledger
    from bbquery.types import Image
from tests.support.chance import Chance
from tests.support.probing import linear, oracle_of, probed, visible

pytestmark = pytest.mark.slow

OWN = "tests.support.scores:First"


# --- oracles with a known answer ---


async def test_a_linear_probability_without_noise(ledger: Ledger) -> None:
    """It is reliable, explained by a map, differs most at half the cells, and its range and decisions are exact."""
    found = await probed(oracle_of(linear, classes=["white", "grey"]), ledger, queries=400)

    (figures,) = found.scores["soft"]
    assert figures.noise.value == figures.within == 0
    assert figures.flips.value == found.clean.flips.value == 0
    assert figures.reliability.value == 1
    assert figures.explained.share == pytest.approx(1, abs=0.02)
    assert figures.clean == pytest.approx(np.full(20, 0.8))
    truth = 0.2 + 0.6 * found.answers.visible
    usual = found.answers.design.condition_of < len(SHARES)
    np.testing.assert_allclose(figures.values[usual, 0], truth[usual], atol=0.003)  # grey levels are whole
    for condition, mask_values in zip(figures.usual, _by_share(found, truth), strict=True):
        assert condition.met.value == pytest.approx((mask_values > 0.5).mean(), abs=0.05)
        assert condition.between == pytest.approx(mask_values.var(ddof=1), rel=0.15)  # masks asked twice weigh more
    assert found.advice.visible == 0.5
    assert found.advice.method == "designed:cells=7"
    assert found.advice.queries == 120  # a quarter of 460: 49 cells, a correlation of 0.95, all of it explained
    assert found.advice.warnings == ()


def _by_share(found: Probe, values: np.ndarray) -> list[np.ndarray]:
    return [values[found.answers.rows_of(place)] for place in range(len(SHARES))]


async def test_known_noise_lies_within_the_interval(ledger: Ledger) -> None:
    """Of an oracle with a standard deviation of 0.05, noise and reliability are found, and a map needs more queries."""
    chance = Chance(0)

    def noisy(image: Image) -> list[float]:
        return [linear(image)[0] + chance(image).normal(0, 0.05), 0.0]

    found = await probed(oracle_of(noisy, answers="scores", classes=["white", "grey"]), ledger, queries=400)

    (figures,) = found.scores["soft"]
    assert figures.noise.n == 20
    assert figures.noise.low <= 0.05 <= figures.noise.high
    assert figures.within**0.5 == pytest.approx(0.05, rel=0.2)
    pooled = float(np.mean([values.var(ddof=1) for values in _by_share(found, 0.2 + 0.6 * found.answers.visible)]))
    assert figures.reliability.low <= pooled / (pooled + 0.05**2) <= figures.reliability.high
    assert found.advice.repeats == 1
    assert found.advice.worth[2] == pytest.approx(1 / (1 + figures.reliability.value))
    assert found.advice.queries >= 120


async def test_a_label_that_flips_at_a_known_rate(ledger: Ledger) -> None:
    """Of a label that is another one 3 times in 10, the interval holds the rate, and a vote and a warning follow."""
    chance = Chance(4)

    def flipping(image: Image) -> str:
        return "dog" if chance(image).random() < 0.3 else "cat"

    found = await probed(oracle_of(flipping, answers="labels"), ledger, queries=400, target="cat")

    (figures,) = found.scores["soft"]
    assert found.clean.flips.n == 20
    assert found.clean.flips.low <= 0.3 <= found.clean.flips.high
    assert set(found.clean.labels) == {"cat", "dog"}
    assert figures.flips.value == found.clean.flips.value
    assert figures.reliability.low <= 0.1  # the masks do nothing
    assert found.advice.votes is not None
    assert found.advice.votes > 1
    assert any("label of the photo itself flips" in warning for warning in found.advice.warnings), found.advice.warnings
    assert any("hardly moves" in warning for warning in found.advice.warnings)


async def test_refusals_are_counted_by_what_is_visible(ledger: Ledger) -> None:
    """An oracle that refuses images with less than half to see is found out, and asked where it answers."""

    def shy(image: Image) -> list[float] | None:
        return linear(image) if visible(image) > 0.6 else None

    found = await probed(oracle_of(shy, classes=["white", "grey"]), ledger, queries=400)

    truth = [float((shares <= 0.6).mean()) for shares in _by_share(found, found.answers.visible)]
    for came, share in zip(found.came, truth, strict=False):
        assert came.refused.value == pytest.approx(share, abs=0.12)  # second answers weigh the first masks more
        assert came.refused.low - 0.05 <= share <= came.refused.high + 0.05
    assert found.came[SHARES.index(0.1)].kinds == {"refused": 60}
    assert found.clean.answered == 20
    assert found.advice.visible >= 0.75
    assert found.advice.method == f"rise:p={found.advice.visible:g}"
    assert "as by designed" in found.advice.reasons[2]
    assert any("60 of 60 images with 10% visible got no answer (60 refused)" in w for w in found.advice.warnings)


async def test_a_share_that_is_mostly_refused_tells_little(ledger: Ledger) -> None:
    """Where nine of ten images of half the cells get no answer another share is taken, though these differ most."""

    def picky(image: Image) -> list[float] | None:
        often_refused = 0.35 < visible(image) < 0.65 and int(image.sum()) % 10
        return None if often_refused else linear(image)

    found = await probed(oracle_of(picky, classes=["white", "grey"]), ledger, queries=400)

    half = found.scores["soft"][0].conditions[SHARES.index(0.5)]
    answered = found.came[SHARES.index(0.5)].share_answered
    assert answered < 0.5
    assert half.information == pytest.approx(half.between * answered)
    assert found.advice.visible != 0.5


async def test_a_score_that_never_moves_is_warned_of(ledger: Ledger) -> None:
    """A constant answer has no reliability; the warning says what to do, and the usual masks are named."""
    found = await probed(oracle_of(lambda image: [0.7, 0.3], classes=["a", "b"]), ledger)

    (figures,) = found.scores["soft"]
    (warning,) = found.advice.warnings
    assert np.isnan(figures.reliability.value)
    assert figures.use.distinct == 1
    assert "all 85 answers behind masks score 0.7" in warning
    assert "--target" in warning
    assert found.advice.visible == 0.5
    assert found.advice.queries == 0
    assert found.advice.reasons[-1].startswith("do not spend more here: all 85 answers behind masks score 0.7")


async def test_a_score_that_mostly_says_nothing_is_warned_of(ledger: Ledger) -> None:
    """A label that is listed only for the bare photo leaves the score at its 'no information' behind masks."""
    found = await probed(
        oracle_of(lambda image: "cat" if visible(image) > 0.99 else "fog", answers="labels"), ledger, target="cat"
    )

    (figures,) = found.scores["soft"]
    assert figures.use.nothing.value > 0.9
    assert "hardly moves" in found.advice.warnings[0]
    assert found.advice.queries == 0


async def test_noise_alone_is_worth_no_further_query(ledger: Ledger) -> None:
    """A score that masks do not move, but chance does, is not to be paid for: no larger run would mend it."""
    chance = Chance(2)

    def noise(image: Image) -> list[float]:
        return [float(chance(image).normal()), 0.0]

    found = await probed(oracle_of(noise, answers="scores", classes=["a", "b"]), ledger, queries=400, target="a")

    assert found.advice.queries == 0
    assert "what changes is noise, and more masks do not mend that" in found.advice.reasons[-1]


async def test_a_small_probe_is_not_fooled_by_noise(ledger: Ledger) -> None:
    """What differs on the photo itself as much as behind masks is noise, though few repeats may look reliable."""
    said = []
    for seed in range(40):

        def noisy(image: Image, chance: Chance = Chance(seed)) -> list[float]:  # noqa: B008 - one for each seed
            share = float(chance(image).random())
            return [share, 1 - share]

        oracle = function.connect(noisy, classes=["a", "b"], version=str(seed))
        found = await probed(oracle, ledger, queries=60, target="a")
        said.append(found.advice.queries)

    assert said.count(0) >= 35
    assert sum(queries > 1000 for queries in said) == 0


async def test_half_is_not_hidden_where_no_such_mask_moves_the_score(ledger: Ledger) -> None:
    """Where only one nearly hidden copy scores differently, resamples without it are no evidence for hiding half."""
    fewest = min(share for share in map(visible, await _images(ledger)) if share > 0)  # below 0 behind black

    def rare(image: Image) -> list[float]:
        return [float(visible(image) != fewest), 0.5]

    found = await probed(oracle_of(rare, answers="scores", classes=["a", "b"]), ledger, queries=100, target="a")

    (figures,) = found.scores["soft"]
    assert figures.usual[SHARES.index(0.5)].information == 0
    assert figures.usual[SHARES.index(0.5)].best > 0.05
    assert found.advice.method == f"rise:p={min(SHARES):g}"


async def _images(ledger: Ledger) -> list[Image]:
    """Return what a probe of 100 queries asks."""
    asked: list[Image] = []

    def noting(image: Image) -> list[float]:
        asked.append(image)
        return linear(image)

    await probed(oracle_of(noting, classes=["white", "grey"]), ledger, queries=100)
    return asked


async def test_no_run_is_larger_than_can_be_justified(ledger: Ledger) -> None:
    """Where too few masks, or a score that no coarse map explains, give no number, it is the usual one at most."""
    hashed = oracle_of(lambda image: [float(int(image.sum()) * 7919 % 1009), 0.0], answers="scores", classes=["a", "b"])
    unexplained = await probed(hashed, ledger, queries=400)
    few = await probed(oracle_of(linear, classes=["white", "grey"]), ledger, queries=25)

    assert unexplained.advice.queries == few.advice.queries == 1000
    assert "so perhaps nothing" in unexplained.advice.reasons[-1]
    assert few.advice.method == "designed:cells=7,until=stable"
    assert "so few masks do not tell how many, and it stops once its map is stable" in few.advice.reasons[-1]


async def test_what_a_score_cannot_read_is_warned_of(ledger: Ledger) -> None:
    """Answers that a score makes nothing of are counted, apart from refusals."""

    def half_without_number(image: Image) -> list[tuple[str, float]] | str:
        return [("cat", linear(image)[0])] if int(image.sum()) % 2 else "cat"

    found = await probed(oracle_of(half_without_number, answers="labels"), ledger, scores=(OWN,), queries=200)

    (figures,) = found.scores[OWN]
    assert 0.2 < figures.use.unread.value < 0.8
    assert any("could not be read" in warning for warning in found.advice.warnings)


async def test_the_less_noisy_score_is_recommended(ledger: Ledger) -> None:
    """Where one number moves with the masks and another is noise, reliability decides."""
    chance = Chance(0)

    def two(image: Image) -> list[float]:
        return [linear(image)[0], float(chance(image).normal(0, 5))]

    found = await probed(
        oracle_of(two, answers="scores", classes=["a", "b"]), ledger, scores=("soft", OWN), target="b", queries=200
    )

    assert found.advice.score == OWN
    assert [f.reliability.value > 0.9 for (f,) in found.scores.values()] == [False, True]


async def test_of_reliable_scores_that_which_a_map_explains_is_recommended(ledger: Ledger) -> None:
    """Without noise both are reliable; the one that masks explain is taken, not the one that hashes pixels."""

    def two(image: Image) -> list[float]:
        return [linear(image)[0], float(int(image.sum()) * 7919 % 1009)]

    found = await probed(
        oracle_of(two, answers="scores", classes=["a", "b"]), ledger, scores=("soft", OWN), target="b", queries=200
    )

    assert found.advice.score == OWN
    assert "a coarse map explains" in found.advice.reasons[0]
