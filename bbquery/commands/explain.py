"""`bbquery explain`: the main job, seen by a person."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import logging
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bbquery import telemetry
from bbquery.commands import completing, consent, explain_batch, explain_several, options
from bbquery.commands.exit_codes import alarms, ended_by
from bbquery.commands.explain_several import Wish
from bbquery.commands.output import counted, estimated, held, not_read, say, warn, warn_of
from bbquery.commands.output_folder import OutputFolder, add_out, default_name
from bbquery.commands.screen import Screen
from bbquery.commands.targets import targets
from bbquery.errors import UsageError
from bbquery.jobs.explain import explain as explaining
from bbquery.jobs.explain import many
from bbquery.jobs.explain.findings import findings
from bbquery.ledger.sqlite import open_ledger
from bbquery.money import dollars
from bbquery.report import folder
from bbquery.report.spent import spent
from bbquery.shown import shown
from bbquery.specification import with_option

if TYPE_CHECKING:
    from bbquery.jobs.explain.explain import Explanation, Job
    from bbquery.ledger.records import Cap

RULE = """Several images are one run, and each has a budget of its own within it. If only the run's cap is given, the
images share it evenly, rounded down; if only the cap per image, the run may spend that for each; if both, both hold. An
image that reaches its own cap ends with what was answered, and the next begins; at the run's or the project's cap
nothing more is begun."""
TARGETS = r"""what to explain (default: the top class). cat,dog: two targets, with a map each; cat+dog: one, met by
either, for the scores that take such; a comma within a target is written \,"""
SCORE = """how an answer becomes a number; see 'bbquery list scores' and 'bbquery score' (default: soft, the probability
of a class or the score of a label; of a text mention)"""
UNTIL = """stable: stop once the map is expected to correlate .95 with that of unlimited queries; the budget is the cap
(for methods that can tell, such as designed; default: budget, ask all)"""
DEFAULT_OUT = "IMAGE-ORACLE-METHOD[-SCORE]-RUN; for several images, N-images-…, with a folder in it for each"
FULL_SIZE = "write arrays in the photo's own size even above 4 megapixels, where they are written as they were asked"
PROGRESS = "also draw how each map came about, NAME-progress.png: after 32, 64, 128 … queries, without asking more"


def add(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Declare it."""
    explain = commands.add_parser("explain", help="make a saliency map of a photo", allow_abbrev=False)
    explain.set_defaults(run=_explain)
    explain.add_argument("images", nargs="+", metavar="IMAGE", help="a photo, or sample:NAME (sample:cat), or several")
    explain.add_argument("--oracle", default="efficientnet", metavar="NAME[:key=value,…]", help="whom to ask")
    explain.add_argument(
        "--method", default=explaining.DEFAULT_METHOD, metavar="NAME[:key=value,…]", help="how to explain"
    )
    explain.add_argument("--until", choices=("budget", "stable"), help=UNTIL)
    explain.add_argument("--target", metavar="LABEL[,LABEL…]", help=TARGETS)
    explain.add_argument("--score", metavar="NAME[:key=value,…]", help=SCORE)
    _add_caps(explain)
    options.add_project(explain)
    options.add_spare(explain)
    options.add_longest_wait(explain)
    options.add_drift(explain)
    explain.add_argument("--log", type=Path, metavar="FILE", help="append a log to a file, one JSON object a line")
    explain.add_argument("--batch", action="store_true", help="ask by the file: within a day, mostly at half price")
    explain.add_argument("--progress", action="store_true", help=PROGRESS)
    explain.add_argument("--full-size", action="store_true", help=FULL_SIZE)
    explain.add_argument("--dry-run", action="store_true", help="show what it would cost; nothing is asked")
    consent.add_yes(explain)
    explain.add_argument("--seed", type=seed, default=0, metavar="S", help="decides every random choice (default: 0)")
    add_out(explain, DEFAULT_OUT)


def _add_caps(explain: argparse.ArgumentParser) -> None:
    caps = explain.add_argument_group("budget", description=RULE)
    each = f"the run's budget (default: {explaining.DEFAULT_QUERIES} for each image)"
    caps.add_argument("--max-queries", type=int, metavar="N", help=each)
    options.add_further_caps(caps, "a further cap of the run")
    caps.add_argument("--max-queries-per-image", type=int, metavar="N", help="a cap of each image within the run")
    caps.add_argument("--max-tokens-per-image", type=int, metavar="N", help="likewise, in tokens")
    caps.add_argument("--max-usd-per-image", metavar="X", help="likewise, in dollars")


def seed(text: str) -> int:
    """Read a seed."""
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number of at least 0")
    return int(text)


def _explain(chosen: argparse.Namespace) -> int:
    if chosen.until is not None:
        chosen.method = with_option(chosen.method, "until", chosen.until)
    run, each = many.shared_caps(chosen.images, options.cap(chosen), options.cap(chosen, "_per_image"))
    if len(chosen.images) > 1 and chosen.batch:
        raise UsageError(f"--batch takes one image, not {len(chosen.images)}: give each a command of its own")
    if len(chosen.images) > 1:
        return _explain_several(Wish(chosen, targets(chosen.target), (run, each)))
    return _explain_one(_of_one_image(chosen, each))


def _of_one_image(chosen: argparse.Namespace, cap: Cap) -> argparse.Namespace:
    """Return what was chosen, for the only image: it is the run."""
    usd = None if cap.picodollars is None else dollars(cap.picodollars)
    caps = {"max_queries": cap.queries, "max_tokens": cap.tokens, "max_usd": usd}
    return argparse.Namespace(**(vars(chosen) | {"image": chosen.images[0]} | caps))


def _explain_several(wish: Wish) -> int:
    if wish.chosen.dry_run:
        return explain_several.estimate(wish)
    with logged(wish.chosen.log):
        return explain_several.explain(wish)


def _explain_one(chosen: argparse.Namespace) -> int:
    if chosen.dry_run:
        say(*asyncio.run(_estimated(chosen)))
        return 0
    with OutputFolder(chosen) as out:
        with logged(chosen.log):
            explanation = asyncio.run(_explained(chosen, out))
        made = {
            "command": chosen.typed,
            "source": chosen.image,
            "progress": chosen.progress,
            "full_size": chosen.full_size,
        }
        written = out.write(lambda place: folder.write(explanation, place, **made))
    _report(explanation, chosen.typed, written)
    return out.exit_code(ended_by(explanation.error, partial=explanation.partial))


@contextlib.contextmanager
def logged(path: Path | None) -> Iterator[None]:
    """Append the run's log records to a file, where one is given."""
    if path is None:
        yield
        return
    handler = telemetry.JsonLines(path)
    before = telemetry.LOGGER.level
    telemetry.LOGGER.setLevel(logging.DEBUG)
    telemetry.LOGGER.addHandler(handler)
    try:
        yield
    finally:
        telemetry.LOGGER.removeHandler(handler)
        telemetry.LOGGER.setLevel(before)
        handler.close()
        if handler.failed is not None:
            why = f"the log {path} could not be written in full ({handler.failed.strerror}); the run went on without it"
            print(f"bbquery: {why}", file=sys.stderr)


async def _explained(chosen: argparse.Namespace, out: OutputFolder) -> Explanation:
    began = time.perf_counter()
    async with explaining.prepared(**_wish(chosen)) as asked:
        job = asked.by_the_file() if chosen.batch else asked
        caps, worst = options.cap(chosen), job.worst.times(chosen.max_queries)
        consent.agreed(chosen, [caps], worst, lambda: _costs(job))
        what = [chosen.oracle, chosen.method, *([chosen.score] if chosen.score else [])]
        out.claim(default_name(chosen.image, job.identity(), *what), job.identity())
        warn_of(job.placement)
        with open_ledger(None) as ledger, Screen() as screen:
            return await job.run(ledger, caps, chosen.project, screen, began)


async def _estimated(chosen: argparse.Namespace) -> list[str]:
    async with explaining.prepared(**_wish(chosen)) as job:
        return _costs(job.by_the_file() if chosen.batch else job)


def _costs(job: Job) -> list[str]:
    if job.batch is not None:
        return explain_batch.estimate(job)
    return estimated(job.estimate(), job.oracle.capabilities.price.source)


def _wish(chosen: argparse.Namespace) -> dict[str, Any]:
    """Return what decides the questions, as arguments."""
    return {
        "image": chosen.image,
        "oracle": chosen.oracle,
        "method": chosen.method,
        "target": targets(chosen.target),
        "score": chosen.score,
        "max_queries": chosen.max_queries,
        "spare": chosen.spare,
        "drift_every": chosen.drift_every,
        "seed": chosen.seed,
    }


def _report(explanation: Explanation, typed: Sequence[str], written: Sequence[Path]) -> None:
    say(f"queries: {counted(explanation.queries)}")
    for reason in explanation.drift.reasons:
        warn(f"DRIFTED: {reason}: the map may rest on more than one model")
    if explanation.unread:
        warn(f"NOT READ: {not_read(explanation.unread)}: the score made nothing of that")
    for found in findings(explanation):
        warn(f"{found.kind}: {found.target}: {found.text}")
    warn(*alarms(explanation.error, partial=explanation.partial))
    if explanation.partial:
        warn(f"PARTIAL: {explanation.error}")
        print(*map(shown, _advice(explanation, typed)), sep="\n", file=sys.stderr)
    say(*map(str, written), spent(explanation.budget, explanation.queries.from_store, explanation.queries.sent))


def _advice(explanation: Explanation, typed: Sequence[str]) -> list[str]:
    """Say what a person can do about a partial result, the cheapest first."""
    oracle = explanation.oracle
    return [
        f"the map rests on the queries that were answered; {completing.intro('it', explanation.error, oracle)}",
        f"  {completing.command(completing.again(typed, oracle), explanation.rest, explanation.error)}",
        *held(explanation.unknown),
    ]
