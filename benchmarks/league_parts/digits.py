"""The part "digits": GEEX's question on a small network: how much of the score is lost as a map's pixels are hidden?

GEEX reports the area over the perturbation curve on MNIST. Here the digits are scikit-learn's, 8 × 8 pixels, and the
network is a small convolutional one, trained on half of them when the part begins; the other half is explained. Pixels
are floating-point grey levels, so that noise of the whole range (GEEX's σ = 1) is sent as drawn; the path and the
deletion, of one pixel a step, both end in black, as in GEEX.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from bbquery.metrics.aopc import aopc
from bbquery.metrics.srg import DeletionInsertion
from bbquery.plan import replay
from bbquery.types import FLOAT

from .network import scored
from .setting import seed_of

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from bbquery.plan import Ask
    from bbquery.types import Image, Scores

    from .setting import Setting

PART = "digits"
SIDE = 8
WHITE = 255.0
BUDGETS = (500, 5000)
STEPS = 50
ROUNDS = 200  # of training
METRIC = DeletionInsertion(steps=SIDE * SIDE, deletion_fill="black", insertion_fill="black")
CONTROL = "random order"
IG = "integrated gradients, white-box"
OURS = {
    "GEEX (NES, a pair a point)": "integrated:estimator=nes,estimator.sigma=255,baseline=black,steps=5000,rows=2",
    "iGEEX (NES, 50 points)": "integrated:estimator=nes,estimator.sigma=255,baseline=black",
    "LR, integrated": "integrated:estimator=lr,estimator.sigma=64,baseline=black",
    "RISE, published": "rise:form=published,cells=4,fill=0",
    "RISE, centred": "rise:cells=4,fill=0",
}


def run(setting: Setting) -> None:
    """Train, and measure what is missing."""
    entries = [(CONTROL, 0), (IG, 0), *((name, budget) for name in OURS for budget in BUDGETS)]
    network: Digits | None = None
    for number in range(setting.tier.digits):
        name = f"digit-{number:03}"
        for entry in entries:
            if setting.missing(PART, name, *entry):
                network = network or Digits()
                _measure(setting, network, number, *entry)


def _measure(setting: Setting, network: Digits, number: int, name: str, budget: int) -> None:
    subject = f"digit-{number:03}"
    x, seed = network.held_out[number], seed_of(f"digit-{number:03}", 0)
    ask = network.explained(x)
    values = _map(setting, network, x, (name, budget), seed)
    if values is not None:
        curves = replay(METRIC.plan(x, FLOAT, values, seed), ask)
        setting.keep(PART, subject, name, budget, {"AOPC": aopc(curves.deletion), "SRG": curves.srg})


def _map(setting: Setting, network: Digits, x: Image, entry: tuple[str, int], seed: int) -> NDArray[np.float64] | None:
    name, budget = entry
    if name == CONTROL:
        return np.random.default_rng(seed).random(x.shape[:2])
    if name == IG:
        return network.integrated(x)
    method = setting.made(OURS[name], budget)
    return None if method is None else replay(method.plan(x, FLOAT, seed), network.explained(x)).values


class Digits:
    """A network of two convolutions for 8 × 8 digits, trained to the same weights every time.

    held_out: float64 (n, 8, 8, 3) in grey levels, what it was not trained on.
    """

    def __init__(self) -> None:
        import torch
        from sklearn.datasets import load_digits

        torch.set_num_threads(1)
        torch.manual_seed(0)
        self._torch: Any = torch
        images, labels = load_digits(return_X_y=True)
        grey = images.reshape(-1, SIDE, SIDE) / 16 * WHITE
        colour = np.repeat(grey[..., None], 3, axis=-1)
        order = np.random.default_rng(0).permutation(len(colour))
        half = len(colour) // 2
        self.held_out: NDArray[np.float64] = colour[order[half:]]
        self._layers = self._network()
        self._train(colour[order[:half]], labels[order[:half]])
        right = [int(np.argmax(row)) for row in self.probabilities(self.held_out)] == labels[order[half:]]
        print(f"{PART}: the network is right on {np.mean(right):.3f} of the {len(right)} digits held out", flush=True)

    def probabilities(self, images: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the probabilities (n, 10) of images (n, 8, 8, 3)."""
        with self._torch.no_grad():
            return np.asarray(self._softmax(self._tensor(images)).numpy(), dtype=np.float64)

    def explained(self, x: Image) -> Callable[[Ask], Scores]:
        """Return how plans about x are answered: with the probability of the class that comes first."""
        target = int(np.argmax(self.probabilities(x[None])))

        def answer(ask: Ask) -> Scores:
            images = np.array([ask.images[row] for row in range(len(ask.images))])
            return scored(self.probabilities(images)[:, target])

        return answer

    def integrated(self, x: Image) -> NDArray[np.float64]:
        """Return integrated gradients (8, 8) from black by backpropagation, midpoint rule."""
        target = int(np.argmax(self.probabilities(x[None])))
        points = (np.arange(STEPS) + 0.5)[:, None, None, None] / STEPS * x
        pixels = self._tensor(points).requires_grad_()
        self._softmax(pixels)[:, target].sum().backward()
        gradient = np.asarray(pixels.grad.numpy(), dtype=np.float64).mean(axis=0)
        return np.asarray((gradient * x).sum(axis=-1), dtype=np.float64)

    def _network(self) -> Any:
        nn = self._torch.nn
        return nn.Sequential(
            nn.Conv2d(1, 16, 3, padding=1), nn.ReLU(), nn.Conv2d(16, 32, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
            nn.Flatten(), nn.Linear(512, 10),
        )  # fmt: skip

    def _train(self, images: NDArray[np.float64], labels: NDArray[np.int64]) -> None:
        nn, pixels, target = self._torch.nn, self._tensor(images), self._torch.tensor(labels)
        optimiser = self._torch.optim.Adam(self._layers.parameters(), lr=3e-3)
        for _ in range(ROUNDS):
            optimiser.zero_grad()
            nn.functional.cross_entropy(self._layers(self._grey(pixels)), target).backward()
            optimiser.step()

    def _tensor(self, images: NDArray[np.float64]) -> Any:
        return self._torch.tensor(images, dtype=self._torch.float32)

    def _grey(self, pixels: Any) -> Any:
        return pixels.mean(dim=-1)[:, None] / WHITE

    def _softmax(self, pixels: Any) -> Any:
        return self._torch.softmax(self._layers(self._grey(pixels)), dim=1)
