"""What every saliency method promises, whatever it computes: each new file is tested without being asked.

Methods are taken from `load.names("method")`. They are asked on small photos with enough queries for several batches.
"""

from __future__ import annotations

import dataclasses
import functools
import importlib
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from bbquery import load
from bbquery.plan import Ask, Yielded, replay, step
from bbquery.saliency import Method
from bbquery.types import FLOAT, UINT8, Decision, Domain, SaliencyMap, Scores
from tests.support.configurations import constructors

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from bbquery.types import Image

NAMES = list(load.names("method"))
METHODS = [pytest.param(name, marks=pytest.mark.slow if name in {"bayes", "designed"} else ()) for name in NAMES]
QUERIES = 530  # two full batches of the usual 256, and a smaller one
FEWER = {"bayes": 130, "designed": 288}  # of methods that compute long: a full batch and a smaller one
SHAPES = {"8 by 8": (8, 8, 3), "wide": (8, 21, 3), "tall": (17, 8, 3)}
DOMAINS = {"uint8": UINT8, "float64": FLOAT}


def queries_of(name: str) -> int:
    """Return how many queries a method is tried with."""
    return FEWER.get(name, QUERIES)


def method(name: str, queries: int | None = None) -> Method:
    return load.method(name, queries=queries_of(name) if queries is None else queries)


@functools.cache
def photo(shape: tuple[int, int, int] = SHAPES["8 by 8"], dtype: str = "uint8") -> NDArray[Any]:
    """Return a photo, the same each time, that nobody can write on."""
    image: NDArray[Any] = np.random.default_rng(7).integers(0, 256, shape).astype(dtype)
    image.flags.writeable = False
    return image


def brightness(ask: Ask) -> Scores:
    """Score every row by how bright its upper half is: 0 to 1."""
    values = np.array([ask.images[row][: len(ask.images[row]) // 2].mean() / 255 for row in range(len(ask.images))])
    return Scores((values > 0.5).astype(np.int8), values)


def silent(ask: Ask) -> Scores:
    """Answer nothing."""
    return Scores.blank(len(ask.images))


def constant(ask: Ask) -> Scores:
    """Answer every row alike."""
    return Scores(np.full(len(ask.images), Decision.MET, np.int8), np.full(len(ask.images), 0.25))


def refusing(ask: Ask) -> Scores:
    """Refuse every third row."""
    scores = brightness(ask)
    refused = np.arange(len(scores)) % 3 == 0
    decision = np.where(refused, Decision.UNDECIDED, scores.decision).astype(np.int8)
    return Scores(decision, np.where(refused, np.nan, scores.value))


def asked(name: str, answer: Callable[[Ask], Scores], domain: Domain = UINT8, seed: int = 0) -> list[Ask]:
    """Return every question of a run."""
    asks: list[Ask] = []

    def noting(ask: Ask) -> Scores:
        asks.append(ask)
        return answer(ask)

    replay(method(name).plan(photo(), domain, seed), noting)
    return asks


def first_ask(name: str, domain: Domain = UINT8, seed: int = 0, shape: tuple[int, int, int] = (8, 8, 3)) -> Ask:
    state = step(method(name).plan(domain.realise(photo(shape)), domain, seed), None)
    assert isinstance(state, Yielded)
    return state.ask


def assert_sound(name: str, found: SaliencyMap, image: Image, answered: int) -> None:
    """A map has finite float64 values, one for each pixel, and says what it rests on."""
    assert isinstance(found, SaliencyMap)
    assert (found.values.shape, found.values.dtype) == (image.shape[:2], np.dtype(np.float64))
    assert np.isfinite(found.values).all()
    assert (found.rows, found.answered) == (queries_of(name), answered)
    assert found.partial is (answered < queries_of(name))
    assert found.unit


def test_there_are_methods() -> None:
    """The enumeration finds what is there, so that the tests below test something."""
    assert {"rise", "lr"} <= set(NAMES)


# --- configuration ---


@pytest.mark.parametrize("name", METHODS)
def test_a_method_is_a_documented_frozen_configuration(name: str) -> None:
    """Module and class say what they are; METHOD is a frozen dataclass, its options are given by name."""
    module = importlib.import_module(load.names("method")[name])

    assert (module.__doc__ or "").strip()
    for kind in (module.METHOD, type(method(name))):
        assert dataclasses.is_dataclass(kind)
        assert kind.__dataclass_params__.frozen  # type: ignore[attr-defined] # every dataclass has them
        assert all(field.kw_only for field in dataclasses.fields(kind))
        assert kind.__doc__
        assert not kind.__doc__.startswith(f"{kind.__name__}(")  # which a dataclass writes itself


@pytest.mark.parametrize("name", METHODS)
def test_a_method_is_shown_as_the_call_that_makes_it(name: str) -> None:
    """Evaluating its repr gives an equal method: manifests and run identities rest on that."""
    configured = method(name, queries=123)

    assert eval(repr(configured), dict(constructors(configured))) == configured


@pytest.mark.parametrize("name", METHODS)
def test_a_method_says_how_many_queries_it_asks(name: str) -> None:
    """`queries` is known before anything is asked, so that a budget can be held against it."""
    assert method(name, queries=37).queries == 37
    assert load.method(name).queries >= 1


@pytest.mark.parametrize("name", NAMES)
def test_a_method_says_whether_it_adapts_and_what_several_can_share(name: str) -> None:
    """What can be shared asks as much; unless the method's options leave it open, it is the method itself."""
    configured = method(name)
    shared = configured.shareable()

    assert isinstance(configured, Method)
    assert isinstance(configured.adaptive, bool)
    assert (type(shared), shared.queries) == (type(configured), configured.queries)
    assert shared.shareable() == shared
    assert shared == configured or (configured.adaptive and not shared.adaptive)


# --- queries ---


@pytest.mark.parametrize("queries", [1, 2, 255, 256, 257, QUERIES])
@pytest.mark.parametrize("name", METHODS)
def test_it_asks_exactly_its_queries(name: str, queries: int) -> None:
    """Repeats counted, a run that nobody stops asks what was announced: no query more, none left over."""
    total, queries = 0, min(queries, queries_of(name))

    def counting(ask: Ask) -> Scores:
        nonlocal total
        total += ask.queries
        return brightness(ask)

    replay(method(name, queries).plan(photo(), UINT8, 0), counting)

    assert total == queries


@pytest.mark.parametrize("queries", [1, 2, 3])
@pytest.mark.parametrize("name", METHODS)
def test_so_few_queries_as_fit_are_all_it_asks(name: str, queries: int) -> None:
    """On a photo with more pixels than any grid has cells, not one query more is asked than was announced."""
    total = 0

    def counting(ask: Ask) -> Scores:
        nonlocal total
        total += ask.queries
        return brightness(ask)

    replay(method(name, queries).plan(photo((40, 40, 3)), UINT8, 0), counting)

    assert 1 <= total <= queries


@pytest.mark.parametrize("name", METHODS)
def test_batches_do_not_depend_on_answers(name: str) -> None:
    """Whatever is answered, all yields but the last have the same sizes: a rerun finds its answers in the store."""
    sizes = [[ask.repeats for ask in asked(name, answer)][:-1] for answer in (brightness, constant, refusing, silent)]

    assert all(other == sizes[0] for other in sizes[1:])


# --- images ---


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("domain", DOMAINS)
@pytest.mark.parametrize("name", METHODS)
def test_images_are_of_the_domain(name: str, domain: str, shape: str) -> None:
    """Every row has the photo's shape and the domain's type, and is finite: exactly what can be sent."""
    ask = first_ask(name, DOMAINS[domain], shape=SHAPES[shape])

    for row in range(len(ask.images)):
        image = ask.images[row]
        assert (image.shape, image.dtype) == (SHAPES[shape], np.dtype(domain))
        assert np.isfinite(image).all()
        assert np.array_equal(DOMAINS[domain].realise(image), image)


@pytest.mark.parametrize("domain", DOMAINS)
@pytest.mark.parametrize("name", METHODS)
def test_a_row_is_the_same_whenever_and_wherever_it_is_rendered(name: str, domain: str) -> None:
    """Backwards, twice, or on eight threads at once: a row's pixels depend on its number alone."""
    images = first_ask(name, DOMAINS[domain]).images
    rows = range(len(images))
    once = [images[row].copy() for row in rows]

    backwards = [images[row].copy() for row in reversed(rows)]
    with ThreadPoolExecutor(8) as threads:
        at_once = list(threads.map(images.__getitem__, [*rows, *reversed(rows)]))

    for row in rows:
        for again in (backwards[-1 - row], at_once[row], at_once[-1 - row]):
            assert np.array_equal(again, once[row])


@pytest.mark.parametrize("name", METHODS)
def test_writing_on_a_row_changes_no_other(name: str) -> None:
    """A model may work in place: what it was given is its own, and the photo is not touched."""
    images = first_ask(name).images
    before = images[0].copy()

    images[0][:] = 0

    assert np.array_equal(images[0], before)


@pytest.mark.parametrize("name", METHODS)
def test_rows_differ_from_each_other(name: str) -> None:
    """A run pays for different questions: hardly any two rows, within a batch or between, are equal."""
    distinct = {ask.images[row].tobytes() for ask in asked(name, brightness) for row in range(len(ask.images))}

    assert len(distinct) > 0.9 * queries_of(name)


# --- seeds ---


@pytest.mark.parametrize("domain", DOMAINS)
@pytest.mark.parametrize("name", METHODS)
def test_the_same_seed_gives_the_same_bits(name: str, domain: str) -> None:
    """Two runs with one seed send the same pixels and return the same map, to the bit; another seed does not."""

    def run(seed: int) -> tuple[bytes, bytes]:
        x = DOMAINS[domain].realise(photo())
        images = first_ask(name, DOMAINS[domain], seed).images
        sent = b"".join(images[row].tobytes() for row in range(len(images)))
        return sent, replay(method(name).plan(x, DOMAINS[domain], seed), brightness).values.tobytes()

    first, again, other = run(1), run(1), run(2)

    assert first == again
    assert first[0] != other[0]
    assert first[1] != other[1]


@pytest.mark.parametrize("name", METHODS)
def test_runs_do_not_disturb_each_other(name: str) -> None:
    """Two runs of one method side by side find what each finds alone: nothing is kept on the method."""
    configured = method(name)
    plans = [configured.plan(photo(), UINT8, seed) for seed in (1, 2)]
    states = [step(plan, None) for plan in plans]
    while any(isinstance(state, Yielded) for state in states):
        states = [
            step(plan, brightness(state.ask)) if isinstance(state, Yielded) else state
            for plan, state in zip(plans, states, strict=True)
        ]

    for seed, state in zip((1, 2), states, strict=True):
        assert not isinstance(state, Yielded)
        alone = replay(method(name).plan(photo(), UINT8, seed), brightness)
        assert np.array_equal(state.result.values, alone.values)


# --- results ---


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("domain", DOMAINS)
@pytest.mark.parametrize("name", METHODS)
def test_a_map_has_a_number_for_each_pixel(name: str, domain: str, shape: str) -> None:
    """In every domain, on the smallest and on oblong photos, the map has the photo's height and width."""
    x = DOMAINS[domain].realise(photo(SHAPES[shape]))

    found = replay(method(name).plan(x, DOMAINS[domain], 0), brightness)

    assert_sound(name, found, x, answered=queries_of(name))
    assert found.values.std() > 0


@pytest.mark.parametrize("stop_after", [0, 1, 2, QUERIES // 2, QUERIES - 1])
@pytest.mark.parametrize("domain", DOMAINS)
@pytest.mark.parametrize("name", METHODS)
def test_stopped_anywhere_it_returns_its_best_so_far(name: str, domain: str, stop_after: int) -> None:
    """After no answer, one, half or all but one, the map is sound and says how many answers it rests on."""
    stop_after = min(stop_after, queries_of(name) - 1)
    x = DOMAINS[domain].realise(photo())

    found = replay(method(name).plan(x, DOMAINS[domain], 0), brightness, stop_after=stop_after)

    assert_sound(name, found, x, answered=stop_after)


@pytest.mark.parametrize("name", METHODS)
def test_refusals_are_left_out(name: str) -> None:
    """Rows without an answer are neither evidence nor zeros: they are missing from the count and from the map."""
    found = replay(method(name).plan(photo(), UINT8, 0), refusing)

    answered = sum(int(np.count_nonzero(np.arange(len(ask.images)) % 3)) for ask in asked(name, refusing))
    assert_sound(name, found, photo(), answered=answered)


@pytest.mark.parametrize("name", METHODS)
def test_an_oracle_that_answers_nothing_leaves_an_empty_map(name: str) -> None:
    """When every row is refused there is nothing to show, and that is what is shown."""
    found = replay(method(name).plan(photo(), UINT8, 0), silent)

    assert_sound(name, found, photo(), answered=0)
    assert not found.values.any()


@pytest.mark.parametrize("name", METHODS)
def test_a_photo_of_one_colour_is_no_obstacle(name: str) -> None:
    """Black, white or grey, where noise is clipped and masks hide nothing, the map is still sound."""
    for level in (0, 127, 255):
        x = np.full((8, 8, 3), level, np.uint8)
        assert_sound(name, replay(method(name).plan(x, UINT8, 0), brightness), x, answered=queries_of(name))
