"""The part "montages": where the evidence lies at 200 queries, as Mokuwe et al. ask of Bayesian optimisation.

Four photos that the network knows with confidence are laid out in a square, each at half its size, and the montage is
explained for the class of the one it is likeliest to be. The saliency ratio r_sal, with that photo's cell for a box, is
the share of the map's positive side that lies in it; a map without preference gets 1/4. The paper's exhaustive search
asks 401,408 windows; here it asks as many as the tier says.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from bbquery.metrics.grid_pointing import cell_share, montage
from bbquery.plan import replay
from bbquery.types import UINT8

from .network import Model, Subject, chosen
from .setting import seed_of

if TYPE_CHECKING:
    from bbquery.types import Image

    from .setting import Setting

PART = "montages"
QUERIES = 200
CONFIDENT = 0.7
CELLS = 4
METHODS = {
    "Bayesian optimisation": "bayes:batch=1",
    "Bayesian optimisation, batch 8": "bayes:batch=8",
    "Bayesian optimisation, by variance": "bayes:acquisition=variance,batch=32",
    "random windows": "random_windows",
    "designed": "designed",
    "RISE, centred": "rise",
    "occlusion": "occlusion",
}
EXHAUSTIVE = "exhaustive occlusion"


def run(setting: Setting) -> None:
    """Measure what is missing, montage by montage."""
    names = [f"montage-{place:02}" for place in range(setting.tier.montages)]
    entries = [*((method, QUERIES) for method in METHODS), (EXHAUSTIVE, setting.tier.exhaustive)]
    if not any(setting.missing(PART, name, *entry) for name in names for entry in entries):
        return
    model = Model(setting.threads)
    photos = _confident(setting, model, CELLS * len(names))
    for place, name in enumerate(names):
        four = photos[CELLS * place : CELLS * (place + 1)]
        if len(four) < CELLS:
            setting.note(f"{PART}: not enough photos for {name}")
            return
        subject, cell = _subject(setting, model, name, four)
        for method, queries in entries:
            if setting.missing(PART, name, method, queries):
                _measure(setting, subject, cell, method, queries)
                subject.save()
        print(f"{PART}: {place + 1} of {len(names)}", flush=True)


def _confident(setting: Setting, model: Model, count: int) -> list[tuple[Image, int]]:
    """Return the first photos that the network is sure of, no class twice, each with its class."""
    found: dict[int, Image] = {}
    for photo in chosen(setting.shared / "images", 1_000_000):
        x = model.sent(photo)
        probabilities = model.network(x)
        if probabilities.max() > CONFIDENT:
            found.setdefault(int(np.argmax(probabilities)), x)
        if len(found) == count:
            break
    return [(x, label) for label, x in found.items()]


def _subject(setting: Setting, model: Model, name: str, four: list[tuple[Image, int]]) -> tuple[Subject, int]:
    """Return the montage, explained for the likeliest of the four, and where that one is."""
    whole = montage([halved(x) for x, _ in four])
    probabilities = model.network(whole)
    cell = int(np.argmax([probabilities[label] for _, label in four]))
    return Subject(model, name, whole, setting.data / "answers", target=four[cell][1]), cell


def halved(x: Image) -> Image:
    """Return an image (2 H, 2 W, 3) at half its size, each pixel the mean of four."""
    height, width = x.shape[0] // 2, x.shape[1] // 2
    return UINT8.realise(x.reshape(height, 2, width, 2, 3).mean(axis=(1, 3)))


def _measure(setting: Setting, subject: Subject, cell: int, name: str, queries: int) -> None:
    method = setting.made(METHODS.get(name, "occlusion"), queries)
    if method is None:
        return
    values = replay(method.plan(subject.x, UINT8, seed_of(subject.name, 0)), subject.answer).values
    peak = np.unravel_index(int(np.argmax(values)), values.shape)
    spot = np.zeros_like(values)
    spot[peak] = 1.0
    measures = {
        "r_sal": cell_share(values, cell, CELLS),
        "pointing": cell_share(spot, cell, CELLS),
        "probability": float(subject.clean[subject.target]),
        "asked": float(method.queries),
    }
    setting.keep(PART, subject.name, name, queries, measures)
