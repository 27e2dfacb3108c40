"""The part "digit_gradients": Zhang et al.'s tables 4 and 5 up to 100,000 copies, on a network of 2,410 weights.

A digit has 64 values, so that copies may outnumber them, as they cannot on photos. The network has one hidden layer and
is trained on half of scikit-learn's digits; the score is the log-probability of the class that comes first, as in the
part "cosines". Copies are floating-point grey levels, sent as drawn. All copies are asked at once, and the estimates
are `bbquery.estimators.lr` and `blr` as one product.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from bbquery.metrics.gradient_cosine import gradient_cosine

from .setting import seed_of

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from .setting import Setting

PART = "digit_gradients"
SIDE, WHITE, HIDDEN = 8, 255.0, 32
AT_ONCE = 10_000
WHOLE = 0
SIGMAS = (4, 16, 64)
PUBLISHED = "LR, 64 grey levels, as published"
COPIES = {f"LR, {sigma} grey levels": (float(sigma), WHOLE, True) for sigma in SIGMAS} | {
    PUBLISHED: (64.0, WHOLE, False)
}
"""Table 4: standard deviation, side of the blocks (or the whole digit), whether scores are centred."""
BLOCKS = {f"LR in blocks of {side} × {side} pixels": (16.0, side, True) for side in (1, 2, 3, 4)}
"""Table 5: relative sizes of 1/8 to 1/2 of a side."""


def run(setting: Setting) -> None:
    """Measure what is missing, the fewest copies first."""
    network: Perceptron | None = None
    methods = COPIES | BLOCKS
    for copies in setting.tier.digit_copies:
        for name, (sigma, side, centred) in methods.items():
            for number in range(setting.tier.gradient_digits):
                subject = f"digit-{number:03}"
                if setting.missing(PART, subject, name, copies):
                    network = network or Perceptron()
                    found = estimated(network, network.held_out[number], copies, sigma, side, centred=centred)
                    cosine = gradient_cosine(found, network.gradient(network.held_out[number]))
                    setting.keep(PART, subject, name, copies, {} if np.isnan(cosine) else {"cosine": cosine})
        print(f"{PART}: {copies:,} copies", flush=True)


def estimated(
    network: Perceptron, x: NDArray[np.float64], copies: int, sigma: float, side: int, *, centred: bool
) -> NDArray[np.float64]:
    """Return the direction of the gradient (64,) at x (64,) as so many copies tell it."""
    draw = np.random.default_rng(seed_of(f"{copies} {sigma} {side}", int(x.sum())))
    target, total = int(network.probabilities(x[None]).argmax()), Sums()
    for start in range(0, copies, AT_ONCE):
        noise = draw.normal(0, sigma, (min(AT_ONCE, copies - start), len(x)))
        seen = covered(draw, len(noise), side)
        noise *= seen
        total.add(noise, seen, np.log(network.probabilities(x + noise)[:, target]))
    return total.slope(centred=centred)


def covered(draw: np.random.Generator, rows: int, side: int) -> NDArray[np.float64]:
    """Return which of the 64 pixels a square covers, (rows, 64): anywhere where it covers one; all for `WHOLE`."""
    if side == WHOLE:
        return np.ones((rows, SIDE * SIDE))
    starts = draw.integers(1 - side, SIDE, size=(2, rows, 1))
    inside = (starts <= np.arange(SIDE)) & (np.arange(SIDE) < starts + side)
    return np.asarray(inside[0][:, :, None] & inside[1][:, None], dtype=np.float64).reshape(rows, -1)


class Sums:
    """What a likelihood-ratio estimate is made of, over the rows that covered each value."""

    def __init__(self) -> None:
        self._products = self._noise = self._scores = self._rows = np.zeros(SIDE * SIDE)

    def add(self, noise: NDArray[np.float64], seen: NDArray[np.float64], scores: NDArray[np.float64]) -> None:
        """Take in rows of noise (n, 64), what they covered (n, 64) and their scores (n,)."""
        self._products = self._products + scores @ noise
        self._noise = self._noise + noise.sum(axis=0)
        self._scores = self._scores + scores @ seen
        self._rows = self._rows + seen.sum(axis=0)

    def slope(self, *, centred: bool) -> NDArray[np.float64]:
        """Return the covariance of scores and noise (64,) over what covered a value; their mean product otherwise."""
        if not centred:
            return self._products
        rows = np.maximum(self._rows, 1)
        return np.asarray((self._products - self._scores * self._noise / rows) / np.maximum(rows - 1, 1))


class Perceptron:
    """A network with one hidden layer for digits of 64 grey levels, trained to the same weights every time."""

    def __init__(self) -> None:
        from sklearn.datasets import load_digits
        from sklearn.neural_network import MLPClassifier

        images, labels = load_digits(return_X_y=True)
        order = np.random.default_rng(0).permutation(len(images))
        half = len(images) // 2
        trained = MLPClassifier((HIDDEN,), activation="tanh", random_state=0, max_iter=300).fit(
            images[order[:half]] / 16, labels[order[:half]]
        )
        right = trained.score(images[order[half:]] / 16, labels[order[half:]])
        print(f"{PART}: the network is right on {right:.3f} of the {len(images) - half} digits held out", flush=True)
        self.held_out: NDArray[np.float64] = images[order[half:]] / 16 * WHITE
        (self._first, self._second), (self._hidden, self._out) = trained.coefs_, trained.intercepts_

    def probabilities(self, x: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the probabilities (n, 10) of digits (n, 64)."""
        logits = np.tanh(x / WHITE @ self._first + self._hidden) @ self._second + self._out
        raised = np.exp(logits - logits.max(axis=1, keepdims=True))
        return np.asarray(raised / raised.sum(axis=1, keepdims=True))

    def gradient(self, x: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the gradient (64,) at x (64,) of the log-probability of the class that comes first."""
        chances = self.probabilities(x[None])[0]
        of_logits = np.eye(len(chances))[chances.argmax()] - chances
        slope = 1 - np.tanh(x / WHITE @ self._first + self._hidden) ** 2
        return np.asarray(self._first @ (slope * (self._second @ of_logits)) / WHITE)
