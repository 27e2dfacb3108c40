"""What a probe costs, that nothing is asked twice, and what goes wrong."""

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
from bbquery.ledger.ledger import Ledger
from bbquery.ledger.records import Cap
from bbquery.report.probe import own_part
from bbquery.report.record import encoded
from bbquery.units import Units
from tests.support.bookkeeping import guard_caps
from tests.support.oracles import FakeOracle

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bbquery.client.client import Client
    from bbquery.types import Image
from tests.support.probing import PHOTO, linear, oracle_of, probed, visible

pytestmark = pytest.mark.slow

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
        guard_caps(opened)
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
        ({"max_queries": 19}, "20 queries, and 19 queries allow 19: raise max_queries"),
        ({"max_usd": "0.02"}, r"\$0.03, and \$0.02 allow 13: raise max_usd"),
        ({"max_tokens": 50}, "100 tokens, and 50 tokens allow 10: raise max_tokens"),
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
        PHOTO,
        oracle,
        method=found.advice.method,
        score=found.advice.score,
        max_queries=300,
        verify=0,
        ledger=ledger,
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

    with pytest.raises(NothingToExplain, match="say with target"):
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
