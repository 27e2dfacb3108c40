"""`bbquery.compare`: several methods on one image, in one run."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bbquery.drift import DEFAULT_EVERY
from bbquery.jobs.compare.job import CompareRequest, prepared
from bbquery.jobs.consent import paying
from bbquery.jobs.public import public
from bbquery.jobs.request import DEFAULT_ORACLE
from bbquery.jobs.synchronous import synchronous
from bbquery.jobs.watched import watched
from bbquery.ledger.records import Cap
from bbquery.option_types import texts
from bbquery.specification import split_specifications

if TYPE_CHECKING:
    from collections.abc import Sequence
    from decimal import Decimal

    from bbquery.images.reading import Source
    from bbquery.jobs.compare.result import Comparison
    from bbquery.jobs.request import AnyOracle
    from bbquery.jobs.watch import Watch
    from bbquery.jobs.watched import Progress
    from bbquery.ledger.ledger import Ledger
    from bbquery.scoring.base import Score


@public
async def compare_async(
    image: Source,
    oracle: AnyOracle = DEFAULT_ORACLE,
    *,
    classes: str | Sequence[str] | None = None,
    methods: str | Sequence[str],
    target: str | None = None,
    score: Score | str | None = None,
    evaluate: bool = False,
    max_queries: int | None = None,
    max_tokens: int | None = None,
    max_usd: str | float | Decimal | None = None,
    project: str | None = None,
    spare: int | None = None,
    drift_every: int = DEFAULT_EVERY,
    seed: int = 0,
    ledger: Ledger | None = None,
    progress: Progress = None,
    watch: Watch | None = None,
    longest_wait: float | None = None,
) -> Comparison:
    """Explain an image by several methods, one after another, each with at most `max_queries` queries (default: 1,000).

    Where a query costs money there is no default: max_queries, max_usd or a project with a cap in dollars must be said.

    methods: 2 to 8 different specifications, or one text of them such as "rise,lr:sigma=8,batch=64". target: one, of
    all maps; None takes the top class. evaluate: also measure each map by deletion and insertion, 113 queries more for
    each. max_queries: the cap of each method, measuring its map not counted. max_tokens, max_usd: caps of all together.
    spare: queries of each method that are kept for lost ones. The other options are those of `bbquery.explain_async`.

    What methods ask alike is paid once. A method that reaches its own cap, or cannot explain this image, leaves the
    others alone; each result says by `status` and `error` what became of it.

    Raises:
        UsageError: bad input, in any method, found before anything is sent. Later causes are in the results instead.
    """
    several = split_specifications(methods) if isinstance(methods, str) else texts("methods", methods)
    with watched(watch, progress) as heard:
        request = CompareRequest(
            image=image, oracle=oracle, classes=classes, methods=several, target=target, score=score, evaluate=evaluate,
            cap=Cap.stated(max_queries, max_tokens, max_usd), project=project, spare=spare, drift_every=drift_every,
            seed=seed, ledger=ledger, watch=heard, longest_wait=longest_wait,
        )  # fmt: skip
        async with prepared(request) as job:
            with paying(request, job.first.oracle, lambda: job.first.worst) as opened:
                return await job.run(opened)


compare = synchronous(compare_async)
