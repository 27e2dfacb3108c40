"""A model that can only be asked as a plain function: numbers, refusals, budget and store."""

from __future__ import annotations

import contextlib
import threading
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from bbquery.errors import BudgetExhausted, OutcomeUnknown, Rejected, UnknownName, UsageError
from bbquery.interop import Predict, Unanswered, predict_fn
from bbquery.ledger.records import Cap
from bbquery.oracle import Price
from tests.support.bookkeeping import guard_caps
from tests.support.counted import Counted
from tests.support.interop import by_hand, images, oracle
from tests.support.models import sides

if TYPE_CHECKING:
    from bbquery.ledger.ledger import Ledger
    from bbquery.types import Image


# --- numbers ---


def test_it_returns_what_the_model_says(ledger: Ledger) -> None:
    """Without targets each image has all numbers of the oracle, in the order of images and classes."""
    batch = images(20)

    with predict_fn(oracle(), max_queries=20, ledger=ledger) as predict:
        values = predict(batch)

    assert values.dtype == np.float64
    assert np.array_equal(values, by_hand(batch))
    assert predict.columns == ("left", "right")


def test_a_target_that_the_reference_hardly_shows_is_warned_of(ledger: Ledger) -> None:
    """One query is spent, and the library's have not begun."""
    model = oracle(lambda image: [0.995, 0.005])

    with (
        pytest.warns(UserWarning, match="the model gives 'right' under 1%, and 'left' 99.5%"),
        predict_fn(model, targets="right", reference=images(1)[0], max_queries=5, ledger=ledger) as predict,
    ):
        assert predict.tally.sent == 1


@pytest.mark.parametrize(("targets", "columns"), [("right", [1]), (["right", "left"], [1, 0]), (["0"], [0])])
def test_targets_are_columns(ledger: Ledger, targets: Any, columns: list[int]) -> None:
    """Each target has a column, in the order given; one target is one column."""
    batch = images(5)

    with predict_fn(oracle(), targets=targets, max_queries=5, ledger=ledger) as predict:
        values = predict(batch)

    assert np.array_equal(values, by_hand(batch)[:, columns])
    assert predict.columns == tuple(["left", "right"][i] for i in columns)


def test_a_score_makes_the_numbers(ledger: Ledger) -> None:
    """A score's own numbers reach the library, such as log-odds."""
    batch = images(5)

    with predict_fn(oracle(), targets="left", score="soft:form=log_odds", max_queries=5, ledger=ledger) as predict:
        values = predict(batch)

    left, right = by_hand(batch).T
    assert np.allclose(values[:, 0], np.log(left / right))


def test_higher_is_always_nearer_to_the_target(ledger: Ledger) -> None:
    """A score that falls towards the target is turned round, since libraries take higher for more."""
    batch = images(5)

    with predict_fn(oracle(), targets="left", score="soft:form=cross_entropy", max_queries=5, ledger=ledger) as predict:
        values = predict(batch)

    assert np.allclose(values[:, 0], np.log(by_hand(batch)[:, 0]))


@pytest.mark.parametrize(
    ("answers", "call"),
    [
        ("labels", lambda image: [("Cat", float(image.mean() / 255)), ("Dog", 0.1)]),
        ("text", lambda image: "I see a cat." if image.mean() > 127 else "I see nothing."),
    ],
)
def test_labels_and_texts_become_numbers_of_a_target(ledger: Ledger, answers: Any, call: Any) -> None:
    """A label's score, or whether a text mentions it, is what the library sees."""
    batch = np.stack([np.full((4, 4, 3), 51, np.uint8), np.full((4, 4, 3), 204, np.uint8)])

    with predict_fn(oracle(call, answers=answers), targets="cat", max_queries=2, ledger=ledger) as predict:
        values = predict(batch)

    assert values.tolist() == ([[0.2], [0.8]] if answers == "labels" else [[0.0], [1.0]])


def test_the_reference_decides_what_is_explained(ledger: Ledger) -> None:
    """Without a target it is the reference's top; asking the reference again costs nothing."""
    photo = images(1)[0]
    photo[:, 6:] //= 8

    with predict_fn(oracle(), reference=photo, max_queries=2, ledger=ledger) as predict:
        opened = predict.tally.sent
        values = predict(np.stack([255 - photo, photo]))

    assert opened == 1
    assert predict.columns == ("left",)
    assert np.array_equal(values, by_hand(np.stack([255 - photo, photo]))[:, :1])
    assert predict.tally.sent == 2


def test_a_reference_may_be_of_any_size(ledger: Ledger) -> None:
    """The reference is cropped and resized as the oracle's photos are."""
    shown = Counted()

    with predict_fn(oracle(shown, height=8, width=12), reference="sample:cat", max_queries=1, ledger=ledger) as predict:
        fitted = predict.fit("sample:cat")

    assert np.array_equal(shown.shown[0], fitted)


def shy(image: Image) -> list[float] | None:
    return None if image.mean() < 100 else sides(image)


def dark_and_bright() -> np.ndarray:
    return np.stack([images(1)[0] // 4 + 150, images(1)[0] // 4, images(1)[0] // 4 + 190])


# --- refusals ---


def test_a_refusal_is_an_error_that_says_what_to_do(ledger: Ledger) -> None:
    """By default no number is invented: the call fails, names the row, and says which choices there are."""
    with (
        predict_fn(oracle(shy), max_queries=9, ledger=ledger) as predict,
        pytest.raises(Unanswered, match=r"1 of 3 images have no number, row 1 because.*unanswered='nan'"),
    ):
        predict(dark_and_bright())

    assert predict.tally.sent == 3


@pytest.mark.parametrize("targets", [None, "left"])
def test_a_refusal_may_be_nan(ledger: Ledger, targets: str | None) -> None:
    """Where the library can do with NaN, a refused image has a row of it and the others keep their numbers."""
    batch = dark_and_bright()

    with predict_fn(oracle(shy), targets=targets, unanswered="nan", max_queries=9, ledger=ledger) as predict:
        values = predict(batch)

    assert np.isnan(values[1]).all()
    assert np.array_equal(values[[0, 2]], by_hand(batch[[0, 2]])[:, : values.shape[1]])


@pytest.mark.parametrize(("classes", "targets", "columns"), [("a|b", None, 2), (None, None, 1), ("a|b", ["a"], 1)])
def test_a_batch_of_refusals_is_all_nan(ledger: Ledger, classes: Any, targets: Any, columns: int) -> None:
    """Where nothing is answered there are as many columns as are known."""
    mute = oracle(lambda _: None, classes=classes)

    with predict_fn(mute, targets=targets, unanswered="nan", max_queries=9, ledger=ledger) as predict:
        values = predict(images(3))

    assert values.shape == (3, columns)
    assert np.isnan(values).all()


def test_what_a_score_cannot_read_is_no_number(ledger: Ledger) -> None:
    """An answer that is there but unreadable is an error as well, and says what was answered."""
    blank = oracle(lambda _: "qwxz", answers="text", classes="cat|dog")

    with (
        predict_fn(blank, targets="cat", score="prompts", max_queries=9, ledger=ledger) as predict,
        pytest.raises(Unanswered, match=r"the score cannot read .*qwxz"),
    ):
        predict(images(1))


def test_a_refused_reference_is_told_at_once(ledger: Ledger) -> None:
    """Without an answer to the reference there is nothing to bind to, and one query is spent."""
    shown = Counted(lambda _: None)

    with pytest.raises(Unanswered, match="no answer to the reference"):
        predict_fn(oracle(shown), reference=images(1)[0], max_queries=9, ledger=ledger)

    assert len(shown.shown) == 1


# --- budget and store ---


def test_nothing_is_sent_beyond_the_cap(ledger: Ledger) -> None:
    """At the cap the call fails; the model saw exactly as many images, and the budget holds exactly as many."""
    guard_caps(ledger)
    shown = Counted()

    with predict_fn(oracle(shown), max_queries=10, name="a", ledger=ledger) as predict:
        with pytest.raises(BudgetExhausted):
            predict(images(25))
        with pytest.raises(BudgetExhausted):
            predict(images(3, seed=9))

    assert len(shown.shown) == predict.tally.sent == ledger.budget(ledger.find_budget("predict-a")).posted.queries == 10


def test_what_a_cap_cut_short_is_not_paid_again(ledger: Ledger) -> None:
    """Answers of a failed call are kept: a second run sends the rest only."""
    with (
        predict_fn(oracle(), max_queries=10, ledger=ledger) as predict,
        pytest.raises(BudgetExhausted),
    ):
        predict(images(25))

    with predict_fn(oracle(), max_queries=15, ledger=ledger) as again:
        values = again(images(25))

    assert (again.tally.sent, again.tally.from_store) == (15, 10)
    assert np.array_equal(values, by_hand(images(25)))


def test_what_is_stored_is_served_after_the_cap(ledger: Ledger) -> None:
    """At the cap images that were answered before still have their numbers."""
    with predict_fn(oracle(), max_queries=4, ledger=ledger) as predict:
        first = predict(images(4))
        with pytest.raises(BudgetExhausted):
            predict(images(1, seed=9))
        second = predict(images(4))

    assert np.array_equal(first, second)


def test_a_second_run_is_free(ledger: Ledger) -> None:
    """The same questions again send nothing, cost nothing, and have the same answers."""
    with predict_fn(oracle(usd_per_query="0.01"), max_queries=9, ledger=ledger) as first:
        paid = first(images(9))
    with predict_fn(oracle(usd_per_query="0.01"), max_queries=9, ledger=ledger) as second:
        free = second(images(9))

    assert np.array_equal(paid, free)
    assert str(first.tally) == "9 asked: 9 sent, 0 from the store; $0.09"
    assert str(second.tally) == "9 asked: 0 sent, 9 from the store; $0.00"


def test_equal_images_are_one_query(ledger: Ledger) -> None:
    """Copies within a batch and across batches are asked once."""
    batch = np.repeat(images(2), 5, axis=0)

    with predict_fn(oracle(), max_queries=2, ledger=ledger) as predict:
        values = np.concatenate([predict(batch), predict(batch[::-1])])

    assert np.array_equal(values[:10], by_hand(batch))
    assert np.array_equal(values[10:], by_hand(batch[::-1]))
    assert (predict.tally.asked, predict.tally.sent, predict.tally.from_store) == (20, 2, 18)


def test_dollars_are_a_cap_too(ledger: Ledger) -> None:
    """What would cost more than max_usd is not sent."""
    shown = Counted()

    with (
        predict_fn(oracle(shown, usd_per_query="0.01"), max_queries=99, max_usd="0.05", ledger=ledger) as predict,
        pytest.raises(BudgetExhausted, match=r"\$0.05"),
    ):
        predict(images(9))

    assert len(shown.shown) == 5
    assert predict.tally.posted.picodollars == 5 * 10**10


def test_a_named_budget_is_resumed_and_an_unnamed_one_is_not(ledger: Ledger) -> None:
    """Under a name the cap is that of all sessions together; without one, of each."""

    def sent(seed: int, name: str | None) -> int:
        with predict_fn(oracle(), max_queries=5, name=name, ledger=ledger) as predict:
            with contextlib.suppress(BudgetExhausted):
                predict(images(4, seed=seed))
            return predict.tally.sent

    assert [sent(1, "audit"), sent(2, "audit")] == [4, 1]
    assert [sent(3, None), sent(4, None)] == [4, 4]


def test_a_project_counts_what_is_sent(ledger: Ledger) -> None:
    """The budget lies inside its project's, whose cap holds for it."""
    project = ledger.open_budget("audit", Cap(queries=3))

    with (
        predict_fn(oracle(), max_queries=9, project="audit", ledger=ledger) as predict,
        pytest.raises(BudgetExhausted, match="audit"),
    ):
        predict(images(9))

    assert predict.tally.sent == ledger.budget(project).posted.queries == 3
    assert predict.tally.budget.startswith("audit/predict-")


def test_what_may_have_been_billed_is_told(ledger: Ledger) -> None:
    """A lost answer leaves its money held, and the tally says so."""
    lost = iter([OutcomeUnknown("lost")])

    def lossy(image: Image) -> Any:
        return next(lost, sides(image))

    with predict_fn(oracle(lossy, price=Price()), max_queries=3, ledger=ledger) as predict:
        predict(images(2))

    assert (predict.tally.sent, predict.tally.unknown, predict.tally.held.queries) == (3, 1, 1)
    assert ", 1 unknown;" in str(predict.tally)


def test_a_final_failure_reaches_the_library(ledger: Ledger) -> None:
    """When the oracle refuses for good, the call raises that, and so does each later one that needs it."""

    def closed(_: Image) -> list[float]:
        raise Rejected("account closed")

    with predict_fn(oracle(closed), max_queries=9, ledger=ledger) as predict:
        for _ in range(2):
            with pytest.raises(Rejected, match="account closed"):
                predict(images(1))


# --- bad input, before anything is sent ---


@pytest.mark.parametrize(
    ("options", "kind", "said"),
    [
        ({"max_queries": 0}, UsageError, "allows nothing"),
        ({"targets": "middle"}, UnknownName, "middle"),
        ({"score": "nonsense", "targets": "left"}, UnknownName, "nonsense"),
        ({"score": "soft:form=margin"}, UsageError, "name targets, or give a reference"),
        ({"unanswered": "zero"}, UnknownName, "zero"),
        ({"sizes": "any"}, UnknownName, "any"),
        ({"white": 0}, UsageError, "white must be above 0"),
        ({"white": float("nan")}, UsageError, "white must be above 0"),
        ({"project": "nowhere"}, UnknownName, "nowhere"),
        ({"max_usd": float("nan")}, UsageError, "nan"),
    ],
)
def test_bad_options_are_found_before_a_query(ledger: Ledger, options: Any, kind: Any, said: str) -> None:
    """An option that cannot be used says why when the function is opened; nothing is asked, and no thread stays."""
    shown, before = Counted(), set(threading.enumerate())

    with pytest.raises(kind, match=said):
        predict_fn(oracle(shown), **({"max_queries": 9, "ledger": ledger} | options))

    assert shown.shown == []
    assert set(threading.enumerate()) <= before


@pytest.mark.parametrize("answers", ["labels", "text"])
def test_what_is_no_vector_needs_a_target(ledger: Ledger, answers: Any) -> None:
    """Labels and texts have no columns of their own, and the message says what to give."""
    with pytest.raises(UsageError, match="name targets, or give a reference"):
        predict_fn(oracle(answers=answers), max_queries=9, ledger=ledger)


def test_it_is_a_function() -> None:
    """What is opened can be called, which is all that libraries ask of it."""
    assert callable(Predict)
