"""`bbquery explain`: the main job, seen by a person."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import logging
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from bbquery import explanation as explaining
from bbquery import load, telemetry
from bbquery.commands.exit_codes import exit_code
from bbquery.commands.screen import Screen
from bbquery.drift import DEFAULT_EVERY
from bbquery.errors import BudgetExhausted, UsageError
from bbquery.money import dollars
from bbquery.report import folder

if TYPE_CHECKING:
    from bbquery.explanation import Explanation


def add(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Declare it."""
    explain = commands.add_parser("explain", help="make a saliency map of a photo", allow_abbrev=False)
    explain.set_defaults(run=_explain)
    explain.add_argument("image", metavar="IMAGE", help="a photo, or sample:NAME (sample:cat)")
    explain.add_argument("--oracle", default="efficientnet", metavar="NAME[:key=value,…]", help="whom to ask")
    explain.add_argument(
        "--method", default=explaining.DEFAULT_METHOD, metavar="NAME[:key=value,…]", help="how to explain"
    )
    explain.add_argument("--target", metavar="LABEL[,LABEL…]", help="what to explain (default: the top class)")
    explain.add_argument(
        "--max-queries",
        type=int,
        default=explaining.DEFAULT_QUERIES,
        metavar="N",
        help="the run's budget (default: %(default)s)",
    )
    explain.add_argument("--max-tokens", type=int, metavar="N", help="a further cap of the run, in tokens")
    explain.add_argument("--max-usd", metavar="X", help="a further cap of the run, in dollars")
    explain.add_argument("--project", metavar="NAME", help="a budget, made before, that the run counts in too")
    explain.add_argument(
        "--drift-every",
        type=int,
        default=DEFAULT_EVERY,
        metavar="N",
        help="queries between checks that a remote model stays the same, 0 for none (default: %(default)s)",
    )
    explain.add_argument("--log", type=Path, metavar="FILE", help="append a log to a file, one JSON object a line")
    explain.add_argument("--dry-run", action="store_true", help="show what it would cost; nothing is asked")
    explain.add_argument("--seed", type=_seed, default=0, metavar="S", help="decides every random choice (default: 0)")
    explain.add_argument("--out", type=Path, metavar="DIR", help="where to write (default: bbquery-out/IMAGE-METHOD)")


def _seed(text: str) -> int:
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number of at least 0")
    return int(text)


def _explain(chosen: argparse.Namespace) -> int:
    if chosen.dry_run:
        print(*asyncio.run(_estimated(chosen)), sep="\n")
        return 0
    out = folder.prepare(chosen.out or _default_folder(chosen.image, chosen.method))
    with _logged(chosen.log):
        explanation = asyncio.run(_explained(chosen))
    written = folder.write(explanation, out, command=chosen.typed, source=chosen.image)
    _report(explanation, chosen.method, written)
    return exit_code(explanation.error) if explanation.partial else 0


@contextlib.contextmanager
def _logged(path: Path | None) -> Iterator[None]:
    """Append the run's log records to a file, where one is given."""
    if path is None:
        yield
        return
    try:
        handler = telemetry.JsonLines(path, encoding="utf-8")
    except OSError as error:
        raise UsageError(f"cannot write the log {path}: {error.strerror}") from error
    before = telemetry.LOGGER.level
    telemetry.LOGGER.setLevel(logging.DEBUG)
    telemetry.LOGGER.addHandler(handler)
    try:
        yield
    finally:
        telemetry.LOGGER.removeHandler(handler)
        telemetry.LOGGER.setLevel(before)
        handler.close()


def _default_folder(image: str, method: str) -> Path:
    stem = Path(image.removeprefix("sample:")).stem or "image"
    return Path("bbquery-out") / f"{stem}-{load.parse(method)[0].replace(':', '.')}"


async def _explained(chosen: argparse.Namespace) -> Explanation:
    with Screen() as screen:
        return await explaining.explain_async(
            chosen.image,
            chosen.oracle,
            method=chosen.method,
            target=_targets(chosen.target),
            max_queries=chosen.max_queries,
            max_tokens=chosen.max_tokens,
            max_usd=chosen.max_usd,
            project=chosen.project,
            drift_every=chosen.drift_every,
            seed=chosen.seed,
            watch=screen,
        )


async def _estimated(chosen: argparse.Namespace) -> list[str]:
    async with explaining.prepared(
        chosen.image,
        chosen.oracle,
        method=chosen.method,
        target=_targets(chosen.target),
        max_queries=chosen.max_queries,
        drift_every=chosen.drift_every,
        seed=chosen.seed,
    ) as job:
        found, source = job.estimate(), job.oracle.capabilities.price.source
    duration = "unknown: no limits are known" if found.seconds is None else f"at least {found.seconds:,.0f} seconds"
    return [
        f"queries      {found.queries:,} at most, stored answers and retries not counted",
        f"tokens       {found.expected.tokens:,} expected, {found.worst.tokens:,} at worst",
        f"dollars      {dollars(found.expected.picodollars)} expected, {dollars(found.worst.picodollars)} at worst",
        f"prices       {source or 'none'}",
        f"time         {duration}",
        "nothing was asked",
    ]


def _targets(text: str | None) -> list[str] | None:
    if text is None:
        return None
    targets = [part.strip() for part in text.split(",")]
    if not all(targets):
        raise UsageError(f"--target {text!r} names an empty label: separate labels by single commas")
    return targets


def _report(explanation: Explanation, method: str, written: Sequence[Path]) -> None:
    q = explanation.queries
    print(f"queries: {q.asked} asked, {q.sent} sent, {q.from_store} from the store, {q.unknown} unknown")
    for reason in explanation.drift.reasons:
        print(f"bbquery: DRIFTED: {reason}: the map may rest on more than one model", file=sys.stderr)
    if explanation.partial:
        print(f"bbquery: PARTIAL: {explanation.error}", *_advice(explanation, method), sep="\n", file=sys.stderr)
    for path in written:
        print(path)


def _advice(explanation: Explanation, method: str) -> list[str]:
    """Say what a person can do about a partial result."""
    lines = ["the map rests on the queries that were answered; the same command again asks only for the rest"]
    if not isinstance(explanation.error, BudgetExhausted) or not explanation.unknown:
        return lines
    count, cap = len(explanation.unknown), explanation.budget.cap.queries or 0
    again = load.with_option(method, "queries", explanation.method.queries)
    return [
        *lines,
        f"{count} queries of this run may have been billed without an answer, so their budget stays held:",
        *(f"  attempt {u.attempt} of {u.opened}: {u.reason}" for u in explanation.unknown),
        f"use this partial result, or allow that many more: --method {again} --max-queries {cap + count}",
    ]
