"""The regression behind designed masks, against independent linear algebra."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from scipy.stats import multivariate_normal

from bbquery.saliency._mask_process import IDENTITY, LOGIT, Data, Geometry, Link, Process, Settings
from bbquery.saliency._mask_regression import MOST_ROWS_TOGETHER, choose, moves, regress, regress_means
from bbquery.saliency._revealed_places import FOUND_OF_EXPECTED, Places, gains, mean_gains
from bbquery.saliency._toggled_cells import ToggledCells
from bbquery.saliency._triangular import backward, forward

CELLS, ROWS = 5, 14
RNG = np.random.default_rng(0)
DATA = Data(
    RNG.choice([-1.0, 1.0], (ROWS, CELLS)),
    RNG.uniform(0.1, 0.9, ROWS),
    RNG.uniform(0.5, 1.5, ROWS),
    np.stack([np.arange(CELLS), np.zeros(CELLS)], axis=1),
)
SETTINGS = Settings(length=0.8, order=1.5, share=0.3, noise=0.05)


def process(link: Link = IDENTITY, settings: Settings = SETTINGS) -> Process:
    """Return the process of the data above."""
    return Process(Geometry(DATA, settings.length), link.to(DATA.scores), link.slope(DATA.scores), settings)


def kernel(a: np.ndarray, b: np.ndarray, settings: Settings = SETTINGS) -> np.ndarray:
    """Return the covariance of rows a and b as the module's docstring states it, pair by pair."""
    place = DATA.centres[:, 0]
    smooth = np.exp(-((place[:, None] - place) ** 2) / (2 * settings.length**2)) if settings.length else np.eye(CELLS)
    scale = np.mean([s @ smooth @ s for s in DATA.rows])
    c, q = settings.order, settings.share
    t = np.array([[x @ smooth @ y / scale for y in b] for x in a])
    return np.asarray((1 - q) * t + q * (np.exp(c * t) - 1 - c * t) / (np.exp(c) - 1 - c))


def covariance(settings: Settings = SETTINGS) -> np.ndarray:
    """Return that of the data, with its noise, which has a mean of the setting."""
    return kernel(DATA.rows, DATA.rows, settings) + np.diag(settings.noise * DATA.noise / DATA.noise.mean())


@pytest.mark.parametrize("settings", [SETTINGS, Settings(), Settings(length=1.8, order=5.0, share=0.9, noise=1.0)])
def test_the_covariance_is_as_stated(settings: Settings) -> None:
    """Main effects, interactions and noise of each row, pair by pair."""
    np.testing.assert_allclose((lower := process(settings=settings).lower) @ lower.T, covariance(settings), atol=1e-12)


def test_evidence_is_that_of_all_contrasts() -> None:
    """Up to a constant it is the density of the scores' contrasts, which know no mean, at the likeliest variance."""
    contrasts = np.linalg.svd(np.ones((1, ROWS)))[2][1:]
    others = [Settings(), SETTINGS, SETTINGS._replace(share=0.75), SETTINGS._replace(length=1.8)]

    def density(settings: Settings) -> float:
        matrix, seen = contrasts @ covariance(settings) @ contrasts.T, contrasts @ DATA.scores
        variance = seen @ np.linalg.solve(matrix, seen) / (ROWS - 1)
        return float(multivariate_normal.logpdf(seen, cov=variance * matrix))

    found = np.array([process(settings=settings).evidence - density(settings) for settings in others])

    np.testing.assert_allclose(found, found[0], atol=1e-9)


def test_an_effect_is_the_mean_over_the_other_cells() -> None:
    """It equals the prediction with the cell visible minus hidden, row by row, and its error is that of this sum."""
    fitted, rows = process(), np.random.default_rng(1).choice([-1.0, 1.0], (9, CELLS))

    found = ToggledCells(fitted, IDENTITY, rows).effects()

    inverse = np.linalg.inv(covariance())
    for cell in range(CELLS):
        shown, hidden = rows.copy(), rows.copy()
        shown[:, cell], hidden[:, cell] = 1, -1
        both, weights = np.concatenate([shown, hidden]), np.repeat([1 / 9, -1 / 9], 9)
        with_data = weights @ kernel(both, DATA.rows)
        assert found.mean[cell] == pytest.approx(with_data @ inverse @ (DATA.scores - fitted.mean), abs=1e-9)
        variance = fitted.variance * (weights @ kernel(both, both) @ weights - with_data @ inverse @ with_data)
        differences = np.subtract(*np.split(kernel(both, DATA.rows) @ inverse @ (DATA.scores - fitted.mean), 2))
        assert found.error[cell] == pytest.approx(np.sqrt(variance + differences.var() / 9), rel=1e-6)


LINEAR_LOGIT = dataclasses.replace(LOGIT, narrowing=0.0)  # the process's mean alone, which differences can follow
HALF = np.random.default_rng(4).choice([-1.0, 1.0], (6, CELLS))
BOTH = np.stack([HALF, -HALF], axis=1).reshape(12, CELLS)
PLACES = Places(
    HALF,
    np.eye(CELLS) + 0.4 * np.eye(CELLS, k=1) + 0.3 * np.eye(CELLS, k=-1),
)


@pytest.mark.parametrize("link", [IDENTITY, LINEAR_LOGIT])
def test_the_effect_of_a_place_is_the_slope_of_the_score(link: Link) -> None:
    """As it is revealed with its surroundings, by differences.

    Its error is, to first order, the found share of this sum's, and what differs from pair to pair of patterns.
    """
    fitted, step = process(link), 1e-3

    found = gains(fitted, link, PLACES)

    inverse = np.linalg.inv(fitted.lower @ fitted.lower.T)
    for place in range(CELLS):
        change = step * PLACES.surroundings[:, place]  # of +1 and -1: twice that much visibility
        both = np.concatenate([BOTH + change, BOTH - change])
        with_data = kernel(both, DATA.rows)
        scores = link.back(fitted.mean + with_data @ inverse @ (link.to(DATA.scores) - fitted.mean))
        gained = np.subtract(*np.split(scores, 2)) / step
        assert found.mean[place] == pytest.approx(gained.mean(), rel=1e-5)
        weights = np.repeat([1, -1], 12) / (12 * step) * link.slope(scores)
        unknown = weights @ (kernel(both, both) - with_data @ inverse @ with_data.T) @ weights
        pairs = gained.reshape(6, 2).mean(axis=1)
        expected = FOUND_OF_EXPECTED**2 * fitted.variance * unknown + pairs.var() / 6
        assert found.error[place] == pytest.approx(np.sqrt(expected), rel=1e-4)


def test_the_effect_of_a_place_is_of_the_mean_probability() -> None:
    """Under the logit it is that of the mean over the process, as differences of a hundred thousand draws of it say."""
    fitted, step = process(LOGIT), 0.1

    found = gains(fitted, LOGIT, PLACES)

    change = step * PLACES.surroundings[:, 2]
    both = np.concatenate([BOTH + change, BOTH - change])
    known = kernel(both, DATA.rows) @ np.linalg.inv(fitted.lower @ fitted.lower.T)
    mean = fitted.mean + known @ (LOGIT.to(DATA.scores) - fitted.mean)
    spread = fitted.variance * (kernel(both, both) - known @ kernel(DATA.rows, both))
    draws = np.random.default_rng(2).multivariate_normal(mean, spread, 100_000, method="eigh")
    gained = np.subtract(*np.split(LOGIT.back(draws).mean(axis=0), 2)) / step
    assert found.mean[2] == pytest.approx(gained.mean(), rel=0.05)


def test_a_probabilitys_effect_is_of_the_mean_probability() -> None:
    """Under the logit an effect is that of the mean over the process, as a million draws of it say."""
    fitted, rows = process(LOGIT), np.random.default_rng(1).choice([-1.0, 1.0], (1, CELLS))

    found = ToggledCells(fitted, LOGIT, rows).effects()

    shown, hidden = rows.copy(), rows.copy()
    shown[0, 2], hidden[0, 2] = 1, -1
    both = np.concatenate([shown, hidden, rows])
    matrix = np.linalg.inv(fitted.lower @ fitted.lower.T)
    mean = fitted.mean + kernel(both, DATA.rows) @ matrix @ (LOGIT.to(DATA.scores) - fitted.mean)
    spread = kernel(both, both) - kernel(both, DATA.rows) @ matrix @ kernel(DATA.rows, both)
    deviations = np.sqrt(fitted.variance * spread[2, 2])  # of the row itself, taken for both
    draws = np.random.default_rng(2).normal(size=1_000_000)
    means = [np.mean(LOGIT.back(m + deviations * draws)) for m in mean[:2]]
    assert found.mean[2] == pytest.approx(means[0] - means[1], abs=0.01)


@pytest.mark.parametrize("scores", [np.array([0.0, 0.2, 0.5, 1.0]), np.array([1e-6, 0.999999])])
def test_the_logit_goes_there_and_back(scores: np.ndarray) -> None:
    """Also at 0 and 1, which it keeps finite."""
    np.testing.assert_allclose(LOGIT.back(LOGIT.to(scores)), scores, atol=1e-12)


def test_slopes_are_those_of_the_link() -> None:
    """And bends are those of the slopes, by central differences."""
    latent, step = np.linspace(-4, 4, 9), 1e-5
    below, at, above = (LOGIT.back(latent + change) for change in (-step, 0, step))

    np.testing.assert_allclose(LOGIT.slope(at), (above - below) / (2 * step), rtol=1e-6)
    bends = (LOGIT.slope(above) - LOGIT.slope(below)) / (2 * step)
    np.testing.assert_allclose(LOGIT.bend(at), bends, rtol=1e-6, atol=1e-9)


def test_the_link_is_chosen_by_what_the_scores_are() -> None:
    """Effects that add up on the logit choose it, ones that add up in the score do not, and labels never do."""
    rows = np.random.default_rng(3).choice([-1.0, 1.0], (128, CELLS))
    sums = rows @ np.array([2.0, -1.5, 1.0, 0.5, 0.2])

    def chosen(scores: np.ndarray) -> str:
        return choose(Data(rows, scores, np.ones(128), DATA.centres)).link

    assert chosen(1 / (1 + np.exp(-sums))) == "logit"
    assert chosen(0.5 + sums / 12) == "identity"
    assert chosen((sums > 0).astype(float)) == "identity"
    assert chosen(sums) == "identity"


def test_thinning_keeps_pairs_together() -> None:
    """A row and its complement stay or go together."""
    data = Data(np.arange(20.0)[:, None], np.arange(20.0), np.ones(20), np.zeros((1, 2)))

    thinned = data.thinned(8)

    assert thinned.scores.tolist() == [0, 1, 6, 7, 12, 13, 18, 19]
    assert data.thinned(20).scores.tolist() == list(range(20))


MANY = Data(
    np.random.default_rng(7).choice([-1.0, 1.0], (600, CELLS)), np.zeros(600), np.ones(600), DATA.centres
)  # fmt: skip
SCORES = 1 / (1 + np.exp(-MANY.rows @ np.array([1.0, -0.5, 0.3, 0.0, 0.1]) - 0.5 * MANY.rows[:, 0] * MANY.rows[:, 1]))


def first(rows: int) -> Data:
    """Return the first of many rows with a score that interacts."""
    return dataclasses.replace(MANY, rows=MANY.rows[:rows], scores=SCORES[:rows], noise=MANY.noise[:rows])


def test_nothing_is_regressed_without_a_move() -> None:
    """Nor is it of three scores."""
    assert not moves(dataclasses.replace(first(20), scores=np.full(20, 0.5)))
    assert not moves(first(3))
    assert moves(first(4))


def test_effects_without_errors_are_the_same_effects() -> None:
    """What refinement rests on is the map, made in half of the time."""
    fitted, data = process(LOGIT), first(200)
    choice = choose(data)

    np.testing.assert_array_equal(mean_gains(fitted, LOGIT, PLACES), gains(fitted, LOGIT, PLACES).mean)
    np.testing.assert_allclose(regress_means(data, choice, PLACES), regress(data, choice, 0, PLACES).mean, rtol=1e-12)


def test_settings_are_chosen_anew_once_rows_have_grown() -> None:
    """By half; few rows are looked through whatever was chosen before, and a link stays."""
    before = choose(first(300))
    few = choose(first(200))

    assert choose(first(440), before) is before
    assert choose(first(460), before).rows == 460
    assert choose(first(460), before).link == before.link
    assert choose(first(250), few).odds == choose(first(250)).odds


def test_many_rows_are_regressed_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    """No factor is larger than a part, and the effects are those of all rows within their errors."""
    data = first(600)
    choice, factored, cholesky = choose(data), [], np.linalg.cholesky
    whole = regress(data, choice, 0, PLACES)

    def counted(matrix: np.ndarray) -> np.ndarray:
        factored.append(len(matrix))
        return np.asarray(cholesky(matrix))

    monkeypatch.setattr(np.linalg, "cholesky", counted)
    monkeypatch.setattr("bbquery.saliency._mask_regression.MOST_ROWS_TOGETHER", 200)

    found = regress(data, choice, 0, PLACES)

    assert MOST_ROWS_TOGETHER == 4096
    assert max(factored) <= 200 + 2
    assert (np.abs(found.mean - whole.mean) < 2 * whole.error + 1e-3).all()
    assert (found.error < 2 * whole.error + 1e-3).all()


def test_parts_hold_every_row_once_and_keep_pairs_together() -> None:
    """Also the last row of an odd number."""
    data = Data(np.arange(21.0)[:, None], np.arange(21.0), np.ones(21), np.zeros((1, 2)))

    parts = [part.scores.tolist() for part in data.parts(10)]

    assert parts == [[0, 1, 6, 7, 12, 13, 18, 19], [2, 3, 8, 9, 14, 15, 20], [4, 5, 10, 11, 16, 17]]
    assert data.parts(21) == [data]


@pytest.mark.parametrize("n", [1, 64, 65, 200])
def test_triangular_systems_are_solved(n: int) -> None:
    """From the top and from the bottom, in blocks of which the last may be short."""
    rng = np.random.default_rng(n)
    lower = np.tril(rng.normal(size=(n, n))) / n + np.eye(n)
    right = rng.normal(size=(n, 3))

    np.testing.assert_allclose(lower @ forward(lower, right), right, atol=1e-12)
    np.testing.assert_allclose(lower.T @ backward(lower, right[:, 0]), right[:, 0], atol=1e-12)
