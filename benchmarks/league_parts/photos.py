"""The part "photos": deletion and insertion of maps of EfficientNet-Lite0, at equal queries.

What is explained is the probability of the class that comes first. Methods hide with grey (127), LIME with each
superpixel's mean, and `designed` with the photo's mean, its default, and once with grey; maps are judged with none of
these: deletion to black, insertion from a blur, 56 steps.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING

import numpy as np

from bbquery.metrics.aopc import aopc
from bbquery.metrics.srg import DeletionInsertion
from bbquery.plan import replay
from bbquery.types import UINT8

from .backprop import WHITE, WhiteBox
from .network import Model, Subject, chosen
from .setting import seed_of
from .superpixels import LIBRARIES

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from .setting import Setting, Tier

PART = "photos"
METRIC = DeletionInsertion(steps=56, deletion_fill="black", insertion_fill="blur")
CONTROL = "random order"
RISE = "RISE, published"


@dataclass(frozen=True)
class Ours:
    """One of our methods. everywhere: at every budget, and not only at those that every method is given.

    largest: the most queries it is given, where more would take minutes or teach nothing. long: the same of a tier's
    long budgets. photos: the most photos it is measured on.
    """

    specification: str
    everywhere: bool = False
    largest: int = 1_000_000
    long: int = 0
    photos: int = 1_000_000

    def budgets(self, tier: Tier, place: int) -> list[int]:
        """Return its budgets on the photo number `place`."""
        if place >= self.photos:
            return []
        given = tier.budgets if self.everywhere else tier.other_budgets
        long = [budget for budget in tier.long_budgets if budget <= self.long and place < tier.long_photos]
        return sorted({*(min(budget, self.largest) for budget in given), *long})


OURS = {
    RISE: Ours("rise:form=published", everywhere=True, long=8000),
    "RISE, centred": Ours("rise", everywhere=True, long=2000),
    "designed": Ours("designed", everywhere=True, long=2000),
    "designed, without detail": Ours("designed:detail=false", long=2000),
    "designed, hiding with grey": Ours("designed:fill=grey", largest=256),
    "designed, not refined": Ours("designed:refine=false", photos=20),
    "LR, vanilla": Ours("lr"),
    "LR, blockwise": Ours("blr"),
    "LR, SmoothGrad": Ours("smoothgrad:estimator=lr"),
    "LR, VarGrad": Ours("vargrad:estimator=lr"),
    "LR, integrated": Ours("integrated:estimator=lr,baseline=grey"),
    "NES, integrated (iGEEX)": Ours("integrated:estimator=nes,baseline=grey"),
    "bGEEX": Ours("bgeex", everywhere=True),
    "DCT, integrated": Ours("integrated:estimator=dct,baseline=grey"),
    "occlusion": Ours("occlusion", everywhere=True),
    "random windows": Ours("random_windows", largest=256),
    "Bayesian optimisation": Ours("bayes", largest=256),
}


def run(setting: Setting) -> None:
    """Measure what is missing, photo by photo."""
    model = Model(setting.threads)
    for place, photo in enumerate(chosen(setting.shared / "images", setting.tier.photos)):
        wanted = entries(setting, place) if place in setting.places else []
        if not any(setting.missing(PART, photo.stem, *entry) for entry in wanted):
            continue
        subject = Subject(model, photo.stem, model.sent(photo), setting.data / "answers")
        for name, budget in wanted:
            if setting.missing(PART, photo.stem, name, budget):
                _measure(setting, subject, name, budget)
                subject.save()
        print(f"{PART}: {place + 1} of {setting.tier.photos}", flush=True)


def entries(setting: Setting, place: int) -> list[tuple[str, int]]:
    """Return what is measured on the photo number `place`: (method, budget)."""
    tier = setting.tier
    found = [(name, 0) for name in (CONTROL, *WHITE)]
    for name in LIBRARIES:
        found += [(name, budget) for budget in tier.budgets]
    for name, ours in OURS.items():
        found += [(name, budget) for budget in ours.budgets(tier, place)]
    return found


def _measure(setting: Setting, subject: Subject, name: str, budget: int) -> None:
    values = _map(setting, subject, name, budget, seed_of(subject.name, 0))
    if values is not None:
        setting.keep(PART, subject.name, name, budget, judged(subject, values))


def judged(subject: Subject, values: NDArray[np.float64]) -> dict[str, float]:
    """Return the measures of a map (224, 224) of the target's probability."""
    curves = replay(METRIC.plan(subject.x, UINT8, values, seed_of(subject.name, 1)), subject.answer)
    return {
        "SRG": curves.srg,
        "deletion": curves.deletion_auc,
        "insertion": curves.insertion_auc,
        "AOPC": aopc(curves.deletion),
    }


def _map(setting: Setting, subject: Subject, name: str, budget: int, seed: int) -> NDArray[np.float64] | None:
    if name == CONTROL:
        return np.random.default_rng(seed).random(subject.x.shape[:2])
    if name in WHITE:
        return WHITE[name](_white(), subject.x, subject.target, seed)
    if name in LIBRARIES:
        return LIBRARIES[name](subject.probability, subject.x, budget, seed)
    method = setting.made(OURS[name].specification, budget)
    if method is None:
        return None
    return replay(method.plan(subject.x, UINT8, seed), subject.answer).values


@cache
def _white() -> WhiteBox:
    return WhiteBox()
