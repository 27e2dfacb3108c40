"""What a person must know before they rely on a result, as the terminal and the pages say it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bbquery.jobs.explain.findings import findings
from bbquery.report.record_parts import Warned

if TYPE_CHECKING:
    from collections import Counter

    from bbquery.jobs.explain.findings import Finding
    from bbquery.jobs.explain.result import Explanation

MOST_UNREAD = 5  # different things that a score could not read, to people


def of_explanation(explanation: Explanation) -> list[Warned | Finding]:
    """Return what casts doubt on the maps of an explanation."""
    drifted = "the map may rest on more than one model"
    return [
        *(Warned("DRIFTED", None, f"{reason}: {drifted}") for reason in explanation.drift.reasons),
        *_unread(explanation.unread),
        *findings(explanation),
    ]


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
