"""Request of an attack, in the user's words, checked as far as that needs neither the image nor the oracle."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from bbquery.errors import UsageError
from bbquery.jobs.attack import preprocessing
from bbquery.jobs.attack.goal import DEFAULT_CRITERION, Goal
from bbquery.jobs.request import Request
from bbquery.option_types import is_number, items, whole

if TYPE_CHECKING:
    from bbquery.attacks import Attack
    from bbquery.images.reading import Source
    from bbquery.scoring.criteria import Criterion

DEFAULT_ATTACK = "lr_boundary"
DEFAULT_RMSE = (0.1, 0.05, 0.01)


@dataclass(frozen=True, kw_only=True, eq=False)
class AttackRequest(Request):
    """What is to be attacked, and how; `bbquery.attack_async` says what each option means."""

    attack: Attack | str = DEFAULT_ATTACK
    rmse: Sequence[float] = DEFAULT_RMSE
    linf: Sequence[float] = ()
    target_class: str | None = None
    start: Source | None = None
    criterion: Criterion = DEFAULT_CRITERION
    tau: float = 0.0
    check_preprocessing: int = 0

    def __post_init__(self) -> None:
        super().__post_init__()
        if not _distances("RMSE", "rmse", self.rmse):
            raise UsageError("distances of RMSE lie above 0 and up to 1, not none")
        _distances("L∞", "linf", self.linf)
        checks = whole("check_preprocessing", self.check_preprocessing, 0)
        object.__setattr__(self, "check_preprocessing", preprocessing.check(checks))
        self.goal  # noqa: B018 - checks its options

    @property
    def thresholds(self) -> tuple[float, ...]:
        """The distances of RMSE, the largest first."""
        return tuple(sorted(set(self.rmse), reverse=True))

    @property
    def linf_thresholds(self) -> tuple[float, ...]:
        """The distances of L∞, the largest first."""
        return tuple(sorted(set(self.linf), reverse=True))

    @property
    def reported(self) -> list[str]:
        """What decides what is reported of a run, beside what it asks."""
        further = [f"linf {limit}" for limit in self.linf_thresholds] + [f"tau {self.tau}"] * (self.tau > 0)
        return [*map(str, self.thresholds), *further]

    @property
    def further(self) -> int:
        """How many queries are asked only where that is wanted: of the start image, and of preprocessing."""
        return (self.start is not None) + self.check_preprocessing

    @property
    def goal(self) -> Goal:
        """What is to be reached."""
        return Goal(target_class=self.target_class, criterion=self.criterion, tau=self.tau)


def _distances(what: str, name: str, given: Sequence[float]) -> tuple[float, ...]:
    distances = items(name, given)
    if not all(is_number(each) and 0 < each <= 1 for each in distances):
        raise UsageError(f"distances of {what} lie above 0 and up to 1, not {', '.join(map(repr, distances))}")
    return distances
