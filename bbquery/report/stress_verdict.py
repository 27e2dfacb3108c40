"""Verdict of an attack on one photo, in words for people."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bbquery.jobs.attack.votes import MOST_CHANCE
from bbquery.report.attack_headline import headline
from bbquery.types import Decision

if TYPE_CHECKING:
    from bbquery.jobs.attack.judgement import Judgement
    from bbquery.jobs.attack.result import Stress
    from bbquery.scoring.criteria import Criterion

MEANS: dict[Criterion, str] = {
    "s1": "first label changed", "s2": "outside the clean labels", "s3": "no label in the WordNet subtree",
}  # fmt: skip


def verdict(stress: Stress) -> list[str]:
    """Return what came of an attack, a line each."""
    found, again = stress.found, stress.verification
    if found is None or found.best is None:
        return [headline(stress)]
    lines = [f"{headline(stress)}; {_asked_again(stress)}"]
    if again is not None and again.majority == Decision.NOT_MET and stress.outcome == "unverified":
        lines.append(
            f"  so many differ by chance too: a probability of at most {MOST_CHANCE:g} counts; make the oracle answer "
            "alike each time (temperature=0, say), if it can"
        )
    lines.append(f"  criteria: {'; '.join(_judged(name, each) for name, each in stress.judgements.items())}")
    lines += [f"  {line}" for line in _preprocessing(stress)]
    lines += [f"  RMSE {limit:g}: {'yes' if yes else 'no'}" for limit, yes in stress.successes.items()]
    return lines + [f"  L∞ {limit:g}: {'yes' if yes else 'no'}" for limit, yes in stress.linf_successes.items()]


def _asked_again(stress: Stress) -> str:
    again = stress.verification
    if again is None:
        return "not asked again"
    goal = "lack the label" if stress.goal.target_class is None else f"are {stress.reached.target!r}"
    empty = f", {again.empty} are empty lists" if again.empty else ""
    chance = f"probability of chance: {stress.chance:.2g}"
    return f"of {again.asked} answers when asked again {again.left} {goal}{empty} ({chance})"


def _judged(name: Criterion, judgement: Judgement) -> str:
    if judgement.unknown:
        reason, _, _ = judgement.unknown.partition(". ")  # all of it is in the record
        return f"{name} ({MEANS[name]}): unknown, {reason}"
    if judgement.found is None:
        return f"{name} ({MEANS[name]}): not asked again"
    return f"{name} ({MEANS[name]}): {judgement.verdict}, {judgement.found.left} of {judgement.found.asked}"


def _preprocessing(stress: Stress) -> list[str]:
    """Return under which treatments the change survives, of those under which the clean image is as it was."""
    if not stress.treated:
        return []
    target = stress.goal.target_class
    kept = "keeps its label" if target is None else f"is still not {stress.reached.target!r}"
    lost = "loses its label" if target is None else f"is {stress.reached.target!r}"
    telling = [each for each in stress.treated if each.tells]
    survived = [each.treatment for each in telling if each.survived]
    gone = [each.treatment for each in telling if not each.survived]
    silent = [each.treatment for each in stress.treated if not each.tells]
    parts = [
        f"the change survives {len(survived)} of the {len(telling)} treatments under which the clean image {kept}",
        *([f"survives {', '.join(survived)}"] if survived else []),
        *([f"does not survive {', '.join(gone)}"] if gone else []),
        *([f"nothing is told by {', '.join(silent)}: there the clean image {lost}, or is unclear"] if silent else []),
    ]
    return [f"preprocessing: {'; '.join(parts)}"]
