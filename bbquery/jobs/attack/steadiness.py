"""How well a clean image holds its own label, said before the search: what is hardly held, any change takes away."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from bbquery.jobs.attack.first_labels import first_label
from bbquery.types import Labels, Vector, folded

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bbquery.jobs.attack.goal import Bound, Goal
    from bbquery.jobs.attack.votes import Votes
    from bbquery.oracle import Capabilities
    from bbquery.scoring.criteria import Criterion
    from bbquery.types import Answer, Classes, Label, Reply

CLOSE = 0.9  # of the first number: a second one so near it
DEVIATIONS = 3.0  # of the lead over the answers: what differs less may be chance
ANY_CHANGE = "nearly any change loses the label, so the distance says little of the model"


def doubts(clean: Sequence[Reply | None], votes: Votes, goal: Goal, bound: Bound, oracle: Capabilities) -> list[str]:
    """Return what speaks against attacking an image, a sentence each: answers that differ, or two labels alike.

    clean: the answers to it. votes: these, counted by the goal.
    """
    reached = None if goal.target_class is None else bound.goal.target
    answers = [reply.answer for reply in clean if reply is not None]
    ordered = bound.label.about.of_first  # else no change of places loses anything
    return list(filter(None, [unstable(votes, reached), close(answers, goal, oracle) if ordered else ""]))


def unstable(votes: Votes, reached: str | None) -> str:
    """Return that answers to the clean image differ; nothing where they do not. reached: the class to be reached."""
    if not votes.kept or not votes.left:
        return ""
    what = "lack its label" if reached is None else f"are {reached!r}"
    return f"of {votes.kept + votes.left} answers to the clean image itself, {votes.left} {what}"


def close(answers: Sequence[Answer], goal: Goal, oracle: Capabilities) -> str:
    """Return which label comes so close to the first that they may change places; nothing where none does.

    answers: to the clean image. In lists a change of places loses the label by s1 alone.
    """
    pairs = [pair for answer in answers if (pair := _first_two(answer, goal.criterion)) is not None]
    if not pairs or goal.target_class is not None:
        return ""
    one, other = pairs[0]
    leads = [first - second for first, second in pairs]
    noise = DEVIATIONS * float(np.std(leads)) if len(leads) > 1 else 0.0
    alike = oracle.answers != "scores" and other >= CLOSE * one > 0
    if not alike and not leads[0] < noise:
        return ""
    first, second = _names(answers[0], oracle.classes)
    return f"the model gives {first!r} {one:.3g} and {second!r} {other:.3g}: {ANY_CHANGE}"


def _first_two(answer: Answer, criterion: Criterion) -> tuple[float, float] | None:
    """Return the two largest numbers of an answer; None where there are none, or their order decides nothing."""
    match answer:
        case Vector(values) if len(values) > 1:
            second, first = np.sort(values)[-2:].tolist()
            return first, second
        case Labels(labels) if criterion == "s1" and (two := _two_names(labels)) is not None:
            first, second = two
            return None if first.score is None or second.score is None else (first.score, second.score)
    return None


def _names(answer: Answer, classes: Classes | None) -> tuple[str | None, str | None]:
    """Return what the two largest numbers are of."""
    if isinstance(answer, Vector):
        without = answer.values.copy()
        without[int(np.argmax(without))] = -np.inf
        return first_label(answer, classes), first_label(Vector(without), classes)
    two = _two_names(answer.labels) if isinstance(answer, Labels) else None
    assert two is not None  # noqa: S101 - others have no two numbers
    return two[0].name, two[1].name


def _two_names(labels: Sequence[Label]) -> tuple[Label, Label] | None:
    """Return the first label and the first of another name: of objects several may have one."""
    other = next((label for label in labels if folded(label.name) != folded(labels[0].name)), None)
    return None if other is None else (labels[0], other)
