"""The part "photos": deletion and insertion of maps of four networks, at equal queries.

What is explained is the probability of the class that comes first. Methods hide with grey (127), LIME with each
superpixel's mean, and `designed` with the photo's mean, its default, and once with grey; maps are judged with none of
these: deletion to black, insertion from a blur, 56 steps. On EfficientNet-Lite0 every method is measured, on the other
networks those of CORE and the controls.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING

from networks import shows_a_dog

from bbquery.metrics.aopc import aopc
from bbquery.metrics.srg import DeletionInsertion
from bbquery.plan import replay
from bbquery.types import UINT8

from . import controls
from .backprop import WHITE, WhiteBox
from .network import Model, Subject, chosen
from .rows import LITE0, table
from .setting import TIERS, seed_of
from .superpixels import LIBRARIES

if TYPE_CHECKING:
    from pathlib import Path

    import numpy as np
    from numpy.typing import NDArray

    from .rows import Results, Table
    from .setting import Setting, Tier

PART = "photos"
METRIC = DeletionInsertion(steps=56, deletion_fill="black", insertion_fill="blur")
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


CORE = ("designed, without detail", "designed", RISE, "RISE, centred", "Partition/Owen")
SKIPPED = 20  # photos of the order that do not judge other networks: what was chosen by looking was seen on the first


def run(setting: Setting) -> None:
    """Measure what is missing, network by network and photo by photo."""
    for network in setting.networks:
        _run(setting, network)


def photos_of(network: str, setting: Setting) -> list[Path]:
    """Return the photos of a network, in the order in which they are taken: for that of dogs, those of dogs first."""
    tier, folder = setting.tier, setting.shared / "images"
    if network == LITE0:
        return chosen(folder, tier.photos)
    found = chosen(folder, SKIPPED + tier.network_photos)[SKIPPED:]
    return sorted(found, key=lambda photo: not shows_a_dog(photo.name)) if network == "dogs" else found


def _run(setting: Setting, network: str) -> None:
    photos, model = photos_of(network, setting), None
    for place, photo in enumerate(photos):
        wanted = entries(setting, network, place) if place in setting.places else []
        missing = [entry for entry in wanted if setting.missing(PART, photo.stem, *entry, network=network)]
        if not missing:
            continue
        model = model or Model(setting.threads, network)
        memory = setting.data / "answers" / ("" if network == LITE0 else network)
        subject = Subject(model, photo.stem, model.sent(photo), memory)
        for name, budget in missing:
            _measure(setting, subject, name, budget)
            subject.save()
        print(f"{PART}, {network}: {place + 1} of {len(photos)}", flush=True)


def entries(setting: Setting, network: str, place: int) -> list[tuple[str, int]]:
    """Return what is measured on the photo number `place` of a network: (method, budget)."""
    tier = setting.tier
    found = [(name, 0) for name in controls.ASK_NOTHING]
    found += [(name, budget) for budget in tier.core_budgets for name in (*CORE, *controls.OF_MAPS)]
    if network != LITE0:
        return found + [(RISE, budget) for budget in tier.long_budgets if budget == max(tier.long_budgets)]
    found += [(name, 0) for name in WHITE]
    for name in LIBRARIES:
        found += [(name, budget) for budget in tier.budgets]
    for name, ours in OURS.items():
        found += [(name, budget) for budget in ours.budgets(tier, place)]
    return list(dict.fromkeys(found))


def measured(results: Results, measure: str) -> Table:
    """Return what was measured on EfficientNet-Lite0 at the budgets that every method is given there."""
    full = TIERS["full"]
    shown = {0, *full.budgets, *full.long_budgets}
    return {entry: found for entry, found in table(results.of(PART), measure).items() if entry[1] in shown}


def _measure(setting: Setting, subject: Subject, name: str, budget: int) -> None:
    values = map_of(setting, subject, name, budget)
    if values is not None:
        setting.keep(PART, subject.name, name, budget, judged(subject, values), network=subject.model.name)


def judged(subject: Subject, values: NDArray[np.float64], metric: DeletionInsertion = METRIC) -> dict[str, float]:
    """Return the measures of a map (224, 224) of the target's probability."""
    curves = replay(metric.plan(subject.x, UINT8, values, seed_of(subject.name, 1)), subject.answer)
    return {
        "SRG": curves.srg,
        "deletion": curves.deletion_auc,
        "insertion": curves.insertion_auc,
        "AOPC": aopc(curves.deletion),
    }


def map_of(setting: Setting, subject: Subject, name: str, budget: int, seed: int = 0) -> NDArray[np.float64] | None:
    """Return a method's map (224, 224) of a subject; None where the method does not exist so."""
    key = name, budget, seed
    if key not in subject.maps:
        subject.maps[key] = _made(setting, subject, name, budget, seed)
    return subject.maps[key]


def _made(setting: Setting, subject: Subject, name: str, budget: int, seed: int) -> NDArray[np.float64] | None:
    drawn = seed_of(subject.name, seed)
    if name in controls.ASK_NOTHING:
        return controls.ASK_NOTHING[name](subject.x, drawn)
    if name in controls.OF_MAPS:
        control = controls.OF_MAPS[name]
        values = map_of(setting, subject, control.method, budget, seed)
        return None if values is None else control.changed(values)
    if name in WHITE:
        return WHITE[name](_white(), subject.x, subject.target, drawn)
    if name in LIBRARIES:
        return LIBRARIES[name](subject.probability, subject.x, budget, drawn)
    method = setting.made(OURS[name].specification, budget)
    return None if method is None else replay(method.plan(subject.x, UINT8, drawn), subject.answer).values


@cache
def _white() -> WhiteBox:
    return WhiteBox()
