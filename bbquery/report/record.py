"""The record of a run: all that is needed to repeat and audit it, as JSON."""

from __future__ import annotations

import datetime
import importlib.metadata
import math
import platform
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from bbquery.jobs.explain.findings import decided, findings
from bbquery.ledger import codec
from bbquery.money import dollars
from bbquery.report.oracle import described
from bbquery.report.spent import spent
from bbquery.shown import as_json
from bbquery.specification import constructor
from bbquery.types import Labels, Text
from bbquery.version import __version__

if TYPE_CHECKING:
    from collections import Counter
    from collections.abc import Mapping, Sequence

    from bbquery.jobs.explain.result import Explanation, TargetMap

MOST_UNREAD = 20  # different things that the score could not read
MOST_LABELS, LONGEST_TEXT = 5, 20_000  # labels and characters of the clean answer
PACKAGES = ("numpy", "pillow", "onnxruntime", "aiohttp")  # what decides pixels, answers and bytes


def record(explanation: Explanation, command: Sequence[str], source: str, files: Mapping[str, str]) -> bytes:
    """Return run.json. command: as typed. source: where the photo is from. files: what each written file is."""
    plain = {
        "run": explanation.run,
        "status": "partial" if explanation.partial else "complete",
        "stopped": None if explanation.error is None else str(explanation.error),
        "finished": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "command": list(command),
        "versions": versions(),
        "image": {
            "source": source,
            "height": explanation.photo.shape[0],
            "width": explanation.photo.shape[1],
            "pixels": codec.image_digest(explanation.photo).hex(),
            "sent": asdict(explanation.placement),
        },
        "oracle": described(explanation.oracle),
        "method": constructor(explanation.method),
        "score": constructor(explanation.score),
        "seed": explanation.seed,
        "clean_answer": clean_answer(explanation),
        "targets": [_target(m) for m in explanation.maps],
        "warnings": [asdict(found) for found in findings(explanation) if found.kind != "NOTE"],
        "unread": _unread(explanation.unread),
        "budget": {
            "name": explanation.budget.name,
            "cap": asdict(explanation.budget.cap),
            "posted": asdict(explanation.budget.posted),
            "held": asdict(explanation.budget.held),
        },
        "queries": asdict(explanation.queries),
        "spent": spent(explanation.budget, explanation.queries.from_store, explanation.queries.sent),
        "drift": {
            "drifted": explanation.drift.drifted,
            "reasons": list(explanation.drift.reasons),
            "noise": _number(explanation.drift.noise),
            "served": list(explanation.drift.served),
            "checks": [{"after": c.after, "value": _number(c.value)} for c in explanation.drift.checks],
        },
        "unknown": [{"attempt": u.attempt, "opened": u.opened, "reason": u.reason} for u in explanation.unknown],
        "cost": cost(explanation),
        "seconds": {stage: round(seconds, 3) for stage, seconds in explanation.seconds.items()},
        "files": dict(files),
    }
    return f"{as_json(plain)}\n".encode()


def clean_answer(explanation: Explanation) -> list[dict[str, Any]]:
    """Return the answer to the unperturbed image: its best labels and their numbers, or its text with the reasoning."""
    match explanation.clean:
        case Text(text):
            return [{"text": text[:LONGEST_TEXT]}]
        case Labels(labels):
            return [{"label": label.name, "value": label.score} for label in labels[:MOST_LABELS]]
    return [{"label": label, "value": value} for label, value in explanation.top()]


def versions() -> dict[str, str]:
    """Return the versions of what took part, by name."""
    found = {"bbquery": __version__, "python": platform.python_version()}
    for package in PACKAGES:
        try:
            found[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found


def cost(explanation: Explanation) -> dict[str, str]:
    """Return what the run's budget has posted and still holds, in exact dollars, and where the prices are from."""
    budget = explanation.budget
    return {
        "usd": dollars(budget.posted.picodollars),
        "usd_held": dollars(budget.held.picodollars),
        "prices": "this oracle is free" if explanation.oracle.price.free else explanation.oracle.price.source,
    }


def _number(value: float) -> float | None:
    """Return a number that JSON has: None for NaN."""
    return value if math.isfinite(value) else None


def _target(m: TargetMap) -> dict[str, Any]:
    about = m.score.about
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
        "notes": list(m.sent.notes),
        "value": {
            "unit": about.unit,
            "nearer": about.direction,
            "low": _number(about.low),
            "high": _number(about.high),
            "criterion": about.criterion,
            "no_information": _number(about.no_information),
        },
    }


def _interval(m: TargetMap) -> dict[str, float | None] | None:
    """Return how the standard error becomes an interval, and of which share of the map it excludes 0."""
    if m.standard_error is None:
        return None
    return {"level": 0.9, "standard_errors": m.sent.interval, "excludes_zero": _number(decided(m.sent))}


def _unread(unread: Counter[str]) -> dict[str, Any]:
    """Return what the score could not read in the answers: how often, of how many kinds, and the most frequent."""
    most = [{"what": what, "times": times} for what, times in unread.most_common(MOST_UNREAD)]
    return {"times": unread.total(), "different": len(unread), "most_frequent": most}
