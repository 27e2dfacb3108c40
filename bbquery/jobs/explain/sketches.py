"""Sketches of a plan's copies: what each changed of the photo, in 7 × 7 parts, kept while the copy is rendered anyway.

A copy of 224 × 224 pixels is 147 KiB and its sketch 784 bytes, so that what was asked can be compared with what was
answered when the copies themselves are long gone.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from bbquery.plan import Ask, Returned, Rows, Stopped, step

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from bbquery.plan import Plan
    from bbquery.types import Image, Images, Scores

T = TypeVar("T")

PARTS = 7  # along each side
SIGNED, SUMS = 3, 4  # of each part: one for each channel, and that of magnitudes
MOST_ROWS = 10_000  # 8 MB


class Sketches:
    """Sketches of the first 10,000 copies of x (H, W, 3) that a plan asks for."""

    def __init__(self, x: Image) -> None:
        self._precision = np.int16 if x.dtype == np.uint8 else np.float64  # int16 takes a tenth of the time
        self._x = x.astype(self._precision)
        self._down, self._across = (_starts(size) for size in x.shape[:2])
        self._parts = len(self._down) * len(self._across)
        self._changes: list[NDArray[np.float32]] = []
        self._blocks: list[tuple[int, ...]] = []

    def of(self, plan: Plan[T]) -> Plan[T]:
        """Run a plan, and sketch each row of what it asks when that is rendered."""
        sent: Scores | Stopped | None = None
        while True:
            state = step(plan, sent)
            if isinstance(state, Returned):
                return state.result
            try:
                sent = yield Ask(self._sketched(state.ask.images), state.ask.repeat)
            except Stopped as stop:
                sent = stop

    @property
    def changes(self) -> list[NDArray[np.float32]]:
        """What each row changed, in grey levels: (n, 7 · 7 · 3) and (n, 7 · 7), or fewer where pixels are fewer.

        Of each part first the sum of the change of each channel, and then that of the magnitudes of all. It is 0 where
        a row was not rendered.
        """
        sums = np.concatenate([np.empty((0, SUMS * self._parts), np.float32), *self._changes])[:MOST_ROWS]
        return np.split(sums, [SIGNED * self._parts], axis=1)

    @property
    def asks(self) -> list[tuple[int, ...]]:
        """How many rows each ask has; of several plans that ask together each has its own number."""
        return self._blocks

    def sketch(self, image: Image) -> NDArray[np.float32]:
        """Return what an image (H, W, 3) changed, in a row."""
        change = np.subtract(image, self._x, dtype=self._precision)
        signed, size = self._sums(change), self._sums(np.abs(change)).sum(axis=-1)
        return np.concatenate([signed.ravel(), size.ravel()]).astype(np.float32)

    def _sums(self, change: NDArray[Any]) -> NDArray[Any]:
        """Return the sums (parts, parts, 3) of a change (H, W, 3) in parts."""
        exact = np.int32 if self._precision is np.int16 else np.float64
        lines, stops = change.reshape(len(change), -1), [*self._down[1:], len(change)]
        rows = [lines[start:stop].sum(axis=0, dtype=exact) for start, stop in zip(self._down, stops, strict=True)]
        sums: NDArray[Any] = np.add.reduceat(np.stack(rows).reshape(-1, *change.shape[1:]), self._across, axis=1)
        return sums

    def _sketched(self, images: Images) -> Images:
        self._blocks.append(images.counts if isinstance(images, Rows) else (len(images),))
        if sum(map(len, self._changes)) >= MOST_ROWS:
            return images
        into = np.zeros((len(images), SUMS * self._parts), np.float32)
        self._changes.append(into)
        return _Sketched(images, self, into)


class _Sketched:
    """Images that leave a sketch in the rows of `into` (n, …) when they are rendered; any thread may render any row."""

    def __init__(self, images: Images, sketches: Sketches, into: NDArray[np.float32]) -> None:
        self._images, self._sketches, self._into = images, sketches, into

    def __len__(self) -> int:
        """How many rows."""
        return len(self._images)

    def __getitem__(self, row: int, /) -> Image:
        """Render one row, and sketch it."""
        image = self._images[row]
        self._into[row] = self._sketches.sketch(image)
        return image


def _starts(size: int) -> list[int]:
    """Return where the parts of so many pixels begin."""
    parts = min(PARTS, size)
    return [part * size // parts for part in range(parts)]
