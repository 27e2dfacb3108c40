"""Parts of records that several commands write alike."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from bbquery.jobs.keywords import in_python

if TYPE_CHECKING:
    from collections import Counter

    from bbquery.drift import DriftReport
    from bbquery.scoring.base import About, BoundScore

MOST_UNREAD = 100  # different things that a score could not read


class Called(Protocol):
    """A result that knows the call from Python that made it; empty where a command did."""

    @property
    def call(self) -> str:
        """The text of the call."""


@dataclass(frozen=True)
class Warned:
    """What a person must know before they believe a result. kind: in capital letters, as the terminal says it.

    target: of which; None where it is of no one target.
    """

    kind: str
    target: str | None
    text: str


def in_words_of(result: Called, text: str) -> str:
    """Return advice in the words of whoever made a result: options of a command, or arguments of a call."""
    return in_python(text) if result.call else text


def target(score: BoundScore) -> dict[str, Any]:
    """Return a target, and what a value of its score means."""
    return {"target": score.target, "value": value(score.about)}


def value(about: About) -> dict[str, Any]:
    """Return what a value of a score means."""
    return {
        "unit": about.unit,
        "nearer": about.direction,
        "low": about.low,
        "high": about.high,
        "criterion": about.criterion,
        "no_information": about.no_information,
        "object": None if about.object is None else {"name": about.object.name, "box": list(about.object.box)},
    }


def unread(counts: Counter[str]) -> dict[str, Any]:
    """Return what a score could not read in answers: how often, of how many kinds, and the most frequent."""
    most = [{"what": what, "times": times} for what, times in counts.most_common(MOST_UNREAD)]
    return {"times": counts.total(), "different": len(counts), "most_frequent": most}


def drift(report: DriftReport) -> dict[str, Any]:
    """Return whether the model stayed the same, as far as it was checked."""
    return {
        "drifted": report.drifted,
        "reasons": report.reasons,
        "noise": report.noise,
        "served": report.served,
        "checks": report.checks,
        "watched": report.watched,
    }
