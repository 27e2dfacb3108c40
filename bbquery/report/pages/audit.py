"""The page on an audit: gates, every model's figures with intervals, what was spent, and every photo, worst first."""

from __future__ import annotations

import json
import shlex
from collections import Counter
from dataclasses import dataclass
from pathlib import PurePath
from typing import TYPE_CHECKING, ClassVar

from bbquery import load
from bbquery.errors import BbqueryError
from bbquery.money import dollars_up
from bbquery.report.files import write_bytes
from bbquery.report.pages import audit_tables, parts
from bbquery.report.pages.audit_photos import gallery
from bbquery.report.pages.page import rendered
from bbquery.report.pages.parts import Badge, Line, Repeat, Table
from bbquery.report.spent import of_allowed

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from bbquery.jobs.audit.summary import Gate, Summary, Verdict
    from bbquery.report.pages.audit_photos import Gallery
    from bbquery.report.pages.parts import Tone

DATE = 10  # characters of a day in ISO 8601
FILES = ("audit.json", "rows.csv", "rows.jsonl")
"""Written beside the page, some after it: the record, and every row for spreadsheets and programs."""

GATE_TONES: Mapping[Verdict, Tone] = {"met": "good", "failed": "bad", "cannot be told": "doubt"}

LIMITS = (
    "Intervals tell what other photos of the same kind may show, not what photos of another kind do.",
    "That no attack found a change is no proof that there is none: it says what so many queries found.",
    "A map says what this model answered to changed copies of this photo, hidden or blurred as the plan says.",
    "A service may change its model from one day to the next: figures hold for the versions and days they name.",
    "Distances are of the bytes that were asked, before whatever the service does to them.",
)
"""What no audit says, however long it asks."""


@dataclass(frozen=True)
class GateLine:
    """One gate. photos: those that broke it, in words; empty where none did."""

    name: str
    oracle: str
    verdict: Badge
    wanted: str
    found: str
    photos: str


@dataclass(frozen=True)
class AuditPage:
    """All that the page shows.

    date: when the last run began, of ISO 8601, empty where that is not known. baseline: the name of its folder. rests:
    what is not done. stored: what was not asked anew. plan: the plan, as text.
    """

    TEMPLATE: ClassVar[str] = "audit.html"

    name: str
    date: str
    verdict: str
    spent: str
    badges: tuple[Badge, ...]
    gates: tuple[GateLine, ...]
    oracles: Table
    budgets: Table
    agreement: Table | None
    changes: Table | None
    baseline: str
    rests: tuple[str, ...]
    stored: tuple[str, ...]
    gallery: Gallery
    methods: tuple[Line, ...]
    limits: tuple[str, ...]
    files: tuple[str, ...]
    repeat: Repeat
    details: tuple[Line, ...]
    plan: str


def write(folder: Path, summary: Summary) -> Path:
    """Write the page into the audit's folder; return its path.

    Up to 1,000 lines it carries thumbnails of photos, maps and changed photos; beyond that it links to them.

    Raises:
        UsageError: it cannot be written. MissingExtra: no Jinja.
    """
    path = folder / parts.REPORT
    write_bytes(path, rendered(page(summary)))
    return path


def page(summary: Summary) -> AuditPage:
    """Return what the page shows."""
    return AuditPage(
        name=summary.name,
        date=summary.began[:DATE],
        verdict=_verdict(summary),
        spent=", ".join(of_allowed(summary.budget, dollars_up)) or "nothing",
        badges=tuple(_badges(summary)),
        gates=tuple(map(_gate, summary.gates)),
        oracles=audit_tables.oracles(summary),
        budgets=audit_tables.budgets(summary),
        agreement=audit_tables.agreement(summary),
        changes=audit_tables.changes(summary),
        baseline=PurePath(summary.baseline).name,
        rests=summary.rests,
        stored=summary.stored,
        gallery=gallery(summary),
        methods=tuple(_methods(summary)),
        limits=LIMITS,
        files=FILES,
        repeat=Repeat(tuple(map(shlex.quote, summary.command)), summary.resume, "", parts.KEPT),
        details=tuple(_details(summary)),
        plan=json.dumps(summary.plan, indent=2, ensure_ascii=False),
    )


def _verdict(summary: Summary) -> str:
    """Return in a sentence how much was done, and what came of the gates."""
    done = sum(each.complete for each in summary.oracles)
    photos = max((each.photos for each in summary.oracles), default=0)
    models = len(summary.oracles)
    planned = sum(each.photos for each in summary.oracles)
    asked = f"{photos:,} {'photo' if photos == 1 else 'photos'} on {models} {'model' if models == 1 else 'models'}"
    progress = "all done" if done == planned else f"{done:,} of {planned:,} done"
    progress += f"; {summary.changed}" if summary.changed else ""
    if not summary.gates:
        return f"{asked}: {progress}"
    verdicts = Counter(gate.verdict for gate in summary.gates)
    if verdicts["met"] == len(summary.gates):
        return f"{asked}: {progress}; {'the gate is' if len(summary.gates) == 1 else 'all gates are'} met"
    unmet = ((each, verdicts[each]) for each in GATE_TONES if each != "met" and verdicts[each])
    said = ", ".join(f"{count} of {len(summary.gates)} gates {each}" for each, count in unmet)
    return f"{asked}: {progress}; {said}"


def _badges(summary: Summary) -> Iterator[Badge]:
    if summary.ended:
        yield Badge(f"ended early: {summary.ended}", "doubt")
    if summary.stored:
        yield Badge("not all asked anew: answers from the store", "doubt")
    for verdict, tone in GATE_TONES.items():
        count = sum(gate.verdict == verdict for gate in summary.gates)
        if count:
            yield Badge(f"{count} {'gate' if count == 1 else 'gates'}: {verdict}", tone)


def _gate(gate: Gate) -> GateLine:
    found = f"{gate.found} ({gate.why})" if gate.why and gate.found else gate.found or gate.why
    photos = audit_tables.named(gate.photos) if gate.photos else ""
    return GateLine(gate.name, gate.oracle, Badge(gate.verdict, GATE_TONES[gate.verdict]), gate.wanted, found, photos)


def _methods(summary: Summary) -> Iterator[Line]:
    """Give every method, attack and metric of the plan, with what it is and where it is from."""
    explain, attack = summary.plan.get("explain") or {}, summary.plan.get("attack") or {}
    named = (("method", explain.get("methods")), ("metric", explain.get("metrics")), ("attack", attack.get("attacks")))
    for kind, specifications in named:
        for specification in specifications or ():
            yield Line(specification, _about(kind, str(specification).partition(":")[0]))


def _about(kind: str, name: str) -> str:
    try:
        return load.summary(kind, name)
    except BbqueryError:  # of another package: only its name is known
        return kind


def _details(summary: Summary) -> Iterator[Line]:
    yield Line("hash of what is asked", summary.run)
    if summary.began:
        yield Line("last run began", summary.began)
    yield Line("budget", summary.budget.name)
    for name, version in summary.versions.items():
        yield Line(name, version)
