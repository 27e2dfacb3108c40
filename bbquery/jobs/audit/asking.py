"""All that an audit asks of one photo on one oracle: its jobs, each in a budget of its own, and what they may take.

1. What is asked is decided by the plan, the photo and the oracle: the same again asks the same, and the store answers.
2. Queries whose outcome is unknown, or whose answers could not be read, are lost to a budget. So a job that is begun
   again may take as many more as it has lost: its plan stays the same (see `bbquery.jobs.spare`).
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import msgspec

from bbquery.client import waiting
from bbquery.images import reading
from bbquery.images.placement import fit
from bbquery.jobs.attack.job import name_of as name_of_attack
from bbquery.jobs.attack.preparation import job_of
from bbquery.jobs.attack.request import AttackRequest
from bbquery.jobs.evaluate.choice import Choice
from bbquery.jobs.evaluate.job import EvaluateJob, EvaluateRequest
from bbquery.jobs.explain.job import name_of as name_of_explanation
from bbquery.jobs.explain.setting import ExplainRequest, setting
from bbquery.jobs.identity import identity, subject
from bbquery.jobs.names import names_of_specifications
from bbquery.jobs.spare import kept
from bbquery.ledger import codec
from bbquery.ledger.records import Cap

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from bbquery.images.placement import Placement
    from bbquery.jobs.attack.job import AttackJob
    from bbquery.jobs.audit.photos import Photo
    from bbquery.jobs.audit.plan import OraclePlan, Plan
    from bbquery.jobs.explain.job import ExplainJob
    from bbquery.jobs.explain.result import Explanation
    from bbquery.jobs.watch import Watch
    from bbquery.oracle import Oracle
    from bbquery.types import Image
    from bbquery.units import Units


@dataclass(frozen=True)
class Part:
    """A part of what is asked, in a budget of its own.

    name: of the budget. queries: that it may take, planned: of these, that its plan asks at most; others may be lost.
    """

    name: str
    queries: int
    planned: int


@dataclass(frozen=True, eq=False)
class Asking:
    """One photo on one oracle, decoded and checked, ready to be asked.

    x: (H, W, 3), the pixels that are sent. target: as the plan says, of this photo. worst: the most that a query costs.
    """

    plan: Plan
    setting: OraclePlan
    photo: Photo
    oracle: Oracle
    pixels: NDArray[np.uint8]
    x: Image
    placement: Placement
    target: tuple[str, ...]
    worst: Units

    @property
    def parts(self) -> list[Part]:
        """The parts that are asked, in order: the clean photo, each method and the metrics of its maps, each attack."""
        return [self.clean, *self._explaining, *self._attacking]

    @property
    def area(self) -> int:
        """Pixels of the photo."""
        return int(self.pixels[..., 0].size)

    @property
    def queries(self) -> int:
        """How many queries all parts may take, none lost."""
        return sum(part.queries for part in self.parts)

    @property
    def planned(self) -> int:
        """How many of these it asks at most, if none is lost."""
        return sum(part.planned for part in self.parts)

    @property
    def clean(self) -> Part:
        """The clean photo, asked as often as the plan says; another photo or another model is another budget."""
        return Part(f"clean-{self.subject}", self._with_spare(self.times), self.times)

    @functools.cached_property
    def subject(self) -> str:
        """The hash of the photo and the model."""
        return identity(subject(self.pixels, self.x, self.oracle.capabilities))

    @property
    def times(self) -> int:
        """How often the clean photo is asked in all."""
        return 1 if self.plan.repeat is None else self.plan.repeat.times

    @property
    def folders(self) -> dict[str, str]:
        """A folder's name for each method and each attack, by specification."""
        explain, attack = self.plan.explain, self.plan.attack
        several = [*(() if explain is None else explain.methods), *(() if attack is None else attack.attacks)]
        return dict(zip(several, names_of_specifications(several), strict=True))

    @property
    def measures(self) -> bool:
        """Whether maps are measured."""
        return self.plan.explain is not None and bool(self.plan.explain.metrics)

    @property
    def watches_drift(self) -> bool:
        """Whether it is looked for that the model stays the same."""
        return self.oracle.capabilities.remote and self.setting.drift_every > 0

    @property
    def longest_wait(self) -> float | None:
        """The longest wait for the oracle, in seconds; None as usual."""
        wait = self.setting.longest_wait
        return waiting.read(wait) if isinstance(wait, str) else wait

    @property
    def _explaining(self) -> list[Part]:
        explain = self.plan.explain
        if explain is None:
            return []
        parts = []
        for method in explain.methods:
            parts.append(self.part_of(self.explaining(method)))
            if explain.metrics:
                parts.append(self.measured(parts[-1].name))
        return parts

    @property
    def _attacking(self) -> list[Part]:
        attack = self.plan.attack
        return [] if attack is None else [self.part_of(self.attacking(each)) for each in attack.attacks]

    def part_of(self, job: ExplainJob | AttackJob) -> Part:
        """Return the part of an explanation or an attack."""
        own = name_of_explanation if isinstance(job.request, ExplainRequest) else name_of_attack
        return Part(own(job.identity()), job.request.queries, job.queries)

    def explaining(self, method: str, lost: int = 0, watch: Watch | None = None) -> ExplainJob:
        """Return the explanation by a method, checked. lost: queries of its budget that are lost."""
        explain = self.plan.explain
        assert explain is not None  # noqa: S101 - the plan names the method
        request = ExplainRequest(
            **self._shared(explain.max_queries, lost, watch), method=method, score=self.setting.score,
            target=self.target or None, verify=explain.verify,
        )  # fmt: skip
        return setting(self.oracle, request).job(self.photo.source, self.pixels)

    def measuring(self, found: Explanation, place: int, watch: Watch | None = None) -> EvaluateJob:
        """Return the measuring of one map of an explanation, the `place`th from 0, by the plan's metrics."""
        choice, m = self._choice, found.maps[place]
        request = EvaluateRequest(
            **self._shared(choice.queries, 0, watch), values=m.values, choice=choice,
            target=self.target[place : place + 1] or None, score=self.setting.score,
        )  # fmt: skip
        return EvaluateJob(
            request=request, oracle=self.oracle, photo=self.pixels, x=self.x, placement=self.placement,
            values=m.values, sent=m.sent.values, choice=choice, score=found.score,
        )  # fmt: skip

    def attacking(self, attack: str, lost: int = 0, watch: Watch | None = None) -> AttackJob:
        """Return an attack, checked. lost: queries of its budget that are lost."""
        plan = self.plan.attack
        assert plan is not None  # noqa: S101 - it names the attack
        request = AttackRequest(
            **self._shared(plan.max_queries, lost, watch), attack=attack, rmse=plan.rmse, linf=plan.linf,
            target=self.target[:1] or None, score=self.setting.attack_score,
        )  # fmt: skip
        return job_of(request, self.oracle, self.pixels)

    def _shared(self, queries: int, lost: int, watch: Watch | None) -> dict[str, Any]:
        """Return what every request takes. Queries that were lost are allowed again, and kept beside the plan."""
        spare = kept(queries, self.oracle.capabilities.price) + lost
        return {
            "image": self.photo.source, "oracle": self.oracle, "cap": Cap(queries=queries + lost), "spare": spare,
            "drift_every": self.setting.drift_every, "seed": self.plan.seed, "watch": watch,
            "longest_wait": self.longest_wait,
        }  # fmt: skip

    @property
    def _choice(self) -> Choice:
        assert self.plan.explain is not None  # noqa: S101 - metrics are of maps
        return Choice(names=self.plan.explain.metrics, boxes=self.photo.boxes)

    def measured(self, explanation: str) -> Part:
        """Return the part that measures the maps of an explanation. explanation: the name of its part."""
        queries, maps = self._choice.queries, max(len(self.target), 1)
        asked = identity([self._choice.names, self.photo.boxes, self.plan.seed])  # other metrics ask other questions
        return Part(f"{explanation}-measured-{asked}", self._with_spare(queries) * maps, queries * maps)

    def _with_spare(self, queries: int) -> int:
        """Return queries, and as many for lost ones as any run keeps, at least one where one may be paid."""
        price = self.oracle.capabilities.price
        return queries if price.free else queries + max(kept(queries, price), 1)

    @property
    def promise(self) -> Units:
        """The most that all of it may take, none lost."""
        return self.worst.times(self.queries)


def asking(plan: Plan, own: OraclePlan, photo: Photo, oracle: Oracle, content: bytes | None = None) -> Asking:
    """Decode a photo and return all that is asked of it; on a worker thread.

    content: of the photo's file, where this machine need not have it.

    Raises:
        BadImage: it cannot be read. UsageError: it cannot be asked as the plan says.
    """
    return asking_of(plan, own, photo, oracle, reading.load(photo.source if content is None else content))


def asking_of(plan: Plan, own: OraclePlan, photo: Photo, oracle: Oracle, pixels: NDArray[np.uint8]) -> Asking:
    """Return all that is asked of a photo that is decoded. pixels: (H, W, 3).

    Raises:
        UsageError: it cannot be asked as the plan says.
    """
    capabilities = oracle.capabilities
    x, placement = fit(pixels, capabilities.view, capabilities.domain)
    worst = oracle.quote(oracle.encode(x)).worst
    found = Asking(plan, own, photo, oracle, pixels, x, placement, photo.targets(own), worst)
    found.parts  # noqa: B018 - checks every part
    return found


def name_of(plan: Plan, own: OraclePlan, photo: Photo, content: str, oracle: Mapping[str, Any]) -> str:
    """Return the hash of all that is asked of a photo on an oracle: caps and gates are no part of it.

    content: hash of the photo's file. oracle: the identity of the model.
    """
    asked = {
        "photo": content,
        "label": photo.label,
        "boxes": [list(map(int, box)) for box in photo.boxes],
        "oracle": codec.fingerprint(oracle)[0],
        "seed": plan.seed,
        "of": [own.target, own.score, own.attack_score, own.drift_every],
        "plan": [plan.explain, plan.attack, plan.repeat],
    }
    return identity(msgspec.to_builtins(asked))
