"""Windows as states of a Gaussian process, and the saliency map that their answers imply.

Burke's random windows and Bayesian optimisation differ in which windows they ask for, and in nothing else.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from bbquery.errors import MissingExtra, UsageError
from bbquery.perturb.baselines import known_fill
from bbquery.perturb.checks import at_least_one, positive
from bbquery.perturb.masks import interpolation
from bbquery.perturb.windows import squares
from bbquery.types import SaliencyMap

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from bbquery.saliency._windows import WindowScores

AT_SIDE = 224.0  # the photos of the paper, in whose pixels its windows and length scale are given: the unit of states
SIDES = (50.0, 64.0, 78.0, 92.0, 107.0, 121.0, 135.0, 150.0)  # Mokuwe et al., section V
FILL = 128.0  # likewise
PAPERS_LENGTH_SCALE = 12.0  # likewise, section IV-A
LENGTH_SCALES = tuple(PAPERS_LENGTH_SCALE * 2 ** (step / 2) for step in range(-2, 8))  # 6 to 136: what is likely
MOST_QUERIES = 2000  # a regression is cubic in them, and a search makes one for each
LEAST_NOISE = 1e-8  # above what rounding leaves of the difference between windows that are nearly the same
MAP_PLACES = 56 * 56  # of the map: on a square photo a third of the paper's length scale apart
UNIT = "expected score lost by hiding a window around the pixel"


def check(
    queries: int, windows: tuple[float, ...], length_scale: float | None, noise: float, fill: str | float
) -> None:
    """Check the options that methods over window states share.

    Raises:
        UsageError: queries below 1 or above `MOST_QUERIES`, no windows, repeated or not above 0, length scale not above
            0, noise below `LEAST_NOISE`, or fill not a grey level. UnknownName: no filling has this name.
    """
    at_least_one("queries", queries)
    if queries > MOST_QUERIES:
        raise UsageError(
            f"a Gaussian process takes at most {MOST_QUERIES} queries here, not {queries}, as its time grows much "
            "faster than they do: take 'rise' or 'occlusion' for more"
        )
    if not windows or len(set(windows)) < len(windows):
        raise UsageError(f"windows must be one or more different sides, not {windows!r}")
    for side in windows:
        positive("each of windows", side)
    if length_scale is not None:
        positive("length_scale", length_scale)
    positive("noise", noise)
    if noise < LEAST_NOISE:
        raise UsageError(f"noise must be at least {LEAST_NOISE:g}, below which rounding decides, not {noise!r}")
    known_fill(fill)


def needs_library() -> None:
    """Check, before anything is asked, that a map can be made of the answers.

    Raises:
        MissingExtra: scikit-learn is not installed.
    """
    try:
        import bbquery.saliency._gaussian_process  # noqa: F401, PLC0415 - an extra
    except ImportError as error:
        raise MissingExtra("bayes", "a Gaussian process over windows", "scikit-learn") from error


def rectangles(states: NDArray[np.float64], size: tuple[int, int]) -> NDArray[np.float64]:
    """Return the windows (n, 4) in pixels of states (n, 3) on a photo of this height and width."""
    in_pixels = states * (min(size) / AT_SIDE)
    return squares(in_pixels[:, :2], in_pixels[:, 2])


def _states(windows: NDArray[np.float64], size: tuple[int, int]) -> NDArray[np.float64]:
    """Return the states (n, 3) of square windows (n, 4): the inverse of `rectangles`."""
    (top, left, bottom, right), pixel = windows.T, AT_SIDE / min(size)
    return np.stack([(top + bottom) / 2, (left + right) / 2, bottom - top], axis=1) * pixel


def at_each(places: tuple[int, int], size: tuple[int, int], sides: tuple[float, ...]) -> NDArray[np.float64]:
    """Return the states (rows * columns, sides, 3) of all sides at the middles of that many rows and columns."""
    u, v = ((np.arange(n) + 0.5) / n * pixels / min(size) * AT_SIDE for n, pixels in zip(places, size, strict=True))
    return np.stack(np.meshgrid(u, v, sides, indexing="ij"), axis=-1).reshape(-1, len(sides), 3)


def places(count: int, size: tuple[int, int]) -> tuple[int, int]:
    """Return how many rows and columns of places, about `count` in all, are as far apart down as across a photo."""
    down, across = (max(1, round(math.sqrt(count * size[axis] / size[1 - axis]))) for axis in (0, 1))
    return down, across


def implied(
    scores: WindowScores,
    size: tuple[int, int],
    *,
    windows: tuple[float, ...],
    length_scale: float | None,
    noise: float,
    rows: int,
) -> SaliencyMap:
    """Return the posterior mean of the drop around each pixel, averaged over the sides of windows, and its error.

    length_scale: None for the likeliest of `LENGTH_SCALES`.
    """
    down, across = (min(most, pixels) for most, pixels in zip(places(MAP_PLACES, size), size, strict=True))
    targets = at_each((down, across), size, windows)
    mean, error = _expected(scores, size, targets, length_scale=length_scale, noise=noise)
    return SaliencyMap(
        _enlarged(mean.reshape(down, across), size),
        signed=True,
        unit=UNIT,
        rows=rows,
        answered=scores.answered,
        standard_error=None if error is None else _enlarged(error.reshape(down, across), size),
        visibility=scores.visibility(),
        notes=scores.notes(),
    )


def _expected(
    scores: WindowScores,
    size: tuple[int, int],
    targets: NDArray[np.float64],
    *,
    length_scale: float | None,
    noise: float,
) -> tuple[NDArray[np.float64], NDArray[np.float64] | None]:
    """Return the mean drop of each target (m, sides, 3), and its standard error where there is an answer: (m,)."""
    from bbquery.saliency._gaussian_process import GaussianProcess, likeliest_length_scale  # noqa: PLC0415 - an extra

    windows, drops = scores.drops()
    if not len(drops):
        return np.zeros(len(targets)), None
    states = _states(windows, size)
    scale = length_scale or likeliest_length_scale(LENGTH_SCALES, states, drops, noise)
    process = GaussianProcess(states, targets, length_scale=scale, noise=noise)
    known, pixels = process.given(list(range(len(drops))), drops.tolist()), np.arange(len(drops), process.targets)
    return known.mean(pixels), math.sqrt(known.squares / len(drops)) * known.deviation(pixels)


def _enlarged(values: NDArray[np.float64], size: tuple[int, int]) -> NDArray[np.float64]:
    down, across = interpolation(values.shape[0], size[0]), interpolation(values.shape[1], size[1])
    rows = np.einsum("yi,ij->yj", down, values)  # not a matrix product, whose bits may depend on the threads
    enlarged: NDArray[np.float64] = np.einsum("yj,xj->yx", rows, across)
    return enlarged
