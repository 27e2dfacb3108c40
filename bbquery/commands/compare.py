"""`bbquery compare`: several methods on one image, in one run, on one sheet."""

from __future__ import annotations

import asyncio
import math
from typing import TYPE_CHECKING

from bbquery.commands import completing, consent, options
from bbquery.commands.ledger import add_ledger
from bbquery.commands.output import NOTHING_ASKED, say, table, warn, warn_of, written_and_spent
from bbquery.commands.output_folder import OutputFolder, default_name
from bbquery.commands.screen import Screen
from bbquery.commands.targets import targets
from bbquery.errors import UsageError
from bbquery.jobs.compare.job import CompareRequest, prepared
from bbquery.ledger.ledger import open_ledger
from bbquery.metrics.srg import DeletionInsertion
from bbquery.money import dollars
from bbquery.report import cautions
from bbquery.report import comparison as report
from bbquery.shown import shown
from bbquery.specification import split_specifications

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator, Sequence

    from bbquery.jobs.compare.job import CompareJob
    from bbquery.jobs.compare.result import Compared, Comparison
    from bbquery.jobs.watch import Watch
    from bbquery.oracle import Capabilities
    from bbquery.types import Answer

ABOUT = """Explain one photo by several methods, and put their maps on one sheet, with how much they agree."""
EXAMPLES = (
    "bbquery compare sample:cat --methods designed,rise,occlusion --max-queries 300",
    "bbquery compare sample:cat --methods designed,rise --evaluate",
)
METHODS = r"""what to compare, 2 to 8: rise,lr:sigma=8,batch=64,occlusion; a comma within a value is written \,"""
SCORE = "how an answer becomes a number (default: as of 'bbquery explain')"
EVALUATE = f"also measure each map by deletion and insertion: SRG, {DeletionInsertion().queries} queries more for each"


def add(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Declare it."""
    compare = commands.add_parser(
        "compare", help="put the maps of several methods side by side", description=ABOUT, examples=EXAMPLES
    )
    compare.set_defaults(run=_compare)
    options.add_image(compare)
    compare.add_argument("--methods", required=True, metavar="NAME[:key=value,…],NAME…", help=METHODS)
    options.add_oracle(compare)
    compare.add_argument("--target", metavar="LABEL", help="what to explain, one (default: the top class)")
    compare.add_argument("--score", metavar="NAME[:key=value,…]", help=SCORE)
    compare.add_argument("--evaluate", action="store_true", help=EVALUATE)
    compare.add_argument(
        "--max-queries",
        type=int,
        default=CompareRequest.DEFAULT_QUERIES,
        metavar="N",
        help="the cap of each method, measuring its map not counted (default: %(default)s)",
    )
    options.add_further_caps(compare, "a cap of all together")
    options.add_project(compare)
    add_ledger(compare)
    options.add_spare(compare)
    options.add_longest_wait(compare)
    options.add_drift(compare)
    options.add_run(compare, "IMAGE-ORACLE-compare[-SCORE]-RUN")


class MethodScreen(Screen):
    """Shows which method is at work; the rest as for one image after another."""

    def seen(self, clean: Answer, capabilities: Capabilities) -> None:
        """Print what the model sees, once: all methods begin with the same answer."""
        if self._part is None or self._part.place == 0:
            super().seen(clean, capabilities)

    def beware(self, text: str) -> None:
        """Print what must be known, once likewise."""
        if self._part is None or self._part.place == 0:
            super().beware(text)

    def _which(self) -> str:
        part = self._part
        return "" if part is None else f"method {part.place + 1} of {part.count}, {shown(part.name)}: "


def _compare(chosen: argparse.Namespace) -> int:
    if chosen.dry_run:
        print(asyncio.run(_estimated(chosen)))
        return 0
    with OutputFolder(chosen) as out:
        found = asyncio.run(_compared(chosen, out))
        made = {"command": chosen.typed, "source": chosen.image, "resume": _resume(found, chosen.typed)}
        written = out.write(lambda place: report.write(found, place, **made))
    warn(*_troubles(found, chosen.typed))
    say(*_table(found).split("\n"), "", *written_and_spent(written, found.budget, found.queries))
    return out.exit_code(found.error)


def _request(chosen: argparse.Namespace, watch: Watch | None = None) -> CompareRequest:
    return CompareRequest(
        **options.shared(chosen, watch), methods=split_specifications(chosen.methods), target=_target(chosen.target),
        score=chosen.score, evaluate=chosen.evaluate,
    )  # fmt: skip


def _target(text: str | None) -> str | None:
    named = targets(text) or []
    if len(named) > 1:
        message = f"one target is compared, not {len(named)}: give each a command of its own"
        raise UsageError(rf"{message}; a comma within a target is written \,")
    return named[0] if named else None


async def _compared(chosen: argparse.Namespace, out: OutputFolder) -> Comparison:
    with MethodScreen() as screen:
        request = _request(chosen, screen)
        async with prepared(request) as job:
            worst = job.first.worst.times(job.cap.queries or 0)
            consent.agreed(chosen, [request.cap], worst, lambda: _costs(job).split("\n"))
            inner = {name: own.identity() for name, own in zip(job.names, job.jobs, strict=True)}
            name = default_name(chosen.image, job.identity(), chosen.oracle, "compare", chosen.score)
            out.claim(name, job.identity(), inner)
            warn_of(job.first.placement)
            with open_ledger(None) as ledger:
                return await job.run(ledger)


async def _estimated(chosen: argparse.Namespace) -> str:
    async with prepared(_request(chosen)) as job:
        return _costs(job)


def _costs(job: CompareJob) -> str:
    found, source = job.estimates(), job.first.oracle.capabilities.price.source
    rows = [
        (
            method,
            f"{each.queries:,}",
            f"{each.expected.tokens:,}",
            f"{each.worst.tokens:,}",
            dollars(each.expected.picodollars),
            dollars(each.worst.picodollars),
        )
        for method, each in zip(job.methods, found, strict=True)
    ]
    header = ("method", "queries", "tokens", "at worst", "dollars", "at worst")
    queries = sum(each.queries for each in found)
    worst = sum(each.worst.picodollars for each in found)
    return "\n".join((
        *table(header, rows, words=1),
        "",
        f"{queries:,} queries at most together, ${dollars(worst)} at worst; answers in the store and those that "
        "methods share cost nothing",
        f"prices       {source or 'none'}",
        NOTHING_ASKED,
    ))  # fmt: skip


def _table(found: Comparison) -> str:
    """Return what became of each method, and how much its map agrees with the others, for people."""
    numbers = [str(place + 1) for place in range(len(found.results))]
    header = ("", "method", "status", "asked", "sent", "SRG", "rank", *numbers)
    agreement, ranking = found.agreement().tolist(), found.ranking()
    rows = [
        (
            number, each.method, each.status, *_counted(each),
            report.srg_in_words(each, ranking, place) or "–", str(report.rank_of(ranking, place) or "–"),
            *map(_shown, agreement[place]),
        )
        for place, (number, each) in enumerate(zip(numbers, found.results, strict=True))
    ]  # fmt: skip
    return "\n".join((
        *table(header, rows, words=3),
        "",
        "below the numbers: the rank correlation of each two maps",
        *report.ranked(found),
        *([report.measured_by(found)] if found.metric else []),
    ))  # fmt: skip


def _counted(each: Compared) -> tuple[str, str]:
    if each.explanation is None:
        return "–", "–"
    return f"{each.explanation.queries.asked:,}", f"{each.explanation.queries.sent:,}"


def _shown(value: float) -> str:
    return "–" if math.isnan(value) else f"{value:z.2f}"


def _troubles(found: Comparison, typed: Sequence[str]) -> Iterator[str]:
    """Give what a person must know of each method, a line each."""
    for each in found.results:
        if each.explanation is not None:
            yield from (cautions.line(e, each.method) for e in cautions.of_explanation(each.explanation))
        if each.status != "complete":
            yield f"{each.status.upper()}: {each.method}: {each.error}"
    if found.error is not None:
        yield completing.intro("them", found.error, found.oracle)
        yield f"  {_resume(found, typed)}"


def _resume(found: Comparison, typed: Sequence[str]) -> str:
    """Return the command that completes a comparison; nothing of a whole one."""
    if found.error is None:
        return ""
    unfinished = [each for each in found.results if each.status in ("partial", "not begun")]
    rests = [rest for each in unfinished for rest in each.rests]
    allowed = found.results[0].rests[0].allowed
    options = completing.raised_together(rests, found.budget, allowed)
    missing = sum(rest.missing for rest in rests)
    return completing.joined(
        completing.rerun(typed, found.oracle), options, found.error, run=found.budget.name, missing=missing
    )
