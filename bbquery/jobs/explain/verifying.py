"""Asking for the verified facts of a map, once it is there.

A map is an estimate; a fact was asked. When an answer counts as kept:

1. Where the whole photo meets the score's criterion (the target is on top, is named, is mentioned), a part must too.
2. Where it does not, there is no such answer to keep. If values begin at 0 and the whole photo has at least 0.01, a
   part must have half of that value, and the fact says so; else there is nothing to keep, and nothing is asked.

Pixels are taken in the map's order, equal ones in an order drawn from the seed, and only those that are sent: what the
model is not shown never counts. They are hidden behind grey, or behind the photo's mean colour where the method that
made the map hid behind grey: a map is judged with another filling than the one that made it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from bbquery.jobs.explain.bisection import Parts, smallest_parts
from bbquery.jobs.explain.verified import Part, Verified, brief, nothing
from bbquery.jobs.percent import percent
from bbquery.metrics._maps import ranks
from bbquery.perturb.baselines import LEVELS, Fill, filled
from bbquery.run import drive
from bbquery.saliency import Undeclared
from bbquery.scoring.threshold import BoundThreshold
from bbquery.types import UINT8, Decision, Labels, Vector

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from bbquery.client.client import Client
    from bbquery.drift import DriftWatch
    from bbquery.jobs.explain.bisection import Kind, SmallestParts
    from bbquery.jobs.explain.result import TargetMap
    from bbquery.oracle import Capabilities
    from bbquery.saliency import Method
    from bbquery.scoring.base import BoundScore
    from bbquery.types import Answer, Image

LEAST_VALUE = 0.01  # of the whole photo: a target that gets less hardly moves

TOO_FEW = "the method's own queries leave too few: raise --max-queries, or lower the method's queries"
NOT_ANSWERED = "the model does not answer {target!r} to the whole photo, so no part of it can keep that answer"
NO_ORDER = "the map has no value, or none in some places, so it ranks no pixels"
NOT_MOVED = "nothing moved, so the map ranks no pixels"
WAVERS = "this model does not answer equal pictures alike, so even two answers alike could be chance"
DID = {"shown": "keeps the answer alone", "hidden": "changes the answer when hidden"}


@dataclass(frozen=True)
class AtLeast(BoundThreshold):
    """A score that is met from half of the whole photo's value on."""

    @property
    def _criterion(self) -> str:
        return f"{super()._criterion}, half of that on the whole photo"


def keeping(score: BoundScore, clean: Answer) -> BoundScore | None:
    """Return a score that is met while an answer is kept; None where there is none to keep.

    clean: the answer to the whole photo.
    """
    (decision,), (value,) = score([clean])
    if decision == Decision.MET:
        return score
    if score.about.direction == "higher" and score.about.low == 0 and value >= LEAST_VALUE:
        return AtLeast(score, float(value) / 2)
    return None


def filling_beside(method: Method) -> Fill:
    """Return what hides pixels, other than what the method hides behind."""
    own = getattr(method.own if isinstance(method, Undeclared) else method, "fill", None)
    return "mean" if own in ("grey", LEVELS["grey"]) else "grey"


@dataclass(frozen=True, kw_only=True, eq=False)
class Verification:
    """How the facts of maps are asked for.

    x: the pixels that are sent, (H, W, 3). whole: whether they are the whole photo. clean: the answer to them. queries:
    for each map at most.
    """

    x: Image
    whole: bool
    clean: Answer
    oracle: Capabilities
    filling: Fill
    seed: int
    queries: int

    async def of(self, m: TargetMap, client: Client, drift: DriftWatch) -> Verified:
        """Ask for the facts of a map."""
        keeps = keeping(m.score, self.clean)
        if why := self._hopeless(m):
            return nothing(why)
        if keeps is None:
            return nothing(NOT_ANSWERED.format(target=m.target))
        domain, heard = self.oracle.domain, list[list["Answer | None"]]()
        filling = domain.realise(filled(self.filling, self.x, self.seed))
        parts = Parts(domain.realise(self.x), filling, ranks(m.sent.values, self.seed))
        driven = await drive(smallest_parts(parts, self.queries), client, keeps, drift, heard=heard)
        return _Told(self, keeps, parts, driven.result, heard).verified()

    def _hopeless(self, m: TargetMap) -> str:
        """Return why nothing is asked about a map; nothing where it can be."""
        if m.stopped is not None:
            return f"the map is not whole ({m.stopped})"
        if not self.queries:
            return TOO_FEW
        if not m.sent.answered or not np.isfinite(m.sent.values).all():
            return NO_ORDER
        return NOT_MOVED if m.constant else ""


@dataclass(frozen=True, eq=False)
class _Told:
    """What was asked about a map, to be put into words. heard: the answers of each question, in order."""

    how: Verification
    keeps: BoundScore
    parts: Parts
    found: SmallestParts
    heard: list[list[Answer | None]]

    def verified(self) -> Verified:
        """Return the facts."""
        found, why = self.found, "; ".join(self._why())
        return Verified(
            enough=None if found.enough is None else self._part("shown", found.enough),
            breaks=None if found.breaks is None else self._part("hidden", found.breaks),
            queries=sum(question.answered for question in found.asked),
            filling=self.how.filling,
            why=why,
            keeps=self.keeps.about.criterion,
            asked=found.asked,
            stopped=found.stopped,
        )

    def _part(self, kind: Kind, taken: int) -> Part:
        share = self.parts.share(taken)
        asked = [(each.kind, each.share, each.again) for each in self.found.asked]
        place = asked.index((kind, share, True))
        answers = tuple(answer for answer in self.heard[place] if answer is not None)
        value = self.found.asked[place].value
        return Part(
            share=share,
            image=UINT8.realise(self.parts.image(kind, taken)),
            shown=self.parts.shown(kind, taken),
            answers=answers,
            says=self._enough(share, value) if kind == "shown" else self._breaks(share, value, answers),
            value=value,
        )

    def _enough(self, share: float, value: float) -> str:
        if not share:
            kept = (
                f"at least half of the {self._values(self.keeps, value)}"
                if isinstance(self.keeps, AtLeast)
                else "the answer"
            )
            return f"with all of it hidden {kept} stays, so no part of the photo decides it"
        part = f"{percent(share)} of {'the photo' if self.how.whole else 'what the model sees'}"
        if isinstance(self.keeps, AtLeast):
            return f"{part} is enough for half of the {self._values(self.keeps, value)}"
        return f"{part} is enough"

    def _breaks(self, share: float, value: float, answers: Sequence[Answer]) -> str:
        if isinstance(self.keeps, AtLeast):
            return f"hiding {percent(share)} leaves less than half of the {self._values(self.keeps, value)}"
        about = self.keeps.about
        if about.object is not None:
            return f"hiding {percent(share)}, it is not found in its box"
        if not about.of_first:
            return f"hiding {percent(share)} leaves the {about.unit} at {value:.2g}"
        said = dict.fromkeys(brief(answer, self.how.oracle) for answer in answers)
        return f"hiding {percent(share)} makes it {' or '.join(said)}"

    def _values(self, half: AtLeast, value: float) -> str:
        return f"{half.about.unit} ({value:.2g}, the whole photo {2 * half.least:.2g})"

    def _why(self) -> Iterator[str]:
        """Give why facts are missing, and which parts were answered differently the second time."""
        found = self.found
        if found.stopped is not None:
            yield found.stopped
        for each in found.asked:
            if each.wavers:
                yield f"{percent(each.share)} did it once and not when asked again ({DID[each.kind]})"
        if found.wavers or any(map(self._are_different, self.heard)):
            yield WAVERS
        if found.enough == 0 or found.stopped is not None:
            return
        if found.enough is None:
            yield f"no part that was asked about {DID['shown']}, twice"
        if found.breaks is None:
            yield f"no part that was asked about {DID['hidden']}, twice"

    def _are_different(self, answers: Sequence[Answer | None]) -> bool:
        """Whether answers to equal pictures name different things first; texts differ in words alone too."""
        named = [answer for answer in answers if isinstance(answer, Vector | Labels)]
        return len({brief(answer, self.how.oracle) for answer in named}) > 1
