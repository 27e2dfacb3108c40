"""The part "sanity": whether maps follow the network, and what they follow beside it.

After Adebayo et al., "Sanity Checks for Saliency Maps" (NeurIPS 2018). Rank correlations (Spearman) over pixels:

repeat           of the maps of two seeds; what is left to chance
random weights   of the map with that of a network whose kernels' numbers are shuffled, for its own first class
random label     of the map with that of a class drawn from those that are not among the first ten
edges            of the map with the photo's own edges

and `constant`: the range of the map of an oracle that answers .5 to everything, in shares of that .5. It is 0 where a
map shows nothing but differences between answers.

Photos are those beyond the first 20 in the order of the part "photos".
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from networks import SHUFFLED

from bbquery.jobs.explain.ranks import rank_correlation

from . import controls, photos
from .backprop import WHITE
from .network import KEPT, Model, Subject, chosen, scored
from .photos import OURS, SKIPPED, map_of
from .rows import LITE0, table
from .setting import seed_of
from .superpixels import LIBRARIES
from .words import by_budget

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from bbquery.plan import Ask
    from bbquery.types import Image, Images, Scores

    from .rows import Results
    from .setting import Setting

PART = "sanity"
BUDGETS = (64, 256)
LONG = 1000  # for CORE alone
SAME = 0.5  # what the constant oracle answers
BRIGHTNESS = np.array([0.299, 0.587, 0.114])
MEASURES = {
    "repeat": "Another seed: rank correlation of the two maps, higher is better",
    "random weights": "Shuffled weights: rank correlation with the map of that network, near 0 is better",
    "random label": "Another label: rank correlation with the map of a drawn class, lower is better",
    "constant": "A constant oracle: range of the map in shares of the answer, 0 is better",
    "edges": "The photo's edges: rank correlation of the map with them",
}
OPENING = """## Sanity

Whether maps follow the network, after Adebayo et al., "Sanity Checks for Saliency Maps" (NeurIPS 2018), on photos of
EfficientNet-Lite0 that are none of the first 20. Rank correlations are over pixels, signs kept. The shuffled network is
EfficientNet-Lite0 with the numbers of each kernel in another order, explained for its own first class; the drawn class
is none of the photo's first ten. Two maps are of one seed but for the first table, as a user's are: what random masks
happen to show is in both. Two classes share their photo, and which parts hold anything at all is no secret of one
class, so their maps may agree in part. Edges are Sobel's, of brightness. Below five photos there is no interval, and
nothing to conclude.
"""


def run(setting: Setting) -> None:
    """Measure what is missing, photo by photo."""
    found = chosen(setting.shared / "images", SKIPPED + setting.tier.sanity_photos)[SKIPPED:]
    models: list[Model] = []
    for place, photo in enumerate(found):
        wanted = entries() if place in setting.places else []
        missing = [entry for entry in wanted if setting.missing(PART, photo.stem, *entry)]
        if missing:
            models = models or [Model(setting.threads, name) for name in (LITE0, SHUFFLED)]
            _measure(setting, models, photo, missing)
            print(f"{PART}: {place + 1} of {len(found)}", flush=True)


def entries() -> list[tuple[str, int]]:
    """Return what is measured on each photo: (method, budget)."""
    found = [(name, 0) for name in (*controls.ASK_NOTHING, *WHITE)]
    for budget in BUDGETS:
        found += [(name, budget) for name in (*OURS, *LIBRARIES)]
    return found + [(name, LONG) for name in photos.CORE]


def _measure(setting: Setting, models: list[Model], photo: Path, missing: list[tuple[str, int]]) -> None:
    memory = setting.data / "answers"
    model, shuffled = models
    x = model.sent(photo)
    subject = Subject(model, photo.stem, x, memory)
    label = Subject(model, photo.stem, x, memory, drawn_label(subject))
    weights = Subject(shuffled, photo.stem, x, memory / SHUFFLED)
    edges = edges_of(x)
    for name, budget in missing:
        values = map_of(setting, subject, name, budget)
        if values is None:
            continue
        found = {"edges": rank_correlation(values, edges)}
        if budget:
            found["repeat"] = _agrees(values, map_of(setting, subject, name, budget, 1))
            found["constant"] = _range(map_of(setting, Constant(subject), name, budget))
        if budget in BUDGETS:
            found["random label"] = _agrees(values, map_of(setting, label, name, budget))
            found["random weights"] = _agrees(values, map_of(setting, weights, name, budget))
        setting.keep(PART, photo.stem, name, budget, {key: value for key, value in found.items() if np.isfinite(value)})
        for one in (subject, label, weights):
            one.save()


def drawn_label(subject: Subject) -> int:
    """Return a class that is none of the first ten of the unperturbed photo, drawn by its name."""
    others = np.argsort(-subject.clean, kind="stable")[KEPT:]
    return int(np.random.default_rng(seed_of(subject.name, 2)).choice(others))


class Constant(Subject):
    """The same photo, of which the same is said whatever is shown."""

    def __init__(self, subject: Subject) -> None:
        self.name, self.x, self.target, self.maps = subject.name, subject.x, subject.target, {}

    def probability(self, images: Images) -> NDArray[np.float64]:
        """Return the same for each image, (n,)."""
        return np.full(len(images), SAME)

    def answer(self, ask: Ask) -> Scores:
        """Answer a plan likewise."""
        return scored(self.probability(ask.images))


def edges_of(x: Image) -> NDArray[np.float64]:
    """Return the magnitude of Sobel's gradient of brightness, (H, W), the photo's rim repeated outwards."""
    light = np.pad(x @ BRIGHTNESS, 1, mode="edge")
    across, down = light[:, 2:] - light[:, :-2], light[2:] - light[:-2]
    sides = across[:-2] + 2 * across[1:-1] + across[2:], down[:, :-2] + 2 * down[:, 1:-1] + down[:, 2:]
    return np.asarray(np.hypot(*sides), dtype=np.float64)


def _agrees(values: NDArray[np.float64], other: NDArray[np.float64] | None) -> float:
    return np.nan if other is None else rank_correlation(values, other)


def _range(values: NDArray[np.float64] | None) -> float:
    return np.nan if values is None else float(np.ptp(values)) / SAME


def section(results: Results) -> str:
    """Return the section as Markdown; nothing where nothing was measured."""
    rows = results.of(PART)
    if not rows:
        return ""
    told = [OPENING]
    for measure, title in MEASURES.items():
        told += [f"### {title}\n", by_budget(table(rows, measure), lowest=measure != "repeat")]
    return "\n".join(told)
