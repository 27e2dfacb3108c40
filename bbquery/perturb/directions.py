"""Random directions: on a sphere, with random signs, or orthonormal.

Orthonormal directions are drawn as products of three cosines, one along each axis of the array, times one random sign
for each value: a basis of all of them (each axis' cosines are one), of which every member is as likely to be drawn.
So their outer products average to the identity over the number of values, as those of independent directions do, but
no direction asks what another has asked. One costs two small products and a sign; rendered on demand.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from bbquery.perturb.rows import row_generator

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from bbquery.perturb.added import Change, Floats
    from bbquery.perturb.rows import Key
    from bbquery.types import Image

SCRAMBLES = 0x5C  # tells the keys of scrambles from those of rows
MIDDLE = 127.5  # of the grey levels


def on_sphere(shape: tuple[int, ...], sigma: float, dtype: Floats, *, rows: int, key: Key) -> Change:
    """Return changes of `shape`, uniform on the sphere where their root mean square is sigma."""

    def change(row: int) -> NDArray[np.floating[Any]]:
        direction: NDArray[np.floating[Any]] = row_generator(key, row, rows).standard_normal(shape, dtype=dtype)
        direction *= sigma / math.sqrt(float(np.square(direction).mean(dtype=np.float64)))
        return direction

    return change


def signs(shape: tuple[int, ...], sigma: float, dtype: Floats, *, rows: int, key: Key) -> Change:
    """Return changes of `shape` whose values are -sigma or sigma, each as likely, independent of each other."""

    def change(row: int) -> NDArray[np.floating[Any]]:
        coins = _coins(shape, row_generator(key, row, rows))
        return coins * dtype(2 * sigma) - dtype(sigma)

    return change


def _coins(shape: tuple[int, ...], rng: np.random.Generator) -> NDArray[np.uint8]:
    """Return zeros and ones, each as likely, from one bit each."""
    size = math.prod(shape)
    drawn = np.frombuffer(rng.bytes(-(-size // 8)), dtype=np.uint8)
    return np.unpackbits(drawn, count=size).reshape(shape)


def cosines(size: int) -> NDArray[np.float64]:
    """Return the orthonormal basis of the discrete cosine transform (DCT-II): (frequency, place), each (size,)."""
    frequency, place = np.arange(size)[:, None], np.arange(size)[None]
    waves = np.cos(math.pi * frequency * (2 * place + 1) / (2 * size)) * math.sqrt(2 / size)
    waves[0] /= math.sqrt(2)
    return waves


class OrthonormalDirections:
    """Orthonormal arrays of `shape` (three axes) in random order; after all of them come those of another scramble."""

    def __init__(self, shape: tuple[int, ...], seed: int) -> None:
        self._shape, self._seed = shape, seed
        self.size = math.prod(shape)
        self._waves = [cosines(side) for side in shape]
        self._scrambles: dict[int, tuple[NDArray[np.int64], NDArray[np.float32]]] = {}

    def __call__(self, number: int) -> NDArray[np.float64]:
        """Return direction `number`, float64 of the shape, its sum of squares 1."""
        scramble, place = divmod(number, self.size)
        order, sign = self._scramble(scramble)
        down, across, deep = (
            w[i] for w, i in zip(self._waves, np.unravel_index(order[place], self._shape), strict=True)
        )
        wave = (down[:, None] * across)[..., None] * deep
        wave *= sign
        return np.asarray(wave)

    def _scramble(self, number: int) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        """Return an order and signs; two threads that draw them at once draw the same."""
        if number not in self._scrambles:
            rng = np.random.default_rng((self._seed, SCRAMBLES, number))
            order, coins = rng.permutation(self.size), _coins(self._shape, rng)
            self._scrambles[number] = order, coins * np.float32(2) - np.float32(1)
        return self._scrambles[number]


def coordinates(x: Image, sigma: float, dtype: Floats, *, first: int, seed: int) -> Change:
    """Return changes of x (H, W, 3) that move one value each by sigma, in a random order from number `first` on.

    They move away from the nearer end of the grey levels, where clipping would leave nothing of them. After all values
    the order begins again.
    """
    order = np.random.default_rng((seed, SCRAMBLES)).permutation(x.size)

    def change(row: int) -> NDArray[np.floating[Any]]:
        moved = np.zeros(x.size, dtype=dtype)
        place = order[(first + row) % x.size]
        moved[place] = sigma if x.flat[place] < MIDDLE else -sigma
        return moved.reshape(x.shape)

    return change
