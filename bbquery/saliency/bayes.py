"""Bayesian optimisation of hidden windows (Mokuwe et al.): each answer decides which window is hidden next.

Mokuwe et al., "Black-Box Saliency Map Generation Using Bayesian Optimisation".

Windows (u, v, s) are hidden one at a time, y = f(photo) - f(photo with the window hidden), and a Gaussian process over
them says which to hide next (algorithm 1). The map is its posterior mean around each pixel, averaged over the sides.

Which window comes next:

ei        the one of largest expected improvement over the largest drop so far (eq. 3, for a maximum). It hunts the
          window that matters most, and looks little elsewhere.
variance  the one that the process knows least about. It is spent on the map's error everywhere, and since a variance
          does not depend on answers, all questions are known at the start.

With batch above 1, windows of a batch are chosen one after another as if hiding those before it had changed nothing:
their variance is gone, and what lies around them is expected to matter less (a constant liar whose lie is 0, after
Ginsbourger et al., "Kriging is well-suited to parallelize optimization"). So a batch is spread over several places,
where believing the mean would crowd it around the best. With batch=1 it is the paper's algorithm, after `initial`
random windows.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, get_args

import numpy as np

from bbquery.errors import UnknownName
from bbquery.perturb.checks import at_least_one
from bbquery.perturb.windows import NOTHING_HIDDEN
from bbquery.saliency import Method
from bbquery.saliency._window_states import (
    FILL,
    PAPERS_LENGTH_SCALE,
    SIDES,
    at_each,
    check,
    implied,
    needs_library,
    places,
    rectangles,
)
from bbquery.saliency._windows import WindowScores, refuse_blind
from bbquery.types import batches

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from bbquery.plan import Plan
    from bbquery.saliency._gaussian_process import GaussianProcess, Posterior
    from bbquery.types import Domain, Image, SaliencyMap

Acquisition = Literal["ei", "variance"]

CANDIDATE_PLACES = 256  # 16 × 16 on a square photo: their distance, 14, is about the paper's length scale
AT_ONCE = 64  # candidates whose deviations are worked out together


class Search:
    """Which windows to ask for, a batch at a time, by what a Gaussian process over candidates (n, 3) knows of them."""

    def __init__(self, process: GaussianProcess, candidates: NDArray[np.float64], acquisition: Acquisition) -> None:
        self._process, self._candidates, self._acquisition = process, candidates, acquisition
        self._all = np.arange(len(candidates))
        self._open = np.ones(len(candidates), dtype=np.bool_)
        self._most_unsure = np.ones(len(candidates))  # deviations are these or less, as they only ever fall
        self._asked: list[int] = []
        self._drops: list[float] = []  # of all asked but the last batch
        self._answered = 0
        self._best = 0.0  # hiding nothing loses nothing: what does not pass that is no improvement

    def at_random(self, count: int, seed: int) -> NDArray[np.float64]:
        """Take `count` different candidates at random; return them (count, 3)."""
        drawn = np.random.default_rng(seed).permutation(len(self._candidates))[:count]
        for candidate in drawn.tolist():
            self._take(candidate)
        return self._candidates[drawn]

    def next(self, count: int) -> NDArray[np.float64]:
        """Take the `count` candidates, one after another, that tell the most; return them (count, 3)."""
        known = self._process.given(self._asked, self._drops)
        scale = known.squares / max(self._answered, 1)
        for supposed in range(count):
            if supposed:
                known = self._process.given(self._asked, self._drops + [0.0] * supposed)
            self._take(self._most_telling(known, scale))
        return self._candidates[self._asked[-count:]]

    def learn(self, drops: NDArray[np.float64]) -> None:
        """Take in what the last batch's windows lost, (count,); NaN is no answer, taken to be what was expected."""
        before, answered = len(self._drops), np.flatnonzero(~np.isnan(drops))
        self._drops += self._filled(drops, before).tolist()
        self._answered += len(answered)
        self._best = max([self._best, *drops[answered].tolist()])

    def _filled(self, drops: NDArray[np.float64], before: int) -> NDArray[np.float64]:
        """Return a batch's drops (count,) with what is expected, by all answers so far, in place of each NaN."""
        asked, refused = np.array(self._asked[before:]), np.isnan(drops)
        states = self._asked[:before] + asked[~refused].tolist()
        if not refused.any() or not states:
            return np.nan_to_num(drops, nan=0.0)
        filled = drops.copy()
        known = self._process.given(states, self._drops + drops[~refused].tolist())
        filled[refused] = known.mean(asked[refused])
        return filled

    def _take(self, candidate: int) -> None:
        self._open[candidate] = False
        self._asked.append(candidate)

    def _most_telling(self, known: Posterior, scale: float) -> int:
        """Return the open candidate that tells the most; the first of equals.

        A deviation takes far more time than a mean. So each candidate is first taken to be as unsure as it last was,
        which is no less than it is, and what then seems to tell the most is looked at again, until the best of all is
        one that was.
        """
        hunts = self._acquisition == "ei" and scale > 0  # without a drop there is nothing to improve on
        mean = known.mean(self._all) if hunts else None
        stale = np.ones(len(self._all), dtype=np.bool_)
        while stale[(acquired := self._acquired(mean, scale)).argmax()]:
            refreshed = np.argsort(np.where(stale, -acquired, np.inf), kind="stable")[:AT_ONCE]
            self._most_unsure[refreshed], stale[refreshed] = known.deviation(refreshed), False
        return int(acquired.argmax())

    def _acquired(self, mean: NDArray[np.float64] | None, scale: float) -> NDArray[np.float64]:
        """Return the acquisition function (n,) of all candidates; -inf for those that were asked."""
        if mean is None:
            return np.where(self._open, self._most_unsure, -np.inf)
        improvement = expected_improvement(mean, math.sqrt(scale) * self._most_unsure, self._best)
        return np.where(self._open, improvement, -np.inf)


def expected_improvement(mean: NDArray[np.float64], deviation: NDArray[np.float64], best: float) -> NDArray[np.float64]:
    """Return E max(Y - best, 0) of normal Y (n,): eq. 3 with the sign of a maximum.

    It is (m - best) Φ(Z) + sd φ(Z) with Z = (m - best) / sd, and max(m - best, 0) where sd is 0.
    """
    gain = mean - best
    z = np.divide(gain, deviation, out=np.zeros_like(gain), where=deviation > 0)
    below = 0.5 * np.array(list(map(math.erfc, (z * -math.sqrt(0.5)).tolist())))
    density = np.exp(-0.5 * z**2) / math.sqrt(2 * math.pi)
    expected: NDArray[np.float64] = np.where(deviation > 0, gain * below + deviation * density, np.maximum(gain, 0.0))
    return expected


@dataclass(frozen=True, kw_only=True)
class Bayes(Method):
    """Explain a score by what is lost when windows are hidden, each chosen by what the answers so far say.

    It needs an extra, `bayes`.

    Args:
        queries: images to ask, the photo itself among them; 1 to 2,000.
        acquisition: which window is hidden next: ei, of the greatest expected improvement, or variance, of the
            greatest doubt.
        windows: sides of the windows to choose from, in pixels of a photo whose shorter side is 224, and in
            proportion for others; above 0.
        length_scale: distance over which drops are alike, in the same unit, for centres and sides; none takes
            the paper's 12 in the search, and in the map what makes the answers likeliest; above 0.
        noise: variance of an answer by chance, as a share of the variance of drops; at least 1e-8.
        fill: what hides: black, grey, white, mean, blur, noise, or a grey level; 0 to 255.
        initial: random windows that are asked first, with the photo itself; at least 1.
        batch: windows to ask at once after them: more keep an oracle busy that answers several at once; at
            least 1.

    Raises:
        UsageError: queries below 1 or above 2,000, initial or batch below 1, windows none, repeated or not above 0,
            length_scale not above 0, noise below 1e-8, or fill not a grey level. UnknownName: no such acquisition or
            filling.
    """

    queries: int = 200
    acquisition: Acquisition = "ei"
    windows: tuple[float, ...] = SIDES
    length_scale: float | None = PAPERS_LENGTH_SCALE
    noise: float = 1e-3
    fill: str | float = FILL
    initial: int = 8
    batch: int = 8

    def __post_init__(self) -> None:
        check(self.queries, self.windows, self.length_scale, self.noise, self.fill)
        if self.acquisition not in get_args(Acquisition):
            raise UnknownName("acquisition", self.acquisition, get_args(Acquisition))
        at_least_one("initial", self.initial)
        at_least_one("batch", self.batch)

    @property
    def adaptive(self) -> bool:
        """Whether what it asks depends on answers: variance does not."""
        return self.acquisition != "variance"

    def plan(self, x: Image, domain: Domain, seed: int) -> Plan[SaliencyMap]:
        """Ask for x (H, W, 3) and for x behind windows; return the map, in score lost.

        Raises:
            MissingExtra: scikit-learn is not installed.
            UsageError: every window hides the whole photo.
        """
        needs_library()
        size = (x.shape[0], x.shape[1])
        scores = WindowScores(x, domain, self.fill, seed)
        yield from self._ask(scores, size, seed)
        return implied(
            scores,
            size,
            windows=self.windows,
            length_scale=self.length_scale,
            noise=self.noise,
            rows=self.queries,
        )

    def _ask(self, scores: WindowScores, size: tuple[int, int], seed: int) -> Plan[None]:
        """Ask for the photo and random windows, then batch after batch for the windows that tell most (algorithm 1)."""
        search, windows = self._search(size), self.queries - 1
        first = min(self.initial, windows)
        random = rectangles(search.at_random(first, seed), size)
        values = yield from scores.ask(np.vstack([NOTHING_HIDDEN, random]))
        if values is None:
            return
        reference = scores.reference  # for the whole search, as what was learnt of it stays
        search.learn(reference - values[1:])
        for count in batches(windows - first, self.batch):
            values = yield from scores.ask(rectangles(search.next(count), size))
            if values is None:
                return
            search.learn(reference - values)

    def _search(self, size: tuple[int, int]) -> Search:
        """Return a search over at least twice as many candidates as are asked for."""
        from bbquery.saliency._gaussian_process import NO_AVERAGES, GaussianProcess  # noqa: PLC0415 - an extra

        shape = places(max(CANDIDATE_PLACES, math.ceil(2 * self.queries / len(self.windows))), size)
        candidates = at_each(shape, size, self.windows).reshape(-1, 3)
        refuse_blind(rectangles(candidates, size), size)
        scale = self.length_scale or PAPERS_LENGTH_SCALE
        process = GaussianProcess(candidates, NO_AVERAGES, length_scale=scale, noise=self.noise)
        return Search(process, candidates, self.acquisition)


METHOD = Bayes
