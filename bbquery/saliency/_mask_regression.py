"""The regression behind `designed`: link and prior chosen by evidence, effects averaged over likely settings.

The settings of the process are chosen by marginal likelihood, one number at a time, and so is the link: the density of
the scores is that of the latent ones times the slope of the link (Snelson et al., "Warped Gaussian Processes", 2004).

What it costs. Settings are chosen by 256 of the rows, and with more than that anew only once they have grown by half,
from what was chosen before. A process costs the cube of its rows, so from 4,096 on they are dealt out to several, whose
effects are averaged: time then grows in proportion to the rows.

What is chosen for `regress_means` at half time must stay as it is: which masks are asked next follows from it, and a
run that is resumed by a newer bbquery would otherwise pay for other ones.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from bbquery.saliency._mask_process import EDGE, IDENTITY, LOGIT, Geometry, Process, Settings
from bbquery.saliency._revealed_places import gains, mean_gains
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
LEAST_SHARE = 0.05  # of one among those, where rows are many: with less it moves a map by a twentieth of its error
GROWTH = 1.5  # of the rows, after which settings are chosen anew
MOST_ROWS_TOGETHER = 4096  # more are regressed in parts: the time grows with the cube of a part
RANDOM_ROWS = 256  # over which the other cells are visible or not
FEWEST_ROWS = 4
MOST_AT_THE_ENDS = 0.1  # of the scores may be exactly 0 or 1; with more they are labels, and a logit makes no sense


@dataclass(frozen=True, eq=False)
class Choice:
    """Settings, by log odds on `rows` rows, under the likeliest link."""

    link: str
    odds: dict[Settings, float]
    rows: int

    @property
    def best(self) -> Settings:
        """The likeliest settings."""
        return max(self.odds, key=self.odds.__getitem__)

    @property
    def most(self) -> float:
        """Their log odds."""
        return max(self.odds.values())

    def likely(self, least: float = 0.0) -> tuple[list[Settings], Floats]:
        """Return the few likeliest settings whose share among these is `least` or more, and their shares."""
        likely = sorted(self.odds, key=self.odds.__getitem__, reverse=True)[:AVERAGED]
        shares = np.exp([self.odds[settings] - self.most for settings in likely])
        kept = shares >= least * shares.sum()
        return [likely[place] for place in np.flatnonzero(kept)], shares[kept] / shares[kept].sum()


def moves(data: Data) -> bool:
    """Whether there is anything to regress: a few scores that are not all one."""
    return len(data.scores) >= FEWEST_ROWS and bool(np.ptp(data.scores) > 0)


def choose(data: Data, before: Choice | None = None) -> Choice:
    """Choose link and settings for data that move; before: what was chosen for the first of these rows.

    Few rows are looked through anew. More of them only shift what was chosen, and no link.
    """
    rows, few = len(data.scores), data.thinned(MOST_ROWS_TO_CHOOSE_BY)
    if before is None or rows <= MOST_ROWS_TO_CHOOSE_BY:
        return max((_searched(few, name, Settings(), ROUNDS, rows) for name in _links(few)), key=lambda c: c.most)
    if rows < GROWTH * before.rows:
        return before
    return _searched(few, before.link, before.best, 1, rows)


def regress(data: Data, choice: Choice, seed: int, places: Places | None = None) -> Effects:
    """Return the effects of the cells on the score, with standard errors.

    places: where the effect of revealing a cell with its surroundings is taken; None for the effect of each cell alone.
    """
    few = len(data.scores) <= MOST_ROWS_TO_CHOOSE_BY
    likely, shares = choice.likely(0.0 if few else LEAST_SHARE)
    found = []
    for part in data.parts(MOST_ROWS_TOGETHER):
        fitted = _Fits(part, LINKS[choice.link])
        found.append(_averaged([_effects(fitted(settings), fitted.link, places, seed) for settings in likely], shares))
    return _joined(found)


def regress_means(data: Data, choice: Choice, places: Places) -> Floats:
    """Return the effects of places without their errors, (cells,)."""
    likely, shares = choice.likely()
    found = []
    for part in data.parts(MOST_ROWS_TOGETHER):
        fitted = _Fits(part, LINKS[choice.link])
        found.append(shares @ np.stack([mean_gains(fitted(settings), fitted.link, places) for settings in likely]))
    mean: Floats = np.mean(found, axis=0)
    return mean


class _Fits:
    """Makes processes of any settings; what depends on the reach of smoothness alone is made once."""

    def __init__(self, data: Data, link: Link) -> None:
        self.link = link
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


def _searched(data: Data, name: str, best: Settings, rounds: int, rows: int) -> Choice:
    """Choose one number of the settings at a time, all others as they are best so far."""
    fits = _Fits(data, LINKS[name])
    odds = {best: fits.odds(best)}
    choices = CHOICES if name == "logit" else CHOICES | {"noise": NOISES}
    for number, values in list(choices.items()) * rounds:
        for value in values:
            settings = best._replace(**{number: value})
            if settings not in odds:
                odds[settings] = fits.odds(settings)
        best = max(odds, key=odds.__getitem__)
    return Choice(name, odds, rows)


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


def _joined(found: list[Effects]) -> Effects:
    """Return the mean over parts of the rows, which know nothing of each other's interactions."""
    if len(found) == 1:
        return found[0]
    means, errors = (np.stack([getattr(effects, part) for effects in found]) for part in ("mean", "error"))
    return Effects(means.mean(axis=0), np.sqrt((errors**2).sum(axis=0)) / len(found))
