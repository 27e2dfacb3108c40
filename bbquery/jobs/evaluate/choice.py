"""Chosen metrics, their options, and the plans that answer them."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from bbquery import load
from bbquery.errors import UsageError
from bbquery.jobs.evaluate.provenance import ADVICE
from bbquery.metrics import Given, Metric
from bbquery.perturb.baselines import LEVELS
from bbquery.specification import constructor

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from bbquery.jobs.evaluate.montage import Photo
    from bbquery.jobs.evaluate.reference import Reference
    from bbquery.metrics import Box, Case, Measurement, Need, Question
    from bbquery.metrics._making import Making
    from bbquery.perturb.baselines import AnyFill

OPTIONS = ("steps", "copies", "fill", "insertion_fill", "repeats", "noisy_copies", "radius")
"""Options that several metrics may have: each takes those that it knows by name."""

LACKING: dict[Need, str] = {
    "boxes": "needs the box of what the map should find: give --box X,Y,WIDTH,HEIGHT",
    "montage": "needs the other photos of a montage: give --montage B.jpg,C.jpg,D.jpg",
    "gradient": "needs a gradient that was computed elsewhere: give --gradient FILE.npy",
    "made": f"explains again, and no record says how the map was made: {ADVICE}",
}
"""The message where something that a metric needs is not given."""


@dataclass(frozen=True, kw_only=True)
class Choice:
    """Which metrics, and how.

    names: metrics, or their specifications; none means all that can be had without being named. steps: of curves.
    copies: with a part hidden, of each of the fidelities. fill: what hides, insertion_fill: what insertion begins with;
    a named filling or a grey level (0 to 255). boxes: in pixels of the photo, around what the map should find. repeats:
    how many further maps repeatability makes. noisy_copies: how many max-sensitivity explains, radius: the most that a
    value of them moves, in grey levels. montage: 3 or 8 other photos. gradient: computed elsewhere. made: how the map
    was made, for those metrics that explain again.

    An option goes to every metric that has one of its name, unless the metric's specification says otherwise. How this
    is written (`repr`) is part of what a result is known by, so it never changes.

    Raises:
        UnknownName: no such metric or fill. UsageError: a bad number, or something that a metric needs is not given.
    """

    names: tuple[str | Metric, ...] = ()
    steps: int = 56
    copies: int = 128
    fill: AnyFill = "grey"
    insertion_fill: AnyFill = "blur"
    boxes: tuple[Box, ...] = ()
    repeats: int = 3
    noisy_copies: int = 3
    radius: float = 5.1
    montage: tuple[Photo, ...] = ()
    gradient: Reference | None = None
    made: Making | None = None

    def __post_init__(self) -> None:
        self._known()  # sees that all options are good, also of metrics that are not chosen
        for name, metric in self.metrics.items():
            if need := self.given.lacks(metric.needs):
                raise UsageError(f"{name} {LACKING[need]}")
        self.questions()

    @property
    def given(self) -> Given:
        """What is given beside a map and its photo."""
        return Given(boxes=self.boxes, montage=self.montage, gradient=self.gradient, made=self.made)

    @cached_property
    def metrics(self) -> dict[str, Metric]:
        """The metrics that are chosen, by name or specification, in their order."""
        if self.names:
            named = dict(map(self._named, self.names))
        else:
            known = self._known().items()
            named = {name: each for name, each in known if each.chosen and not self.given.lacks(each.needs)}
        return dict(sorted(named.items(), key=lambda pair: pair[1].place))

    @property
    def chosen(self) -> tuple[str, ...]:
        """Their names."""
        return tuple(self.metrics)

    def _named(self, name: str | Metric) -> tuple[str, Metric]:
        if isinstance(name, str):
            return name, self._made(name)
        return constructor(name), name

    def _known(self) -> dict[str, Metric]:
        return {name: self._made(name) for name in load.names("metric")}

    def _made(self, specification: str) -> Metric:
        return load.metric(specification, **{option: getattr(self, option) for option in OPTIONS})

    def questions(self) -> dict[str, Question]:
        """Return what is asked, by name: metrics that ask the same share one question."""
        asked = (metric.question(self.given) for metric in self.metrics.values())
        return {question.name: question for question in asked if question is not None}

    @property
    def queries(self) -> int:
        """How many queries it sends at most: the unperturbed photo, which all share, and what each plan adds to it."""
        return 1 + sum(question.queries - question.asks_photo for question in self.questions().values())

    @property
    def asked(self) -> int:
        """How many queries it asks: the photo once by itself, and again in plans that want it, from the store."""
        return 1 + sum(question.queries for question in self.questions().values())

    @property
    def takes_gradient(self) -> bool:
        """Whether the map may be a gradient (H, W, 3)."""
        return all(metric.takes_gradient for metric in self.metrics.values())

    @property
    def fills(self) -> list[AnyFill]:
        """What the chosen metrics hide pixels behind."""
        return list(dict.fromkeys(fill for metric in self.metrics.values() for fill in metric.fills))

    @property
    def lowering(self) -> list[str]:
        """What lowers how much the chosen metrics ask: options of the command line, or of a specification."""
        return list(dict.fromkeys(_lowering(name, each.lowered) for name, each in self.metrics.items() if each.lowered))

    def measurements(self, case: Case, answers: Mapping[str, Any]) -> list[Measurement]:
        """Return what is measured. answers: what the plans of `questions` returned, by name.

        Raises:
            UsageError: a metric that asks nothing cannot judge this case.
        """
        found: list[Measurement] = []
        for metric in self.metrics.values():
            question = metric.question(case.given)
            found += metric.measurements(case, None if question is None else answers[question.name])
        return found

    def check(self, case: Case) -> None:
        """See that every metric that asks nothing can judge this case.

        Raises:
            UsageError: one cannot.
        """
        for metric in self.metrics.values():
            if metric.question(case.given) is None:
                metric.measurements(case, None)


def _lowering(name: str, option: str) -> str:
    return f"--{option.replace('_', '-')}" if option in OPTIONS else f"{name}:{option}="


def same_fill(one: AnyFill, other: AnyFill) -> bool:
    """Return whether two fills are the same, by name or by level: grey is 127."""
    return _level(one) == _level(other)


def _level(fill: AnyFill) -> AnyFill:
    return LEVELS.get(fill, fill) if isinstance(fill, str) else float(fill)
