"""Which metrics are chosen, how, and the plans that answer them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from bbquery.errors import UnknownName, UsageError
from bbquery.jobs.evaluate.measurements import Figure, figures
from bbquery.jobs.evaluate.montage import InMontage
from bbquery.jobs.evaluate.names import (
    CURVES,
    GRADIENT,
    IN_MONTAGE,
    INFIDELITY,
    METRICS,
    MOVED,
    MU_FIDELITY,
    OF_BOXES,
    OF_METHOD,
    ONLY_WHEN_NAMED,
    QUESTIONS_OF,
    REPEATS,
)
from bbquery.jobs.evaluate.provenance import ADVICE
from bbquery.jobs.evaluate.rerun import Again, GradientAgain
from bbquery.metrics.infidelity import Infidelity
from bbquery.metrics.max_sensitivity import MaxSensitivity
from bbquery.metrics.mu_fidelity import MuFidelity
from bbquery.metrics.repeatability import Repeatability
from bbquery.metrics.srg import DeletionInsertion
from bbquery.perturb.baselines import LEVELS

if TYPE_CHECKING:
    from bbquery.jobs.evaluate.montage import Photo
    from bbquery.jobs.evaluate.provenance import Making
    from bbquery.jobs.evaluate.reference import Reference
    from bbquery.metrics._boxes import Box
    from bbquery.perturb.baselines import AnyFill

__all__ = ["CURVES", "METRICS", "OF_BOXES", "Choice", "Figure", "Question", "figures", "same_fill"]

OfMap = DeletionInsertion | Infidelity | MuFidelity | Again | GradientAgain
Question = OfMap | InMontage


@dataclass(frozen=True, kw_only=True)
class Choice:
    """Which metrics, and how.

    names: of `METRICS`; none means all that can be had without being named. steps: of the curves. copies: with a part
    hidden, of each of the fidelities. fill: what hides, insertion_fill: what insertion begins with; a named filling or
    a grey level (0 to 255). boxes: in pixels of the photo, around what the map should find. repeats: how many further
    maps repeatability makes. noisy_copies: how many max-sensitivity explains, radius: the most that a value of them
    moves, in grey levels. montage: 3 or 8 other photos. gradient: computed elsewhere. made: how the map was made, for
    those metrics that explain again.

    Raises:
        UnknownName: no such metric or fill. UsageError: a bad number, or something that a metric needs is not given.
    """

    names: tuple[str, ...] = ()
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
        for name in self.names:
            if name not in METRICS:
                raise UnknownName("metric", name, METRICS)
            if told := self._lacking(name):
                raise UsageError(f"{name} {told}")
        self.questions()  # sees that all numbers are good

    def _lacking(self, name: str) -> str:
        """Return what a metric needs and is not given; nothing where it has all."""
        if name in OF_BOXES and not self.boxes:
            return "needs the box of what the map should find: give --box X,Y,WIDTH,HEIGHT"
        if name == "grid_pointing" and not self.montage:
            return "needs the other photos of a montage: give --montage B.jpg,C.jpg,D.jpg"
        if name == "gradient_cosine" and self.gradient is None:
            return "needs a gradient that was computed elsewhere: give --gradient FILE.npy"
        if name in OF_METHOD and self.made is None:
            return f"explains again, and no record says how the map was made: {ADVICE}"
        return ""

    @property
    def chosen(self) -> tuple[str, ...]:
        """The metrics, in the order of `METRICS`."""
        usual = (name for name in METRICS if name not in ONLY_WHEN_NAMED and (self.boxes or name not in OF_BOXES))
        wanted = self.names or tuple(usual)
        return tuple(name for name in METRICS if name in wanted)

    def questions(self) -> dict[str, Question]:
        """Return the plans that answer what is chosen; metrics of the same curves share one."""
        made: dict[str, Question] = {
            CURVES: DeletionInsertion(steps=self.steps, deletion_fill=self.fill, insertion_fill=self.insertion_fill),
            INFIDELITY: Infidelity(copies=self.copies, fill=self.fill),
            MU_FIDELITY: MuFidelity(copies=self.copies, fill=self.fill),
            **self._questions_of_method(),
        }
        wanted = {QUESTIONS_OF.get(name) for name in self.chosen}
        return {name: question for name, question in made.items() if name in wanted}

    def _questions_of_method(self) -> dict[str, Question]:
        """Return those that explain again; none where it is not known how."""
        repeats, moved = (
            Repeatability(repeats=self.repeats),
            MaxSensitivity(copies=self.noisy_copies, radius=self.radius),
        )
        if self.made is None:
            return {}
        asked: dict[str, Question] = {
            REPEATS: Again(metric=repeats, made=self.made), MOVED: Again(metric=moved, made=self.made)
        }  # fmt: skip
        if self.montage:
            asked[IN_MONTAGE] = InMontage(made=self.made, others=self.montage)
        if self.made.estimator is not None:
            asked[GRADIENT] = GradientAgain(estimator=self.made.estimator, seed=self.made.seed)
        return asked

    @property
    def queries(self) -> int:
        """How many queries it sends at most: the unperturbed photo, which all share, and what each plan adds to it."""
        return 1 + sum(_beside_the_photo(question) for question in self.questions().values())

    @property
    def asked(self) -> int:
        """How many queries it asks: the photo once by itself, and again in plans that want it, from the store."""
        return 1 + sum(question.queries for question in self.questions().values())


def _beside_the_photo(question: Question) -> int:
    """Return how many of a question's rows are not the unperturbed photo."""
    again = isinstance(question, Again | GradientAgain | InMontage)  # whether a method asks the photo is its own affair
    return question.queries if again else question.queries - 1


def same_fill(one: AnyFill, other: AnyFill) -> bool:
    """Return whether two fills are the same, by name or by level: grey is 127."""
    return _level(one) == _level(other)


def _level(fill: AnyFill) -> AnyFill:
    return LEVELS.get(fill, fill) if isinstance(fill, str) else float(fill)
