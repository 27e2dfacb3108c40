"""`bbquery.probe`: what a few queries tell of an oracle, and how it is best explained."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bbquery.jobs.consent import paying
from bbquery.jobs.probe.job import ProbeRequest, prepared
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
    from bbquery.jobs.probe.result import Probe
    from bbquery.jobs.request import AnyOracle
    from bbquery.jobs.watch import Watch
    from bbquery.jobs.watched import Progress
    from bbquery.ledger.ledger import Ledger


@public
async def probe_async(
    image: Source,
    oracle: AnyOracle = DEFAULT_ORACLE,
    *,
    classes: str | Sequence[str] | None = None,
    target: str | Sequence[str] | None = None,
    score: str | Sequence[str] = (),
    max_queries: int | None = None,
    max_tokens: int | None = None,
    max_usd: str | float | Decimal | None = None,
    project: str | None = None,
    spare: int | None = None,
    seed: int = 0,
    ledger: Ledger | None = None,
    progress: Progress = None,
    watch: Watch | None = None,
    longest_wait: float | None = None,
) -> Probe:
    """Ask an image and masked copies of it, at most `max_queries` (default: 100), and say how it is best explained.

    Where a query costs money there is no default: max_queries, max_usd or a project with a cap in dollars must be said.

    score: specifications to compare, or one text of them such as "soft,hard"; none means every score that suits the
    oracle's answers, in each of its forms. The other options are those of `bbquery.explain_async`.

    Fewer queries are planned where the worst case of so many would pass a cap, so that a cap does not end the run. A
    run that is stopped early (budget, oracle, person) returns what it has; `error` and `partial` say so.

    Raises:
        UsageError: bad input, no score suits, or the caps are too small; found before anything is sent.
        OracleError, BudgetExhausted: not even the unperturbed image was answered.
    """
    scores = split_specifications(score) if isinstance(score, str) else texts("score", score)
    with watched(watch, progress) as heard:
        request = ProbeRequest(
            image=image, oracle=oracle, classes=classes, target=target, scores=scores,
            cap=Cap.stated(max_queries, max_tokens, max_usd), project=project, spare=spare, seed=seed, ledger=ledger,
            watch=heard, longest_wait=longest_wait,
        )  # fmt: skip
        async with prepared(request) as job:
            with paying(request, job.oracle, lambda: job.worst) as opened:
                return await job.run(opened)


probe = synchronous(probe_async)
