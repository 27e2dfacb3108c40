"""Verified facts of a map: what alone keeps the answer and what breaks it, asked twice, within the queries kept."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

import bbquery
from bbquery.errors import Rejected, UsageError
from bbquery.images.boxes import Box
from bbquery.perturb.baselines import filling
from bbquery.types import Label
from oracles import function
from tests.support.chance import Chance
from tests.support.counted import Counted
from tests.support.known_map import KnownMap, NeedsRows

if TYPE_CHECKING:
    from bbquery.jobs.explain.verified import Verified
    from bbquery.ledger.ledger import Ledger
    from bbquery.oracle import Oracle

PHOTO = np.random.default_rng(0).integers(0, 256, (20, 10, 3), dtype=np.uint8)
SEES = NeedsRows(PHOTO, 2, 4)  # of 20 rows, which the map ranks from the top: 25 % are enough, and 11 % break it

ANSWERS: dict[str, Callable[[bool], object]] = {
    "probabilities": lambda sees: [0.8, 0.2] if sees else [0.3, 0.7],
    "scores": lambda sees: [5.0, -1.0] if sees else [-2.0, 3.0],
    "labels": lambda sees: [("cat", 0.8), ("dog", 0.3)] if sees else [("dog", 0.7), ("cat", 0.5)],
    "text": lambda sees: "A cat on a sofa." if sees else "A dog.",
}


def oracle(call: Callable[..., Any], answers: str = "probabilities", **options: Any) -> Oracle:
    classes = None if answers == "text" else "cat|dog"
    return function.connect(call, answers=answers, classes=classes, version="1", **options)  # type: ignore[arg-type] # one of four


def explained(call: Callable[..., Any], ledger: Ledger, **options: Any) -> bbquery.Explanation:
    """Explain by a method that asks four queries, with the photo's own one five."""
    more: dict[str, Any] = {"method": KnownMap(), "max_queries": 100, "ledger": ledger} | options
    own = more.pop("oracle", None) or oracle(call)
    return bbquery.explain(PHOTO, own, **more)


def verified(*arguments: Any, **options: Any) -> Verified:
    (m,) = explained(*arguments, **options).maps
    assert m.verified is not None
    return m.verified


@pytest.mark.parametrize(("kind", "broken"), [*((kind, "dog") for kind in list(ANSWERS)[:3]), ("text", "“A dog.”")])
def test_the_smallest_parts_are_those_of_the_map_s_order(kind: str, broken: str, ledger: Ledger) -> None:
    """Numbers, labels and texts alike: the rows down to the last one needed are enough, and the first one breaks it."""
    model = Counted(lambda image: ANSWERS[kind](SEES(image)))

    found = verified(model, ledger, oracle=oracle(model, kind), target="cat")

    assert found.enough is not None
    assert found.breaks is not None
    assert (found.enough.says, found.breaks.says) == ("25 % of the photo is enough", f"hiding 11 % makes it {broken}")
    assert (found.enough.share, found.breaks.share) == (50 / 200, 22 / 200)
    assert found.why == ""
    assert found.queries == model.calls - 5 <= 24
    for part in (found.enough, found.breaks):
        assert sum(np.array_equal(image, part.image) for image in model.shown) == 2
        assert np.array_equal(part.image[part.shown], PHOTO[part.shown])
        assert np.all(part.image[~part.shown] == 127)
        assert len(part.answers) == 2


def test_a_second_run_pays_nothing_and_finds_the_same(ledger: Ledger) -> None:
    """Facts are questions like any other, and stored."""
    model = Counted(lambda image: ANSWERS["labels"](SEES(image)))
    first, again = (explained(model, ledger, oracle=oracle(model, "labels")) for _ in range(2))

    assert again.run == first.run
    assert again.queries.sent == 0
    assert again.facts == first.facts
    assert first.facts == ["verified: cat: 25 % of the photo is enough", "verified: cat: hiding 11 % makes it dog"]


def test_facts_are_added_to_a_run_without_paying_the_map_again(ledger: Ledger) -> None:
    """Without facts a run has the name that it has with them, so a larger cap resumes it and asks for them alone."""
    model = Counted(lambda image: ANSWERS["probabilities"](SEES(image)))
    without = explained(model, ledger, verify=0)
    calls = model.calls
    small, large = (explained(model, ledger, max_queries=cap) for cap in (5, 100))

    assert calls == 5
    assert (without.maps[0].verified, without.facts) == (None, [])
    assert small.run == large.run == without.run
    assert (small.queries.sent, len(large.facts)) == (0, 2)
    assert large.queries.sent == model.calls - calls <= 24


def test_a_target_that_is_not_on_top_must_keep_half_of_its_probability(ledger: Ledger) -> None:
    """It has no first answer to keep, so the fact names the two numbers that it is about."""

    def model(image: np.ndarray) -> list[float]:
        return [0.4, 0.6] if SEES(image) else [0.1, 0.9]

    found = verified(model, ledger, target="cat")

    assert found.enough is not None
    assert found.breaks is not None
    assert found.enough.says == "25 % of the photo is enough for half of the probability (0.4, the whole photo 0.4)"
    assert found.breaks.says == "hiding 11 % leaves less than half of the probability (0.1, the whole photo 0.4)"
    assert found.keeps == "probability at least 0.2, half of that on the whole photo"


def test_a_value_is_in_the_unit_of_its_score_where_lower_is_nearer(ledger: Ledger) -> None:
    """A cross-entropy stays positive, so that what is told of it is a probability of at most 100 %."""
    model = Counted(lambda image: ANSWERS["probabilities"](SEES(image)))

    found = verified(model, ledger, score="soft:form=cross_entropy")

    assert found.enough is not None
    assert found.breaks is not None
    assert np.exp([-found.enough.value, -found.breaks.value]) == pytest.approx([0.8, 0.3])


def test_a_target_that_was_never_the_answer_is_not_said_to_stay_one(ledger: Ledger) -> None:
    """Of a target that is not on top only its probability can stay when all is hidden: the fact is about that."""
    found = verified(lambda image: [0.2, 0.8] if SEES(image) else [0.9, 0.1], ledger, target="cat")

    assert found.says == [
        "with all of it hidden at least half of the probability (0.9, the whole photo 0.2) stays, "
        "so no part of the photo decides it"
    ]


def test_a_list_without_labels_is_called_so(ledger: Ledger) -> None:
    """What is hidden may leave nothing to name."""
    model = Counted(lambda image: ["cat"] if SEES(image) else [])

    assert verified(model, ledger, oracle=oracle(model, "labels")).says[1] == "hiding 11 % makes it no label"


@pytest.mark.parametrize(
    ("score", "said"),
    [
        ("threshold", "hiding 11 % leaves the score of the label at 0.25"),
        ("box", "hiding 11 %, it is not found in its box"),
    ],
)
def test_what_is_no_place_on_top_is_not_said_to_become_another_label(score: str, said: str, ledger: Ledger) -> None:
    """The first label stays a dog: what is lost is the cat's number, or the cat in its box."""
    box = Box.of(0, 0, 0.5, 1)
    model = Counted(lambda image: [Label("dog", 0.9), Label("cat", *((0.75, box) if SEES(image) else (0.25, None)))])

    found = verified(model, ledger, oracle=oracle(model, "labels"), score=score, target="cat")

    assert found.says[1] == said


@pytest.mark.parametrize(
    ("options", "answers", "why"),
    [
        ({"target": "sheep"}, "text", "the model does not answer 'sheep' to the whole photo"),
        ({"method": KnownMap(values="flat")}, "labels", "nothing moved, so the map ranks no pixels"),
        ({"method": KnownMap(queries=96)}, "labels", "the method's own queries leave too few: raise --max-queries"),
        ({"method": KnownMap(queries=96), "verify": 12}, "labels", "the method's own queries leave too few"),
    ],
)
def test_where_no_fact_can_be_had_nothing_is_asked_for_one(
    options: dict[str, Any], answers: str, why: str, ledger: Ledger
) -> None:
    """No answer to keep, a map that ranks nothing, no queries left: the map is whole, and the reason is told."""
    model = Counted(lambda image: ANSWERS[answers](SEES(image)))
    explanation = explained(model, ledger, oracle=oracle(model, answers), **options)

    (m,) = explanation.maps
    assert m.verified is not None
    assert m.verified.why.startswith(why)
    assert (m.verified.enough, m.verified.breaks, m.verified.queries) == (None, None, 0)
    assert model.calls == 1 + m.asked
    assert not explanation.partial


def test_a_run_that_ends_among_the_facts_keeps_the_map_and_pays_only_the_rest_later(ledger: Ledger) -> None:
    """The map is whole and the facts are not: the run is partial, says why, and is completed without asking twice."""
    fails: Iterator[int | None] = iter([8])

    def model(image: np.ndarray) -> object:
        if counted.calls - 1 == next(fails, None):
            raise Rejected("account closed")
        return ANSWERS["labels"](SEES(image))

    counted = Counted(model)
    fails = iter([*[None] * 8, 8])
    ended = explained(counted, ledger, oracle=oracle(counted, "labels"))
    calls = counted.calls
    whole = explained(counted, ledger, oracle=oracle(counted, "labels"))

    (m,) = ended.maps
    assert m.stopped is None
    assert m.verified is not None
    assert "account closed" in m.verified.why
    assert ended.partial
    assert ended.rest.missing > 0
    assert whole.run == ended.run
    assert not whole.partial
    assert len(whole.facts) == 2
    answered = {image.tobytes() for image in counted.shown}
    assert counted.calls - calls + ended.queries.answered == whole.queries.answered
    assert len(answered) == whole.queries.answered - 2  # both parts were asked twice


def test_what_was_answered_once_by_chance_is_not_told(ledger: Ledger) -> None:
    """A model that tosses coins gets no fact that its second answer does not bear out."""
    chance = Chance(3)

    def model(image: np.ndarray) -> str:
        sees = np.array_equal(image, PHOTO) or chance(image).random() < 0.5
        return "cat" if sees else "dog"

    found = verified(model, ledger, oracle=oracle(model, "labels"), target="cat")

    for part, label in ((found.enough, "cat"), (found.breaks, "dog")):
        assert part is None or [answer.labels[0].name for answer in part.answers] == [label, label]  # type: ignore[union-attr] # all are labels
    assert "did it once and not when asked again" in found.why
    assert "answer equal pictures alike, so even two answers alike could be chance" in found.why


def test_a_model_that_names_now_this_now_that_is_said_to_waver(ledger: Ledger) -> None:
    """Both answers change the target, so the fact holds; that they differ is a sign of chance, and is said."""
    chance = Chance(1)
    others = ["dog", "fox", "cow", "owl"]
    model = Counted(lambda image: "cat" if SEES(image) else str(chance(image).choice(others)))

    found = verified(model, ledger, oracle=oracle(model, "labels"), target="cat")

    assert found.says[1].startswith("hiding 11 % makes it ")
    assert " or " in found.says[1]
    assert "answer equal pictures alike" in found.why


def test_each_target_has_facts_of_its_own_within_the_cap(ledger: Ledger) -> None:
    """Two targets need twice the queries, which are reserved before the method takes what is left."""
    model = Counted(lambda image: ANSWERS["probabilities"](SEES(image)))
    explanation = explained(model, ledger, method="rise", max_queries=200, target=["cat", "dog"])

    assert explanation.method.queries == 200 - 1 - 2 * 24
    assert model.calls <= 200
    assert [m.verified is not None and m.verified.queries <= 24 for m in explanation.maps] == [True, True]


@pytest.mark.parametrize(
    ("options", "queries", "facts"),
    [
        ({"max_queries": 1000}, 975, 24),
        ({"max_queries": 60}, 44, 15),
        ({"max_queries": 19}, 18, None),
        ({"max_queries": 60, "verify": 30}, 29, 30),
        ({"max_queries": 60, "verify": 0}, 59, None),
        ({"max_queries": 60, "method": "rise:queries=52"}, 52, 7),
    ],
)
def test_the_method_asks_what_the_facts_leave(
    options: dict[str, Any], queries: int, facts: int | None, ledger: Ledger
) -> None:
    """24 are kept, of a small cap a quarter, of a tiny one none; what the method itself states goes before."""

    def model(image: np.ndarray) -> object:
        return ANSWERS["probabilities"](SEES(image))

    explanation = explained(model, ledger, **{"method": "rise", **options})

    (m,) = explanation.maps
    assert m.asked == queries
    assert (m.verified is None) == (facts is None)
    assert m.verified is None or m.verified.queries <= (facts or 0)
    assert explanation.queries.sent <= options["max_queries"]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"verify": 4}, "verify=4 is too few for a fact: give 5 or more, or 0 for none"),
        ({"verify": -1}, "verify must be a whole number of at least 0"),
        ({"verify": 99, "method": "rise"}, r"verified facts 99: 101; but at most 100 are allowed: .* or verify"),
    ],
)
def test_what_cannot_be_verified_is_refused_before_anything_is_asked(
    options: dict[str, Any], said: str, ledger: Ledger
) -> None:
    """Too few for a fact, no number, or no query left for the map."""
    model = Counted()
    with pytest.raises(UsageError, match=said):
        explained(model, ledger, **options)

    assert model.calls == 0


def test_what_the_model_is_not_shown_counts_for_nothing(ledger: Ledger) -> None:
    """Of a photo that is cropped, shares are of what is sent, and the fact says so."""
    seen = PHOTO[5:15]
    sees = NeedsRows(seen, 1, 1)

    def model(image: np.ndarray) -> object:
        return ANSWERS["probabilities"](sees(image))

    found = verified(model, ledger, oracle=oracle(model, crop=1.0))

    assert found.enough is not None
    assert found.enough.says == "20 % of what the model sees is enough"
    assert found.enough.shown.shape == (10, 10)


@pytest.mark.parametrize(("own", "beside"), [("mean", "grey"), ("grey", "mean"), ("blur", "grey")])
def test_parts_are_hidden_behind_another_filling_than_the_map_was_made_with(
    own: str, beside: str, ledger: Ledger
) -> None:
    """A map is judged with a filling that it does not know, and the result names it."""
    found = verified(lambda image: ANSWERS["probabilities"](SEES(image)), ledger, method=KnownMap(fill=own))

    assert found.filling == beside
    assert found.breaks is not None
    hidden = np.rint(filling(beside, PHOTO))  # type: ignore[arg-type] # one of the names
    assert np.array_equal(found.breaks.image[~found.breaks.shown], hidden[~found.breaks.shown])


def test_images_of_a_series_have_facts_too(ledger: Ledger) -> None:
    """What holds for one photo holds for each of several."""
    own = oracle(lambda image: ANSWERS["labels"](SEES(image)), "labels")
    results = list(bbquery.explain_many([PHOTO, PHOTO], own, method=KnownMap(), ledger=ledger))

    assert [len(result.explanation.facts) for result in results if result.explanation is not None] == [2, 2]


def test_a_batch_verifies_nothing_and_says_so_where_it_is_asked_to(ledger: Ledger) -> None:
    """A batch takes all questions at once, and facts are asked by answers."""
    with pytest.raises(UsageError, match="a batch takes all at once: say verify=0"):
        explained(Counted(), ledger, batch=True, verify=24)
