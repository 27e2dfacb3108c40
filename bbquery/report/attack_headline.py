"""Outcome of an attack on one photo, in one line: for the terminal and for pictures."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bbquery.jobs.attack.first_labels import first_label
from bbquery.report.sentence import quoted
from bbquery.types import Decision

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from bbquery.jobs.attack.result import Stress

TOO_FAR = "too far"
NAMED = 3  # labels at most; the record has all
GREY_LEVELS = 255
LONGEST = 60  # characters of a label: a text may be its answer


def headline(stress: Stress) -> str:
    """Return the outcome, and what it is of. What lies beyond every distance is called too far, not adversarial."""
    found = stress.found
    if found is None:
        return f"not attacked: {_not_attacked(stress)}"
    if found.best is None:
        return f"not found: {_not_found(stress)}"
    return f"{outcome(stress)}: {_changed(stress)} at RMSE {found.rmse:.4f}, L∞ {found.linf:.4f}{_within(stress)}"


def became(stress: Stress) -> str:
    """Return what the label became, with votes: "“tabby” → “lynx”, 5 of 5 answers"; no success is called none.

    Where the criterion is not about what is named first, that is said beside it: "“adult”; first named: “racy”, …".
    `stress` has found an image.
    """
    ended = outcome(stress)
    called = "" if ended == "adversarial" else f"{ended.upper()}: "
    link = " →" if stress.bound.about.of_first else "; first named:"
    return f"{called}{quoted(stress.bound.target)}{link} {_now(stress)}"


def distance_in_words(rmse: float, linf: float) -> str:
    """Return how far an image is, of distances 0 to 1, for people who think in grey levels."""
    return (
        f"A colour value changed by about {GREY_LEVELS * rmse:.2g} of 255 grey levels (RMSE {rmse:.4f}), by "
        f"{GREY_LEVELS * linf:.3g} at most (L∞ {linf:.4f})."
    )


def outcome(stress: Stress) -> str:
    """Return the outcome for people: too far, where what was found lies beyond every distance asked about."""
    return TOO_FAR if _too_far(stress) else stress.outcome


def is_beyond(rmse: float, linf: float, thresholds: Sequence[float], linf_thresholds: Sequence[float]) -> bool:
    """Return whether an adversarial image, 0 to 1 away, lies beyond every distance asked about; not if none was."""
    reached = [rmse <= limit for limit in thresholds] + [linf <= limit for limit in linf_thresholds]
    return bool(reached) and not any(reached)


def _now(stress: Stress) -> str:
    """Return what most answers name first when asked again, and what else, each with its votes."""
    if stress.verification is None:
        return "not asked again"
    asked = stress.verification.asked
    (first, votes), *rest = stress.labels.items() if stress.labels else [("", 0)]
    if not votes:
        return f"no label, in {asked} answers"
    others = [f"{quoted(name)} {count} of {asked}" for name, count in rest[: NAMED - 1]]
    return "; ".join([f"{quoted(first)}, {votes} of {asked} answers", *others])


def counted_labels(labels: Mapping[str, int]) -> str:
    """Return what the image that was found is called when asked again, with votes; nothing where no answer names it."""
    total = sum(labels.values())
    named = [f"{_short(name)} ({votes} of {total})" for name, votes in list(labels.items())[:NAMED]]
    more = [f"{len(labels) - NAMED} others"] if len(labels) > NAMED else []
    return ", ".join(named + more)


def _short(label: str) -> str:
    return repr(label if len(label) <= LONGEST else f"{label[:LONGEST]}…")


def _too_far(stress: Stress) -> bool:
    far = is_beyond(stress.rmse, stress.linf, stress.thresholds, stress.linf_thresholds)
    return stress.outcome == "adversarial" and far


def _not_attacked(stress: Stress) -> str:
    if stress.goal.target_class is not None and stress.votes.majority == Decision.NOT_MET:
        return f"the oracle says {stress.reached.target!r} of the clean image already"
    mostly = " in most answers" if stress.votes.kept and stress.votes.left else ""
    says = first_label(stress.clean, stress.oracle.classes)
    instead = f", but {_short(says)}" if says is not None and not mostly and says != stress.bound.target else ""
    return f"the oracle does not say {stress.bound.target!r} of the clean image{mostly}{instead}"


def _not_found(stress: Stress) -> str:
    if stress.goal.target_class is not None:
        return f"no image that was asked became {stress.reached.target!r}"
    return f"every image that was asked and answered is still {stress.bound.target!r}"


def _changed(stress: Stress) -> str:
    now = counted_labels(stress.labels)
    if stress.outcome == "refuted" and now:
        return f"when asked again it is {now}"
    if stress.goal.target_class is not None:
        return f"{stress.reached.target!r} in place of {stress.bound.target!r}"
    instead = f" but {now}" if now and stress.bound.about.of_first else ""
    return f"no longer {stress.bound.target!r}{instead}"


def _within(stress: Stress) -> str:
    """Return which distances it lies within, largest first; nothing where it is no success or there are none."""
    passed = _distances(
        [limit for limit, yes in stress.successes.items() if yes],
        [limit for limit, yes in stress.linf_successes.items() if yes],
    )
    if passed:
        return f", within {passed}"
    if not _too_far(stress):
        return ""
    return f", within none of the distances asked about ({_distances(stress.thresholds, stress.linf_thresholds)})"


def _distances(rmse: Sequence[float], linf: Sequence[float]) -> str:
    listed = {"RMSE": rmse, "L∞": linf}
    return " and ".join(f"{name} {', '.join(f'{e:g}' for e in limits)}" for name, limits in listed.items() if limits)
