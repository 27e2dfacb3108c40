"""`bbquery.evaluate`: how good a saliency map is, asked within a budget."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from bbquery.jobs.consent import paying
from bbquery.jobs.evaluate import montage as montages
from bbquery.jobs.evaluate import npy_file, provenance, reference
from bbquery.jobs.evaluate.choice import Choice
from bbquery.jobs.evaluate.job import EvaluateRequest, prepared
from bbquery.jobs.request import DEFAULT_ORACLE
from bbquery.jobs.synchronous import synchronous
from bbquery.ledger.records import Cap
from bbquery.metrics import Box
from bbquery.metrics._making import Making
from bbquery.specification import split_specifications

if TYPE_CHECKING:
    import os
    from collections.abc import Sequence
    from decimal import Decimal

    from numpy.typing import NDArray

    from bbquery.jobs.evaluate.result import Evaluation
    from bbquery.jobs.watch import Watch
    from bbquery.ledger.sqlite import Ledger
    from bbquery.metrics import Metric
    from bbquery.oracle import Oracle
    from bbquery.perturb.baselines import AnyFill
    from bbquery.saliency import Method
    from bbquery.scoring.base import Score
    from bbquery.types import Image


async def evaluate_async(
    map: NDArray[np.float64] | str | os.PathLike[str],  # noqa: A002 - it is called so on the command line too
    image: str | os.PathLike[str] | Image,
    oracle: Oracle | str = DEFAULT_ORACLE,
    *,
    target: str | None = None,
    score: Score | str | None = None,
    metrics: str | Sequence[str | Metric] = (),
    box: Sequence[tuple[int, int, int, int]] = (),
    steps: int = Choice.steps,
    copies: int = Choice.copies,
    fill: AnyFill = Choice.fill,
    insertion_fill: AnyFill = Choice.insertion_fill,
    method: Method | str | None = None,
    repeats: int = Choice.repeats,
    noisy_copies: int = Choice.noisy_copies,
    radius: float = Choice.radius,
    montage: Sequence[str | os.PathLike[str] | Image] = (),
    gradient: NDArray[np.float64] | str | os.PathLike[str] | None = None,
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

    map: an array, or a .npy file of one: (H, W) in the photo's coordinates, NaN where the oracle saw nothing; or of the
    pixels that are sent; for gradient_cosine alone also a gradient (h, w, 3) of those. target: whose evidence the map
    shows; None takes the top class. metrics: which; objects, specifications, or one text of several such as
    "srg,infidelity"; none means all that ask little. box: what the map should find, each (x, y, width, height) in
    pixels of the photo from the top left. steps: equal shares in which curves take pixels. copies: with a part hidden,
    of each of the fidelities. fill: what hides pixels, a name or a grey level of 0 to 255. insertion_fill: what
    insertion begins with. method: how the map was made, with its queries, for metrics that explain again; they begin
    with `seed`. repeats: maps of other seeds, for repeatability. noisy_copies: copies of the photo, each with a map,
    for max_sensitivity. radius: the most that a value of those moves, in grey levels. montage: 3 or 8 photos of other
    things, for grid_pointing. gradient: the true one, for gradient_cosine, an array or a .npy file. seed: of ties,
    random parts and fills. The other options are those of `bbquery.explain_async`.

    A run that is stopped early (budget, oracle, person) returns what it has; `error` and `partial` say so.

    Raises:
        UsageError: bad input, found before anything is sent.
        OracleError, BudgetExhausted: not even the unperturbed image was answered.
    """
    names = split_specifications(metrics) if isinstance(metrics, str) else metrics
    choice = Choice(
        names=tuple(names), boxes=tuple(Box(*each) for each in box), steps=steps, copies=copies, fill=fill,
        insertion_fill=insertion_fill, made=_making(method, seed), repeats=repeats, noisy_copies=noisy_copies,
        radius=radius, montage=tuple(montages.load(photo) for photo in montage), gradient=_reference(gradient),
    )  # fmt: skip
    values = map if isinstance(map, np.ndarray) else npy_file.read_map(Path(map), or_gradient=choice.takes_gradient)
    request = EvaluateRequest(
        values=values, image=image, oracle=oracle, choice=choice, target=target, score=score,
        cap=Cap.stated(max_queries, max_tokens, max_usd), project=project, seed=seed, ledger=ledger, watch=watch,
        longest_wait=longest_wait,
    )  # fmt: skip
    async with prepared(request) as job:
        with paying(request, job.oracle, lambda: job.worst) as opened:
            return await job.run(opened)


def _making(method: Method | str | None, seed: int) -> Making | None:
    if method is None:
        return None
    return Making(provenance.from_specification(method) if isinstance(method, str) else method, seed)


def _reference(gradient: NDArray[np.float64] | str | os.PathLike[str] | None) -> reference.Reference | None:
    if gradient is None or isinstance(gradient, np.ndarray):
        return None if gradient is None else reference.Reference(gradient)
    return reference.read(Path(gradient))


evaluate = synchronous(evaluate_async)
