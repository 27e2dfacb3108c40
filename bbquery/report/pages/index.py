"""The page on all photos of a run: what was found in each, what it cost, and what casts doubt on it."""

from __future__ import annotations

import shlex
import urllib.parse
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from bbquery.money import dollars, dollars_up
from bbquery.report import sentence
from bbquery.report.files import write_bytes
from bbquery.report.map_picture import map_pixels
from bbquery.report.pages import explain, parts
from bbquery.report.pages.page import rendered
from bbquery.report.pages.parts import NONE, Badge, Picture
from bbquery.report.spent import of_allowed

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from bbquery.jobs.explain.result import Explanation, TargetMap
    from bbquery.jobs.explain.series import ImageResult
    from bbquery.ledger.records import BudgetState

NAME = "index.html"

MEANINGS = {
    "complete": "all was asked that was planned, and no map looks like chance",
    "nothing found": "all was asked that was planned, but the map could be chance, hardly moved, or says nothing",
    "partial": "fewer answers than planned: the map rests on those",
    "failed": "there is no map, for a cause that lies in this photo",
    "not begun": "the run ended before it",
}
"""What each status means."""


@dataclass(frozen=True)
class Thumbnail:
    """A map on the page. verdict: what is seen on it. doubt: why it may be nothing; empty where it stands out."""

    target: str
    picture: Picture
    verdict: str
    doubt: str


@dataclass(frozen=True)
class Entry:
    """A photo's line on the page; holds no array, so that a thousand of them are small.

    link: to its report; empty without one. why: what ended it, empty where nothing did. predicted: the model's first
    answer. probability: of that, to sort by; None where there is none. queries, cost: to sort by too.
    """

    name: str
    source: str
    state: Badge
    link: str = ""
    why: str = ""
    photo: Picture | None = None
    maps: tuple[Thumbnail, ...] = ()
    predicted: str = NONE
    probability: float | None = None
    queries: int | None = None
    asked: str = ""
    picodollars: int | None = None
    cost: str = NONE
    drift: str = NONE
    drifted: tuple[str, ...] = ()


@dataclass(frozen=True)
class IndexPage:
    """All that the page shows. counts: of each status on it, with its meaning. repeat: how to do it again."""

    TEMPLATE: ClassVar[str] = "index.html"

    title: str
    entries: tuple[Entry, ...]
    counts: tuple[tuple[Badge, int, str], ...]
    budget: str
    spent: str
    repeat: parts.Repeat


def entry(result: ImageResult, source: str) -> Entry:
    """Return a photo's line. source: as it was given."""
    explanation = result.explanation
    if explanation is None:
        state = Badge(result.status, "bad" if result.status == "failed" else "none")
        return Entry(result.name, source, state, why=str(result.error))
    q, budget = explanation.queries, explanation.budget
    best = parts.answer(explanation.clean, explanation.oracle).lines[:1]
    return Entry(
        name=result.name,
        source=source,
        state=explain.state(explanation),
        link=_link(result.name, parts.REPORT),
        why="" if result.error is None else str(result.error),
        photo=parts.picture(explanation.photo, f"the photo {result.name}", explain.LONGEST_THUMBNAIL),
        maps=tuple(_thumbnail(explanation, m) for m in explanation.maps),
        predicted=sentence.first_answer(explanation),
        probability=best[0].share if best else None,
        queries=q.answered,
        asked=f"{q.sent:,} sent, {q.from_store:,} from the store" + (f", {q.unknown:,} unknown" if q.unknown else ""),
        picodollars=budget.posted.picodollars,
        cost=_cost(explanation),
        drift=_drift(explanation),
        drifted=explanation.drift.reasons,
    )


def write(
    folder: Path,
    entries: Sequence[Entry],
    *,
    budget: BudgetState,
    command: Sequence[str],
    resume: str = "",
    python: str = "",
) -> Path:
    """Write the page into the folder that has the photos' folders; return its path. See `page`.

    Raises:
        UsageError: it cannot be written. MissingExtra: no Jinja.
    """
    path = folder / NAME
    write_bytes(path, rendered(page(entries, budget=budget, command=command, resume=resume, python=python)))
    return path


def page(
    entries: Sequence[Entry], *, budget: BudgetState, command: Sequence[str], resume: str, python: str = ""
) -> IndexPage:
    """Return what index.html shows. budget: the run's. command: as typed.

    resume: the command that completes the run; empty where it is whole. python: the call that made the run, where no
    command did.
    """
    counts = Counter(each.state for each in entries)
    said = ", ".join(f"{count} {state.text}" for state, count in counts.items())
    photos = f"{len(entries)} {'photo' if len(entries) == 1 else 'photos'}"
    return IndexPage(
        title=f"{photos}: {said}",
        entries=tuple(entries),
        counts=tuple((state, count, MEANINGS[state.text]) for state, count in counts.items()),
        budget=budget.name,
        spent=", ".join(of_allowed(budget, dollars_up)) or "nothing",
        repeat=parts.Repeat(tuple(map(shlex.quote, command)), resume, python, parts.KEPT),
    )


def _thumbnail(explanation: Explanation, m: TargetMap) -> Thumbnail:
    pixels = map_pixels(explanation, m, explain.LONGEST_THUMBNAIL)
    small = parts.picture(pixels, f"the map for {m.target}", explain.LONGEST_THUMBNAIL)
    return Thumbnail(m.target, small, sentence.verdict(explanation, m), sentence.stamp(explanation, m))


def _cost(explanation: Explanation) -> str:
    budget = explanation.budget
    if explanation.oracle.price.free:
        return "free"
    held = f", ${dollars(budget.held.picodollars)} held" if budget.held.picodollars else ""
    return f"${dollars(budget.posted.picodollars)}{held}"


def _drift(explanation: Explanation) -> str:
    """Return whether the model drifted; that it did not is said only where somebody looked, to the end."""
    if explanation.drift.drifted:
        return "drifted"
    if len(explanation.drift.checks) < 2:
        return "not checked"
    return "no" if explanation.drift.watched else "not checked to the end"


def _link(name: str, file: str) -> str:
    """Return a link relative to the page; "./", or a name with a colon would be read as a scheme."""
    return "./" + urllib.parse.quote(f"{name}/{file}", errors="surrogateescape")
