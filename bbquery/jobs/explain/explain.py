"""Explain one decision: the main job, from a photo and an oracle to maps in the photo's own coordinates."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Sequence
from typing import TYPE_CHECKING, Any

from bbquery.client import waiting
from bbquery.drift import DEFAULT_EVERY
from bbquery.errors import UsageError
from bbquery.images import reading
from bbquery.jobs import consent
from bbquery.jobs.defaults import DEFAULT_METHOD, DEFAULT_QUERIES, score_for
from bbquery.jobs.explain.job import Job, open_run, run_name
from bbquery.jobs.explain.result import Explanation, NothingToExplain, TargetMap, top_classes
from bbquery.jobs.explain.setting import Setting, connection, setting
from bbquery.jobs.watch import Part, Watch
from bbquery.ledger.records import Cap
from bbquery.ledger.sqlite import open_ledger

if TYPE_CHECKING:
    import os
    from decimal import Decimal

    from bbquery.ledger.sqlite import Ledger
    from bbquery.oracle import Oracle
    from bbquery.saliency import Method
    from bbquery.scoring.base import Score
    from bbquery.types import Image

__all__ = [
    "DEFAULT_METHOD",
    "DEFAULT_QUERIES",
    "Explanation",
    "Job",
    "NothingToExplain",
    "Part",
    "Setting",
    "TargetMap",
    "Watch",
    "connection",
    "explain",
    "explain_async",
    "open_run",
    "prepared",
    "run_name",
    "score_for",
    "setting",
    "top_classes",
]


def explain(
    image: str | os.PathLike[str] | Image, oracle: Oracle | str = "efficientnet", **options: Any
) -> Explanation:
    """Explain why an oracle answers a target for an image; the synchronous form of `explain_async`, same options.

    Raises:
        UsageError: called inside a running event loop: use `await explain_async(...)` there.
    """
    with contextlib.suppress(RuntimeError):
        asyncio.get_running_loop()
        raise UsageError("an event loop is running: use 'await bbquery.explain_async(...)'")
    return asyncio.run(explain_async(image, oracle, **options))


async def explain_async(
    image: str | os.PathLike[str] | Image,
    oracle: Oracle | str = "efficientnet",
    *,
    method: Method | str = DEFAULT_METHOD,
    target: str | Sequence[str] | None = None,
    score: Score | str | None = None,
    max_queries: int | None = None,
    max_tokens: int | None = None,
    max_usd: str | Decimal | None = None,
    project: str | None = None,
    spare: int | None = None,
    drift_every: int = DEFAULT_EVERY,
    seed: int = 0,
    batch: bool = False,
    ledger: Ledger | None = None,
    watch: Watch | None = None,
    longest_wait: float | None = None,
) -> Explanation:
    """Explain why an oracle answers `target` for an image, asking at most `max_queries` queries (default: 1,000).

    Where a query costs money there is no default: max_queries, max_usd or a project with a cap in dollars must be said.

    image: a path, "sample:NAME" or an array (H, W, 3). oracle: an object, which stays open, or a specification such
    as "http:url=http://127.0.0.1:8000". method: an object, or a specification such as "lr:sigma=8"; unless it says
    otherwise it asks all queries that the unperturbed image and its checks leave. target: a class or several, each by
    key, name or index, in this order ("#3" is the index alone); None takes the top class. Several targets share one
    set of queries where the method does not adapt. "cat+dog" is one target, of a set of classes, where the score
    takes such. score: how an answer becomes a number, an object or a specification such as "soft:form=margin"; None
    takes the probability or score of a class or label, and of a text whether it mentions the target. max_tokens,
    max_usd: further caps of the run, None for none. project: a budget, made before, that this run counts in too.
    spare: how many of the queries are kept for lost ones, which may have been billed without an answer; None keeps one
    in 50, of a free oracle none. drift_every: queries between checks that a remote model stays the same, 0 for none.
    seed: decides every random choice. batch: ask by the file, within hours and at the price of that; a person's stop
    then raises Interrupted, and the same again collects. ledger: holds budgets and answers; None opens the default one.
    longest_wait: seconds that the run waits for an oracle that asks to be left alone, 900 by default; a longer wait
    ends it like a used-up quota.

    A run that is stopped early (budget, oracle, person) returns what it has; `error` and `partial` say so.

    Raises:
        UsageError: bad input, found before anything is sent.
        OracleError, BudgetExhausted: not even the unperturbed image was answered.
    """
    began = time.perf_counter()
    most = DEFAULT_QUERIES if max_queries is None else max_queries
    async with prepared(
        image, oracle, method=method, target=target, score=score, max_queries=most, drift_every=drift_every,
        seed=seed, spare=spare,
    ) as job:  # fmt: skip
        cap = Cap.stated(most, max_tokens, max_usd)
        chosen = job.by_the_file() if batch else job
        with open_ledger(ledger) as opened, waiting.at_most(longest_wait):
            consent.check(job.oracle.capabilities.name, lambda: job.worst, (max_queries, max_usd), opened, project)
            return await chosen.run(opened, cap, project, watch or Watch(), began)


@contextlib.asynccontextmanager
async def prepared(
    image: str | os.PathLike[str] | Image,
    oracle: Oracle | str,
    *,
    method: Method | str,
    target: str | Sequence[str] | None,
    max_queries: int,
    drift_every: int,
    seed: int,
    score: Score | str | None = None,
    spare: int | None = None,
) -> AsyncIterator[Job]:
    """Check everything that can be checked before a query; give what is ready to run, or to be estimated."""
    photo = reading.load(image)
    async with setting(
        oracle, method=method, target=target, score=score, max_queries=max_queries, drift_every=drift_every, seed=seed,
        spare=spare,
    ) as chosen:  # fmt: skip
        yield chosen.job(photo, reading.called(image))
