"""`bbquery evaluate`: judge a saliency map by asking its model, within a budget."""

from __future__ import annotations

import argparse
import asyncio
import math
from pathlib import Path
from typing import TYPE_CHECKING

from bbquery.commands import completing, consent, evaluate_metrics, options
from bbquery.commands.exit_codes import alarms, ended_by
from bbquery.commands.ledger import add_ledger
from bbquery.commands.log_file import logged
from bbquery.commands.output import counted, estimated, held, say, table, warn, warn_of, written_and_spent
from bbquery.commands.output_folder import OutputFolder, default_name, result_of
from bbquery.commands.screen import Screen
from bbquery.commands.targets import target
from bbquery.jobs.evaluate import making, map_file
from bbquery.jobs.evaluate.job import EvaluateRequest, prepared
from bbquery.jobs.evaluate.made import RECORD, judge, of_another
from bbquery.jobs.request import DEFAULT_ORACLE
from bbquery.ledger.ledger import open_ledger
from bbquery.report import cautions
from bbquery.report import evaluation as report
from bbquery.specification import constructor

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bbquery.jobs.evaluate.job import EvaluateJob
    from bbquery.jobs.evaluate.map_file import MapFile
    from bbquery.jobs.evaluate.result import Evaluation
    from bbquery.jobs.watch import Watch
    from bbquery.metrics import Measurement

EXAMPLES = (
    "bbquery explain sample:cat --out runs/cat && bbquery evaluate runs/cat sample:cat",
    "bbquery evaluate runs/cat sample:cat --metrics srg,aopc",
)
MAP = "a map's .npy file, or the folder of its run, or the run.json in it"
AS_MADE = "default: as the map's run.json says"
TARGET = "whose evidence the map shows (default: as its run.json says, or the top class)"


def add(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Declare it."""
    evaluate = commands.add_parser(
        "evaluate", help="measure how good a saliency map is", description=evaluate_metrics.about(), examples=EXAMPLES
    )
    evaluate.set_defaults(run=_evaluate)
    evaluate.add_argument("map", type=Path, metavar="MAP", help=MAP)
    evaluate.add_argument("image", metavar="IMAGE", help="the photo it was made of, or sample:NAME (sample:cat)")
    evaluate.add_argument(
        "--oracle", metavar="NAME[:key=value,…]", help=f"model to ask ({AS_MADE}, or {DEFAULT_ORACLE})"
    )
    evaluate.add_argument("--target", metavar="LABEL", help=TARGET)
    evaluate.add_argument("--score", metavar="NAME[:key=value,…]", help=f"as of 'bbquery explain' ({AS_MADE})")
    evaluate_metrics.add(evaluate)
    caps = evaluate.add_argument_group("budget")
    each = "the run's budget (default: %(default)s)"
    caps.add_argument("--max-queries", type=int, default=EvaluateRequest.DEFAULT_QUERIES, metavar="N", help=each)
    options.add_further_caps(caps)
    options.add_project(caps)
    add_ledger(caps)
    options.add_longest_wait(caps)
    options.add_log(evaluate)
    options.add_run(evaluate, "IMAGE-ORACLE-evaluation[-SCORE]-RUN")


def _evaluate(chosen: argparse.Namespace) -> int:
    named, metrics = target(chosen.target), making.named(evaluate_metrics.names(chosen))
    found = map_file.read(chosen.map, target=named, or_gradient=making.takes_gradient(metrics))
    by = judge(found.made, chosen.oracle, chosen.score, named)
    chosen.oracle, chosen.score, chosen.target, chosen.named = by.oracle, by.score, by.target, by.named
    if chosen.dry_run:
        say(*asyncio.run(_estimated(chosen, found)))
        return 0
    with OutputFolder(chosen) as out:
        with logged(chosen.log):
            evaluation = asyncio.run(_evaluated(chosen, found, out))
        resume = _resume(evaluation, chosen.typed)
        made = {"command": chosen.typed, "source": chosen.image, "of": str(found.path), "resume": resume}
        written = out.write(lambda place: report.write(evaluation, place, **made))
    say(*_taken(chosen, found))
    _print(evaluation, of_another(found.made, evaluation.oracle), chosen.typed)
    say(*written_and_spent(written, evaluation.budget, evaluation.queries))
    return out.exit_code(ended_by(evaluation.error, partial=evaluation.partial))


def _taken(chosen: argparse.Namespace, found: MapFile) -> list[str]:
    """Return what was taken from the map's record, since it was not named; nothing where there was no such thing."""
    taken = {"oracle": chosen.oracle, "score": chosen.score or "the default"}
    said = [f"{what} {value}" for what, value in taken.items() if what not in chosen.named]
    return [f"asked as {RECORD} says: {', '.join(said)}"] if said and found.made is not None else []


def _request(chosen: argparse.Namespace, found: MapFile, watch: Watch | None = None) -> EvaluateRequest:
    return EvaluateRequest(
        **options.shared(chosen, watch), values=found.values, choice=evaluate_metrics.choice(chosen, found.made),
        target=chosen.target, score=chosen.score, made=found.made, named=chosen.named,
    )  # fmt: skip


async def _estimated(chosen: argparse.Namespace, found: MapFile) -> list[str]:
    async with prepared(_request(chosen, found)) as job:
        return _costs(job)


def _costs(job: EvaluateJob) -> list[str]:
    return estimated(job.estimate(), job.oracle.capabilities.price.source)


async def _evaluated(chosen: argparse.Namespace, found: MapFile, out: OutputFolder) -> Evaluation:
    with Screen() as screen:
        request = _request(chosen, found, screen)
        async with prepared(request) as job:
            consent.agreed(chosen, [request.cap], job.worst.times(request.queries), lambda: _costs(job))
            decided = (request.one_target, constructor(job.score), constructor(job.choice))
            result = result_of(job.identity(), *decided)
            out.claim(default_name(chosen.image, result, chosen.oracle, "evaluation", chosen.score), result)
            warn_of(job.placement)
            with open_ledger(None) as ledger:
                return await job.run(ledger)


def _print(evaluation: Evaluation, known: list[str], typed: Sequence[str]) -> None:
    """known: what was said of it before it was asked."""
    q = evaluation.queries
    say(f"target: {evaluation.target} ({evaluation.bound.about.unit})")
    say(*_table(evaluation.measurements))
    say(f"queries: {counted(q)}")
    said = [f"BEWARE: {warning}" for warning in evaluation.warnings if warning not in known]
    if evaluation.unread:
        said.append(f"NOT READ: {cautions.not_read(evaluation.unread)}: the score made nothing of that")
    said += alarms(evaluation.error, partial=evaluation.partial)
    if evaluation.partial:
        said.append(f"PARTIAL: {evaluation.error}")
        intro = completing.intro("them", evaluation.error, evaluation.oracle)
        said.append(f"the figures rest on what was answered; {intro}")
        said.append(f"  {_resume(evaluation, typed)}")
        said += held(evaluation.unknown)
    warn(*said)


def _resume(evaluation: Evaluation, typed: Sequence[str]) -> str:
    """Return the command that completes an evaluation; nothing of a whole one."""
    if not evaluation.partial:
        return ""
    options = completing.raised(evaluation.rest, plan_is_fixed=True)
    run, missing = evaluation.rest.budget.name, evaluation.rest.missing
    typed = completing.rerun(typed, evaluation.oracle)
    return completing.joined(typed, options, evaluation.error, run=run, missing=missing)


def _table(measurements: Sequence[Measurement]) -> list[str]:
    """Return a table of measurements, with what else they rest on where there is such."""
    header = ("metric", "better", "fill", "value", "steps", "queries", "unanswered")
    lines = table(header, [_row(each) for each in measurements], words=3)
    return lines[:1] + [f"{line}  {each.used}".rstrip() for line, each in zip(lines[1:], measurements, strict=True)]


def _row(each: Measurement) -> tuple[str, ...]:
    value = "unknown" if math.isnan(each.value) else f"{each.value:.4g}"
    if not each.queries:
        return each.metric, each.better, "-", value, "-", "-", "-"
    return (
        each.metric, each.better, each.fill or "-", value, str(each.steps), str(each.queries), str(each.unanswered)
    )  # fmt: skip
