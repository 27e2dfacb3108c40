"""The main job from Python: maps of a photo, in the photo's own coordinates, within a budget."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

import bbquery
from bbquery.errors import BudgetExhausted, MalformedAnswer, OracleError, Rejected, UnknownName, UsageError
from bbquery.saliency import Method
from bbquery.saliency.rise import Rise
from bbquery.specification import constructor, type_name
from bbquery.types import NoAnswer, Vector
from oracles import function
from tests.support import models
from tests.support.images import tiny_images

if TYPE_CHECKING:
    from bbquery.ledger.ledger import Ledger
    from bbquery.oracle import Oracle

pytestmark = pytest.mark.slow

PHOTO = np.random.default_rng(0).integers(180, 256, (40, 60, 3), dtype=np.uint8)


def sides_oracle(**options: object) -> Oracle:
    return function.connect(models.sides, **({"classes": "left|right", "version": "1"} | options))  # type: ignore[arg-type] # options of any kind


def test_a_map_points_where_the_model_looks(ledger: Ledger) -> None:
    """For a model that compares the halves of a photo, evidence for the left lies left, against it right."""
    explanation = bbquery.explain(
        PHOTO, sides_oracle(), target="left", method="rise", max_queries=400, verify=0, ledger=ledger
    )

    (m,) = explanation.maps
    assert m.values.shape == PHOTO.shape[:2]
    assert m.values[:, :25].mean() > 0 > m.values[:, 35:].mean()
    assert not explanation.partial
    assert explanation.queries.asked == 400


def test_the_same_run_twice_sends_nothing_and_gives_the_same_map(ledger: Ledger) -> None:
    """A second identical run is free and identical to the bit."""
    first, second = (bbquery.explain(PHOTO, sides_oracle(), max_queries=50, ledger=ledger) for _ in range(2))

    assert second.queries.sent == 0
    assert second.run == first.run
    assert np.array_equal(second.maps[0].values, first.maps[0].values, equal_nan=True)


def test_another_seed_is_another_run(ledger: Ledger) -> None:
    """The seed decides the masks, so another one gives another map and is paid for."""
    first, second = (
        bbquery.explain(PHOTO, sides_oracle(), max_queries=50, verify=0, seed=s, ledger=ledger) for s in (0, 1)
    )

    assert second.queries.sent == 49
    assert not np.array_equal(second.maps[0].values, first.maps[0].values)


def test_two_targets_share_one_set_of_queries(ledger: Ledger) -> None:
    """Two maps cost as much as one, and each is the map of its target alone, asked the same questions."""
    both = bbquery.explain(PHOTO, sides_oracle(), target=["left", "right"], max_queries=60, verify=0, ledger=ledger)
    alone = bbquery.explain(
        PHOTO, sides_oracle(), method="designed:refine=false", target="right", max_queries=60, verify=0, ledger=ledger
    )

    assert both.queries.sent == 60
    assert [m.target for m in both.maps] == ["left", "right"]
    assert np.array_equal(both.maps[1].values, alone.maps[0].values)
    assert not np.array_equal(both.maps[0].values, both.maps[1].values)


def test_without_a_target_the_top_class_is_explained(ledger: Ledger) -> None:
    """The default target is what the model sees in the unperturbed photo."""
    photo = PHOTO.copy()
    photo[:, 30:] //= 4

    explanation = bbquery.explain(photo, sides_oracle(), max_queries=20, ledger=ledger)

    assert explanation.maps[0].target == "left" == explanation.top(1)[0][0]


def test_what_the_oracle_does_not_see_is_not_mapped(ledger: Ledger) -> None:
    """Outside the central crop that is sent, the map is NaN; inside it is not."""
    explanation = bbquery.explain(PHOTO, sides_oracle(height=16, width=16, crop=0.5), max_queries=20, ledger=ledger)

    values = explanation.maps[0].values
    assert np.isnan(values[0]).all()
    assert np.isfinite(values[15:25, 25:35]).all()


def test_a_budget_that_ends_early_gives_a_partial_map(ledger: Ledger) -> None:
    """A run whose budget is used up by an earlier attempt returns what it has and says so."""
    lost = iter([bbquery.errors.OutcomeUnknown("lost")] * 3)

    def lossy(image: np.ndarray) -> object:
        return next(lost, models.sides(image))

    oracle = function.connect(lossy, classes="left|right", version="1", price=bbquery.Price())
    method = Rise(queries=19)

    explanation = bbquery.explain(PHOTO, oracle, method=method, max_queries=20, ledger=ledger)

    assert explanation.partial
    assert isinstance(explanation.error, BudgetExhausted)
    assert len(explanation.unknown) == 3
    assert explanation.maps[0].sent.answered == 16
    assert explanation.budget.posted.queries + explanation.budget.held.queries == 20


def test_an_oracle_that_fails_on_the_way_gives_a_partial_map(ledger: Ledger) -> None:
    """A final refusal in the middle ends the run with what was answered."""
    calls = iter(range(1000))

    def fails_at_ten(image: np.ndarray) -> list[float]:
        if next(calls) == 10:
            raise Rejected("account closed")
        return models.sides(image)

    explanation = bbquery.explain(
        PHOTO, function.connect(fails_at_ten, classes="left|right"), max_queries=30, ledger=ledger
    )

    assert isinstance(explanation.error, Rejected)
    assert explanation.maps[0].stopped is not None
    assert 1 <= explanation.maps[0].sent.answered < 29


def test_refusals_to_answer_count_as_no_evidence(ledger: Ledger) -> None:
    """An oracle that refuses dark images is explained from those it answers, and the map says how many."""

    def shy(image: np.ndarray) -> list[float] | None:
        return None if image.mean() < 170 else models.sides(image)

    explanation = bbquery.explain(PHOTO, function.connect(shy), method="rise", max_queries=60, verify=0, ledger=ledger)

    (m,) = explanation.maps
    assert 0 < m.sent.answered < m.sent.rows == 59
    assert m.stopped is None
    assert np.isfinite(m.values).all()


def test_a_refused_photo_cannot_be_explained(ledger: Ledger) -> None:
    """Without an answer to the unperturbed photo there is nothing to explain."""
    with pytest.raises(OracleError, match="no answer to the unperturbed image"):
        bbquery.explain(PHOTO, function.connect(lambda _: None), max_queries=60, ledger=ledger)


@pytest.mark.parametrize(("model", "said"), [(models.not_a_number, "nan"), (models.two_numbers_too_many, "4 numbers")])
def test_a_broken_model_costs_one_query(ledger: Ledger, model: object, said: str) -> None:
    """NaN and wrong-length answers are found with the first query."""
    calls: list[int] = []

    def counted(image: np.ndarray) -> object:
        calls.append(1)
        return model(image)  # type: ignore[operator] # a function

    with pytest.raises(MalformedAnswer, match=said):
        bbquery.explain(PHOTO, function.connect(counted, classes="a|b"), max_queries=60, ledger=ledger)

    assert len(calls) == 1


def test_an_unknown_label_is_found_before_anything_is_asked(ledger: Ledger) -> None:
    """A target that no class has costs nothing and lists the known ones."""
    calls: list[int] = []

    def counted(image: np.ndarray) -> list[float]:
        calls.append(1)
        return models.sides(image)

    with pytest.raises(UnknownName, match="left, right"):
        bbquery.explain(PHOTO, function.connect(counted, classes="left|right"), target="up", ledger=ledger)

    assert not calls


def test_a_method_that_does_not_take_this_photo_is_found_before_anything_is_asked(ledger: Ledger) -> None:
    """What only the photo's size decides costs nothing either: not even the photo itself was asked."""
    calls: list[int] = []
    oracle = function.connect(lambda _: calls.append(1), classes="left|right")

    with pytest.raises(UsageError, match="whole photo of 40 × 60 pixels"):
        bbquery.explain(PHOTO, oracle, method="occlusion:window=60", max_queries=60, ledger=ledger)

    assert not calls


def test_a_text_needs_a_target_to_look_for(ledger: Ledger) -> None:
    """Free text has no top class; without a target nothing is asked."""
    calls: list[int] = []

    def says(_: np.ndarray) -> str:
        calls.append(1)
        return "a cat"

    oracle = function.connect(says, answers="text")

    with pytest.raises(UsageError, match="say with target"):
        bbquery.explain(PHOTO, oracle, ledger=ledger)

    assert not calls


def test_a_text_is_explained_by_whether_it_mentions_the_target(ledger: Ledger) -> None:
    """For a model that names the brighter half, what speaks for "left" lies left."""

    def says(image: np.ndarray) -> str:
        left, right = models.sides(image)
        return f"The {'LEFT' if left > right else 'right'} half, leftovers aside."

    photo = PHOTO.copy()
    photo[:, 30:] -= 20
    explanation = bbquery.explain(
        photo, function.connect(says, answers="text"), target="left", method="rise", max_queries=500, ledger=ledger
    )

    values = explanation.maps[0].values
    assert values[:, :25].mean() > 0 > values[:, 35:].mean()


def test_a_list_of_labels_is_explained_by_the_labels_score(ledger: Ledger) -> None:
    """Without a target the first label is explained; where it is not listed it scores 0."""

    def labels(image: np.ndarray) -> list[tuple[str, float]]:
        left, right = models.sides(image)
        return [("Left", left)] if left > right else [("right", right)]

    explanation = bbquery.explain(
        PHOTO, function.connect(labels, answers="labels"), target="left", method="rise", max_queries=500, ledger=ledger
    )

    values = explanation.maps[0].values
    assert values[:, :25].mean() > 0 > values[:, 35:].mean()


@pytest.mark.parametrize(("most", "said"), [(0, "allows nothing"), (-5, "allows nothing"), (10, "raise max_queries")])
def test_a_budget_that_cannot_hold_the_run_is_refused(ledger: Ledger, most: int, said: str) -> None:
    """Zero, negative, and too small for the method's own number of queries: usage errors, all before a query."""
    with pytest.raises(UsageError, match=said):
        bbquery.explain(PHOTO, sides_oracle(), method=Rise(queries=10), max_queries=most, ledger=ledger)


def test_the_default_ledger_is_opened_and_closed() -> None:
    """Without a ledger the one in bbquery's home is used, and remembers."""
    bbquery.explain(PHOTO, sides_oracle(), max_queries=10)
    again = bbquery.explain(PHOTO, sides_oracle(), max_queries=10)

    assert again.queries.from_store == 10


def test_a_float_oracle_is_sent_what_was_meant(ledger: Ledger) -> None:
    """In a floating-point domain noise is neither rounded nor clipped, and the map is the gradient's size."""
    weights = np.random.default_rng(1).normal(size=(8, 8, 3))
    dtypes = set()

    def linear(image: np.ndarray) -> list[float]:
        dtypes.add(image.dtype)
        return [float((weights * image).sum())]

    oracle = function.connect(linear, answers="scores", pixels="float64")
    explanation = bbquery.explain(tiny_images(1)[0], oracle, method="lr:sigma=0.1", max_queries=4000, ledger=ledger)

    truth = np.abs(weights).max(axis=-1)
    assert dtypes == {np.dtype(np.float64)}
    assert np.corrcoef(explanation.maps[0].values.ravel(), truth.ravel())[0, 1] > 0.9


def test_labels_are_no_top_list(ledger: Ledger) -> None:
    """`top` is empty where the clean answer is no vector, and shows indices where classes have no names."""
    explanation = bbquery.explain(PHOTO, function.connect(models.sides), max_queries=5, ledger=ledger)

    assert {name for name, _ in explanation.top()} == {"0", "1"}
    without = bbquery.Explanation(**(vars(explanation) | {"clean": NoAnswer("x")}))
    assert without.top() == []
    assert isinstance(explanation.clean, Vector)


@dataclass(frozen=True)
class Unfinished:
    """A method that is no subclass, and lacks what one has."""

    queries: int = 3


async def test_what_is_no_method_is_refused_before_anything_is_asked(ledger: Ledger) -> None:
    """The refusal says what a method is."""
    with pytest.raises(UsageError, match=r"Unfinished\(queries=3\) is no method: .* with queries and a plan"):
        await bbquery.explain_async(PHOTO, sides_oracle(), method=Unfinished(), ledger=ledger)  # type: ignore[arg-type] # on purpose


@dataclass(frozen=True)
class Undecided:
    """A method that is no subclass, and says neither whether it adapts nor what it leaves open."""

    queries: int = 3

    def plan(self, x: Any, domain: Any, seed: int) -> Any:
        return Rise(queries=self.queries).plan(x, domain, seed)


def test_a_method_that_is_no_subclass_is_taken_and_may_adapt(ledger: Ledger) -> None:
    """Code from before there was something to subclass runs under its own name; two targets may cost it twice."""
    own: Any = Undecided()
    found = bbquery.explain(PHOTO, sides_oracle(), method=own, max_queries=5, ledger=ledger)

    assert constructor(found.method) == "Undecided(queries=3)"
    assert type_name(found.method) == "Undecided"
    assert found.queries.asked == 4
    with pytest.raises(UsageError, match="Undecided asks 3 queries for each of 2 targets"):
        bbquery.explain(PHOTO, sides_oracle(), method=own, target=["0", "1"], max_queries=5, ledger=ledger)


def test_a_method_that_does_not_say_may_adapt() -> None:
    """So it is asked for each target anew, and never as a batch; there is nothing that it leaves open."""

    class Quiet(Method):
        queries = 3

        def plan(self, x: Any, domain: Any, seed: int) -> Any: ...

    assert Quiet().adaptive
    assert isinstance(quiet := Quiet(), Method)
    assert quiet.shareable() is quiet
