"""Record of an explanation: how its maps were made, and what they rest on."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from bbquery.jobs.explain.findings import decided, findings
from bbquery.jobs.explain.result import top_classes
from bbquery.report import record_parts
from bbquery.report.record import record_of
from bbquery.specification import constructor
from bbquery.types import Labels, Text, Vector

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from bbquery.images.boxes import Box
    from bbquery.jobs.explain.result import Explanation, TargetMap
    from bbquery.jobs.explain.verified import Part, Verified
    from bbquery.oracle import Capabilities
    from bbquery.types import Answer

MOST_LABELS, LONGEST_TEXT = 5, 20_000  # labels and characters of the clean answer


def record(explanation: Explanation, *, command: Sequence[str], source: str, files: Mapping[str, str]) -> bytes:
    """Return run.json. command: as typed. source: where the photo is from. files: what each written file is."""
    return record_of(
        "explain",
        explanation,
        own_part(explanation),
        command=command,
        source=source,
        targets=[_target(explanation, m) for m in explanation.maps],
        score=explanation.score,
        warnings=[found for found in findings(explanation) if found.kind != "NOTE"],
        files=files,
    )


def own_part(explanation: Explanation) -> dict[str, Any]:
    """Return what only this command knows."""
    return {
        "method": constructor(explanation.method),
        "clean_answer": clean_answer(explanation),
        "unread": record_parts.unread(explanation.unread),
        "drift": record_parts.drift(explanation.drift),
    }


def clean_answer(explanation: Explanation) -> list[dict[str, Any]]:
    """Return the answer to the unperturbed image."""
    return _answer(explanation.clean, explanation.oracle)


def _answer(answer: Answer, oracle: Capabilities) -> list[dict[str, Any]]:
    """Return an answer: its best labels and their numbers, or its text with the reasoning."""
    match answer:
        case Text(text):
            return [{"text": text[:LONGEST_TEXT]}]
        case Labels(labels):
            return [_label(label.name, label.score, label.box) for label in labels[:MOST_LABELS]]
        case Vector():
            return [_label(label, value) for label, value in top_classes(answer, oracle, MOST_LABELS)]
    return []


def _label(name: str, value: float | None, box: Box | None = None) -> dict[str, Any]:
    return {"label": name, "value": value, "box": None if box is None else list(box)}


def _target(explanation: Explanation, m: TargetMap) -> dict[str, Any]:
    """Return a target and its map. queries: those of the map, the unperturbed image's not counted."""
    return {
        "target": m.target,
        "unit": m.sent.unit,
        "signed": m.sent.signed,
        "queries": m.asked,
        "rows": m.sent.rows,
        "answered": m.sent.answered,
        "stopped": m.stopped,
        "interval": _interval(m),
        "visibility": [each._asdict() for each in m.sent.visibility],
        "notes": [record_parts.in_words_of(explanation, note) for note in m.sent.notes],
        "stability": _stability(m),
        "value": record_parts.value(m.score.about),
        "score": constructor(m.scored_by or explanation.score),
        "verified": None if m.verified is None else _verified(explanation, m.verified),
    }


def _verified(explanation: Explanation, verified: Verified) -> dict[str, Any]:
    """Return the facts of a map, and all that was asked for them."""
    return {
        "enough": None if verified.enough is None else _part(verified.enough, explanation.oracle),
        "breaks": None if verified.breaks is None else _part(verified.breaks, explanation.oracle),
        "queries": verified.queries,
        "filling": verified.filling,
        "keeps": verified.keeps,
        "why": record_parts.in_words_of(explanation, verified.why),
        "asked": verified.asked,
    }


def _part(part: Part, oracle: Capabilities) -> dict[str, Any]:
    return {
        "share": part.share,
        "says": part.says,
        "value": part.value,
        "answers": [_answer(answer, oracle) for answer in part.answers],
    }


def _stability(m: TargetMap) -> dict[str, float | bool] | None:
    """Return whether the map was stable when its queries ended; None where they were not to end at that."""
    found = m.sent.stability
    if found is None:
        return None
    return {"stable": found.stable, "queries": m.asked, "agreement": found.agreement, "wanted": found.wanted}


def _interval(m: TargetMap) -> dict[str, float] | None:
    """Return how the standard error becomes an interval, and of which share of the map it excludes 0."""
    if m.standard_error is None:
        return None
    return {"level": 0.9, "standard_errors": m.sent.interval, "excludes_zero": decided(m.sent)}
