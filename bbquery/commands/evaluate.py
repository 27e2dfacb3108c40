"""`bbquery evaluate`: judge a saliency map by asking its model, within a budget."""

from __future__ import annotations

import argparse
import asyncio
import math
from pathlib import Path
from typing import TYPE_CHECKING

from bbquery.commands import completing, consent, evaluate_metrics, map_file, options
from bbquery.commands.exit_codes import alarms, ended_by
from bbquery.commands.log_file import logged
from bbquery.commands.output import counted, estimated, held, not_read, say, table, warn, warn_of
from bbquery.commands.output_folder import OutputFolder, default_name, result_of
from bbquery.commands.screen import Screen
from bbquery.commands.targets import target
from bbquery.errors import UsageError
from bbquery.jobs.evaluate.choice import same_fill
from bbquery.jobs.evaluate.job import EvaluateRequest, prepared
from bbquery.jobs.request import DEFAULT_ORACLE
from bbquery.ledger import codec
from bbquery.ledger.sqlite import open_ledger
from bbquery.report import evaluation as report
from bbquery.report.spent import spent
from bbquery.specification import constructor

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bbquery.commands.map_file import MapFile
    from bbquery.jobs.evaluate.job import EvaluateJob
    from bbquery.jobs.evaluate.result import Evaluation
    from bbquery.jobs.watch import Watch
    from bbquery.metrics import Measurement
    from bbquery.oracle import Capabilities

AS_MADE = "default: as the map's run.json says"
TARGET = "whose evidence the map shows (default: as its run.json says, or the top class)"


def add(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Declare it."""
    evaluate = commands.add_parser(
        "evaluate", help="measure how good a saliency map is", description=evaluate_metrics.about(), allow_abbrev=False
    )
    evaluate.set_defaults(run=_evaluate)
    evaluate.add_argument("map", type=Path, metavar="MAP", help="a map's .npy file, or the folder of its run")
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
    options.add_longest_wait(caps)
    options.add_log(evaluate)
    options.add_run(evaluate, "IMAGE-ORACLE-evaluation[-SCORE]-RUN")


def _evaluate(chosen: argparse.Namespace) -> int:
    found = map_file.read(chosen.map, or_gradient=evaluate_metrics.takes_gradient(chosen))
    chosen.named = {name for name in ("oracle", "score") if getattr(chosen, name) is not None}
    chosen.oracle, chosen.score = _as_made(chosen, found.made)
    if chosen.dry_run:
        say(*asyncio.run(_estimated(chosen, found)))
        return 0
    with OutputFolder(chosen) as out:
        with logged(chosen.log):
            evaluation = asyncio.run(_evaluated(chosen, found, out))
        warned = warnings(found, evaluation)
        made = {"command": chosen.typed, "source": chosen.image, "of": str(found.path), "warnings": warned}
        written = out.write(lambda place: report.write(evaluation, place, **made))
    say(*_taken(chosen, found))
    _print(evaluation, warned, _of_another(found.made, evaluation.oracle), chosen.typed)
    say(*map(str, written), spent(evaluation.budget, evaluation.queries.from_store, evaluation.queries.sent))
    return out.exit_code(ended_by(evaluation.error, partial=evaluation.partial))


def _as_made(chosen: argparse.Namespace, made: map_file.Made | None) -> tuple[str, str | None]:
    """Return the oracle and the score to ask: those that were named, else those of the map."""
    if made is None:
        return chosen.oracle or DEFAULT_ORACLE, chosen.score
    return chosen.oracle or made.asked or DEFAULT_ORACLE, chosen.score or made.scored


def _taken(chosen: argparse.Namespace, found: MapFile) -> list[str]:
    """Return what was taken from the map's record, since it was not named; nothing where there was no such thing."""
    taken = {"oracle": chosen.oracle, "score": chosen.score or "the usual one"}
    said = [f"{what} {value}" for what, value in taken.items() if what not in chosen.named]
    return [f"asked as {map_file.RECORD} says: {', '.join(said)}"] if said and found.made is not None else []


def _request(chosen: argparse.Namespace, found: MapFile, watch: Watch | None = None) -> EvaluateRequest:
    named = target(chosen.target)
    if named is None and found.made is not None:
        named = found.made.target
    return EvaluateRequest(
        **options.shared(chosen, watch), values=found.values, choice=evaluate_metrics.choice(chosen, found),
        target=named, score=chosen.score, made_of=found.made.placement if found.made else None,
    )  # fmt: skip


async def _estimated(chosen: argparse.Namespace, found: MapFile) -> list[str]:
    async with prepared(_request(chosen, found)) as job:
        _check(chosen, found, job)
        return _costs(job)


def _costs(job: EvaluateJob) -> list[str]:
    return estimated(job.estimate(), job.oracle.capabilities.price.source)


async def _evaluated(chosen: argparse.Namespace, found: MapFile, out: OutputFolder) -> Evaluation:
    with Screen() as screen:
        request = _request(chosen, found, screen)
        async with prepared(request) as job:
            _check(chosen, found, job)
            consent.agreed(chosen, [request.cap], job.worst.times(request.queries), lambda: _costs(job))
            decided = (request.one_target, constructor(job.score), constructor(job.choice))
            result = result_of(job.identity(), *decided)
            out.claim(default_name(chosen.image, result, chosen.oracle, "evaluation", chosen.score), result)
            warn_of(job.placement)
            warn(*(f"BEWARE: {warned}" for warned in _of_another(found.made, job.oracle.capabilities)))
            with open_ledger(None) as ledger:
                return await job.run(ledger)


def _check(chosen: argparse.Namespace, found: MapFile, job: EvaluateJob) -> None:
    """See that the map is of this photo and, unless another is named, of this oracle and score.

    Raises:
        UsageError: it is of another, though none was named or the map is to be made again.
    """
    if found.made is None:
        return
    _check_source(chosen, found.path, found.made, job)
    if found.made.pixels != codec.image_digest(job.photo).hex():
        raise UsageError(f"{found.path} is the map of another photo, as its {map_file.RECORD} says: give that photo")
    if job.choice.made is not None and found.made.score != constructor(job.score):
        message = f"{found.path} is the map of the score {found.made.score}, not of {constructor(job.score)}"
        raise UsageError(f"{message}, so that explaining again would compare scores: give its --score")


def _check_source(chosen: argparse.Namespace, path: Path, made: map_file.Made, job: EvaluateJob) -> None:
    score, answers = constructor(job.score), job.oracle.capabilities
    if "oracle" not in chosen.named and not made.explains(answers.identity):
        raise UsageError(
            f"{path} is the map of another oracle ({made.oracle}, or another version of it), and this would ask "
            f"{chosen.oracle}: say with --oracle which model to ask"
        )
    if "score" not in chosen.named and made.score != score:
        raise UsageError(
            f"{path} is the map of the score {made.score}, and this would take {score}: say with --score which to take"
        )


def warnings(found: MapFile, evaluation: Evaluation) -> list[str]:
    """Return what a person must know before they believe the numbers, each with what to do."""
    warned = [] if found.made is None else _of_making(found.made, evaluation)
    if evaluation.curves is not None and len({*evaluation.curves.deletion, *evaluation.curves.insertion}) == 1:
        warned.append("every answer scored the same, so no map could do better or worse: take a denser --score")
    missing = max((each.unanswered for each in evaluation.measurements), default=0)
    if missing and not evaluation.partial:
        warned.append(f"up to {missing} rows of a metric got no answer: curves are interpolated there, copies left out")
    return warned


def _of_making(made: map_file.Made, evaluation: Evaluation) -> list[str]:
    warned = []
    if shared := [f"{fill}" for fill in evaluation.choice.fills if any(same_fill(fill, other) for other in made.fills)]:
        warned.append(
            f"the map was made with the fill that judges it ({', '.join(sorted(shared))}), which flatters it: "
            "give another --fill or --insertion-fill"
        )
    warned += _of_another(made, evaluation.oracle)
    if made.partial:
        warned.append("the map is partial: complete its run first, by the command that it printed")
    again = evaluation.choice.made
    if again is not None and (method := constructor(again.method)) != made.method:
        warned.append(f"the map was made by {made.method}, but what explains again is {method}: leave out --method")
    return warned


def _of_another(made: map_file.Made | None, asked: Capabilities) -> list[str]:
    """Return that a map explains another oracle than the one that judges it, which is known before it is asked."""
    if made is None or made.explains(asked.identity):
        return []
    return [
        f"the map explains another oracle ({made.oracle}, or another version of it) than {asked.name}, which judges "
        "it: leave out --oracle to ask the map's own"
    ]


def _print(evaluation: Evaluation, warned: list[str], known: list[str], typed: Sequence[str]) -> None:
    """known: what was said of it before it was asked."""
    q = evaluation.queries
    say(f"target: {evaluation.target} ({evaluation.bound.about.unit})")
    say(*_table(evaluation.measurements))
    say(f"queries: {counted(q)}")
    said = [f"BEWARE: {warning}" for warning in warned if warning not in known]
    if evaluation.unread:
        said.append(f"NOT READ: {not_read(evaluation.unread)}: the score made nothing of that")
    said += alarms(evaluation.error, partial=evaluation.partial)
    if evaluation.partial:
        said.append(f"PARTIAL: {evaluation.error}")
        options = completing.raised(evaluation.rest, plan_is_fixed=True)
        oracle, run, missing = evaluation.oracle, evaluation.rest.budget.name, evaluation.rest.missing
        said.append(f"the figures rest on what was answered; {completing.intro('them', evaluation.error, oracle)}")
        typed = completing.rerun(typed, oracle)
        said.append(f"  {completing.joined(typed, options, evaluation.error, run=run, missing=missing)}")
        said += held(evaluation.unknown)
    warn(*said)


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
