"""`bbquery attack IMAGE IMAGE … --attack A,B`: several attacks on several photos in one run, and what they come to."""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from bbquery.commands import completing, options
from bbquery.commands.log_file import logged
from bbquery.commands.output import NOTHING_ASKED, counted, held, say, table, warn, warn_of, written_and_spent
from bbquery.commands.output_folder import OutputFolder, default_name, result_of
from bbquery.errors import UsageError
from bbquery.jobs.attack.preparation import without_wordnet
from bbquery.jobs.attack.series import AttackSeriesRequest, prepared_series
from bbquery.jobs.attack.whole import Tally
from bbquery.jobs.job import NothingToExplain
from bbquery.ledger.ledger import open_ledger
from bbquery.money import dollars
from bbquery.report import attacks as report
from bbquery.report import attacks_table, cautions
from bbquery.report.attack_headline import headline
from bbquery.report.pages.attacks import thumbnail
from bbquery.units import Units, total

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from bbquery.commands.screen_side_by_side import SideBySide
    from bbquery.errors import BbqueryError
    from bbquery.jobs.attack.result import Stress
    from bbquery.jobs.attack.series import Attacked, AttackSeries, Checked
    from bbquery.jobs.attack.summary import Summary
    from bbquery.jobs.attack.whole import Attacks
    from bbquery.jobs.spare import Rest
    from bbquery.ledger.records import BudgetState
    from bbquery.report.pages.parts import Picture

    Agree = Callable[[Sequence[str]], None]
    """Shows the worst case to a person, who agrees to it, or else raises UsageError."""

UNPRICED = 3  # columns of the worst case that have no price


def estimate(request: AttackSeriesRequest) -> int:
    """Show what each attack would cost, and all together."""
    say(*asyncio.run(_estimated(request)))
    return 0


async def _estimated(request: AttackSeriesRequest) -> list[str]:
    async with prepared_series(request) as series:
        return _costs(series)


def _costs(series: AttackSeries) -> list[str]:
    """Return the worst case of each attack over all images, and of the run."""
    ways = zip(*(image.attacks for image in series.images), strict=True)
    rows = [_cost(of_all) for of_all in ways]
    queries = sum(attack.estimate.queries for _, attack in series.parts)
    worst = total(attack.estimate.worst for _, attack in series.parts)
    cap = series.request.run
    at_most = min(queries, cap.queries or queries)
    capped = [] if cap.picodollars is None else [f"cap          never more than ${dollars(cap.picodollars)}"]
    price, header = series.oracle.capabilities.price, ("attack", "images", "queries each", "tokens", "dollars at worst")
    shown = UNPRICED if price.free else len(header)
    paid = [
        f"cost         ${dollars(worst.picodollars)} at worst; answers in the store and those that attacks share cost "
        "nothing",
        f"prices       {price.source or 'none'}",
    ]
    return [
        *table(header[:shown], [row[:shown] for row in rows], words=1),
        "",
        f"queries      {at_most:,} at most, retries among them",
        *([] if price.free else paid),
        *capped,
        NOTHING_ASKED,
    ]


def _cost(of_all: Sequence[Checked]) -> tuple[str, ...]:
    worst: Units = total(each.estimate.worst for each in of_all)
    queries = f"{of_all[0].estimate.queries:,}"
    return of_all[0].way.given, str(len(of_all)), queries, f"{worst.tokens:,}", dollars(worst.picodollars)


def attack(chosen: argparse.Namespace, request: AttackSeriesRequest, screen: SideBySide, agree: Agree) -> int:
    """Attack the images; return the exit code of what ended the run, or else of the first attack that is not whole."""
    with OutputFolder(chosen) as out:
        with logged(chosen.log):
            book, attacks = asyncio.run(_attacked(chosen, request, screen, out, agree))
        made = {"command": chosen.typed, "thumbnails": book.thumbnails, "resume": book.resume(attacks.budget)}
        written = out.write(lambda place: report.write(attacks, place, **made))
    warn(*book.troubles(attacks.budget))
    say(f"queries: {counted(attacks.queries)}", "", *_tables(attacks.summary), "")
    say(*written_and_spent(written, attacks.budget, attacks.queries))
    return out.exit_code(attacks.error)


def _tables(summary: Summary) -> list[str]:
    """Return what all attacks come to, and which of them can be told apart, for people."""
    lines = table(attacks_table.header(summary), attacks_table.rows(summary), words=1)
    lines += [*attacks_table.left_out(summary), *attacks_table.preprocessed(summary)]
    if summary.pairs:
        pairs = table(attacks_table.pair_header(summary), attacks_table.pair_rows(summary), words=1)
        lines += ["", *pairs, "", attacks_table.sentence(summary)]
    return [*lines, "what the columns mean: table.md"]


async def _attacked(
    chosen: argparse.Namespace, request: AttackSeriesRequest, screen: SideBySide, out: OutputFolder, agree: Agree
) -> tuple[Book, Attacks]:
    async with prepared_series(request) as series:
        agree(_costs(series))
        options.check_project(chosen)
        _claim(chosen, series, out)
        for image in series.images:
            warn_of(image.placement, image.name)
        warn(*filter(None, [without_wordnet(series.oracle.capabilities, chosen.score)]))
        with open_ledger(None) as ledger, screen:
            screen.opens({place: attack.planned for place, (_, attack) in enumerate(series.parts)})
            book = Book(out, chosen, screen, series)
            async with contextlib.aclosing(series.run(ledger)) as results:
                async for result in results:
                    book.take(result)
                    del result  # the images of one at a time are held
            return book, book.tally.whole(series.state(ledger, series.open_budget(ledger)))


def _claim(chosen: argparse.Namespace, series: AttackSeries, out: OutputFolder) -> None:
    result = result_of(series.identity(), *series.request.each.reported)
    attacks = [
        way.given for way in {attack.way.name: attack.way for _, attack in series.parts}.values() if not way.control
    ]
    what = attacks[0] if len(attacks) == 1 else f"{len(attacks)}-attacks"
    name = default_name(f"{len(series.images)}-images", result, chosen.oracle, what, chosen.score)
    out.claim(name, result, {f"{image.name}/{attack.way.name}": attack.identity for image, attack in series.parts})


@dataclass
class Book:
    """What is kept of attacks that are done: their numbers, their small pictures, and what a person must know."""

    out: OutputFolder
    chosen: argparse.Namespace
    screen: SideBySide
    series: AttackSeries
    tally: Tally = field(default_factory=Tally)
    thumbnails: dict[tuple[str, str], Picture] = field(default_factory=dict)
    _not_begun: list[str] = field(default_factory=list)
    _said: list[str] = field(default_factory=list)
    _rests: list[tuple[Rest, int]] = field(default_factory=list)

    def take(self, result: Attacked) -> None:
        """Write an attack's files, say what it came to, and keep its numbers."""
        stress = result.stress
        if stress is not None:
            resume = self._resume_of(result)
            place = f"{result.image}/{result.attack}"
            self.out.write(lambda out: self._write(stress, out / place, str(result.source), resume))
            self.thumbnails[result.image, result.attack] = thumbnail(stress)
            self.screen.say(f"{result.name}: {headline(stress)}; {stress.queries.sent:,} sent")
        self.tally.take(result)
        if _can_be_completed(result):
            self._rests.append((result.rest, self._weight(control=result.control)))
        self._note(result)

    def _weight(self, *, control: bool) -> int:
        """Return how many times the caps of an attack one has."""
        return len(self.series.request.each.thresholds) if control else 1

    def _resume_of(self, result: Attacked) -> str:
        """Return the command that completes an attack, whatever those after it will take; nothing where it is whole."""
        if not _can_be_completed(result):
            return ""
        ours = result.rest, self._weight(control=result.control)
        left = [
            (attack.rest, self._weight(control=attack.way.control))
            for _, attack in self.series.parts[len(self.tally.findings) + 1 :]
        ]
        return self._completing([*self._rests, ours, *left], result.part_of.budget, result.error)

    def _write(self, stress: Stress, place: Path, source: str, resume: str) -> None:
        report.write_one(stress, place, command=self.chosen.typed, source=source, resume=resume)

    def _note(self, result: Attacked) -> None:
        """Keep what a person must know of it."""
        stress = result.stress
        if stress is not None:
            self._said += [cautions.line(each, result.name) for each in cautions.of_stress(stress)]
        if result.status == "complete":
            return
        if result.status == "not begun":
            self._not_begun.append(result.name)
            return
        self._said.append(f"{result.status.upper()}: {result.name}: {result.error}")

    def troubles(self, budget: BudgetState) -> list[str]:
        """Return what went wrong and what can be done about it, a line each. budget: the run's."""
        lines = list(self._said)
        if self._not_begun:
            lines.append(f"NOT BEGUN: {len(self._not_begun)}, such as {self._not_begun[0]}: {self.tally.error}")
        if self._rests:
            lines.append(completing.intro("the run", self.tally.error, self.series.oracle.capabilities))
            lines.append(f"  {self.resume(budget)}")
        return [*lines, *held(self.tally.unknown)]

    def resume(self, budget: BudgetState) -> str:
        """Return the command that completes the run; nothing where it is whole. budget: the run's."""
        return self._completing(self._rests, budget, self.tally.error) if self._rests else ""

    def _completing(self, parts: Sequence[tuple[Rest, int]], budget: BudgetState, error: BbqueryError | None) -> str:
        oracle, allowed = self.series.oracle.capabilities, self.series.images[0].attacks[0].allowed
        rests, weights = zip(*parts, strict=True)
        return completing.of_parts(
            self.chosen.typed, oracle, rests, budget, error, allowed=allowed, suffix="-per-attack", weights=weights
        )


def _can_be_completed(result: Attacked) -> bool:
    """Whether the same again would ask for what is missing."""
    return result.status != "complete" and not isinstance(result.error, (UsageError, NothingToExplain))
