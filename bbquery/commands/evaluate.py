"""`bbquery evaluate`: how good a saliency map is, asked within a budget."""

from __future__ import annotations

import argparse
import asyncio
import math
import sys
from pathlib import Path
from typing import TYPE_CHECKING, get_args

from bbquery import codec
from bbquery.commands import map_file
from bbquery.commands.exit_codes import exit_code
from bbquery.commands.explain import logged, seed
from bbquery.commands.output import estimated, not_read, table
from bbquery.commands.screen import Screen
from bbquery.errors import UsageError
from bbquery.evaluating import evaluation as evaluating
from bbquery.evaluating.metrics import METRICS, Choice, same_fill
from bbquery.ledger.records import Cap
from bbquery.ledger.sqlite import open_ledger
from bbquery.metrics.boxes import Box
from bbquery.money import picodollars
from bbquery.perturb.baselines import Fill
from bbquery.report import evaluation as report
from bbquery.report import folder

if TYPE_CHECKING:
    from contextlib import AbstractAsyncContextManager

    from bbquery.commands.map_file import MapFile
    from bbquery.evaluating.evaluation import Evaluation, Job
    from bbquery.evaluating.metrics import Figure
    from bbquery.metrics.fills import AnyFill

ABOUT_METRICS = "Metrics: " + "; ".join(f"{name}, {what}" for name, what in METRICS.items()) + "."
TARGET = "whose evidence the map shows (default: as its run.json says, or the top class)"
FILLS = f"{', '.join(get_args(Fill))}, or a grey level from 0 to 255"


def add(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Declare it."""
    evaluate = commands.add_parser(
        "evaluate", help="measure how good a saliency map is", description=ABOUT_METRICS, allow_abbrev=False
    )
    evaluate.set_defaults(run=_evaluate)
    evaluate.add_argument("map", type=Path, metavar="MAP", help="a map's .npy file, or the folder of its run")
    evaluate.add_argument("image", metavar="IMAGE", help="the photo it was made of, or sample:NAME (sample:cat)")
    evaluate.add_argument("--oracle", default="efficientnet", metavar="NAME[:key=value,…]", help="whom to ask")
    evaluate.add_argument("--target", metavar="LABEL", help=TARGET)
    evaluate.add_argument("--score", metavar="NAME[:key=value,…]", help="as of 'bbquery explain'")
    _add_metrics(evaluate)
    caps = evaluate.add_argument_group("budget")
    each = "the run's budget (default: %(default)s)"
    caps.add_argument("--max-queries", type=int, default=evaluating.DEFAULT_QUERIES, metavar="N", help=each)
    caps.add_argument("--max-tokens", type=int, metavar="N", help="a further cap, in tokens")
    caps.add_argument("--max-usd", metavar="X", help="a further cap, in dollars")
    caps.add_argument("--project", metavar="NAME", help="a budget, made before, that the run counts in too")
    evaluate.add_argument("--log", type=Path, metavar="FILE", help="append a log to a file, one JSON object a line")
    evaluate.add_argument("--dry-run", action="store_true", help="show what it would cost; nothing is asked")
    evaluate.add_argument("--seed", type=seed, default=0, metavar="S", help="decides every random choice (default: 0)")
    where = "where to write (default: bbquery-out/IMAGE-evaluation)"
    evaluate.add_argument("--out", type=Path, metavar="DIR", help=where)


def _add_metrics(evaluate: argparse.ArgumentParser) -> None:
    usual = Choice()
    how = evaluate.add_argument_group("metrics")
    how.add_argument("--metrics", metavar="NAME[,NAME…]", help="which (default: all; those of boxes need a --box)")
    boxed = "a box of what the map should find, in pixels of the photo from the top left; can be repeated"
    how.add_argument("--box", action="append", type=_box, default=[], metavar="X,Y,WIDTH,HEIGHT", help=boxed)
    shares = "equal shares in which the curves take pixels (default: %(default)s)"
    how.add_argument("--steps", type=int, default=usual.steps, metavar="N", help=shares)
    copies = "copies with a part hidden, of each of the two fidelities (default: %(default)s)"
    how.add_argument("--copies", type=int, default=usual.copies, metavar="N", help=copies)
    hides = f"what hides pixels: {FILLS} (default: %(default)s)"
    how.add_argument("--fill", type=_fill, default=usual.fill, metavar="FILL", help=hides)
    begins = "what insertion begins with, likewise (default: %(default)s)"
    how.add_argument("--insertion-fill", type=_fill, default=usual.insertion_fill, metavar="FILL", help=begins)


def _box(text: str) -> Box:
    try:
        return Box(*(int(part) for part in text.split(",")))
    except (ValueError, TypeError):
        raise argparse.ArgumentTypeError(f"{text!r} is not four whole numbers X,Y,WIDTH,HEIGHT") from None


def _fill(text: str) -> AnyFill:
    """Read a fill; what is no number is a name, which `Choice` knows or refuses."""
    try:
        return float(text)
    except ValueError:
        return text  # type: ignore[return-value] # checked where all fills are


def _evaluate(chosen: argparse.Namespace) -> int:
    found = map_file.read(chosen.map)
    if chosen.dry_run:
        print(*asyncio.run(_estimated(chosen, found)), sep="\n")
        return 0
    stem = Path(chosen.image.removeprefix("sample:")).stem or "image"
    out = folder.prepare(chosen.out or Path("bbquery-out") / f"{stem}-evaluation")
    with logged(chosen.log):
        evaluation = asyncio.run(_evaluated(chosen, found))
    told = warnings(found, evaluation)
    written = report.write(
        evaluation, out, command=chosen.typed, source=chosen.image, of=str(found.path), warnings=told
    )
    _print(evaluation, told)
    print(*written, sep="\n")
    return exit_code(evaluation.error) if evaluation.partial else 0


def _prepared(chosen: argparse.Namespace, found: MapFile) -> AbstractAsyncContextManager[Job]:
    target = chosen.target
    if target is None and found.made is not None:
        target = found.made.target
    names = () if chosen.metrics is None else tuple(name.strip() for name in chosen.metrics.split(","))
    choice = Choice(
        names=names, steps=chosen.steps, copies=chosen.copies, fill=chosen.fill,
        insertion_fill=chosen.insertion_fill, boxes=tuple(chosen.box),
    )  # fmt: skip
    return evaluating.prepared(
        found.values, chosen.image, chosen.oracle, choice=choice, target=target, score=chosen.score, cap=_cap(chosen),
        seed=chosen.seed,
    )  # fmt: skip


def _cap(chosen: argparse.Namespace) -> Cap:
    usd = None if chosen.max_usd is None else picodollars(chosen.max_usd)
    return Cap(queries=chosen.max_queries, tokens=chosen.max_tokens, picodollars=usd)


async def _estimated(chosen: argparse.Namespace, found: MapFile) -> list[str]:
    async with _prepared(chosen, found) as job:
        _check_photo(found, job)
        return estimated(job.estimate(), job.oracle.capabilities.price.source)


async def _evaluated(chosen: argparse.Namespace, found: MapFile) -> Evaluation:
    async with _prepared(chosen, found) as job:
        _check_photo(found, job)
        with open_ledger(None) as ledger, Screen() as screen:
            return await job.run(ledger, _cap(chosen), chosen.project, screen)


def _check_photo(found: MapFile, job: Job) -> None:
    if found.made is not None and found.made.pixels != codec.image_digest(job.photo).hex():
        raise UsageError(f"{found.path} is the map of another photo, as its {map_file.RECORD} says: give that photo")


def warnings(found: MapFile, evaluation: Evaluation) -> list[str]:
    """Return what a person must know before they believe the figures, each with what to do."""
    told = [] if found.made is None else _of_making(found.made, evaluation)
    if evaluation.curves is not None and len({*evaluation.curves.deletion, *evaluation.curves.insertion}) == 1:
        told.append("every answer scored the same, so no map could do better or worse: take a denser --score")
    missing = max((figure.unanswered for figure in evaluation.figures), default=0)
    if missing and not evaluation.partial:
        told.append(f"up to {missing} rows of a metric got no answer: curves are interpolated there, copies left out")
    return told


def _of_making(made: map_file.Made, evaluation: Evaluation) -> list[str]:
    told = []
    choice = evaluation.choice
    used = {choice.fill, choice.insertion_fill} if evaluation.curves is not None else {choice.fill}
    if shared := [f"{fill}" for fill in used if any(same_fill(fill, other) for other in made.fills)]:
        told.append(
            f"the map was made with the fill that judges it ({', '.join(sorted(shared))}), which flatters it: "
            "give another --fill or --insertion-fill"
        )
    if made.fingerprint != codec.fingerprint(evaluation.oracle.identity)[0]:
        told.append(f"the map explains another oracle ({made.oracle}, or another version of it): give that --oracle")
    if made.partial:
        told.append("the map is partial: complete its run first, by the same 'bbquery explain' again")
    return told


def _print(evaluation: Evaluation, told: list[str]) -> None:
    q = evaluation.queries
    print(f"target: {evaluation.target} ({evaluation.score.about.unit})")
    header = ("metric", "better", "fill", "value", "steps", "queries", "unanswered")
    print(table(header, [_row(figure) for figure in evaluation.figures], words=3))
    print(f"queries: {q.asked} asked, {q.sent} sent, {q.from_store} from the store, {q.unknown} unknown")
    said = [f"BEWARE: {warning}" for warning in told]
    if evaluation.unread:
        said.append(f"NOT READ: {not_read(evaluation.unread)}: the score made nothing of that")
    if evaluation.partial:
        said.append(f"PARTIAL: {evaluation.error}")
        said.append("the figures rest on what was answered; the same command again asks only for the rest")
        said += [f"  may have been billed: attempt {u.attempt} of {u.opened}: {u.reason}" for u in evaluation.unknown]
    for line in said:
        print(f"bbquery: {line}", file=sys.stderr)


def _row(figure: Figure) -> tuple[str, ...]:
    value = "unknown" if math.isnan(figure.value) else f"{figure.value:.4g}"
    if not figure.queries:
        return figure.metric, figure.better, "-", value, "-", "-", "-"
    return (
        figure.metric, figure.better, figure.fill, value, str(figure.steps), str(figure.queries),
        str(figure.unanswered),
    )  # fmt: skip
