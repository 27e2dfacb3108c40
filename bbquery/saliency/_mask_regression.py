"""The regression behind `designed`: link and prior chosen by evidence, effects averaged over likely settings.

The settings of the process are chosen by marginal likelihood, one number at a time, and so is the link: the density of
the scores is that of the latent ones times the slope of the link (Snelson et al., "Warped Gaussian Processes", 2004).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from bbquery.saliency._mask_process import EDGE, IDENTITY, LOGIT, Geometry, Process, Settings
from bbquery.saliency._revealed_places import gains
from bbquery.saliency._toggled_cells import Effects, ToggledCells

if TYPE_CHECKING:
    from bbquery.saliency._mask_process import Data, Floats, Link
    from bbquery.saliency._revealed_places import Places

LINKS = {"identity": IDENTITY, "logit": LOGIT}
CHOICES: dict[str, tuple[float, ...]] = {
    "length": (0.0, 0.5, 0.8, 1.2, 1.8, 2.7),
    "share": (0.02, 0.05, 0.15, 0.3, 0.45, 0.6, 0.75, 0.9),
    "order": (0.5, 1.5, 3.0, 5.0),
}
NOISES = (1e-3, 1e-2, 0.05, 0.2, 0.5, 1.0, 2.0)  # of scores that come in steps; a probability has none to speak of
ODDS_FOR_SMOOTHNESS = 10.0  # nats: neighbours that share an effect must be that much likelier than ones that do not
ROUNDS = 2  # of choosing each number in turn
MOST_ROWS_TO_CHOOSE_BY = 256  # effects rest on all rows
AVERAGED = 4  # settings
RANDOM_ROWS = 256  # over which the other cells are visible or not
FEWEST_ROWS = 4
MOST_AT_THE_ENDS = 0.1  # of the scores may be exactly 0 or 1; with more they are labels, and a logit makes no sense


@dataclass(frozen=True, eq=False)
class Regression:
    """The result. effects: of the cells. link: "identity" or "logit"; none where the score never moved."""

    effects: Effects
    link: str


def regress(data: Data, seed: int, places: Places | None = None) -> Regression:
    """Return the effects of the cells on the score, with standard errors; zeros where the score never moved.

    places: where the effect of revealing a cell with its surroundings is taken; None for the effect of each cell alone.
    """
    if len(data.scores) < FEWEST_ROWS or np.ptp(data.scores) == 0:
        cells = data.rows.shape[1]
        return Regression(Effects(np.zeros(cells), np.zeros(cells)), "none")
    few = data.thinned(MOST_ROWS_TO_CHOOSE_BY)
    chosen = max((_tried(few, name) for name in _links(few)), key=lambda tried: tried.best)
    likely = sorted(chosen.odds, key=chosen.odds.__getitem__, reverse=True)[:AVERAGED]
    shares = np.exp([chosen.odds[settings] - chosen.odds[likely[0]] for settings in likely])
    link, fitted = LINKS[chosen.link], _Fits(data, LINKS[chosen.link])
    found = [_effects(fitted(settings), link, places, seed) for settings in likely]
    return Regression(_averaged(found, shares / shares.sum()), chosen.link)


@dataclass(frozen=True, eq=False)
class _Tried:
    """The log odds of settings under a link."""

    link: str
    odds: dict[Settings, float]

    @property
    def best(self) -> float:
        return max(self.odds.values())


class _Fits:
    """Makes processes of any settings; what depends on the reach of smoothness alone is made once."""

    def __init__(self, data: Data, link: Link) -> None:
        self._data, self._latent, self._slopes = data, link.to(data.scores), link.slope(data.scores)
        self._geometries: dict[float, Geometry] = {}

    def __call__(self, settings: Settings) -> Process:
        if settings.length not in self._geometries:
            self._geometries[settings.length] = Geometry(self._data, settings.length)
        return Process(self._geometries[settings.length], self._latent, self._slopes, settings)

    def odds(self, settings: Settings) -> float:
        """Return log evidence of the scores and log prior: few rows alone misjudge smoothness, as games show."""
        densities = float(np.log(np.maximum(self._slopes, EDGE)).sum())
        return self(settings).evidence - densities - ODDS_FOR_SMOOTHNESS * (settings.length > 0)


def _links(data: Data) -> list[str]:
    """Return the links that the scores allow."""
    inside = (data.scores > 0) & (data.scores < 1)
    within = (data.scores >= 0) & (data.scores <= 1)
    return ["identity", "logit"] if within.all() and inside.mean() >= 1 - MOST_AT_THE_ENDS else ["identity"]


def _tried(data: Data, name: str) -> _Tried:
    """Choose one number of the settings at a time, all others as they are best so far."""
    fits, best = _Fits(data, LINKS[name]), Settings()
    odds = {best: fits.odds(best)}
    choices = CHOICES if name == "logit" else CHOICES | {"noise": NOISES}
    for number, values in list(choices.items()) * ROUNDS:
        for value in values:
            settings = best._replace(**{number: value})
            if settings not in odds:
                odds[settings] = fits.odds(settings)
        best = max(odds, key=odds.__getitem__)
    return _Tried(name, odds)


def _effects(process: Process, link: Link, places: Places | None, seed: int) -> Effects:
    if places is not None:
        return gains(process, link, places)
    cells = len(process.geometry.kernel)
    half = np.random.default_rng((seed, cells)).choice([-1.0, 1.0], (RANDOM_ROWS // 2, cells))
    return ToggledCells(process, link, np.concatenate([half, -half])).effects()


def _averaged(found: list[Effects], shares: Floats) -> Effects:
    """Return the mean over settings; that they differ adds to its error."""
    means, errors = (np.stack([getattr(effects, part) for effects in found]) for part in ("mean", "error"))
    mean = np.einsum("i,ij->j", shares, means)
    return Effects(mean, np.sqrt(np.einsum("i,ij->j", shares, errors**2 + (means - mean) ** 2)))
