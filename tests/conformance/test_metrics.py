"""What every metric promises, whatever it measures: each new file is tested without being asked.

Metrics are taken from `load.names("metric")`, and asked about small maps with all that any metric may need.
"""

from __future__ import annotations

import dataclasses
import functools
import importlib
import math
import re
import typing
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from bbquery import load
from bbquery.errors import UsageError
from bbquery.estimators.lr import LikelihoodRatio
from bbquery.jobs.evaluate.choice import Choice
from bbquery.jobs.evaluate.montage import Photo
from bbquery.jobs.evaluate.reference import Reference
from bbquery.metrics import Box, Case, Given, Measurement, Metric, Need, Quantity
from bbquery.metrics._making import Making
from bbquery.perturb.baselines import known_fill
from bbquery.plan import Ask, replay
from bbquery.saliency.rise import Rise
from bbquery.saliency.vanilla import GradientMap
from bbquery.specification import with_option
from bbquery.types import FLOAT, UINT8, Decision, Domain, Scores

NAMES = list(load.names("metric"))
FEW: dict[str, Any] = {"steps": 6, "copies": 7, "repeats": 2, "noisy_copies": 2}
SIDE = 16
RNG = np.random.default_rng(5)
PHOTOS = RNG.integers(0, 256, (4, SIDE, SIDE, 3)).astype(np.uint8)
VALUES = RNG.normal(size=(SIDE, SIDE))
CELLS, ESTIMATED = Making(Rise(queries=20, cells=3), 3), Making(GradientMap(estimator=LikelihoodRatio(queries=20)), 3)
for shared in (PHOTOS, VALUES):
    shared.flags.writeable = False


def metric(name: str) -> Metric:
    return load.metric(name, **FEW)


def given(made: Making = CELLS) -> Given:
    """All that any metric may need: a gradient by pixel, or by value where an estimator made the map."""
    gradient = Reference(np.stack([VALUES] * 3, axis=-1) if made is ESTIMATED else VALUES[::-1])
    others = tuple(Photo(f"{place}", photo) for place, photo in enumerate(PHOTOS[1:]))
    return Given(boxes=(Box(2, 3, 7, 6),), montage=others, gradient=gradient, made=made)


def case(made: Making = CELLS, values: Any = VALUES, domain: Domain = UINT8, seed: int = 0) -> Case:
    x = domain.realise(PHOTOS[0])
    return Case(
        x=x, domain=domain, values=values, in_photo=values, seed=seed, given=given(made),
        to_photo=lambda found: found, cells=lambda: [domain.realise(photo[::2, ::2]) for photo in PHOTOS],
    )  # fmt: skip


CASES: dict[str, Callable[..., Case]] = {
    "a method's map": case, "an estimator's map": functools.partial(case, ESTIMATED),
    "floating": functools.partial(case, domain=FLOAT),
}  # fmt: skip


def brightness(ask: Ask) -> Scores:
    """Score every row by how bright its upper half is: 0 to 1."""
    values = np.array([ask.images[row][: len(ask.images[row]) // 2].mean() / 255 for row in range(len(ask.images))])
    return Scores((values > 0.5).astype(np.int8), values)


def silent(ask: Ask) -> Scores:
    return Scores.blank(len(ask.images))


def refusing(ask: Ask) -> Scores:
    """Refuse every third row, but not the first."""
    scores = brightness(ask)
    refused = np.arange(len(scores)) % 3 == 2
    decision = np.where(refused, Decision.UNDECIDED, scores.decision).astype(np.int8)
    return Scores(decision, np.where(refused, np.nan, scores.value))


@dataclasses.dataclass
class Run:
    """What a metric asked, and what came of it."""

    measured: list[Measurement]
    images: list[Any]
    queries: int


def run(judge: Metric, case: Case, answer: Callable[[Ask], Scores] = brightness, stop_after: int | None = None) -> Run:
    images: list[Any] = []
    queries = 0

    def noting(ask: Ask) -> Scores:
        nonlocal queries
        queries += ask.queries
        images.extend(ask.images[row] for row in range(len(ask.images)))
        return answer(ask)

    question = judge.question(case.given)
    found = None if question is None else replay(question.plan(case), noting, stop_after=stop_after)
    return Run(judge.measurements(case, found), images, queries)


def sent(found: Run) -> bytes:
    return b"".join(image.tobytes() for image in found.images)


def same(one: list[Measurement], other: list[Measurement]) -> bool:
    """Whether two lists of measurements are the same to the bit, NaN included."""
    return repr(one) == repr(other)


def otherwise(name: str) -> list[Metric]:
    """Return the metric with each of its options changed in turn."""
    before, hints = metric(name), typing.get_type_hints(type(metric(name)))
    found = []
    for field in dataclasses.fields(before):  # type: ignore[arg-type] # every metric is one: tested below
        value = getattr(before, field.name)
        if isinstance(value, str):
            choices = re.findall(r"'(\w+)'", repr(hints[field.name]))
            found += [dataclasses.replace(before, **{field.name: each}) for each in choices if each != value][:1]  # type: ignore[type-var] # as above
        else:
            changed = value + 1 if isinstance(value, int) else value / 2
            found.append(dataclasses.replace(before, **{field.name: changed}))  # type: ignore[type-var] # as above
    return found


def test_there_are_metrics() -> None:
    """The enumeration finds what is there, so that the tests below test something."""
    assert {"srg", "aopc", "infidelity", "r_sal", "repeatability", "gradient_cosine"} <= set(NAMES)


# --- configuration and declaration ---


@pytest.mark.parametrize("name", NAMES)
def test_a_metric_is_a_documented_frozen_configuration(name: str) -> None:
    """Module and class say what they are; METRIC is a frozen dataclass, its options are given by name."""
    module = importlib.import_module(load.names("metric")[name])
    kind: Any = module.METRIC

    assert (module.__doc__ or "").strip()
    assert kind.__dataclass_params__.frozen
    assert all(field.kw_only for field in dataclasses.fields(kind))
    assert kind.__doc__
    assert not kind.__doc__.startswith(f"{kind.__name__}(")  # which a dataclass writes itself
    assert isinstance(metric(name), Metric)


@pytest.mark.parametrize("name", NAMES)
def test_a_metric_is_shown_as_the_call_that_makes_it(name: str) -> None:
    """Its repr makes an equal one, and so do its options, written as a specification."""
    for configured in (metric(name), *otherwise(name)):
        specification = name
        for field in dataclasses.fields(configured):  # type: ignore[arg-type] # tested above
            specification = with_option(specification, field.name, getattr(configured, field.name))

        assert eval(repr(configured), {type(configured).__name__: type(configured)}) == configured
        assert load.metric(specification) == configured


@pytest.mark.parametrize("name", NAMES)
def test_a_metric_declares_what_it_needs_and_measures(name: str) -> None:
    """Numbers have a name, a unit, a better direction and a sense of chance; what it needs can be given."""
    judge, known = metric(name), typing.get_args(Need)

    assert judge.quantities
    for quantity in judge.quantities:
        assert isinstance(quantity, Quantity)
        assert re.fullmatch(r"[a-z][a-z0-9_]*", quantity.name)
        assert quantity.better in ("higher", "lower")
        assert quantity.unit
        assert quantity.chance
    assert {*judge.needs, *judge.wants} <= set(known)
    assert not judge.lowered or judge.lowered in {field.name for field in dataclasses.fields(judge)}  # type: ignore[arg-type] # tested above
    assert not judge.chosen or "made" not in judge.needs  # whole maps are only asked where they are named


def test_no_two_metrics_measure_a_number_of_one_name() -> None:
    """A record tells numbers apart by their names, and runs are named in one order."""
    quantities = [quantity.name for name in NAMES for quantity in metric(name).quantities]
    places = [metric(name).place for name in NAMES if metric(name).place != Metric.place]

    assert len(set(quantities)) == len(quantities)
    assert len(set(places)) == len(places)


@pytest.mark.parametrize("name", NAMES)
def test_what_a_metric_needs_is_asked_for(name: str) -> None:
    """Without it the refusal names the metric; with it the metric is chosen."""
    everything: dict[str, Any] = {field.name: getattr(given(), field.name) for field in dataclasses.fields(Given)}
    for need in metric(name).needs:
        lacking = {key: value for key, value in everything.items() if key != need}
        with pytest.raises(UsageError, match=name):
            Choice(names=(name,), **lacking)

    assert Choice(names=(name,), **everything).chosen == (name,)


# --- questions ---


@pytest.mark.parametrize("of", CASES)
@pytest.mark.parametrize("name", NAMES)
def test_it_asks_exactly_what_it_announces(name: str, of: str) -> None:
    """Queries are known beforehand; rows are of the photo's kind and finite; the photo is among them if it says so."""
    judged = CASES[of]()
    question, found = metric(name).question(judged.given), run(metric(name), judged)

    assert found.queries == (0 if question is None else question.queries)
    for image in found.images:
        assert (image.shape, image.dtype) == (judged.x.shape, judged.x.dtype)
        assert np.isfinite(image).all()
    if question is not None and question.asks_photo:
        assert any(np.array_equal(image, judged.x) for image in found.images)


@pytest.mark.parametrize("name", NAMES)
def test_what_asks_otherwise_is_named_otherwise(name: str) -> None:
    """The name of a question, which names a run, says all that decides what is asked; so does the seed of the map."""
    judged, before = case(), metric(name)
    question = before.question(judged.given)
    if question is None:
        return
    others = [(other, judged) for other in otherwise(name)]
    if "made" in before.needs:
        others.append((before, case(Making(CELLS.method, 4))))

    for other, where in others:
        differs = sent(run(other, where)) != sent(run(before, judged))
        named = other.question(where.given)
        assert named is not None
        assert not differs or named.name != question.name


@pytest.mark.parametrize("name", NAMES)
def test_the_option_that_lowers_queries_does(name: str) -> None:
    """A person is told to lower it where a budget is too small, so less of it asks less."""
    judge = metric(name)
    if not judge.lowered:
        return
    fewer = dataclasses.replace(judge, **{judge.lowered: getattr(judge, judge.lowered) - 1})  # type: ignore[type-var] # a dataclass
    before, after = judge.question(given()), fewer.question(given())

    assert before is not None
    assert after is not None
    assert after.queries < before.queries


@pytest.mark.parametrize("of", CASES)
@pytest.mark.parametrize("name", NAMES)
def test_the_same_seed_gives_the_same_bits(name: str, of: str) -> None:
    """Two runs of one configuration ask the same pixels and measure the same numbers, to the bit."""
    one, other = (run(metric(name), CASES[of](seed=1)) for _ in range(2))

    assert sent(one) == sent(other)
    assert same(one.measured, other.measured)


def test_metrics_that_are_chosen_together_measure_what_each_does_alone() -> None:
    """Equal questions are asked once, and no answer is handed to the wrong metric."""
    everything: dict[str, Any] = {field.name: getattr(given(), field.name) for field in dataclasses.fields(Given)}
    choice, judged = Choice(names=tuple(NAMES), **everything, **FEW), case()

    answers = {key: replay(each.plan(judged), brightness) for key, each in choice.questions().items()}
    together = choice.measurements(judged, answers)

    alone = [each for judge in choice.metrics.values() for each in run(judge, judged).measured]
    assert same(together, alone)
    asking = [judge for judge in choice.metrics.values() if judge.question(judged.given) is not None]
    assert len(answers) < len(asking)  # srg and aopc share their curves


# --- measurements ---


@pytest.mark.parametrize("answer", [brightness, refusing, silent])
@pytest.mark.parametrize("of", CASES)
@pytest.mark.parametrize("name", NAMES)
def test_it_measures_what_it_declares(name: str, of: str, answer: Callable[[Ask], Scores]) -> None:
    """One number for each quantity, in their order, each a float that is not infinite, with what it rests on."""
    judge, judged = metric(name), CASES[of]()

    found = run(judge, judged, answer)

    assert [(each.metric, each.better) for each in found.measured] == [(q.name, q.better) for q in judge.quantities]
    for each in found.measured:
        assert isinstance(each.value, float)
        assert not math.isinf(each.value)
        assert 0 <= each.unanswered <= found.queries >= each.queries
        assert (each.queries > 0) == (found.queries > 0) == (each.steps > 0)
        assert bool(each.fill) == bool(judge.fills)
    for fill in judge.fills:
        known_fill(fill)
        assert any(f"{fill}" in each.fill for each in found.measured)


@pytest.mark.parametrize("of", CASES)
@pytest.mark.parametrize("name", NAMES)
def test_without_an_answer_there_is_no_number(name: str, of: str) -> None:
    """Refused rows are counted; where all are, the number is NaN, never a guess."""
    judge, judged = metric(name), CASES[of]()
    question = judge.question(judged.given)
    if question is None:
        return

    none, some, whole = (run(judge, judged, answer).measured for answer in (silent, refusing, brightness))

    assert all(math.isnan(each.value) for each in none)
    assert all(each.unanswered > 0 for each in none)
    if question.queries > 2:
        assert all(0 < each.unanswered < rest.unanswered for each, rest in zip(some, none, strict=True))
    assert all(each.unanswered == 0 for each in whole)


@pytest.mark.parametrize("name", NAMES)
def test_stopped_anywhere_it_measures_what_it_has(name: str) -> None:
    """After no answer, one, half or all but one, there is a measurement of each quantity, and the rest is counted."""
    judge, judged = metric(name), case()
    question = judge.question(judged.given)
    if question is None:
        return

    for stop_after in {0, 1, question.queries // 2, question.queries - 1}:
        found = run(judge, judged, stop_after=stop_after).measured
        assert [each.metric for each in found] == [quantity.name for quantity in judge.quantities]
        assert all(each.unanswered > 0 and not math.isinf(each.value) for each in found)


@pytest.mark.parametrize("values", [np.zeros((SIDE, SIDE)), np.full((SIDE, SIDE), 2.5), np.full((SIDE, SIDE), -1.0)])
@pytest.mark.parametrize("name", NAMES)
def test_a_constant_map_is_refused_or_measured(name: str, values: Any) -> None:
    """A map that ranks nothing is refused before anything is asked, or gets a number or NaN: no warning, no error."""
    asked: list[Ask] = []

    def noting(ask: Ask) -> Scores:
        asked.append(ask)
        return brightness(ask)

    try:
        found = run(metric(name), case(values=values), noting)
    except UsageError:
        assert not asked
    else:
        assert not any(math.isinf(each.value) for each in found.measured)


@pytest.mark.parametrize("name", NAMES)
def test_a_gradient_is_taken_where_a_metric_says_so(name: str) -> None:
    """A map (H, W, 3) is judged by those that declare it."""
    if not metric(name).takes_gradient:
        return
    by_value = np.stack([VALUES, -VALUES, 2 * VALUES], axis=-1)
    judged = dataclasses.replace(
        case(values=by_value), given=dataclasses.replace(given(), gradient=Reference(by_value[::-1]))
    )

    assert all(math.isfinite(each.value) for each in run(metric(name), judged).measured)
