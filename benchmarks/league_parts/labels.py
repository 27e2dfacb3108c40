"""The part "labels": what a map is worth when the API answers with one label, or with ten, and not with probabilities.

Maps are made from the poorer answers and judged by the probability, as those of the part "photos" are.

probability   of the class that comes first
first label   1 while the first label is that class, else 0
label list    the sum of the scores of ten labels times their path similarity to it in WordNet
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, TypeAlias

import numpy as np

from bbquery import load
from bbquery.errors import BbqueryError
from bbquery.plan import replay
from bbquery.types import UINT8, Label, Labels

from .network import Model, Subject, chosen, scored
from .photos import judged
from .setting import seed_of

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from bbquery.plan import Ask
    from bbquery.scoring.base import BoundScore
    from bbquery.types import Scores

    from .network import Said
    from .setting import Setting

PART = "labels"
Kind: TypeAlias = Literal["probability", "first label", "label list"]
KINDS: tuple[Kind, ...] = ("probability", "first label", "label list")
QUERIES = 1000
METHODS = {"designed": "designed", "RISE, centred": "rise"}
PUBLISHED = "RISE, published"


def run(setting: Setting) -> None:
    """Measure what is missing, photo by photo."""
    model = Model(setting.threads)
    for place, photo in enumerate(chosen(setting.shared / "images", setting.tier.label_photos)):
        wanted = [entry for entry in entries(setting) if setting.missing(PART, photo.stem, told(entry), entry[2])]
        if not wanted:
            continue
        subject = Subject(model, photo.stem, model.sent(photo), setting.data / "answers")
        for entry in wanted:
            _measure(setting, subject, entry)
            subject.save()
        print(f"{PART}: {place + 1} of {setting.tier.label_photos}", flush=True)


def told(entry: tuple[str, Kind, int]) -> str:
    """Return what an entry is called in the rows."""
    return f"{entry[0]}; {entry[1]}"


def entries(setting: Setting) -> list[tuple[str, Kind, int]]:
    """Return what is measured: (method, kind of answer, budget)."""
    long: Kind = "probability"
    return [
        *((method, kind, QUERIES) for method in METHODS for kind in KINDS),
        (PUBLISHED, long, setting.tier.long_rise),
    ]


def _measure(setting: Setting, subject: Subject, entry: tuple[str, Kind, int]) -> None:
    name, kind, budget = entry
    method = setting.made(METHODS.get(name, "rise:form=published"), budget)
    if method is None:
        return
    try:
        answer = Answered(subject, kind)
    except BbqueryError as error:
        setting.note(f"left out: {kind}: {error}")
        return
    values = replay(method.plan(subject.x, UINT8, seed_of(subject.name, 0)), answer).values
    setting.keep(PART, subject.name, told(entry), budget, judged(subject, values))


class Answered:
    """Scores of one kind of answer, of images of a subject."""

    def __init__(self, subject: Subject, kind: Kind) -> None:
        self._subject, self._kind = subject, kind
        self._names = [subject.model.classes.show(index) for index in range(len(subject.model.classes))]
        if kind == "label list":
            self._bound = self._similarity()

    def __call__(self, ask: Ask) -> Scores:
        """Answer a plan."""
        return scored(self._values(self._subject.said(ask.images)))

    def _values(self, said: Said) -> NDArray[np.float64]:
        if self._kind == "probability":
            return said.target
        if self._kind == "first label":
            return np.equal(said.labels[:, 0], self._subject.target).astype(np.float64)
        return self._bound(self._lists(said))[1]

    def _similarity(self) -> BoundScore:
        clean = self._lists(self._subject.said(self._subject.x[None]))[0]
        return load.score("hard:form=list").bind(clean, self._names[self._subject.target], None)

    def _lists(self, said: Said) -> list[Labels]:
        rows = zip(said.labels.tolist(), said.scores.tolist(), strict=True)
        return [
            Labels(tuple(Label(self._names[i], weight) for i, weight in zip(labels, weights, strict=True)))
            for labels, weights in rows
        ]
