"""`bbquery.explain`: from a photo and an oracle to maps in the photo's own coordinates; and the same for several."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncGenerator, Iterable, Sequence
from typing import TYPE_CHECKING

from bbquery.drift import DEFAULT_EVERY
from bbquery.jobs.consent import paying
from bbquery.jobs.defaults import DEFAULT_METHOD
from bbquery.jobs.explain.series import SeriesRequest, prepared_series, shared_caps
from bbquery.jobs.explain.setting import ExplainRequest, prepared
from bbquery.jobs.public import public, public_iterator
from bbquery.jobs.request import DEFAULT_ORACLE, several
from bbquery.jobs.synchronous import synchronous, synchronous_iterator
from bbquery.jobs.watched import watched
from bbquery.ledger.records import Cap

if TYPE_CHECKING:
    from decimal import Decimal

    from bbquery.images.reading import Source
    from bbquery.jobs.explain.result import Explanation
    from bbquery.jobs.explain.series import ImageResult
    from bbquery.jobs.request import AnyOracle
    from bbquery.jobs.watch import Watch
    from bbquery.jobs.watched import Progress
    from bbquery.ledger.ledger import Ledger
    from bbquery.saliency import Method
    from bbquery.scoring.base import Score


@public
async def explain_async(
    image: Source,
    oracle: AnyOracle = DEFAULT_ORACLE,
    *,
    classes: str | Sequence[str] | None = None,
    method: Method | str = DEFAULT_METHOD,
    target: str | Sequence[str] | None = None,
    score: Score | str | None = None,
    max_queries: int | None = None,
    max_tokens: int | None = None,
    max_usd: str | float | Decimal | None = None,
    project: str | None = None,
    spare: int | None = None,
    verify: int | None = None,
    drift_every: int = DEFAULT_EVERY,
    seed: int = 0,
    batch: bool = False,
    ledger: Ledger | None = None,
    progress: Progress = None,
    watch: Watch | None = None,
    longest_wait: float | None = None,
) -> Explanation:
    """Explain why an oracle answers `target` for an image, asking at most `max_queries` queries (default: 1,000).

    Where a query costs money there is no default: max_queries, max_usd or a project with a cap in dollars must be said.

    image: a path, "sample:NAME", the bytes of a file, a picture of Pillow, or an array (H, W, 3) or (H, W), of whole
    numbers 0 to 255 or floating-point numbers 0 to 1. oracle: an object, which stays open; a specification such as
    "http:url=http://127.0.0.1:8000"; the path of an ONNX file, which is given grey levels 0 to 255; or a plain function
    from an image (H, W, 3) uint8 to a probability for each class. classes: of a function, the names of its classes in
    order, a list or "cat|dog". method: an object, or a specification such as "lr:sigma=8"; unless it says otherwise it
    asks all queries that the unperturbed image and its checks leave. target: a class or several, each by key, name or
    index, in this order ("#3" is the index alone); None takes the top class. Several targets share one set of queries
    where the method does not adapt. "cat+dog" is one target, of a set of classes, where the score takes such. "each" is
    all that the first answer names (classes and labels with 1 % or more, objects with a box, the noun phrases of a text
    and all of it), with 8 maps at most, "each:N" with N, from one set of queries. score: how an answer becomes a
    number, an object or a specification such as "soft:form=margin"; None takes the probability or score of a class or
    label, and of a text whether it mentions the target. max_tokens, max_usd: further caps of the run, None for none; a
    float is the amount that Python writes for it. project: a budget, made before, that this run counts in too. spare:
    how many of the queries are kept for lost ones, which may have been billed without an answer; None keeps one in 50,
    of a free oracle none. verify: how many of the queries are kept for the verified facts of each map
    (`TargetMap.verified`), 0 for none: the smallest part found of the photo that alone keeps the answer, and the
    smallest whose hiding changes it, each asked twice. None keeps 24, but at most a quarter of the queries for all maps
    together, and none for a batch; of a method that states its own queries, facts take what these leave. drift_every:
    queries between checks that a remote model stays the same, 0 for none. seed: decides every random choice. batch: ask
    as a batch, within hours and at the price of that; a person's stop then raises Interrupted, and the same again
    collects. ledger: holds budgets and answers; None opens the default one. progress: True shows a bar; a function is
    told (queries answered, queries in all), on a thread of the run; None shows a bar in a notebook. watch: hears what
    happens meanwhile. longest_wait: seconds that the run waits for an oracle that asks to be left alone, 900 by
    default; a longer wait ends it like a used-up quota.

    A run that is stopped early (budget, oracle, person) returns what it has; `error` and `partial` say so.

    Raises:
        UsageError: bad input, found before anything is sent.
        OracleError, BudgetExhausted: not even the unperturbed image was answered.
    """
    with watched(watch, progress) as heard:
        request = ExplainRequest(
            image=image, oracle=oracle, classes=classes, method=method, target=target, score=score, batch=batch,
            cap=Cap.stated(max_queries, max_tokens, max_usd), project=project, spare=spare, verify=verify,
            drift_every=drift_every, seed=seed, ledger=ledger, watch=heard, longest_wait=longest_wait,
        )  # fmt: skip
        async with prepared(request) as job:
            with paying(request, job.oracle, lambda: job.worst) as opened:
                return await job.run(opened)


@public_iterator
async def explain_many_async(
    images: Iterable[Source],
    oracle: AnyOracle = DEFAULT_ORACLE,
    *,
    classes: str | Sequence[str] | None = None,
    method: Method | str = DEFAULT_METHOD,
    target: str | Sequence[str] | None = None,
    score: Score | str | None = None,
    max_queries: int | None = None,
    max_tokens: int | None = None,
    max_usd: str | float | Decimal | None = None,
    max_queries_per_image: int | None = None,
    max_tokens_per_image: int | None = None,
    max_usd_per_image: str | float | Decimal | None = None,
    project: str | None = None,
    spare: int | None = None,
    verify: int | None = None,
    drift_every: int = DEFAULT_EVERY,
    seed: int = 0,
    ledger: Ledger | None = None,
    progress: Progress = None,
    watch: Watch | None = None,
    longest_wait: float | None = None,
) -> AsyncGenerator[ImageResult, None]:
    """Explain images one after another in one run; give each result as soon as it is there, in the order given.

    max_queries, max_tokens, max_usd: caps of the run; the images share what has no cap of its own evenly. The caps per
    image: where the run has none of its own, it may spend that much for every image (1,000 queries if nothing is said).
    project: a budget, made before, that the run counts in too. spare: queries of each image that are kept for lost
    ones; verify: for the facts of each of its maps. The other options are those of `explain_async`.

    Nothing is kept of a result that was given: drop it when it is written, and 50 photos need the memory of one. Leave
    an asynchronous generator early only through `contextlib.aclosing`, which settles what is in flight.

    Raises:
        UsageError: bad input, found in any image before anything is sent. Later causes are in the results instead.
    """
    sources = several(images, "bbquery.explain")
    stated = Cap.stated(max_queries, max_tokens, max_usd)
    stated_each = Cap.stated(max_queries_per_image, max_tokens_per_image, max_usd_per_image)
    run, cap = shared_caps(sources, stated, stated_each)
    with watched(watch, progress) as heard:
        each = ExplainRequest(
            image=sources[0], oracle=oracle, classes=classes, method=method, target=target, score=score, cap=cap,
            project=project, spare=spare, verify=verify, drift_every=drift_every, seed=seed, ledger=ledger,
            watch=heard, longest_wait=longest_wait,
        )  # fmt: skip
        async with prepared_series(SeriesRequest(images=sources, each=each, run=run)) as series:
            with paying(each, series.setting.oracle, lambda: series.worst, [stated, stated_each]) as opened:
                async with contextlib.aclosing(series.run(opened)) as results:
                    async for result in results:
                        yield result
                        del result  # or two explanations are held while the next is made


explain = synchronous(explain_async)
explain_many = synchronous_iterator(explain_many_async)
