"""`bbquery.attack`: a stress test of one image, within a hard budget."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bbquery.drift import DEFAULT_EVERY
from bbquery.jobs.attack.goal import DEFAULT_CRITERION
from bbquery.jobs.attack.preparation import prepared
from bbquery.jobs.attack.request import DEFAULT_ATTACK, DEFAULT_RMSE, AttackRequest
from bbquery.jobs.consent import paying
from bbquery.jobs.public import public
from bbquery.jobs.synchronous import synchronous
from bbquery.jobs.watched import watched
from bbquery.ledger.records import Cap

if TYPE_CHECKING:
    from collections.abc import Sequence
    from decimal import Decimal

    from bbquery.attacks import Attack
    from bbquery.images.reading import Source
    from bbquery.jobs.attack.result import Stress
    from bbquery.jobs.request import AnyOracle
    from bbquery.jobs.watch import Watch
    from bbquery.jobs.watched import Progress
    from bbquery.ledger.ledger import Ledger
    from bbquery.scoring.base import Score
    from bbquery.scoring.criteria import Criterion


@public
async def attack_async(
    image: Source,
    oracle: AnyOracle,
    *,
    classes: str | Sequence[str] | None = None,
    max_queries: int,
    attack: Attack | str = DEFAULT_ATTACK,
    rmse: Sequence[float] = DEFAULT_RMSE,
    linf: Sequence[float] = (),
    target: str | None = None,
    target_class: str | None = None,
    start: Source | None = None,
    criterion: Criterion = DEFAULT_CRITERION,
    tau: float = 0.0,
    check_preprocessing: int = 0,
    score: Score | str | None = None,
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
) -> Stress:
    """Look for the nearest image whose label an oracle changes, asking at most `max_queries` queries.

    Only for models that you own or are authorised to test. attack: an object, or a specification such as
    "lr_mifgsm:steps=10"; unless it says otherwise it asks all queries that the clean image, its checks and the
    verification leave, within a first ball of the largest `rmse`. rmse, linf: the distances, by either norm, at which
    success is reported, 0 to 1. target: the image's true label, which must be lost; None takes the clean answer's own.
    target_class: the label that must be reached; None for any other. start: an image to begin at, such as a photo of
    the target class: it is sent like the clean one, and must reach the goal. criterion: by which of "s1", "s2" and "s3"
    the label of a list is lost (see `bbquery.scoring.criteria`); all are judged of what is found. tau: the score above
    which a label counts for "s3". check_preprocessing: queries, of `max_queries`, that ask whether the change survives
    compression, resizing, cropping and rounding; 0 for none. score: an object or specification; None is WordNet's
    similarity ("hard") where the labels are nouns, else whether the label is the same ("label"). The other options are
    those of `bbquery.explain_async`.

    A run that is stopped early returns the best so far; `error` and `stopped` say so.

    Raises:
        UsageError: bad input or too small a cap, found before anything is sent; or, found by asking it once, a start
            image that does not reach the goal.
        OracleError, BudgetExhausted: not even the clean image was answered.
    """
    with watched(watch, progress) as heard:
        request = AttackRequest(
            image=image, oracle=oracle, classes=classes, attack=attack, rmse=rmse, linf=linf, target=target,
            target_class=target_class, start=start, criterion=criterion, tau=tau,
            check_preprocessing=check_preprocessing, score=score, cap=Cap.stated(max_queries, max_tokens, max_usd),
            project=project, spare=spare, drift_every=drift_every, seed=seed, ledger=ledger, watch=heard,
            longest_wait=longest_wait,
        )  # fmt: skip
        async with prepared(request) as job:
            with paying(request, job.oracle, lambda: job.worst) as opened:
                return await job.run(opened)


attack = synchronous(attack_async)
