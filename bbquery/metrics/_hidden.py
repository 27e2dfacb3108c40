"""Copies of a photo with a random part hidden, what a map says each should lose, and what the score did lose.

Both fidelities ask the same kind of question, and differ in the parts and in how they compare the two losses.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

from bbquery.errors import UsageError
from bbquery.perturb.baselines import filled
from bbquery.perturb.rows import row_generator
from bbquery.plan import Ask, Stopped

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from bbquery.perturb.baselines import AnyFill
    from bbquery.perturb.rows import Key
    from bbquery.plan import Plan
    from bbquery.types import Domain, Image

Draw: TypeAlias = "Callable[[np.random.Generator], NDArray[np.bool_]]"
"""Draws what is hidden: (H, W), True where it is."""

Losses: TypeAlias = "tuple[NDArray[np.float64], NDArray[np.float64]]"
"""What a map foretells that each copy loses, and what the score really lost: (n,) each."""


def losses(
    values: NDArray[np.float64], x: Image, domain: Domain, seed: int, *, draw: Draw, fill: AnyFill, copies: int
) -> Plan[Losses]:
    """Ask for x (H, W, 3) and so many copies with a drawn part behind `fill`; return the losses of those answered.

    values: the map, evidence (H, W) or a gradient (H, W, 3).

    Raises:
        UsageError: `values` does not fit x or is not finite.
    """
    evidence = checked_evidence(values, x)
    hidden = HiddenCopies(domain.realise(x), domain.realise(filled(fill, x, seed)), draw, copies=copies, key=(seed, 0))
    try:
        scores = yield Ask(hidden)
    except Stopped as stop:
        scores = stop.scores  # every paid answer counts
    return hidden.losses(evidence, scores.value)


class HiddenCopies:
    """The photo itself as row 0, then `copies` of it, each with its own drawn part hidden; none is held.

    x, fill: (H, W, 3), as sent.
    """

    def __init__(self, x: Image, fill: Image, draw: Draw, *, copies: int, key: Key) -> None:
        self._x, self._fill, self._draw = x, fill, draw
        self._rows, self._key = copies + 1, key

    def __len__(self) -> int:
        """How many rows."""
        return self._rows

    def __getitem__(self, row: int, /) -> Image:
        """Render one row: (H, W, 3), exactly as it will be sent."""
        return np.where(self.hidden(row)[..., None], self._fill, self._x)

    def hidden(self, row: int) -> NDArray[np.bool_]:
        """Return where row `row` is hidden, (H, W)."""
        rng = row_generator(self._key, row, self._rows)
        return self._draw(rng) if row else np.zeros(self._x.shape[:2], dtype=np.bool_)

    def foretold(self, values: NDArray[np.float64], row: int) -> float:
        """Return what a map says that row `row` loses against the photo.

        values: (H, W), evidence, of which the hidden pixels' is lost; or a gradient (H, W, 3), times what was taken
        away: the photo minus what was sent.
        """
        if values.ndim == 2:
            return float(values[self.hidden(row)].sum())
        change = np.subtract(self._x, self[row], dtype=np.float64)
        return float(np.einsum("ijk,ijk->", change, values))

    def losses(self, values: NDArray[np.float64], scores: NDArray[np.float64]) -> Losses:
        """Return what the map foretells and what the score (rows,) really lost, for each copy that was answered.

        Both are empty where the photo itself was not answered: there is nothing to lose from.
        """
        lost = scores[0] - scores
        rows = [row for row in range(1, self._rows) if not np.isnan(lost[row])]
        return np.array([self.foretold(values, row) for row in rows]), lost[rows]


def checked_evidence(values: NDArray[np.float64], x: Image) -> NDArray[np.float64]:
    """Return evidence (H, W) or a gradient (H, W, 3) as float64 once it fits x (H, W, 3) and is finite everywhere.

    Raises:
        UsageError: it does not.
    """
    if np.shape(values) not in (x.shape[:2], x.shape):
        raise UsageError(f"a map for {x.shape} must be of shape {x.shape[:2]} or {x.shape}, not {np.shape(values)}")
    floats = np.asarray(values, dtype=np.float64)
    if not np.isfinite(floats).all():
        raise UsageError("a map must be finite everywhere: it has NaN or infinite values")
    return floats
