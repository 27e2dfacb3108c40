"""What every attack promises, however it searches: each new file is tested without being asked.

Attacks are taken from `load.names("attack")`. They are asked about classifiers whose boundary is known.
"""

from __future__ import annotations

import dataclasses
import functools
import importlib
import math
import re
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bbquery import load
from bbquery.errors import UsageError
from bbquery.plan import Ask, Yielded, replay, step
from bbquery.specification import with_option
from bbquery.types import FLOAT, UINT8, Decision, Domain, Scores
from tests.support.configurations import constructors

if TYPE_CHECKING:
    from bbquery.attacks import Attack, AttackResult

NAMES = list(load.names("attack"))
QUERIES = 420  # enough for a search; an attack may refuse fewer
BEYOND = 2 * QUERIES  # nobody asks so many but an attack without an end
SIDE = 12
DOMAINS = {"uint8": UINT8, "float64": FLOAT}


def attack(name: str) -> Attack:
    """Return an attack, in a ball that holds the boundary where its ball is fixed and small."""
    return load.attack(name, queries=QUERIES, epsilon=0.2)


@functools.cache
def photo(seed: int = 7) -> Any:
    """Return a photo that nobody can write on, far from black and white."""
    image = np.random.default_rng(seed).integers(90, 160, (SIDE, SIDE, 3)).astype(np.uint8)
    image.flags.writeable = False
    return image


def distance(image: Any, clean: Any) -> float:
    return float(np.sqrt(np.mean((image.astype(np.float64) - clean) ** 2))) / 255


def largest_change(image: Any, clean: Any) -> float:
    return float(np.abs(image.astype(np.float64) - clean).max()) / 255


@dataclasses.dataclass
class Sides:
    """A label that changes where the left half gets brighter than the right by `margin` grey levels more than before.

    The value is the nearer to 1 the nearer the clean label is. Every row for which `refuses` holds is undecided. An
    attack that goes on asking fails: it would never end.
    """

    margin: float = 12.0
    refused: int = 0  # every so many rows; 0: none
    wrong: float = 0.0  # the share of rows whose label is the other one, by chance
    clean: Any = dataclasses.field(default_factory=photo)
    images: list[Any] = dataclasses.field(default_factory=list)
    decisions: list[int] = dataclasses.field(default_factory=list)

    def lean(self, image: Any) -> float:
        left, right = np.array_split(np.asarray(image, dtype=np.float64), 2, axis=1)
        return float(left.mean() - (right.mean() if right.size else 0.0))

    def __call__(self, ask: Ask) -> Scores:
        assert len(self.images) <= BEYOND, f"it goes on asking after {len(self.images)} images"
        values = []
        for row, often in enumerate(ask.repeats):
            image = ask.images[row]
            left = self.margin - (self.lean(image) - self.lean(self.clean))
            refused = bool(self.refused) and len(self.images) % self.refused == 0
            other = np.random.default_rng((5, len(self.images))).random() < self.wrong
            decision = Decision.UNDECIDED if refused else Decision((left > 0) != other)
            self.images += [image.copy()] * often
            self.decisions += [decision] * often
            values.append(math.nan if refused else 1 / (1 + math.exp(-left / 10)))
        kept = self.decisions[len(self.decisions) - ask.queries :]
        first = np.cumsum([0, *ask.repeats[:-1]])
        return Scores(np.array(kept, np.int8)[first], np.array(values))

    @property
    def adversarial(self) -> list[Any]:
        return [image for image, met in zip(self.images, self.decisions, strict=True) if met == Decision.NOT_MET]


def run(name: str, sides: Sides, domain: Domain = UINT8, seed: int = 0, stop_after: int | None = None) -> AttackResult:
    return replay(attack(name).plan(domain.realise(sides.clean), domain, seed), sides, stop_after=stop_after)


def assert_sound(found: AttackResult, sides: Sides) -> None:
    """The result is the nearest adversarial image that was asked, as it was, and says what it took."""
    assert found.queries == len(sides.images)
    assert found.undecided == sides.decisions.count(Decision.UNDECIDED)
    measure, reached = (distance, found.rmse) if found.norm == "l2" else (largest_change, found.linf)
    nearest = min((measure(image, sides.clean) for image in sides.adversarial), default=math.inf)
    assert reached == pytest.approx(nearest, rel=1e-9)
    assert (found.best is None) == (not sides.adversarial)
    if found.best is not None:
        assert any(np.array_equal(found.best, image) for image in sides.adversarial)
        assert found.best.dtype == sides.images[0].dtype
        assert found.trace[-1].rmse == pytest.approx(found.rmse, rel=1e-9)
    distances = [point.rmse if found.norm == "l2" else point.linf for point in found.trace]
    assert distances == sorted(distances, reverse=True)
    passed = [point.queries for point in found.trace]
    assert passed == sorted(passed)
    assert all(0 < queries <= found.queries for queries in passed)
    assert all(each.queries <= found.queries and each.sigma > 0 for each in found.steps)


def test_there_are_attacks() -> None:
    """The enumeration finds what is there, so that the tests below test something."""
    assert {"lr_mifgsm", "lr_mifgsm_paper"} <= set(NAMES)


# --- configuration ---


@pytest.mark.parametrize("name", NAMES)
def test_an_attack_is_a_documented_frozen_configuration(name: str) -> None:
    """The module names the paper; ATTACK is a frozen dataclass that says what it is, its options given by name."""
    module = importlib.import_module(load.names("attack")[name])
    kind: Any = module.ATTACK

    assert re.search(r"\bet al\.|\b(?:19|20)\d\d\b", module.__doc__ or "")
    assert kind.__dataclass_params__.frozen
    assert all(field.kw_only for field in dataclasses.fields(kind))
    assert kind.__doc__
    assert not kind.__doc__.startswith(f"{kind.__name__}(")  # which a dataclass writes itself


def options(key: str, value: Any) -> list[tuple[str, Any]]:
    """Return an option as it is written: one that is an algorithm by its own options, each after a dot."""
    follows = key.endswith(".queries")  # from the attack's own
    if follows or (value is None and key.startswith("surrogate_")):  # which is a function, from Python only
        return []
    if not dataclasses.is_dataclass(value):
        return [(key, value)]
    return [
        pair
        for field in dataclasses.fields(value)
        for pair in options(f"{key}.{field.name}", getattr(value, field.name))
    ]


@pytest.mark.parametrize("name", NAMES)
def test_an_attack_is_shown_as_the_call_that_makes_it(name: str) -> None:
    """Its repr makes an equal one, and so do its options, written as a specification."""
    configured, specification = attack(name), name
    for field in dataclasses.fields(configured):  # type: ignore[arg-type] # tested above
        for key, value in options(field.name, getattr(configured, field.name)):
            specification = with_option(specification, key, value)

    assert eval(repr(configured), dict(constructors(configured))) == configured
    assert load.attack(specification) == configured


@pytest.mark.parametrize("name", NAMES)
def test_an_attack_says_how_many_queries_it_asks(name: str) -> None:
    """`queries` is known before anything is asked, so that a budget can be held against it."""
    assert attack(name).queries == QUERIES
    assert load.attack(name).queries >= 1


# --- what it asks ---


@pytest.mark.parametrize("margin", [4.0, 12.0, 1000.0, -1.0])
@pytest.mark.parametrize("domain", DOMAINS)
@pytest.mark.parametrize("name", NAMES)
def test_it_stays_within_its_queries(name: str, domain: str, margin: float) -> None:
    """Near a boundary, far from one, without any, or already beyond: never a query more than announced."""
    sides = Sides(margin)

    found = run(name, sides, DOMAINS[domain])

    assert 1 <= len(sides.images) <= QUERIES
    assert_sound(found, sides)


@pytest.mark.parametrize("domain", DOMAINS)
@pytest.mark.parametrize("name", NAMES)
def test_images_are_of_the_domain(name: str, domain: str) -> None:
    """Every row has the photo's shape and the domain's type, and is finite: exactly what can be sent."""
    sides = Sides()
    run(name, sides, DOMAINS[domain])

    for image in sides.images:
        assert (image.shape, image.dtype) == ((SIDE, SIDE, 3), np.dtype(domain))
        assert np.isfinite(image).all()
        assert np.array_equal(DOMAINS[domain].realise(image), image)


@pytest.mark.parametrize("domain", DOMAINS)
@pytest.mark.parametrize("name", NAMES)
def test_the_same_seed_gives_the_same_bits(name: str, domain: str) -> None:
    """Two runs with one seed ask the same pixels and find the same image, to the bit; another seed asks others."""
    one, again, other = Sides(), Sides(), Sides()

    first = run(name, one, DOMAINS[domain], 1)
    second = run(name, again, DOMAINS[domain], 1)
    run(name, other, DOMAINS[domain], 2)

    assert np.array_equal(one.images, again.images)
    assert first.best is not None
    assert second.best is not None
    assert first.best.tobytes() == second.best.tobytes()
    assert (first.rmse, first.trace, first.steps) == (second.rmse, second.trace, second.steps)
    assert not np.array_equal(one.images[: len(other.images)], other.images[: len(one.images)])


@pytest.mark.parametrize("name", NAMES)
def test_runs_do_not_disturb_each_other(name: str) -> None:
    """Two runs of one configuration side by side find what each finds alone: nothing is kept on the attack."""
    configured, oracles = attack(name), [Sides(), Sides()]
    plans = [configured.plan(photo(), UINT8, seed) for seed in (1, 2)]
    states = [step(plan, None) for plan in plans]
    while any(isinstance(state, Yielded) for state in states):
        states = [
            step(plan, sides(state.ask)) if isinstance(state, Yielded) else state
            for plan, state, sides in zip(plans, states, oracles, strict=True)
        ]

    for seed, state in zip((1, 2), states, strict=True):
        assert not isinstance(state, Yielded)
        assert state.result.rmse == run(name, Sides(), seed=seed).rmse


# --- what it finds ---


@pytest.mark.parametrize("name", NAMES)
def test_it_finds_something_near(name: str) -> None:
    """Where a boundary is near, it is crossed, within a small multiple of its distance."""
    sides = Sides()

    found = run(name, sides)

    assert found.best is not None
    assert found.rmse < 20 * sides.margin / 2 / 255


@pytest.mark.parametrize("stop_after", [0, 1, 50, 130, QUERIES // 2, QUERIES - 1])
@pytest.mark.parametrize("domain", DOMAINS)
@pytest.mark.parametrize("name", NAMES)
def test_stopped_anywhere_it_returns_its_best_so_far(name: str, domain: str, stop_after: int) -> None:
    """After no answer, one, or all but one, the result is the nearest of what was answered."""
    sides = Sides()

    found = run(name, sides, DOMAINS[domain], stop_after=stop_after)

    assert len(sides.images) <= stop_after
    assert_sound(dataclasses.replace(found, queries=len(sides.images), undecided=0), sides)
    assert found.queries - len(sides.images) == found.undecided  # rows of the last batch that were never answered


@pytest.mark.parametrize("name", NAMES)
def test_a_row_without_a_decision_is_no_success(name: str) -> None:
    """Refused rows count as asked and undecided; none of them is the result."""
    sides = Sides(refused=3)

    found = run(name, sides)

    assert found.undecided >= len(sides.images) // 3
    assert_sound(found, sides)


@pytest.mark.parametrize("name", NAMES)
def test_an_oracle_that_decides_nothing_is_not_beaten(name: str) -> None:
    """When every row is refused there is no adversarial image, and its distance is infinite."""
    sides = Sides(refused=1)

    found = run(name, sides)

    assert (found.best, found.rmse, found.trace) == (None, math.inf, ())
    assert found.undecided == found.queries == len(sides.images)


@pytest.mark.parametrize("name", NAMES)
def test_a_model_that_errs_by_chance_is_no_trouble(name: str) -> None:
    """Where 5 of 100 labels are random, the attack keeps to its queries and its result is what was asked."""
    sides = Sides(wrong=0.05)

    assert_sound(run(name, sides), sides)


@pytest.mark.parametrize("margin", [4.0, 1000.0, -1.0])
@pytest.mark.parametrize("queries", [1, 2, 7, 30])
@pytest.mark.parametrize("name", NAMES)
def test_a_budget_may_be_tiny(name: str, queries: int, margin: float) -> None:
    """With one query or a few it asks no more than these, or says beforehand how many it needs."""
    sides = Sides(margin)
    try:
        configured = load.attack(name, queries=queries)
    except UsageError as error:
        assert re.search(r"needs at least \d+ queries", str(error))  # noqa: PT017 - another test may not raise
        return

    found = replay(configured.plan(sides.clean, UINT8, 0), sides)

    assert 1 <= len(sides.images) <= queries
    assert_sound(found, sides)


@pytest.mark.parametrize("shape", [(1, 1), (2, 4), (4, 2), (1, 8), (8, 8)])
@pytest.mark.parametrize("name", NAMES)
def test_a_photo_may_be_tiny(name: str, shape: tuple[int, int]) -> None:
    """A pixel, eight in a row or in a block: images keep the shape, and the result is sound."""
    clean = np.random.default_rng(3).integers(90, 160, (*shape, 3)).astype(np.uint8)
    sides = Sides(3.0, clean=clean)

    found = run(name, sides)

    assert {image.shape for image in sides.images} == {clean.shape}
    assert_sound(found, sides)


@pytest.mark.parametrize("name", NAMES)
def test_a_start_is_asked_and_used(name: str) -> None:
    """An image that is adversarial already is asked within the first rows, and nothing worse is returned."""
    sides = Sides()
    start = np.clip(sides.clean.astype(int) + np.where(np.arange(SIDE) < SIDE // 2, 40, -40)[:, None], 0, 255)

    found = replay(attack(name).plan(sides.clean, UINT8, 0, start.astype(np.uint8)), sides)

    asked = [np.array_equal(image, start) for image in sides.images[:3]]
    assert any(asked)
    assert found.rmse <= distance(start, sides.clean)
    assert_sound(found, sides)


@pytest.mark.parametrize("name", NAMES)
def test_a_start_that_is_not_adversarial_does_no_harm(name: str) -> None:
    """A start with the clean label is asked, and the attack begins otherwise."""
    sides = Sides()

    found = replay(attack(name).plan(sides.clean, UINT8, 0, np.full_like(sides.clean, 120)), sides)

    assert found.best is not None
    assert_sound(found, sides)


@pytest.mark.parametrize("name", NAMES)
@settings(max_examples=8)
@given(seed=st.integers(0, 2**32 - 1), margin=st.floats(-5, 200), level=st.sampled_from([None, 0, 127, 255]))
def test_any_photo_and_any_seed_will_do(name: str, seed: int, margin: float, level: int | None) -> None:
    """Black, white, grey or any: the result is always the nearest adversarial image that was asked."""
    clean = photo(seed) if level is None else np.full((SIDE, SIDE, 3), level, np.uint8)
    sides = Sides(margin, clean=clean)

    assert_sound(run(name, sides, seed=seed), sides)
