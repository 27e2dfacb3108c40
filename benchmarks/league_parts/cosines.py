"""The part "cosines": estimated gradients beside backpropagated ones (Zhang et al., tables 4 and 5).

The score is the log-probability of the class that comes first, whose negative is the paper's loss. Both gradients are
of what is asked, 8-bit pixels. Its noise has variance 1 in normalised pixels; for EfficientNet-Lite0 these are
(x - 127) / 128, which makes 128 grey levels, and 58 where ImageNet's own deviations normalise, as in its models.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from bbquery.metrics.gradient_cosine import gradient_cosine
from bbquery.plan import replay
from bbquery.types import UINT8

from .backprop import WhiteBox
from .network import Model, Subject, chosen, scored
from .setting import seed_of

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from bbquery.estimators import GradientEstimator
    from bbquery.plan import Ask
    from bbquery.types import Scores

    from .setting import Setting

PART = "cosines"
LEAST = 1e-30  # of a probability, before its logarithm is taken
BLOCK_COPIES = 1000
COPIES = {
    "LR, 4 grey levels": "lr:sigma=4",
    "LR, 16 grey levels": "lr:sigma=16",
    "LR, 58 grey levels": "lr:sigma=58",
    "LR, 58 grey levels, as published": "lr:sigma=58,control=none",
}
"""At each number of copies (table 4)."""
BLOCKS = {f"LR in blocks of 1/{side} of a side": f"blr:sigma=16,blocks={side}" for side in (10, 5, 3, 2)}
"""At one number of copies (table 5)."""
BASES = {
    "NES (channels share noise)": "nes:sigma=16",
    "SPSA": "spsa:sigma=16",
    "orthogonal directions": "orthogonal:sigma=16",
    "low frequencies (DCT)": "dct:sigma=16",
}


def run(setting: Setting) -> None:
    """Measure what is missing, photo by photo."""
    entries = [(name, copies) for name in COPIES for copies in setting.tier.copies]
    entries += [(name, BLOCK_COPIES) for name in (*BLOCKS, *BASES)]
    photos = chosen(setting.shared / "images", setting.tier.cosine_photos)
    photos = [photo for photo in photos if any(setting.missing(PART, photo.stem, *entry) for entry in entries)]
    if not photos:
        return
    model, white = Model(setting.threads), WhiteBox()
    for photo in photos:
        subject = Subject(model, photo.stem, model.sent(photo), setting.data / "answers")
        truth = white.gradient(subject.x, subject.target, logarithm=True)
        for name, copies in entries:
            if setting.missing(PART, photo.stem, name, copies):
                _measure(setting, subject, truth, name, copies)
                subject.save()
        print(f"{PART}: {photo.stem}", flush=True)


def _measure(setting: Setting, subject: Subject, truth: NDArray[np.float64], name: str, copies: int) -> None:
    method = setting.made((COPIES | BLOCKS | BASES)[name], copies)
    if method is None:
        return

    def answer(ask: Ask) -> Scores:
        return scored(np.log(np.maximum(subject.probability(ask.images), LEAST)))

    estimator: GradientEstimator = vars(method)["estimator"]  # an estimator's name makes its vanilla map
    gradient = replay(estimator.plan(subject.x, UINT8, seed_of(subject.name, 0)), answer)
    setting.keep(PART, subject.name, name, copies, {"cosine": gradient_cosine(gradient.values, truth)})
