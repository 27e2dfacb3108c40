"""How near the attacks come at equal queries: `python benchmarks/attack.py FOLDER [--queries 1000] [--images 3]`.

On the hard labels of EfficientNet-Lite0, each method asks the same number of 8-bit images and nothing else; an image
that was never asked does not count. Printed is the RMSE of the nearest adversarial image, and medians; what fails is
infinite. The controls ask random directions, growing fainter where they succeed, as anybody could. HopSkipJump is
Foolbox's, where that is installed: as it comes, and with probes of about one grey level, since fainter ones are rounded
away. It is not told of the rounding, and starts with Foolbox's own blended noise.
"""

from __future__ import annotations

import argparse
import math
import statistics
import time
import warnings
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from bbquery.attacks.lr_mifgsm import LrMifgsm
from bbquery.attacks.lr_mifgsm_paper import PublishedLrMifgsm
from bbquery.images import reading
from bbquery.images.placement import fit
from bbquery.plan import Ask, replay
from bbquery.types import UINT8, Decision, Image, Scores
from oracles import efficientnet

EIGHT_BIT = 1e4  # times Foolbox's γ: probes of about one grey level at 224 × 224


class Spent(Exception):
    """All queries were asked."""


@dataclass
class Victim:
    """Labels of one photo, counted. nearest: RMSE of the nearest adversarial image that was asked."""

    network: Callable[[Image], Any]
    x: Image
    queries: int
    asked: int = 0
    nearest: float = math.inf

    def __post_init__(self) -> None:
        self.label = int(np.argmax(self.network(self.x)))

    def unchanged(self, image: Image) -> bool:
        """Ask one image."""
        if self.asked >= self.queries:
            raise Spent
        self.asked += 1
        stands = int(np.argmax(self.network(image))) == self.label
        if not stands:
            change = image.astype(np.float64) - self.x
            self.nearest = min(self.nearest, math.sqrt(float(np.mean(change**2))) / 255)
        return stands


def plan_of(make: Callable[..., LrMifgsm]) -> Callable[[Victim, int], None]:
    """Return a method that runs one of our plans, two rows at once."""

    def run(victim: Victim, seed: int) -> None:
        with ThreadPoolExecutor(2) as pool:

            def answer(ask: Ask) -> Scores:
                stands = list(pool.map(lambda row: victim.unchanged(ask.images[row]), range(len(ask.images))))
                decisions = np.where(stands, Decision.MET, Decision.NOT_MET).astype(np.int8)
                return Scores(decisions, np.array(stands, dtype=np.float64))

            replay(make(queries=victim.queries).plan(victim.x, UINT8, seed), answer)

    return run


def control(draw: Callable[[np.random.Generator, tuple[int, ...]], np.ndarray]) -> Callable[[Victim, int], None]:
    """Return a method that asks random directions: a tenth fainter after each success, stronger after 20 failures."""

    def run(victim: Victim, seed: int) -> None:
        rng, rmse, failures = np.random.default_rng(seed), 0.1, 0
        while True:
            image = UINT8.realise(victim.x + 255 * rmse * draw(rng, victim.x.shape))
            failures = failures + 1 if victim.unchanged(image) else 0
            rmse *= 0.9 if failures == 0 else 1.1 if failures % 20 == 0 and math.isinf(victim.nearest) else 1.0

    return run


def hop_skip_jump(gamma: float) -> Callable[[Victim, int], None]:
    """Return Foolbox's HopSkipJump; it ends when all queries are asked."""
    import foolbox  # type: ignore[import-not-found, unused-ignore] # optional

    class Model(foolbox.models.Model):  # type: ignore[misc, unused-ignore] # untyped
        def __init__(self, victim: Victim) -> None:
            self.victim = victim

        @property
        def bounds(self) -> Any:
            return foolbox.types.Bounds(0, 1)

        def __call__(self, inputs: Any) -> Any:
            images = inputs.numpy()
            stands = [self.victim.unchanged(UINT8.realise(255 * i.transpose(1, 2, 0))) for i in images]
            scores = np.array([[1.0, 0.0] if s else [0.0, 1.0] for s in stands], dtype=np.float32)
            return inputs.from_numpy(scores)

    def run(victim: Victim, seed: int) -> None:
        import eagerpy  # type: ignore[import-not-found, unused-ignore] # comes with Foolbox

        np.random.seed(seed)  # noqa: NPY002 - Foolbox draws from the global generator
        x = eagerpy.astensor((victim.x.transpose(2, 0, 1)[None] / 255).astype(np.float32))
        attack = foolbox.attacks.HopSkipJumpAttack(gamma=gamma)
        attack.run(Model(victim), x, foolbox.criteria.Misclassification(eagerpy.astensor(np.array([0]))))

    return run


def methods() -> dict[str, Callable[[Victim, int], None]]:
    """Return what is compared."""
    found = {
        "lr_mifgsm": plan_of(LrMifgsm),
        "lr_mifgsm_paper": plan_of(PublishedLrMifgsm),
        "random sign": control(lambda rng, shape: rng.choice([-1.0, 1.0], shape)),
        "random Gaussian": control(lambda rng, shape: rng.standard_normal(shape)),
    }
    try:
        found["HopSkipJump, default"] = hop_skip_jump(1.0)
        found["HopSkipJump, 8-bit aware"] = hop_skip_jump(EIGHT_BIT)
    except ImportError as error:
        print(f"HopSkipJump is left out: {error}")
    return found


def main() -> None:
    """Run and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path, help="of photos")
    parser.add_argument("--queries", type=int, default=1000)
    parser.add_argument("--images", type=int, default=3)
    parser.add_argument("--only", default="", help="methods whose name has this in it")
    chosen = parser.parse_args()
    oracle = efficientnet.connect()
    network = next(value for value in vars(oracle).values() if hasattr(value, "session"))
    every = sorted(chosen.folder.glob("*.jpg"))
    photos = every[:: max(1, len(every) // chosen.images)][: chosen.images]
    view, domain = oracle.capabilities.view, oracle.capabilities.domain
    for name, method in methods().items():
        if chosen.only not in name:
            continue
        began, reached = time.perf_counter(), []
        for seed, photo in enumerate(photos):
            victim = Victim(network, fit(reading.load(photo), view, domain)[0], chosen.queries)
            try:
                with warnings.catch_warnings(action="ignore"):
                    method(victim, seed)
            except Spent:
                pass
            reached.append(victim.nearest)
        shown = " ".join(f"{r:.4f}" for r in reached)
        seconds = time.perf_counter() - began
        print(
            f"{name:26} median {statistics.median(reached):.4f} n={len(reached)}  ({shown})  {seconds:.0f} s",
            flush=True,
        )


if __name__ == "__main__":
    main()
