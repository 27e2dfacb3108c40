"""Cautions that a person must know before they rely on a result, as the terminal and the pages say it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bbquery.jobs.attack import steadiness
from bbquery.jobs.explain.findings import findings
from bbquery.report.record_parts import Warned
from bbquery.report.sentence import STAMPS
from bbquery.saliency.designed import DOUBTFUL

if TYPE_CHECKING:
    from collections import Counter

    from bbquery.jobs.attack.result import Stress
    from bbquery.jobs.compare.result import Comparison
    from bbquery.jobs.evaluate.result import Evaluation
    from bbquery.jobs.explain.findings import Finding
    from bbquery.jobs.explain.result import Explanation
    from bbquery.jobs.probe.result import Probe

MOST_UNREAD = 5  # different things that a score could not read, to people


def of_explanation(explanation: Explanation) -> list[Warned | Finding]:
    """Return what casts doubt on the maps of an explanation."""
    drifted = "the map may rest on more than one model"
    return [
        *(Warned("DRIFTED", None, f"{reason}: {drifted}") for reason in explanation.drift.reasons),
        *_unread(explanation.unread),
        *of_maps(explanation),
    ]


def of_maps(explanation: Explanation) -> list[Finding]:
    """Return the findings on maps, each thing once: a method's note may say what a finding says already."""
    found = findings(explanation)
    doubted = {each.target for each in found if each.kind in STAMPS}
    return [each for each in found if not (each.text == DOUBTFUL and each.target in doubted)]


def of_comparison(comparison: Comparison) -> list[Warned | Finding]:
    """Return what casts doubt on the maps of a comparison; each text begins with the method."""
    return [
        Warned(each.kind, each.target, f"{compared.method}: {each.text}")
        for compared in comparison.results
        if compared.explanation is not None
        for each in of_explanation(compared.explanation)
    ]


def of_evaluation(evaluation: Evaluation) -> list[Warned | Finding]:
    """Return what must be known before the numbers of an evaluation are believed."""
    return [*(Warned("BEWARE", None, text) for text in evaluation.warnings), *_unread(evaluation.unread)]


def of_probe(probe: Probe) -> list[Warned | Finding]:
    """Return what to beware of after a probe."""
    return [Warned("BEWARE", None, text) for text in probe.advice.warnings]


def of_stress(stress: Stress) -> list[Warned | Finding]:
    """Return what casts doubt on the outcome of an attack."""
    drifted = "the result may rest on more than one model"
    return [
        *(Warned("DRIFTED", None, f"{reason}: {drifted}") for reason in stress.drift.reasons),
        *of_votes(stress),
        *_unread(stress.unread),
    ]


def of_votes(stress: Stress) -> list[Warned]:
    """Return what a person must know of the answers that an attack rests on."""
    target = stress.bound.target
    reached = None if stress.goal.target_class is None else stress.reached.target
    doubted = {
        "UNSTABLE": steadiness.unstable(stress.votes, reached),
        "CLOSE": steadiness.close([stress.clean], stress.goal, stress.oracle),
    }
    found = [Warned(kind, target, text) for kind, text in doubted.items() if text]
    if stress.refuted and stress.outcome != "refuted":
        count = len(stress.refuted)
        nearer = "a nearer image that was found" if count == 1 else f"{count} nearer images that were found"
        message = f"{nearer} did not reach the goal when asked again: the model errs by chance"
        found.append(Warned("REFUTED", target, message))
    if stress.found is not None and stress.found.undecided:
        message = f"{stress.found.undecided} queries gave no label that counts either way"
        found.append(Warned("UNDECIDED", target, message))
    return found


def line(caution: Warned | Finding, name: str = "") -> str:
    """Return a caution as one line. name: of what it is a part of, such as a photo of several."""
    return ": ".join(filter(None, (caution.kind, name, caution.target, caution.text)))


def not_read(unread: Counter[str]) -> str:
    """Return what a score could not read in answers, the most frequent first: "'dgo' 12 times, 'ct' 1 time"."""
    most = unread.most_common(MOST_UNREAD)
    said = [f"{what!r} {count} {'time' if count == 1 else 'times'}" for what, count in most]
    others = f" and {len(unread) - len(most)} others" if len(unread) > len(most) else ""
    return ", ".join(said) + others


def _unread(unread: Counter[str]) -> list[Warned]:
    return [Warned("NOT READ", None, f"{not_read(unread)}: the score made nothing of that")] if unread else []
