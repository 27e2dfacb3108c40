"""MIG: MI-FGSM over saliency maps, whose iterates at a linear score are known, and surrogates to transfer from."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from bbquery import load
from bbquery.attacks.mig import Mig
from bbquery.errors import UsageError
from bbquery.estimators.lr import LikelihoodRatio
from bbquery.plan import Ask, replay
from bbquery.saliency.integrated import IntegratedGradients
from bbquery.saliency.rise import Rise
from bbquery.saliency.smoothgrad import SmoothGrad
from bbquery.saliency.vanilla import GradientMap
from bbquery.saliency.vargrad import VarGrad
from bbquery.types import FLOAT, UINT8, Decision, Scores

SHAPE = (6, 6, 3)
X = np.random.default_rng(0).integers(60, 190, SHAPE).astype(np.float64)
W = np.random.default_rng(1).standard_normal(SHAPE)
EPSILON = 20 / 255
METHODS = {"vanilla": GradientMap(), "smoothgrad": SmoothGrad(), "integrated": IntegratedGradients()}


class Target:
    """A model whose score is linear, W · x; its label changes where that has fallen by `margin` · Σ|W|."""

    def __init__(self, margin: float = 15.0) -> None:
        self.margin = margin
        self.asked: list[Any] = []

    def __call__(self, ask: Ask) -> Scores:
        images = [np.asarray(ask.images[row], dtype=np.float64) for row in range(len(ask.images))]
        self.asked += images
        values = np.array([np.vdot(W, image - X) for image in images])
        stands = values > -self.margin * np.abs(W).sum()
        return Scores(np.where(stands, Decision.MET, Decision.NOT_MET).astype(np.int8), values)


def slope(_: Any, clean: Any) -> Any:
    """Return the gradient of the linear score, which is the same everywhere."""
    assert np.array_equal(clean, X)
    return W


@pytest.mark.parametrize("domain", [FLOAT, UINT8], ids=["float64", "uint8"])
@pytest.mark.parametrize("method", METHODS)
def test_at_a_linear_score_the_iterates_are_steps_against_its_signs(method: str, domain: Any) -> None:
    """With a white box each of T iterates is x - t ε / T sign(W), whatever the map, and nothing else is asked."""
    target = Target()

    found = replay(
        Mig(queries=50, method=METHODS[method], epsilon=EPSILON, surrogate_gradient=slope).plan(X, domain, 0), target
    )

    assert np.allclose(target.asked, [X - t * 255 * EPSILON / 10 * np.sign(W) for t in range(1, 11)])
    assert found.queries == 10
    assert found.linf == pytest.approx(16 / 255)  # the first iterate that lies beyond 15


def test_rounding_does_not_leave_the_ball() -> None:
    """On 8-bit pixels no iterate changes a value by more than ε, also where that is no whole number of levels."""
    target = Target(1e9)

    attack = Mig(method=GradientMap(), steps=4, epsilon=7.6 / 255, surrogate_gradient=slope)
    replay(attack.plan(X, UINT8, 0), target)

    assert [float(np.abs(image - X).max()) for image in target.asked] == [1.0, 3.0, 5.0, 7.0]


def test_momentum_weighs_steps_by_their_length_in_l1() -> None:
    """With g ← μ g + S / ‖S‖₁ a gradient a thousand times as long counts as much, and μ = 0 forgets the first."""
    other = np.random.default_rng(2).standard_normal(SHAPE)

    def turning(image: Any, clean: Any) -> Any:
        return 1000 * W if np.array_equal(image, clean) else other

    def last_step(momentum: float) -> Any:
        target = Target(1e9)
        attack = Mig(method=GradientMap(), steps=2, momentum=momentum, surrogate_gradient=turning)
        replay(attack.plan(X, FLOAT, 0), target)
        return np.sign(target.asked[1] - target.asked[0])

    def normalised(gradient: Any) -> Any:  # |map| is the largest of the channels
        saliency = np.abs(gradient).max(axis=2, keepdims=True) * np.sign(gradient)
        return saliency / np.abs(saliency).mean()

    assert np.array_equal(last_step(0.0), -np.sign(other))
    assert np.array_equal(last_step(1.0), -np.sign(normalised(W) + normalised(other)))


@pytest.mark.parametrize("method", ["vanilla", "smoothgrad", "integrated"])
def test_the_oracle_itself_is_asked_where_there_is_no_surrogate(method: str) -> None:
    """Estimated with an equal share of the queries, signs are mostly those of the score, and the label changes."""
    target = Target(8.0)
    attack = load.attack(f"mig:method={method}", queries=4000, epsilon=EPSILON)

    found = replay(attack.plan(X, FLOAT, 0), target)

    moved = [image for image in target.asked if np.abs(image - X).max() <= 255 * EPSILON + 1e-9]
    assert found.queries == 4000
    assert np.mean(np.sign(X - moved[-1]) == np.sign(W)) > 0.85
    assert found.linf <= EPSILON + 1e-9


def test_a_map_of_variances_takes_its_signs_from_its_gradients() -> None:
    """Where a white box bends, VarGrad says where, and the mean of its gradients which way."""
    target = Target(1e9)

    def bent(image: Any, _: Any) -> Any:
        return W * (1 + 0.2 * np.tanh((image - X) / 20))

    replay(Mig(queries=10, method=VarGrad(), steps=1, surrogate_gradient=bent).plan(X, FLOAT, 0), target)

    assert np.array_equal(np.sign(target.asked[0] - X), -np.sign(W))


def test_a_map_without_gradients_darkens_what_speaks_for_the_label() -> None:
    """RISE's map moves all three channels alike: down where it is positive, up where it is negative."""
    target = Target(1e9)
    patch = np.zeros(SHAPE)
    patch[:3] = 1.0

    def brightness(images: Any, _: Any) -> Any:
        return (images * patch).sum(axis=(1, 2, 3)) - (images * (1 - patch)).sum(axis=(1, 2, 3))

    bright = np.full(SHAPE, 200.0)
    attack = Mig(queries=1, method=Rise(cells=2), steps=1, surrogate_value=brightness, surrogate_queries=2000)
    replay(attack.plan(bright, FLOAT, 0), target)

    moved = np.sign(target.asked[0] - bright)
    assert np.all(moved[0] == -1)
    assert np.all(moved[-1] == 1)


def test_a_black_box_surrogate_answers_in_place_of_the_target() -> None:
    """The target is asked the iterates alone; what the method asks goes to the surrogate, within its own number."""
    target, given = Target(8.0), []

    def values(images: Any, clean: Any) -> Any:
        given.extend(images)
        return ((images - clean) * W).sum(axis=(1, 2, 3))

    attack = Mig(
        queries=10, method=GradientMap(estimator=LikelihoodRatio(sigma=4)), epsilon=EPSILON,
        surrogate_value=values, surrogate_queries=3000,
    )  # fmt: skip
    found = replay(attack.plan(X, FLOAT, 0), target)

    assert len(target.asked) == found.queries == 10
    assert len(given) == 3000
    assert found.best is not None


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"queries": 19}, "needs at least 20 queries"),
        ({"queries": 9, "surrogate_gradient": slope}, "needs at least 10 queries"),
        ({"surrogate_value": slope, "surrogate_queries": 9}, "surrogate_queries"),
        ({"surrogate_value": slope, "surrogate_gradient": slope}, "not both"),
        ({"method": Rise(), "surrogate_gradient": slope}, "takes no gradient"),
        ({"method": LikelihoodRatio()}, "no saliency method"),
        ({"epsilon": 0.0}, "epsilon"),
        ({"momentum": -1.0}, "momentum"),
        ({"steps": 0}, "steps"),
    ],
    ids=lambda value: value if isinstance(value, str) else ", ".join(value),
)
def test_bad_options_are_refused(options: dict[str, Any], words: str) -> None:
    """Before a query: numbers out of their range, and surrogates and methods that do not fit."""
    with pytest.raises(UsageError, match=words):
        Mig(**options)


def fails(*_: Any) -> Any:
    """Stand for a network that cannot take such an image."""
    raise ValueError("out of shape")


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"surrogate_gradient": fails}, "surrogate_gradient raised ValueError: out of shape"),
        (
            {"surrogate_gradient": lambda *_: 3.0},
            r"finite numbers of shape \(.*3\), and returned an array of shape \(\)",
        ),
        ({"surrogate_gradient": lambda x, _: np.full_like(x, np.nan)}, "and returned others"),
        ({"surrogate_value": fails}, "surrogate_value raised"),
        ({"surrogate_value": lambda *_: 1.0}, r"of shape \(\d+,\), and returned an array of shape \(\)"),
    ],
    ids=["raises", "a number", "NaN", "value raises", "one value"],
)
def test_a_surrogate_that_fails_is_its_owners_fault(options: dict[str, Any], words: str) -> None:
    """What it raised, or should have returned, is said, and nothing is computed from it."""
    with pytest.raises(UsageError, match=words):
        replay(Mig(queries=10, surrogate_queries=1000, **options).plan(X, UINT8, 0), Target())


def test_a_surrogate_may_be_named() -> None:
    """`package.module:name` is imported, and its name stands for it, so that a run is known when it is resumed."""
    made = load.attack(f"mig:queries=10,surrogate_gradient={__name__}:slope")

    assert isinstance(made, Mig)
    assert made.surrogate_gradient is not None
    assert np.array_equal(made.surrogate_gradient(X, X), W)
    assert f"surrogate_gradient=OwnFunction(name='{__name__}:slope')" in repr(made)
    with pytest.raises(UsageError, match="surrogate_gradient=package"):
        load.attack("mig:surrogate_gradient=slope")


def test_a_specification_names_the_method_and_its_options() -> None:
    """On the command line a method and its estimator are given by name, their options after dots."""
    made = load.attack("mig:method=smoothgrad,method.points=7,method.estimator=nes,method.estimator.sigma=3,steps=4")

    assert isinstance(made, Mig)
    assert isinstance(made.method, SmoothGrad)
    assert (made.steps, made.method.points) == (4, 7)
    assert repr(made.method.estimator).startswith("NaturalEvolution(")
    with pytest.raises(UsageError, match="follows from"):
        load.attack("mig:method=rise,method.queries=7")
