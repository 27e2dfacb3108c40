"""The league's parts that a small network or a drawn picture carries: what they compute is what they say."""

from __future__ import annotations

import importlib
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from bbquery.estimators.blr import BlockLikelihoodRatio
from bbquery.estimators.lr import LikelihoodRatio
from bbquery.plan import replay
from bbquery.types import FLOAT, Decision, Scores

if TYPE_CHECKING:
    from pathlib import Path

    from bbquery.plan import Ask


def part(name: str) -> Any:
    """Import a module of the benchmark."""
    return importlib.import_module(f"benchmarks.league_parts.{name}")


gradients = part("digit_gradients")
X = np.random.default_rng(0).uniform(60, 200, (8, 8, 3))
WEIGHTS = np.random.default_rng(1).normal(size=64)


@pytest.mark.parametrize(
    ("estimator", "side", "centred"),
    [
        (LikelihoodRatio(queries=60, sigma=4), 0, True),
        (LikelihoodRatio(queries=60, sigma=4, control="none"), 0, False),
        (BlockLikelihoodRatio(queries=300, sigma=4, blocks=2), 4, True),
    ],
)
def test_one_product_is_the_estimator_s_own_direction(estimator: Any, side: int, centred: bool) -> None:
    """From the same copies and scores the benchmark's sums give the direction of `lr` and `blr`, to rounding."""
    sums = gradients.Sums()

    def answer(ask: Ask) -> Scores:
        noise = np.array([ask.images[row] - X for row in range(len(ask.images))])[..., 0].reshape(-1, 64)
        scores = 3 + np.sin(noise @ WEIGHTS / 40)
        sums.add(noise, (noise != 0).astype(np.float64) if side else np.ones_like(noise), scores)
        return Scores(np.full(len(scores), Decision.NOT_MET, dtype=np.int8), scores)

    own = replay(estimator.plan(X, FLOAT, 0), answer).values[..., 0].ravel()
    found = sums.slope(centred=centred)

    np.testing.assert_allclose(found / np.linalg.norm(found), own / np.linalg.norm(own), atol=1e-9)


@pytest.mark.parametrize("side", [1, 3])
def test_blocks_cover_each_pixel_alike(side: int) -> None:
    """A square lies anywhere where it covers a pixel at all, so every pixel has the same share of the squares."""
    rows = 20_000
    share = (side / (8 + side - 1)) ** 2

    found = gradients.covered(np.random.default_rng(0), rows, side).mean(axis=0)

    np.testing.assert_allclose(found, share, atol=5 * (share / rows) ** 0.5)


def test_the_gradient_of_the_small_network_is_its_slope() -> None:
    """What estimates are held against is the slope of the log-probability that they are made from."""
    network = object.__new__(gradients.Perceptron)
    draw = np.random.default_rng(0)
    vars(network).update(
        _first=draw.normal(size=(64, 5)) / 4, _hidden=draw.normal(size=5), _second=draw.normal(size=(5, 10)),
        _out=draw.normal(size=10),
    )  # fmt: skip
    x, step = draw.uniform(0, 255, 64), 1e-3
    target = int(network.probabilities(x[None]).argmax())
    moved = x + step * np.vstack([np.eye(64), -np.eye(64)])

    logarithms = np.log(network.probabilities(moved)[:, target])

    np.testing.assert_allclose(network.gradient(x), (logarithms[:64] - logarithms[64:]) / (2 * step), atol=1e-8)


def test_a_window_is_read_from_what_it_hid() -> None:
    """The middle and the side of the square that differs from the photo; nothing where none does."""
    x = np.zeros((20, 30, 3), dtype=np.uint8)
    hidden = x.copy()
    hidden[4:10, 6:12] = 128

    assert part("window_picture").window(x, hidden) == (9.0, 7.0, 6.0)
    assert part("window_picture").window(x, x) == (0.0, 0.0, 0.0)


def test_half_of_the_pictures_have_the_brighter_light_on_each_side() -> None:
    """Which light is brighter can be read from the pixels, and is the left one in half of the pictures."""
    closed = part("closed_questions")

    drawn = [closed.lights(number) for number in range(10)]

    assert [left for _, left in drawn] == [True, False] * 5
    assert all((closed.MODELS["compares both"](picture) > 0) == left for picture, left in drawn)


def test_the_small_sections_say_what_was_measured(tmp_path: Path) -> None:
    """Each section stands with its figures where there are rows, and is left out where there are none."""
    rows, small = part("rows"), part("reproduction_small")
    results = rows.Results(tmp_path / "rows.jsonl")
    assert not any(
        section(results) for section in (small.copies, small.noise, small.timed, small.gallery, small.lights)
    )
    measured = SimpleNamespace(
        digit_gradients=("digit-000", "LR, 4 grey levels", 10, {"cosine": 0.25}),
        digit_noise=("digit-000", "σ = 127, r = 0.5", 500, {"AOPC": 0.875}),
        windows=("28-00", "Bayesian optimisation", 200, {"seconds": 1.5, "asked": 200.0}),
        closed_questions=("lights-01", "compares both, one word", 65, {"right": 1.0, "stamped": 0.0, "share": 0.0625}),
    )
    for name, (subject, method, budget, measures) in vars(measured).items():
        results.add(rows.Row(name, subject, method, budget, 0, measures))

    assert "| LR, 4 grey levels | 1 | 25.0 |" in small.copies(results)
    assert "| σ = 127, r = 0.5 | 1 | 0.875 |" in small.noise(results)
    assert "| 28 | Bayesian optimisation | 200 | 1.50 | 1 |" in small.timed(results)
    assert "| compares both, one word | right | 1 | 1 | 0 | 0.062 |" in small.lights(results)
