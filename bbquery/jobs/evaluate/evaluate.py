"""`bbquery.evaluate`: how good a saliency map is, asked within a budget."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bbquery.jobs.consent import paying
from bbquery.jobs.evaluate.choice import Choice
from bbquery.jobs.evaluate.job import EvaluateRequest, prepared
from bbquery.jobs.request import DEFAULT_ORACLE
from bbquery.jobs.synchronous import synchronous
from bbquery.ledger.records import Cap

if TYPE_CHECKING:
    import os
    from decimal import Decimal

    import numpy as np
    from numpy.typing import NDArray

    from bbquery.jobs.evaluate.result import Evaluation
    from bbquery.jobs.watch import Watch
    from bbquery.ledger.sqlite import Ledger
    from bbquery.oracle import Oracle
    from bbquery.scoring.base import Score
    from bbquery.types import Image


async def evaluate_async(
    values: NDArray[np.float64],
    image: str | os.PathLike[str] | Image,
    oracle: Oracle | str = DEFAULT_ORACLE,
    *,
    choice: Choice | None = None,
    target: str | None = None,
    score: Score | str | None = None,
    max_queries: int | None = None,
    max_tokens: int | None = None,
    max_usd: str | Decimal | None = None,
    project: str | None = None,
    seed: int = 0,
    ledger: Ledger | None = None,
    watch: Watch | None = None,
    longest_wait: float | None = None,
) -> Evaluation:
    """Ask an oracle how good a map of an image is, at most `max_queries` queries (default: 1,000).

    Where a query costs money there is no default: max_queries, max_usd or a project with a cap in dollars must be said.

    values: (H, W) in the photo's coordinates, NaN where the oracle saw nothing; or of the pixels that are sent; for
    gradient_cosine alone also a gradient (h, w, 3) of those. choice: which metrics, and how; those that explain again
    need `Choice.made`. target: whose evidence the map shows; None takes the top class. image, oracle, score,
    max_tokens, max_usd, project, ledger, longest_wait: as of `bbquery.explain_async`. seed: of ties, random parts and
    fills.

    A run that is stopped early (budget, oracle, person) returns what it has; `error` and `partial` say so.

    Raises:
        UsageError: bad input, found before anything is sent.
        OracleError, BudgetExhausted: not even the unperturbed image was answered.
    """
    request = EvaluateRequest(
        values=values, image=image, oracle=oracle, choice=choice or Choice(), target=target, score=score,
        cap=Cap.stated(max_queries, max_tokens, max_usd), project=project, seed=seed, ledger=ledger, watch=watch,
        longest_wait=longest_wait,
    )  # fmt: skip
    async with prepared(request) as job:
        with paying(request, job.oracle, job.worst) as opened:
            return await job.run(opened)


evaluate = synchronous(evaluate_async)
