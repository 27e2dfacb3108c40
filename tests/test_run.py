"""The seam is not only for maps: searches of three kinds are driven, stopped, resumed and replayed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pytest

from bbquery.client.client import Client
from bbquery.ledger.records import Cap
from bbquery.plan import Ask, Plan, Stopped, replay, together
from bbquery.run import Driven, drive
from bbquery.scoring.base import score_rows
from bbquery.types import Answer, Decision, Image, Label, Labels, Vector
from tests.support.chance import Chance
from tests.support.clocks import FakeClock
from tests.support.images import tiny_images
from tests.support.oracles import FakeOracle, brightness
from tests.support.scores import EachAlone

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bbquery.ledger.ledger import Ledger

SIDE = 8


@dataclass(frozen=True)
class IsCat(EachAlone):
    """A hard-label score: the criterion is that the label is cat."""

    target: str = "cat"

    def one(self, answer: Answer) -> tuple[Decision, float]:
        assert isinstance(answer, Labels)
        cat = answer.labels[0].name == "cat"
        return (Decision.MET if cat else Decision.NOT_MET), float(cat)


@dataclass(frozen=True)
class Brightness(EachAlone):
    target: str = "bright"

    def one(self, answer: Answer) -> tuple[Decision, float]:
        assert isinstance(answer, Vector)
        return Decision.UNDECIDED, float(answer.values[0])


def grey(level: float) -> Image:
    return np.full((SIDE, SIDE, 3), round(level), np.uint8)


def bisect(low: float, high: float, *, repeat: int = 1) -> Plan[tuple[float, float]]:
    """Narrow the boundary between what is no cat (low) and what is (high), in grey levels."""
    while high - low > 1:
        middle = (low + high) // 2
        try:
            scores = yield Ask(grey(middle)[None], repeat)
        except Stopped:
            break
        low, high = (low, middle) if scores.met[0] else (middle, high)
    return low, high


def climb(start: Image, steps: int, seed: int) -> Plan[tuple[float, int]]:
    """Search sequentially for brightness: each step asks one neighbour of the best image so far."""
    best, best_value, asked = start, -np.inf, 0
    for step in range(steps):
        candidate = best if step == 0 else _neighbour(best, np.random.default_rng((seed, step)))
        try:
            scores = yield Ask(candidate[None])
        except Stopped:
            break
        asked += 1
        if scores.value[0] > best_value:
            best, best_value = candidate, float(scores.value[0])
    return best_value, asked


def _neighbour(image: Image, rng: np.random.Generator) -> Image:
    moved: Image = np.clip(image.astype(int) + rng.integers(-20, 21, image.shape), 0, 255).astype(np.uint8)
    return moved


class NoisyBoundary:
    """Says cat above a grey level, and lies one time in five; equal questions get different answers."""

    def __init__(self, boundary: float) -> None:
        self.boundary, self.chance = boundary, Chance(3)

    def __call__(self, image: Image) -> Labels:
        truth = float(image[0, 0, 0]) >= self.boundary
        return Labels((Label("cat" if truth != (self.chance(image).random() < 0.2) else "dog"),))


def boundaries(image: Image) -> Labels:
    """A noiseless boundary at 100."""
    return Labels((Label("cat" if image[0, 0, 0] >= 100 else "dog"),))


def labelling(reply: Callable[[Image], Labels]) -> FakeOracle:
    return FakeOracle(reply, answers="labels", classes=None)


@dataclass
class Case:
    plan: Callable[[], Plan[object]]
    oracle: Callable[[], FakeOracle]
    score: IsCat | Brightness
    queries: int


CASES = {
    "noisy bisection": Case(
        lambda: bisect(0, 255, repeat=15),
        lambda: labelling(NoisyBoundary(173)),
        IsCat(),
        15 * 8,
    ),
    "sequential search": Case(lambda: climb(tiny_images(1)[0], 200, seed=5), FakeOracle, Brightness(), 200),
    "32 bisections": Case(
        lambda: together([bisect(i, 255) for i in range(32)]),
        lambda: labelling(boundaries),
        IsCat(),
        0,
    ),
}


async def run(case: Case, oracle: FakeOracle, ledger: Ledger, cap: int) -> tuple[Driven[object], Client]:
    budget = ledger.open_budget("run", Cap(queries=cap))
    async with Client(oracle, ledger, budget, clock=FakeClock()) as client:
        return await drive(case.plan(), client, case.score), client


@pytest.mark.parametrize("name", CASES)
async def test_a_search_is_stopped_resumed_and_replayed(name: str, ledger: Ledger) -> None:
    """Stopped half-way a plan returns its best so far; resumed it pays only for the rest; replayed it pays nothing."""
    case = CASES[name]
    oracle = case.oracle()

    stopped, _ = await run(case, oracle, ledger, cap=61)
    resumed, after = await run(case, oracle, ledger, cap=1000)
    total = oracle.billed
    replayed, again = await run(case, oracle, ledger, cap=1000)

    assert stopped.stopped is not None
    assert "61 queries" in stopped.stopped
    assert resumed.stopped is replayed.stopped is None
    assert after.tally.sent == total - 61
    assert again.tally.sent == 0
    assert replayed.result == resumed.result
    assert oracle.billed == total


async def test_repeats_find_a_boundary_behind_noise(ledger: Ledger) -> None:
    """A majority of 15 finds the boundary that one answer in five lies about."""
    case = CASES["noisy bisection"]

    driven, client = await run(case, case.oracle(), ledger, cap=1000)

    assert driven.result == (172, 173)
    assert client.tally.sent == case.queries


async def test_a_sequential_search_asks_one_by_one(ledger: Ledger) -> None:
    """200 dependent queries are 200 requests of one, and the same search without any client agrees."""
    case = CASES["sequential search"]
    oracle = case.oracle()

    driven, _ = await run(case, oracle, ledger, cap=1000)
    alone = replay(case.plan(), lambda ask: score_rows(case.score, [[brightness(ask.images[0])]]))

    assert oracle.batch_sizes == [1] * 200
    assert driven.result == alone


async def test_bisections_in_lock_step_share_rounds(ledger: Ledger) -> None:
    """32 bisections take as many rounds as the longest, and each ends where it would have ended alone."""
    case = CASES["32 bisections"]
    rounds = 0

    def counting() -> Plan[list[tuple[float, float]]]:
        nonlocal rounds
        plan = together([bisect(i, 255) for i in range(32)])
        ask = next(plan)
        while True:
            rounds += 1
            scores = yield ask
            try:
                ask = plan.send(scores)
            except StopIteration as end:
                return list(end.value)

    oracle = case.oracle()
    budget = ledger.open_budget("run", Cap(queries=1000))
    async with Client(oracle, ledger, budget, clock=FakeClock()) as client:
        driven = await drive(counting(), client, case.score)

    assert rounds == 8
    assert driven.result == [(99, 100)] * 32


async def test_every_paid_answer_reaches_a_stopped_plan(ledger: Ledger) -> None:
    """A plan stopped inside a batch of 10 with a cap of 6 is thrown six scores and four blanks."""
    seen: list[Stopped] = []

    def plan() -> Plan[int]:
        try:
            yield Ask(tiny_images(10))
        except Stopped as stop:
            seen.append(stop)
        return 0

    budget = ledger.open_budget("run", Cap(queries=6))
    async with Client(FakeOracle(), ledger, budget, clock=FakeClock()) as client:
        await drive(plan(), client, Brightness())

    (stop,) = seen
    assert len(stop.scores) == 10
    assert np.count_nonzero(~np.isnan(stop.scores.value)) == 6
    assert stop.scores.answers.sum() == 6
    assert stop.scores.undecided[np.isnan(stop.scores.value)].all()


async def test_a_plans_own_work_does_not_block_the_loop(ledger: Ledger) -> None:
    """A plan computes on a worker thread, so other drives go on meanwhile."""
    import threading

    threads: list[str] = []

    def plan() -> Plan[int]:
        threads.append(threading.current_thread().name)
        yield Ask(tiny_images(1))
        threads.append(threading.current_thread().name)
        return 0

    budget = ledger.open_budget("run", Cap(queries=6))
    async with Client(FakeOracle(), ledger, budget, clock=FakeClock()) as client:
        await drive(plan(), client, Brightness())

    assert all(name.startswith("bbquery-render") for name in threads)


async def test_scoring_does_not_block_the_loop(ledger: Ledger) -> None:
    """A score may take its time, as embeddings do: it too works on a worker thread."""
    import threading

    threads: list[str] = []

    class Slow(Brightness):
        def one(self, answer: Answer) -> tuple[Decision, float]:
            threads.append(threading.current_thread().name)
            return super().one(answer)

    def plan() -> Plan[int]:
        yield Ask(tiny_images(3))
        return 0

    budget = ledger.open_budget("run", Cap(queries=6))
    async with Client(FakeOracle(), ledger, budget, clock=FakeClock()) as client:
        await drive(plan(), client, Slow())

    assert len(threads) == 3
    assert all(name.startswith("bbquery-render") for name in threads)


async def test_what_a_score_cannot_read_is_counted(ledger: Ledger) -> None:
    """Over all batches, repeats included, what was not read is told with the result."""

    class Choosy(Brightness):
        def unread(self, answers: Sequence[Answer]) -> Counter[str]:
            return Counter(["each"] * len(answers))

    def plan() -> Plan[int]:
        yield Ask(tiny_images(3), repeat=2)
        yield Ask(tiny_images(2, seed=1))
        return 0

    budget = ledger.open_budget("run", Cap(queries=20))
    async with Client(FakeOracle(), ledger, budget, clock=FakeClock()) as client:
        driven = await drive(plan(), client, Choosy())

    assert driven.unread == {"each": 8}


async def test_what_a_search_was_sent_is_kept(ledger: Ledger) -> None:
    """The scores of a run give its result again without an oracle, repeats included, and its queries are counted."""
    case = CASES["noisy bisection"]

    driven, _ = await run(case, case.oracle(), ledger, cap=1000)

    assert replay(case.plan(), driven.recorded.answering()) == driven.result
    assert driven.asked == case.queries
    assert [len(driven.recorded[ask]) for ask in range(len(driven.recorded))] == [1] * 8


async def test_what_a_stop_left_out_is_not_counted(ledger: Ledger) -> None:
    """Of the ask that a cap cut short only the answered queries count, repeat by repeat."""
    case = CASES["noisy bisection"]

    driven, _ = await run(case, case.oracle(), ledger, cap=61)

    assert driven.asked == 61
    assert driven.recorded[len(driven.recorded) - 1].answers.tolist() == [1]
