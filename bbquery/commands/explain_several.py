"""`bbquery explain IMAGE IMAGE …`: several images in one run, a folder for each, and one page on all."""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from bbquery.commands import completing, consent
from bbquery.commands.exit_codes import alarm, alarms
from bbquery.commands.output import NOTHING_ASKED, counted, say, table, warn, warn_of
from bbquery.commands.output_folder import OutputFolder, default_name
from bbquery.errors import BadImage
from bbquery.jobs.explain.series import prepared_series
from bbquery.jobs.job import NothingToExplain
from bbquery.ledger.ledger import open_ledger
from bbquery.money import dollars
from bbquery.report import cautions, folder, sentence
from bbquery.report.pages import index
from bbquery.report.spent import spent
from bbquery.units import Units, total

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence
    from pathlib import Path

    from bbquery.commands.screen import Screen
    from bbquery.errors import BbqueryError
    from bbquery.jobs.explain.result import Explanation
    from bbquery.jobs.explain.series import ImageResult, Series, SeriesRequest
    from bbquery.jobs.spare import Rest
    from bbquery.ledger.records import BudgetState
    from bbquery.oracle import Capabilities


def estimate(request: SeriesRequest) -> int:
    """Show what each image would cost, and all together."""
    print(asyncio.run(_estimated(request)))
    return 0


async def _estimated(request: SeriesRequest) -> str:
    async with prepared_series(request) as series:
        return _costs(series)


def _costs(series: Series) -> str:
    images, source = series.images, series.setting.oracle.capabilities.price.source
    rows = [_row(i.name, i.estimate.queries, i.estimate.expected, i.estimate.worst) for i in images]
    found = [image.estimate for image in images]
    queries = sum(each.queries for each in found)
    expected, worst = total(each.expected for each in found), total(each.worst for each in found)
    seconds = [each.seconds for each in found if each.seconds is not None]
    duration = f"at least {sum(seconds):,.0f} seconds" if seconds else "unknown: no limits are known"
    header = ("image", "queries", "tokens", "at worst", "dollars", "at worst")
    of_each = (series.setting.facts or 0) * series.setting.request.maps
    return "\n".join((
        *table(header, [*rows, _row(f"all {len(images)}", queries, expected, worst)], words=1),
        "",
        "queries are at most so many, stored answers and retries not counted",
        *([f"facts        {of_each:,} of each image's queries at most"] if of_each else []),
        f"prices       {source or 'none'}",
        f"time         {duration}",
        NOTHING_ASKED,
    ))  # fmt: skip


def _row(name: str, queries: int, expected: Units, worst: Units) -> tuple[str, ...]:
    tokens = (f"{expected.tokens:,}", f"{worst.tokens:,}")
    return name, f"{queries:,}", *tokens, dollars(expected.picodollars), dollars(worst.picodollars)


def explain(chosen: argparse.Namespace, request: SeriesRequest, screen: Screen) -> int:
    """Explain the images; return the exit code of what ended the run, or else of the first image that is not whole."""
    with OutputFolder(chosen) as out:
        book, budget = asyncio.run(_explained(chosen, request, screen, out))
        made = {"budget": budget, "command": chosen.typed, "resume": book.resume(budget)}
        page = out.write(lambda place: index.write(place, book.entries, **made))
    warn(*book.troubles(budget))
    say(spent(budget, book.from_store, book.sent), str(page))
    return out.exit_code(book.error)


async def _explained(
    chosen: argparse.Namespace, request: SeriesRequest, screen: Screen, out: OutputFolder
) -> tuple[Book, BudgetState]:
    async with prepared_series(request) as series:
        worst = total(image.worst.times(series.image_cap.queries or image.estimate.queries) for image in series.images)
        consent.agreed(chosen, [request.run, request.each.cap], worst, lambda: _costs(series).split("\n"))
        images = f"{len(series.images)}-images"
        name = default_name(images, series.identity(), chosen.oracle, chosen.method, chosen.score)
        out.claim(name, series.identity(), {image.name: image.identity for image in series.images})
        for image in series.images:
            warn_of(image.placement, image.name)
        with open_ledger(None) as ledger, screen:
            book = Book(out, chosen, screen, series)
            async with contextlib.aclosing(series.run(ledger)) as results:
                async for result in results:
                    book.take(result)
                    del result  # one explanation at a time is held
            return book, ledger.budget(series.open_budget(ledger))


@dataclass
class Book:
    """What is kept of images that are done: their lines, not their pixels.

    error: what the exit code tells. from_store: answers for which nothing was sent. sent: attempts of this run.
    """

    out: OutputFolder
    chosen: argparse.Namespace
    screen: Screen
    series: Series
    entries: list[index.Entry] = field(default_factory=list)
    error: BbqueryError | None = None
    from_store: int = 0
    sent: int = 0
    _not_begun: list[str] = field(default_factory=list)
    _said: list[str] = field(default_factory=list)
    _rests: list[Rest] = field(default_factory=list)

    @property
    def oracle(self) -> Capabilities:
        """Whom it asks."""
        return self.series.setting.oracle.capabilities

    def take(self, result: ImageResult) -> None:
        """Write an image's files, say so, and keep its line."""
        explanation, source = result.explanation, str(result.source)
        if explanation is not None:
            self.from_store += explanation.queries.from_store
            self.sent += explanation.queries.sent
            resume = self._resume_of(result)
            self.out.write(lambda out: self._write(explanation, out / result.name, source, resume))
            place = self.out.place / result.name
            made = f"{result.name}: {result.status}; {counted(explanation.queries)}; {place}"
            self.screen.say(made, *(f"{result.name}: {fact}" for fact in explanation.facts))
            for said in filter(None, (sentence.stable(explanation, m) for m in explanation.maps)):
                self.screen.say(f"  {said}")
        self.entries.append(index.entry(result, source))
        if _can_be_completed(result):
            self._rests.append(result.rest)
        self._note(result)

    def _resume_of(self, result: ImageResult) -> str:
        """Return the command that completes an image, whatever those after it will take; nothing where it is whole."""
        if not _can_be_completed(result):
            return ""
        left = [self.series.whole(image) for image in self.series.images[len(self.entries) + 1 :]]
        return self._completing([*self._rests, result.rest, *left], result.budget, result.error)

    def _write(self, explanation: Explanation, place: Path, source: str, resume: str) -> None:
        folder.prepare(place)
        how = {"progress": self.chosen.progress, "full_size": self.chosen.full_size}
        folder.write(explanation, place, command=self.chosen.typed, source=source, resume=resume, **how)

    def _note(self, result: ImageResult) -> None:
        """Keep what a person must know of it."""
        explanation = result.explanation
        if explanation is not None:
            self._said += [cautions.line(each, result.name) for each in cautions.of_explanation(explanation)]
        if result.status == "complete":
            self._said += alarms(result.error, partial=False, name=f"{result.name}: ")
            self.error = self.error or alarm(result.error, partial=False)
            return
        if result.ended_run or self.error is None:
            self.error = result.error
        if result.status == "not begun":
            self._not_begun.append(result.name)
            return
        self._said.append(f"{result.status.upper()}: {result.name}: {result.error}")
        for u in explanation.unknown if explanation else ():
            self._said.append(
                f"  may have been billed, so it stays held: attempt {u.attempt} of {u.opened}: {u.reason}"
            )

    def troubles(self, budget: BudgetState) -> list[str]:
        """Return what went wrong and what can be done about it, a line each; nothing where all is whole.

        budget: the run's.
        """
        lines = list(self._said)
        if self._not_begun:
            lines.append(f"NOT BEGUN: {', '.join(self._not_begun)}: {self.error}")
        if self._rests:
            lines.append(completing.intro("the run", self.error, self.oracle))
            lines.append(f"  {self.resume(budget)}")
        return lines

    def resume(self, budget: BudgetState) -> str:
        """Return the command that completes the run; nothing where it is whole. budget: the run's."""
        return self._completing(self._rests, budget, self.error) if self._rests else ""

    def _completing(self, rests: Sequence[Rest], budget: BudgetState, error: BbqueryError | None) -> str:
        return completing.of_parts(
            self.chosen.typed, self.oracle, rests, budget, error, allowed=rests[0].allowed, suffix="-per-image"
        )


def _can_be_completed(result: ImageResult) -> bool:
    """Whether the same again would ask for what is missing."""
    return result.status != "complete" and not isinstance(result.error, (BadImage, NothingToExplain))
