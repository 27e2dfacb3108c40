"""Plans as values: stepping, stopping, replaying, and running several in lock-step."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bbquery.errors import UsageError
from bbquery.plan import Ask, Plan, Returned, Rows, Stopped, Yielded, concatenate, replay, step, together
from bbquery.types import Image, Scores

if TYPE_CHECKING:
    from numpy.typing import NDArray


def numbered(first: int, count: int) -> NDArray[np.int64]:
    """Return images (count, 1, 1, 3) that are known by their numbers."""
    return np.repeat(np.arange(first, first + count), 3).reshape(count, 1, 1, 3)


def number(image: Image) -> int:
    return int(image[0, 0, 0])


def numbers(ask: Ask) -> list[int]:
    return [number(ask.images[row]) for row in range(len(ask.images))]


def echo(ask: Ask) -> Scores:
    """Answer every row with its image's number, as often as it is asked."""
    value = np.array(numbers(ask), dtype=np.float64)
    return Scores(np.ones(len(value), np.int8), value, value / 2, np.array(ask.repeats, dtype=np.int64))


@dataclass
class Noted:
    """What a plan was sent: values, counts, and why it was stopped."""

    values: list[list[float]] = field(default_factory=list)
    answers: list[list[int]] = field(default_factory=list)
    stopped: str | None = None

    def add(self, scores: Scores) -> None:
        self.values.append(scores.value.tolist())
        self.answers.append(scores.answers.tolist())


def asking(name: int, batches: list[list[int]]) -> Plan[Noted]:
    """Ask one batch after another, each a list of repeats; image numbers tell plan, batch and row."""
    noted = Noted()
    for batch, repeats in enumerate(batches):
        ask = Ask(numbered(10_000 * name + 100 * batch, len(repeats)), tuple(repeats))
        try:
            scores = yield ask
        except Stopped as stop:
            noted.stopped = stop.reason
            noted.add(stop.scores)
            return noted
        noted.add(scores)
    return noted


def never_stopping() -> Plan[int]:
    """Break the second rule of plans."""
    while True:
        try:
            yield Ask(numbered(0, 1))
        except Stopped:
            continue


def rounds_of(plan: Plan[Any]) -> tuple[list[list[int]], Any]:
    """Return the image numbers that each round asks for, and the result."""
    asked: list[list[int]] = []

    def answer(ask: Ask) -> Scores:
        asked.append(numbers(ask))
        return echo(ask)

    return asked, replay(plan, answer)


batches_of_plans = st.lists(st.lists(st.lists(st.integers(1, 3), max_size=3), max_size=4), max_size=4)


# --- Ask ---


@pytest.mark.parametrize(
    ("ask", "repeats", "queries"),
    [
        (Ask(numbered(0, 3)), (1, 1, 1), 3),
        (Ask(numbered(0, 3), 5), (5, 5, 5), 15),
        (Ask(numbered(0, 3), (1, 4, 2)), (1, 4, 2), 7),
        (Ask(numbered(0, 0)), (), 0),
    ],
)
def test_repeats_are_one_count_for_all_or_one_each(ask: Ask, repeats: tuple[int, ...], queries: int) -> None:
    """Every row is asked once, equally often, or as often as it says."""
    assert (ask.repeats, ask.queries) == (repeats, queries)


@pytest.mark.parametrize("repeat", [0, -1, (1, 0, 2)])
def test_a_row_is_asked_at_least_once(repeat: int | tuple[int, ...]) -> None:
    """A repeat below one is a mistake, found when the question is made."""
    with pytest.raises(UsageError, match="at least 1"):
        Ask(numbered(0, 3), repeat)


@pytest.mark.parametrize("repeat", [(), (1, 1), (1, 1, 1, 1)])
def test_repeats_must_be_as_many_as_images(repeat: tuple[int, ...]) -> None:
    """Counts that belong to other rows are found when the question is made."""
    with pytest.raises(UsageError, match=f"{len(repeat)} repeats for 3 images"):
        Ask(numbered(0, 3), repeat)


# --- step ---


def test_a_plan_is_started_sent_scores_and_returns() -> None:
    """Each step gives the next question, and at last the result as a value."""
    plan = asking(0, [[1, 1], [1]])

    first = step(plan, None)
    second = step(plan, Scores(np.zeros(2, np.int8), np.array([5.0, 6.0])))
    last = step(plan, Scores(np.zeros(1, np.int8), np.array([7.0])))

    assert isinstance(first, Yielded)
    assert isinstance(second, Yielded)
    assert (numbers(first.ask), numbers(second.ask)) == ([0, 1], [100])
    assert isinstance(last, Returned)
    assert last.result.values == [[5.0, 6.0], [7.0]]


def test_a_plan_without_questions_returns_at_once() -> None:
    """A plan may find that it needs nothing."""
    assert step(asking(0, []), None) == Returned(Noted())


def test_a_stopped_plan_returns_its_best_so_far() -> None:
    """The stop reaches the plan at its yield, with the scores that were paid for."""
    plan = asking(0, [[1], [1, 1]])
    step(plan, None)
    step(plan, Scores(np.zeros(1, np.int8), np.array([1.0])))

    state = step(plan, Stopped("no money", Scores(np.zeros(2, np.int8), np.array([2.0, np.nan]))))

    assert isinstance(state, Returned)
    assert state.result.stopped == "no money"
    assert str(state.result.values) == "[[1.0], [2.0, nan]]"


def test_a_plan_that_asks_on_after_a_stop_is_told_off() -> None:
    """A plan that ignores its stop would run for ever, so it is an error."""
    plan = never_stopping()
    step(plan, None)

    with pytest.raises(RuntimeError, match="asked for more after it was stopped"):
        step(plan, Stopped("enough", Scores.blank(1)))


def test_an_error_in_a_plan_passes_as_it_is() -> None:
    """What a plan raises is not mistaken for its end."""

    def failing() -> Plan[int]:
        yield Ask(numbered(0, 1))
        raise ZeroDivisionError

    plan = failing()
    step(plan, None)

    with pytest.raises(ZeroDivisionError):
        step(plan, Scores.blank(1))


# --- Rows and concatenate ---


@given(sizes=st.lists(st.integers(0, 3), max_size=6), data=st.data())
def test_rows_are_their_parts_one_after_another(sizes: list[int], data: st.DataObject) -> None:
    """Any choice of rows, in any order, comes from the right place of the right part; parts may be empty."""
    parts = [numbered(100 * i, size) for i, size in enumerate(sizes)]
    joined = [number(image) for part in parts for image in part]
    chosen = data.draw(st.lists(st.integers(0, len(joined) - 1), max_size=8)) if joined else []

    everything, some = Rows(parts), Rows(parts, np.array(chosen, dtype=np.int64))

    assert [number(everything[row]) for row in range(len(everything))] == joined
    assert [number(some[row]) for row in range(len(some))] == [joined[row] for row in chosen]


def test_rows_are_rendered_only_when_indexed() -> None:
    """Joining sequences renders nothing; one row renders one row."""

    class Lazy:
        def __init__(self) -> None:
            self.rendered: list[int] = []

        def __len__(self) -> int:
            return 1000

        def __getitem__(self, row: int, /) -> Image:
            self.rendered.append(row)
            image: Image = numbered(row, 1)[0]
            return image

    first, second = Lazy(), Lazy()
    rows = Rows([first, second])

    assert number(rows[1005]) == 5
    assert (len(rows), first.rendered, second.rendered) == (2000, [], [5])


def test_joined_scores_keep_all_four_arrays() -> None:
    """Decisions, values, spreads and counts are joined row after row."""
    joined = concatenate([echo(Ask(numbered(3, 1), 2)), Scores.blank(1), echo(Ask(numbered(8, 1)))])

    assert joined.decision.tolist() == [1, -1, 1]
    assert str(joined.value.tolist()) == "[3.0, nan, 8.0]"
    assert str(joined.spread.tolist()) == "[1.5, nan, 4.0]"
    assert joined.answers.tolist() == [2, 0, 1]


# --- replay ---


def test_a_replay_answers_until_the_plan_returns() -> None:
    """Without a stop, every question reaches the answering function and every answer the plan."""
    asked, result = rounds_of(asking(0, [[1, 1], [3]]))

    assert asked == [[0, 1], [100]]
    assert result.values == [[0.0, 1.0], [100.0]]
    assert result.stopped is None


@pytest.mark.parametrize(
    ("stop_after", "values", "reason"),
    [
        (0, "[[nan, nan]]", "stopped after 0 queries"),
        (1, "[[0.0, nan]]", "stopped after 1 queries"),
        (2, "[[0.0, 1.0], [nan, nan, nan]]", "stopped after 2 queries"),
        (4, "[[0.0, 1.0], [100.0, nan, nan]]", "stopped after 4 queries"),
        (5, "[[0.0, 1.0], [100.0, nan, nan]]", "stopped after 5 queries"),
        (6, "[[0.0, 1.0], [100.0, 101.0, nan]]", "stopped after 6 queries"),
        (7, "[[0.0, 1.0], [100.0, 101.0, 102.0]]", None),
        (99, "[[0.0, 1.0], [100.0, 101.0, 102.0]]", None),
    ],
)
def test_a_replay_stops_after_any_number_of_queries(stop_after: int, values: str, reason: str | None) -> None:
    """Rows whose repeats still fit are answered, the rest is blank; a plan that fits is not stopped."""
    result = replay(asking(0, [[1, 1], [1, 3, 1]]), echo, stop_after=stop_after)

    assert str(result.values) == values
    assert result.stopped == reason


def test_a_replay_counts_repeats_from_round_to_round() -> None:
    """What was asked several times in the first round is missing in the second."""
    result = replay(asking(0, [[2, 2], [1, 1]]), echo, stop_after=5)

    assert str(result.values) == "[[0.0, 1.0], [100.0, nan]]"


def test_what_does_not_fit_is_not_asked() -> None:
    """A stopped replay asks for no more than it may; not even an empty question."""
    spent: list[int] = []

    def answer(ask: Ask) -> Scores:
        spent.append(ask.queries)
        return echo(ask)

    replay(asking(0, [[2, 2]]), answer, stop_after=3)
    replay(asking(0, [[2, 2]]), answer, stop_after=1)

    assert spent == [2]


def test_a_replayed_plan_must_obey_its_stop() -> None:
    """A plan that asks on is found by its replay."""
    with pytest.raises(RuntimeError, match="asked for more after it was stopped"):
        replay(never_stopping(), echo, stop_after=3)


# --- together ---


@given(batches_of_plans)
def test_plans_together_get_what_they_would_get_alone(plans: list[list[list[int]]]) -> None:
    """Whatever they ask and whenever they end, each plan's scores and result are those of a run of its own."""
    alone = [replay(asking(name, batches), echo) for name, batches in enumerate(plans)]

    joined = replay(together([asking(name, batches) for name, batches in enumerate(plans)]), echo)

    assert joined == alone


@given(plans=batches_of_plans, stop_after=st.integers(0, 30))
def test_a_stop_reaches_each_plan_with_its_own_share(plans: list[list[list[int]]], stop_after: int) -> None:
    """Stopped anywhere, every paid answer reaches the plan that asked for it, in its place, and nothing else does."""
    paid = 0

    def answer(ask: Ask) -> Scores:
        nonlocal paid
        paid += len(ask.images)
        return echo(ask)

    results = replay(together([asking(n, batches) for n, batches in enumerate(plans)]), answer, stop_after=stop_after)

    for name, (result, batches) in enumerate(zip(results, plans, strict=True)):
        for batch, values in enumerate(result.values):
            wanted = [10_000 * name + 100 * batch + row for row in range(len(batches[batch]))]
            assert all(np.isnan(value) or value == want for value, want in zip(values, wanted, strict=True))
            assert len(values) == len(batches[batch])
    delivered = [value for result in results for values in result.values for value in values]
    assert np.count_nonzero(~np.isnan(delivered)) == paid


def test_a_round_asks_for_what_all_plans_want() -> None:
    """Plans advance in lock-step, and one that has ended leaves the others to go on."""
    asked, results = rounds_of(together([asking(1, [[1], [1, 1], [1]]), asking(2, [[2]]), asking(3, [])]))

    assert asked == [[10_000, 20_000], [10_100, 10_101], [10_200]]
    assert [len(result.values) for result in results] == [3, 1, 0]


def test_no_plans_together_ask_nothing() -> None:
    """An empty list of plans is done at once."""
    nothing: list[Plan[int]] = []

    assert step(together(nothing), None) == Returned([])


def test_together_nests() -> None:
    """Bundles of plans in a bundle share rounds too, and their results keep their shape."""
    inner = [together([asking(1, [[1], [1]]), asking(2, [[1]])]), together([asking(3, [[1, 1]])])]

    asked, results = rounds_of(together(inner))

    assert asked == [[10_000, 20_000, 30_000, 30_001], [10_100]]
    assert [[result.values for result in bundle] for bundle in results] == [
        [[[10_000.0], [10_100.0]], [[20_000.0]]],
        [[[30_000.0, 30_001.0]]],
    ]


def test_a_nested_bundle_is_stopped_to_its_last_plan() -> None:
    """A stop passes through every level, so that all plans return their best so far."""
    inner = [together([asking(1, [[1], [1]]), asking(2, [[1]])]), together([asking(3, [[1, 1], [1]])])]

    bundles = replay(together(inner), echo, stop_after=5)

    assert [[result.stopped for result in bundle] for bundle in bundles] == [
        ["stopped after 5 queries", None],
        ["stopped after 5 queries"],
    ]
    assert str(bundles[0][0].values) == "[[10000.0], [10100.0]]"
    assert str(bundles[1][0].values) == "[[30000.0, 30001.0], [nan]]"


def test_repeats_of_plans_together_stay_with_their_rows() -> None:
    """A plan that asks each row often and one that asks once keep their own counts in one round."""
    plan = together([asking(1, [[5, 1]]), asking(2, [[2]])])

    state = step(plan, None)

    assert isinstance(state, Yielded)
    assert state.ask.repeats == (5, 1, 2)


@pytest.mark.parametrize("order", [0, 1])
def test_one_plan_that_ignores_its_stop_is_found_among_others(order: int) -> None:
    """A bundle is as obedient as its plans."""
    plans: list[Callable[[], Plan[Any]]] = [never_stopping, lambda: asking(1, [[1], [1]])]
    bundle = together([plans[order](), plans[1 - order]()])

    with pytest.raises(RuntimeError, match="asked for more after it was stopped"):
        replay(bundle, echo, stop_after=2)
