"""Verdict of an attack on one photo, in words for people."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bbquery.jobs.attack.votes import MOST_CHANCE
from bbquery.types import Decision

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from bbquery.attacks import AttackResult
    from bbquery.jobs.attack.judgement import Judgement
    from bbquery.jobs.attack.result import Stress
    from bbquery.jobs.attack.votes import Votes
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


def headline(stress: Stress) -> str:
    """Return the outcome, and what it is of, in one line."""
    found = stress.found
    if found is None:
        return f"not attacked: {_not_attacked(stress)}"
    if found.best is None:
        return f"not found: {_not_found(stress)}"
    return f"{stress.outcome}: {_changed(stress, found)}"


def _not_attacked(stress: Stress) -> str:
    if stress.goal.target_class is not None and stress.votes.majority == Decision.NOT_MET:
        return f"the oracle says {stress.reached.target!r} of the clean image already"
    mostly = " in most answers" if stress.votes.kept and stress.votes.left else ""
    return f"the oracle does not say {stress.bound.target!r} of the clean image{mostly}"


def _not_found(stress: Stress) -> str:
    if stress.goal.target_class is not None:
        return f"no image that was decided is {stress.reached.target!r}"
    return f"every image that was decided is still {stress.bound.target!r}"


def _changed(stress: Stress, found: AttackResult) -> str:
    to = f"no longer {stress.bound.target!r}"
    if stress.goal.target_class is not None:
        to = f"{stress.reached.target!r} in place of {stress.bound.target!r}"
    return f"{to} at RMSE {found.rmse:.4f}, L∞ {found.linf:.4f}"


def _asked_again(stress: Stress) -> str:
    again = stress.verification
    if again is None:
        return "not asked again"
    empty = f", an empty list {again.empty} times" if again.empty else ""
    return f"asked {again.asked} times again, {again.left} times{empty} (probability of chance: {stress.chance:.2g})"


def _judged(name: Criterion, judgement: Judgement) -> str:
    if judgement.unknown:
        return f"{name} ({MEANS[name]}): unknown, {judgement.unknown}"
    if judgement.found is None:
        return f"{name} ({MEANS[name]}): not asked again"
    return f"{name} ({MEANS[name]}): {judgement.verdict}, {judgement.found.left} of {judgement.found.asked}"


def _preprocessing(stress: Stress) -> list[str]:
    """Return what the change, and the clean image, come to under each treatment."""
    treated, target = stress.treated, stress.goal.target_class
    if not treated:
        return []
    found = {Decision.NOT_MET: "survives", Decision.MET: "is lost under", Decision.UNDECIDED: "is unclear under"}
    clean = {Decision.MET: "stands under", Decision.NOT_MET: "is lost under", Decision.UNDECIDED: "is unclear under"}
    subject = "the clean label"
    if target is not None:
        subject = "the clean image"
        clean = {
            Decision.MET: f"is not {target!r} under", Decision.NOT_MET: f"is {target!r} under",
            Decision.UNDECIDED: "is unclear under",
        }  # fmt: skip
    return [
        f"preprocessing: the change {_by_majority([(each.treatment, each.found) for each in treated], found)}",
        f"preprocessing: {subject} {_by_majority([(each.treatment, each.clean) for each in treated], clean)}",
    ]


def _by_majority(voted: Sequence[tuple[str, Votes]], words: Mapping[Decision, str]) -> str:
    """Return the treatments by what most answers say. words: what is said of each decision, the first one first."""
    named = {word: [name for name, votes in voted if votes.majority == decision] for decision, word in words.items()}
    if len(named[next(iter(named))]) == len(voted):
        return f"{next(iter(named))} all of {len(voted)} treatments"
    return "; ".join(f"{word} {', '.join(names)}" for word, names in named.items() if names)
