"""Probes of oracles whose truth is known: what is found, what it costs, and that nothing is asked twice."""

from __future__ import annotations

import asyncio
import itertools
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import bbquery
from bbquery.client.halt import Interrupted
from bbquery.errors import BudgetExhausted, Rejected, UsageError
from bbquery.jobs.job import NothingToExplain
from bbquery.jobs.probe.design import FEWEST, SHARES, Design
from bbquery.ledger.records import Cap
from bbquery.ledger.sqlite import Ledger
from bbquery.report.probe import own_part
from bbquery.report.record import encoded
from bbquery.units import Units
from oracles import function
from tests.support.bookkeeping import guard_caps
from tests.support.oracles import FakeOracle

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from bbquery.client.client import Client
    from bbquery.jobs.probe.result import Probe
    from bbquery.oracle import Oracle
    from bbquery.types import Image

PHOTO = np.full((28, 28, 3), 247, dtype=np.uint8)
"""Nearly white, so that behind grey masks the visible share can be read off the mean."""

OWN = "tests.support.scores:First"


def visible(image: Image) -> float:
    """Return the share of the photo that is visible through a mask of mid-grey."""
    return float((image.mean() - 127) / 120)


def linear(image: Image) -> list[float]:
    """A probability that is linear in what is visible, and does not vary."""
    share = min(max(visible(image), 0.0), 1.0)
    return [0.2 + 0.6 * share, 0.8 - 0.6 * share]


def oracle_of(call: Callable[[Image], Any], **options: Any) -> Oracle:
    return function.connect(call, version="1", **options)


async def probed(
    oracle: Oracle, ledger: Ledger, *, queries: int = 100, scores: tuple[str, ...] = ("soft",), **options: Any
) -> Probe:
    return await bbquery.probe_async(PHOTO, oracle, score=scores, max_queries=queries, ledger=ledger, **options)


# --- oracles with a known answer ---


async def test_a_linear_probability_without_noise(ledger: Ledger) -> None:
    """It is reliable, explained by a map, differs most at half the cells, and its range and decisions are exact."""
    found = await probed(oracle_of(linear, classes=["white", "grey"]), ledger, queries=400)

    (figures,) = found.scores["soft"]
    assert figures.noise.value == figures.within == 0
    assert figures.flips.value == found.clean.flips.value == 0
    assert figures.reliability.value == 1
    assert figures.explained == pytest.approx(1, abs=0.02)
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
    rng = np.random.default_rng(0)

    def noisy(image: Image) -> list[float]:
        return [linear(image)[0] + rng.normal(0, 0.05), 0.0]

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
    rng = np.random.default_rng(4)

    def flipping(image: Image) -> str:
        return "dog" if rng.random() < 0.3 else "cat"

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
    rng = np.random.default_rng(2)
    found = await probed(
        oracle_of(lambda image: [float(rng.normal()), 0.0], answers="scores", classes=["a", "b"]), ledger, queries=400
    )

    assert found.advice.queries == 0
    assert "what changes is noise, and more masks do not mend that" in found.advice.reasons[-1]


async def test_a_small_probe_is_not_fooled_by_noise(ledger: Ledger) -> None:
    """What differs on the photo itself as much as behind masks is noise, though few repeats may look reliable."""
    said = []
    for seed in range(8):
        rng = np.random.default_rng(seed)

        def noisy(image: Image, rng: np.random.Generator = rng) -> list[float]:
            share = float(rng.random())
            return [share, 1 - share]

        oracle = function.connect(noisy, classes=["a", "b"], version=str(seed))
        found = await probed(oracle, ledger, queries=60, target="a")
        said.append(found.advice.queries)

    assert said.count(0) >= 7
    assert max(said) <= 1000


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
    rng = np.random.default_rng(0)

    def two(image: Image) -> list[float]:
        return [linear(image)[0], float(rng.normal(0, 5))]

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


# --- what it costs ---


@settings(max_examples=25)
@given(
    queries=st.integers(FEWEST, 150),
    dollars=st.one_of(st.none(), st.integers(20, 200)),
    tokens=st.one_of(st.none(), st.integers(20 * 7, 2000)),
    hold=st.sampled_from([Units(1), Units(1, 7, 10**12), Units(1, 3, 10**11)]),
    fails=st.one_of(st.none(), st.integers(0, 150)),
)
def test_no_cap_is_ever_passed(
    queries: int, dollars: int | None, tokens: int | None, hold: Units, fails: int | None
) -> None:
    """Whatever the caps, the prices and the faults, the database lets nothing pass them and the bill stays below."""
    with TemporaryDirectory() as folder, Ledger(Path(folder) / "ledger.sqlite3") as opened:
        guard_caps(opened.path)
        oracle = FakeOracle(hold=hold, largest_batch=1, script=lambda n: Rejected("no") if n == fails else None)
        usd = None if dollars is None else str(dollars)

        try:
            found = asyncio.run(probed(oracle, opened, queries=queries, max_tokens=tokens, max_usd=usd))
        except Rejected:  # no look at the photo was answered
            found = None

        assert oracle.billed <= queries
        if found is not None:
            assert found.answers.design.queries <= queries
            assert found.budget.posted.within(Units(queries, tokens or 10**9, (dollars or 10**6) * 10**12))


@pytest.mark.parametrize(
    ("caps", "said"),
    [
        ({"max_queries": 19}, "20 queries, and 19 queries allow 19: raise --max-queries"),
        ({"max_usd": "0.02"}, r"\$0.03, and \$0.02 allow 13: raise --max-usd"),
        ({"max_tokens": 50}, "100 tokens, and 50 tokens allow 10: raise --max-tokens"),
        ({"max_queries": 0}, "allows nothing"),
    ],
)
async def test_too_small_a_cap_is_refused_before_anything_is_sent(
    ledger: Ledger, caps: dict[str, Any], said: str
) -> None:
    """The message says what the fewest queries may come to, and no budget is made."""
    oracle = FakeOracle(hold=Units(1, 5, 1_500_000_000))

    with pytest.raises(UsageError, match=said):
        await bbquery.probe_async(PHOTO, oracle, ledger=ledger, **caps)

    assert oracle.requests == 0
    assert ledger.read(lambda c: c.execute("SELECT count(*) FROM budget").fetchone()) == (0,)


async def test_a_small_cap_in_dollars_makes_a_small_probe(ledger: Ledger) -> None:
    """Where 100 queries might pass the cap fewer are planned, all of which are asked."""
    oracle = FakeOracle(hold=Units(1, 0, 10**10))

    found = await probed(oracle, ledger, max_usd="0.45")

    assert found.answers.design == Design.of(45)
    assert not found.partial
    assert found.error is None
    assert found.budget.picodollars_a_query == 10**10


async def test_a_second_probe_asks_nothing(ledger: Ledger) -> None:
    """All is stored; another target and other scores are free too, and the budget is the same."""
    oracle = FakeOracle()
    first = await probed(oracle, ledger)

    again = await probed(oracle, ledger, scores=("soft", "soft:form=margin"), target="dark")

    assert first.queries.sent == first.answers.design.queries == oracle.billed
    assert again.queries.sent == 0
    assert again.budget == first.budget
    assert {f.target for of in again.scores.values() for f in of} == {"dark"}


class StopsAfter(bbquery.Watch):
    """Interrupts the run after so many answers."""

    def __init__(self, answers: int) -> None:
        self._left: Iterator[int] = iter(range(answers))
        self.clients: list[Client] = []

    def started(self, client: Client, queries: int, rows: int) -> None:
        self.clients.append(client)

    def progressed(self) -> None:
        if next(self._left, None) is None:
            self.clients[0].halt.set(Interrupted("enough"))


@pytest.mark.parametrize("answers", [15, 40, 80])
async def test_an_interrupted_probe_resumes(ledger: Ledger, answers: int) -> None:
    """It gives figures of what was answered, and the same again asks for the rest only."""
    oracle = FakeOracle(largest_batch=1, concurrency=1)
    whole = Design.of(98).queries  # two of the 100 are kept for lost ones

    partial = await probed(oracle, ledger, watch=StopsAfter(answers))
    paid = oracle.billed
    rest = await probed(oracle, ledger)

    assert partial.partial
    assert isinstance(partial.error, Interrupted)
    assert answers <= paid < whole
    assert sum(f.use.values for f in partial.scores["soft"]) <= paid
    assert not rest.partial
    assert oracle.billed == whole


async def test_a_larger_probe_pays_for_the_difference_only(ledger: Ledger) -> None:
    """What a smaller one asked of the photo and at each share is found again."""
    oracle = FakeOracle()
    small = await probed(oracle, ledger, queries=40)

    large = await probed(oracle, ledger, queries=59)

    assert large.queries.from_store == small.answers.design.queries
    assert oracle.billed == large.answers.design.queries


async def test_the_recommended_explanation_finds_its_answers(ledger: Ledger) -> None:
    """Where RISE is recommended, it pays for none of the masks that were asked at its share of visible cells."""

    def shy(image: Image) -> list[float] | None:
        return linear(image) if visible(image) > 0.6 else None

    oracle = oracle_of(shy, classes=["white", "grey"])
    found = await probed(oracle, ledger, queries=400)
    place = SHARES.index(found.advice.visible)

    explained = await bbquery.explain_async(
        PHOTO, oracle, method=found.advice.method, score=found.advice.score, max_queries=300, ledger=ledger
    )

    assert found.advice.method.startswith("rise")
    assert explained.queries.from_store == 1 + found.answers.design.conditions[place].masks


async def test_equal_probes_are_equal_to_the_byte(tmp_path: Path) -> None:
    """Same oracle and seed, other ledger and number of threads: the same numbers; another seed: others."""
    records, runs = [], []
    for name, (seed, concurrency) in itertools.zip_longest("abc", [(3, 1), (3, 7), (4, 1)]):
        with Ledger(tmp_path / f"{name}.sqlite3") as opened:
            found = await probed(FakeOracle(concurrency=concurrency), opened, seed=seed)
            runs.append(found.run)
            records.append(encoded(own_part(found, ["next"])))

    assert records[0] == records[1] != records[2]
    assert runs[0] == runs[1] != runs[2]


# --- what goes wrong ---


async def test_a_photo_that_is_always_refused_ends_it(ledger: Ledger) -> None:
    """Without one answer to the photo there is nothing to compare with: only the looks at it are asked."""
    asked: list[int] = []

    with pytest.raises(NothingToExplain, match="asked 10 times: 10 × refused"):
        await probed(oracle_of(lambda image: asked.append(1), classes=["a"]), ledger)

    assert len(asked) == 10


async def test_a_photo_that_is_sometimes_refused_does_not(ledger: Ledger) -> None:
    """Scores are bound to the first answer there is; the refusals are told."""
    turns = itertools.cycle([None, [0.6, 0.4]])

    found = await probed(oracle_of(lambda image: next(turns), classes=["a", "b"]), ledger)

    assert (found.clean.answered, found.clean.kinds) == (5, {"refused": 5})
    assert "the photo itself got no answer 5 of 10 times" in found.advice.warnings


async def test_a_photo_in_which_nothing_is_named_needs_a_target(ledger: Ledger) -> None:
    """An empty list of labels has no top; with a target it is an answer like others."""
    oracle = oracle_of(lambda image: [], answers="labels")

    with pytest.raises(NothingToExplain, match="--target"):
        await probed(oracle, ledger)

    found = await probed(oracle, ledger, target="cat")
    assert found.clean.labels == {"": 10}


async def test_a_failing_oracle_leaves_partial_figures(ledger: Ledger) -> None:
    """What was answered before the failure is worked out; what ended the run is told."""
    oracle = FakeOracle(largest_batch=1, script=lambda n: Rejected("the key was withdrawn") if n >= 50 else None)

    found = await probed(oracle, ledger)

    assert found.partial
    assert "withdrawn" in str(found.error)
    assert 0 < found.scores["soft"][0].use.values < 85
    assert found.scores["soft"][0].conditions[-1].masks == 0


async def test_an_oracle_that_fails_at_once_is_an_error(ledger: Ledger) -> None:
    """Without an answer to the photo the failure itself is raised."""
    with pytest.raises(Rejected, match="bad key"):
        await probed(FakeOracle(script=lambda n: Rejected("bad key")), ledger)


async def test_a_projects_cap_ends_it_with_figures(ledger: Ledger) -> None:
    """A budget above the run's is not known to the plan: it stops the run, never passed."""
    ledger.open_budget("audit", Cap(queries=60))

    found = await probed(FakeOracle(largest_batch=1), ledger, project="audit")

    assert isinstance(found.error, BudgetExhausted)
    assert ledger.budget(ledger.find_budget("audit")).posted.queries == 60
    assert found.budget.name.startswith("audit/probe-")


async def test_two_targets_are_told_apart(ledger: Ledger) -> None:
    """Each target has its own figures from the same answers."""
    found = await probed(oracle_of(linear, classes=["white", "grey"]), ledger, target=["white", "grey"])

    white, grey = found.scores["soft"]
    known = ~np.isnan(white.values)
    np.testing.assert_allclose((white.values + grey.values)[known], 1)
    assert (white.target, grey.target) == ("white", "grey")
