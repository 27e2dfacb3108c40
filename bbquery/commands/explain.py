"""`bbquery explain`: saliency maps of one image, or of several."""

from __future__ import annotations

import argparse
import asyncio
import sys
from typing import TYPE_CHECKING

from bbquery.commands import completing, consent, explain_batch, explain_several, options
from bbquery.commands.exit_codes import alarms, ended_by
from bbquery.commands.ledger import add_ledger
from bbquery.commands.log_file import logged
from bbquery.commands.output import counted, estimated, held, say, warn, warn_of, written_and_spent
from bbquery.commands.output_folder import OutputFolder, default_name
from bbquery.commands.screen import Screen
from bbquery.commands.targets import targets
from bbquery.errors import UsageError
from bbquery.jobs.defaults import DEFAULT_METHOD
from bbquery.jobs.explain.series import SeriesRequest, shared_caps
from bbquery.jobs.explain.setting import DEFAULT_FACTS, ExplainRequest, prepared
from bbquery.ledger.ledger import open_ledger
from bbquery.load import DEFAULT_SCORE, DEFAULT_SCORE_OF_TEXTS
from bbquery.report import cautions, folder, sentence
from bbquery.saliency.designed import AGREEMENT, Designed
from bbquery.shown import shown
from bbquery.specification import with_option

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from bbquery.jobs.explain.job import ExplainJob
    from bbquery.jobs.explain.result import Explanation

ABOUT = """Make a saliency map of a photo: where it speaks for what the model answers, and where against it. Writes
pictures, the map as numbers and a record. What was asked before is not asked or paid again."""
METHOD = "how to explain; see 'bbquery list methods'"
RULE = """Several images are one run, and each has a budget of its own within it. If only the run's cap is given, the
images share it evenly, rounded down; if only the cap per image, the run may spend that for each; if both, both hold. An
image that reaches its own cap ends with what was answered, and the next begins; at the run's or the project's cap
the run ends."""
TARGETS = r"""what to explain (default: the top class). cat,dog: two targets, with a map each; cat+dog: one target,
cat or dog, for the scores that take several; a comma within a target is written \,; each: a map for everything that
the first answer names, 8 at most (each:12: 12)"""
SCORE = f"""how an answer becomes a number; see 'bbquery list scores' and 'bbquery score' (default: {DEFAULT_SCORE}, the
probability of a class or the score of a label; for texts {DEFAULT_SCORE_OF_TEXTS})"""
UNTIL = f"""stable: stop once the map is expected to correlate {AGREEMENT:g} with that of unlimited queries; budget: ask
all (default: as the option until of --method says; of designed, {Designed.until})"""
EXAMPLES = (
    "bbquery explain sample:cat",
    "bbquery explain sample:cat --target each --max-queries 500",
    "bbquery explain sample:cat --target 'tabby,Egyptian cat' --until stable --max-queries 3000",
)
VERIFY = f"""queries of the budget kept for the verified facts of each map, 0 for none: the smallest part found whose
showing alone keeps the answer, and the smallest whose hiding changes it, each asked twice (default: {DEFAULT_FACTS}, at
most a quarter of --max-queries for all maps together, and none with --batch; of a method that states its own queries,
what these leave)"""
DEFAULT_OUT = "IMAGE-ORACLE-METHOD[-SCORE]-RUN; for several images, N-images-…, with a folder in it for each"
FULL_SIZE = "write arrays in the photo's own size even above 4 megapixels, where they are written as they were asked"
PROGRESS = "also draw how each map came about, NAME-progress.png: after 32, 64, 128 … queries, without asking more"


def add(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Declare it."""
    explain = commands.add_parser(
        "explain", help="make a saliency map of a photo", description=ABOUT, examples=EXAMPLES
    )
    explain.set_defaults(run=_explain)
    explain.add_argument("images", nargs="+", metavar="IMAGE", help="a photo, or sample:NAME (sample:cat), or several")
    options.add_oracle(explain)
    explain.add_argument("--method", default=DEFAULT_METHOD, metavar="NAME[:key=value,…]", help=METHOD)
    explain.add_argument("--until", choices=("budget", "stable"), help=UNTIL)
    explain.add_argument("--target", metavar="LABEL[,LABEL…]", help=TARGETS)
    explain.add_argument("--score", metavar="NAME[:key=value,…]", help=SCORE)
    _add_caps(explain)
    options.add_project(explain)
    add_ledger(explain)
    options.add_spare(explain)
    explain.add_argument("--verify", type=int, metavar="N", help=VERIFY)
    options.add_longest_wait(explain)
    options.add_drift(explain)
    options.add_log(explain)
    explain.add_argument("--batch", action="store_true", help="ask as a batch: within a day, mostly at half price")
    explain.add_argument("--progress", action="store_true", help=PROGRESS)
    explain.add_argument("--full-size", action="store_true", help=FULL_SIZE)
    options.add_run(explain, DEFAULT_OUT)


def _add_caps(explain: argparse.ArgumentParser) -> None:
    caps = explain.add_argument_group("budget", description=RULE)
    each = f"the run's budget (default: {ExplainRequest.DEFAULT_QUERIES} for each image)"
    caps.add_argument("--max-queries", type=int, metavar="N", help=each)
    options.add_further_caps(caps, "a further cap of the run")
    caps.add_argument("--max-queries-per-image", type=int, metavar="N", help="a cap of each image within the run")
    caps.add_argument("--max-tokens-per-image", type=int, metavar="N", help="likewise, in tokens")
    caps.add_argument("--max-usd-per-image", metavar="X", help="likewise, in dollars")


def _explain(chosen: argparse.Namespace) -> int:
    if chosen.until is not None:
        chosen.method = with_option(chosen.method, "until", chosen.until)
    run, each = shared_caps(chosen.images, options.cap(chosen), options.cap(chosen, "_per_image"))
    if len(chosen.images) > 1 and chosen.batch:
        raise UsageError(f"--batch takes one image, not {len(chosen.images)}: give each a command of its own")
    chosen.image, screen = chosen.images[0], Screen()
    request = ExplainRequest(
        **options.shared(chosen, screen) | {"cap": each}, method=chosen.method,
        target=targets(chosen.target), score=chosen.score, batch=chosen.batch, verify=chosen.verify,
    )  # fmt: skip
    if len(chosen.images) > 1:
        return _explain_several(chosen, SeriesRequest(images=chosen.images, each=request, run=run), screen)
    return _explain_one(chosen, request, screen)


def _explain_several(chosen: argparse.Namespace, request: SeriesRequest, screen: Screen) -> int:
    if chosen.dry_run:
        return explain_several.estimate(request)
    with logged(chosen.log):
        return explain_several.explain(chosen, request, screen)


def _explain_one(chosen: argparse.Namespace, request: ExplainRequest, screen: Screen) -> int:
    if chosen.dry_run:
        say(*asyncio.run(_estimated(request)))
        return 0
    with OutputFolder(chosen) as out:
        with logged(chosen.log):
            explanation = asyncio.run(_explained(chosen, request, screen, out))
        made = {
            "command": chosen.typed,
            "source": chosen.image,
            "resume": _resume(explanation, chosen.typed),
            "progress": chosen.progress,
            "full_size": chosen.full_size,
        }
        written = out.write(lambda place: folder.write(explanation, place, **made))
    _report(explanation, chosen.typed, written)
    return out.exit_code(ended_by(explanation.error, partial=explanation.partial))


async def _explained(
    chosen: argparse.Namespace, request: ExplainRequest, screen: Screen, out: OutputFolder
) -> Explanation:
    async with prepared(request) as job:
        consent.agreed(chosen, [request.cap], job.worst.times(request.queries), lambda: _costs(job))
        name = default_name(chosen.image, job.identity(), chosen.oracle, chosen.method, chosen.score)
        out.claim(name, job.identity())
        warn_of(job.placement)
        with open_ledger(None) as ledger, screen:
            return await job.run(ledger)


async def _estimated(request: ExplainRequest) -> list[str]:
    async with prepared(request) as job:
        return _costs(job)


def _costs(job: ExplainJob) -> list[str]:
    if job.batch is not None:
        return explain_batch.estimate(job)
    queries, *rest = estimated(job.estimate(), job.oracle.capabilities.price.source)
    return [queries, *([f"facts        {job.verifying:,} of these at most"] if job.verifying else []), *rest]


def _report(explanation: Explanation, typed: Sequence[str], written: Sequence[Path]) -> None:
    say(*(sentence.caption(explanation, m) for m in explanation.maps))
    say(f"queries: {counted(explanation.queries)}", *explanation.facts)
    for said in filter(None, (sentence.stable(explanation, m) for m in explanation.maps)):
        say(said)
    warn(*map(cautions.line, cautions.of_explanation(explanation)))
    warn(*alarms(explanation.error, partial=explanation.partial))
    if explanation.partial:
        warn(f"PARTIAL: {explanation.error}")
        print(*map(shown, _advice(explanation, typed)), sep="\n", file=sys.stderr)
    say(*written_and_spent(written, explanation.budget, explanation.queries))


def _advice(explanation: Explanation, typed: Sequence[str]) -> list[str]:
    """Say what a person can do about a partial result, the cheapest first."""
    oracle = explanation.oracle
    rests = "the map is whole, and not all of its facts were verified"
    if any(m.stopped is not None for m in explanation.maps):
        rests = "the map rests on the queries that were answered"
    return [
        f"{rests}; {completing.intro('it', explanation.error, oracle)}",
        f"  {_resume(explanation, typed)}",
        *held(explanation.unknown),
    ]


def _resume(explanation: Explanation, typed: Sequence[str]) -> str:
    """Return the command that completes a partial result; nothing of a whole one."""
    if not explanation.partial:
        return ""
    return completing.command(completing.rerun(typed, explanation.oracle), explanation.rest, explanation.error)
