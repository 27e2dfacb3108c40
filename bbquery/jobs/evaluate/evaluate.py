"""`bbquery.evaluate`: how good a saliency map is, asked within a budget."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from bbquery import load
from bbquery.errors import UsageError
from bbquery.jobs.consent import paying
from bbquery.jobs.evaluate import making, map_file, reference
from bbquery.jobs.evaluate import montage as montages
from bbquery.jobs.evaluate.choice import Choice
from bbquery.jobs.evaluate.job import EvaluateRequest, prepared
from bbquery.jobs.evaluate.made import judge
from bbquery.jobs.public import public
from bbquery.jobs.synchronous import synchronous
from bbquery.jobs.watched import watched
from bbquery.ledger.records import Cap
from bbquery.metrics import Box
from bbquery.option_types import items, path, whole
from bbquery.specification import split_specifications

if TYPE_CHECKING:
    import os
    from decimal import Decimal

    from numpy.typing import NDArray

    from bbquery.images.reading import Source
    from bbquery.jobs.evaluate.made import Made
    from bbquery.jobs.evaluate.result import Evaluation
    from bbquery.jobs.request import AnyOracle
    from bbquery.jobs.watch import Watch
    from bbquery.jobs.watched import Progress
    from bbquery.ledger.ledger import Ledger
    from bbquery.metrics import Metric
    from bbquery.perturb.baselines import AnyFill
    from bbquery.saliency import Method
    from bbquery.scoring.base import Score


@public
async def evaluate_async(
    map: NDArray[np.float64] | str | os.PathLike[str],  # noqa: A002 - it is called so on the command line too
    image: Source,
    oracle: AnyOracle | None = None,
    *,
    classes: str | Sequence[str] | None = None,
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
    montage: Sequence[Source] = (),
    gradient: NDArray[np.float64] | str | os.PathLike[str] | None = None,
    max_queries: int | None = None,
    max_tokens: int | None = None,
    max_usd: str | float | Decimal | None = None,
    project: str | None = None,
    seed: int = 0,
    ledger: Ledger | None = None,
    progress: Progress = None,
    watch: Watch | None = None,
    longest_wait: float | None = None,
) -> Evaluation:
    """Ask an oracle how good a map of an image is, at most `max_queries` queries (default: 1,000).

    Where a query costs money there is no default: max_queries, max_usd or a project with a cap in dollars must be said.

    map: an array, or a .npy file of one: (H, W) in the photo's coordinates, NaN where the oracle saw nothing; or of the
    pixels that are sent; for gradient_cosine alone also a gradient (h, w, 3) of those. Or the folder that `bbquery
    explain` wrote, or its run.json; where it holds several maps, `target` says which. Beside a map of such a folder,
    run.json says what is not said here. oracle: None takes that of run.json, else "efficientnet". score: None takes
    that of run.json, else the usual one for such answers. target: whose evidence the map shows; None takes that of
    run.json, else the top class. metrics: which; objects, specifications, or one text of several such as
    "srg,infidelity"; none means all that ask little. box: what the map should find, each (x, y, width, height) in
    pixels of the photo from the top left. steps: equal shares in which curves take pixels. copies: with a part hidden,
    of each of the fidelities. fill: what hides pixels, a name or a grey level of 0 to 255. insertion_fill: what
    insertion begins with. method: how the map was made, with its queries, for metrics that explain again; None takes
    that of run.json. They begin with the seed of run.json, else with `seed`. repeats: maps of other seeds, for
    repeatability. noisy_copies: copies of the photo, each with a map, for max_sensitivity. radius: the most that a
    value of those moves, in grey levels. montage: 3 or 8 photos of other things, for grid_pointing. gradient: the true
    one, for gradient_cosine, an array or a .npy file. seed: of ties, random parts and fills. The other options are
    those of `bbquery.explain_async`.

    A run that is stopped early (budget, oracle, person) returns what it has; `error` and `partial` say so. `warnings`
    says what must be known before the numbers are believed, such as a map that was made with the fill that judges it.

    Raises:
        UsageError: bad input, or a map that does not fit: its run.json names another photo, or another oracle or score
            than is asked although none was said. Found before anything is sent.
        OracleError, BudgetExhausted: not even the unperturbed image was answered.
    """
    names = tuple(split_specifications(metrics) if isinstance(metrics, str) else items("metrics", metrics))
    seed = whole("seed", seed, 0)  # it goes into how the map was made
    if not (method is None or isinstance(method, str)):
        load.given("method", method)
    chosen = making.named(names)
    values, made, of = _read(map, target, or_gradient=making.takes_gradient(chosen))
    making.check_taken(chosen, montage=bool(montage), gradient=gradient is not None)
    choice = Choice(
        names=names, boxes=tuple(_box(each) for each in items("box", box)), steps=steps, copies=copies, fill=fill,
        insertion_fill=insertion_fill, repeats=repeats, noisy_copies=noisy_copies, radius=radius,
        montage=tuple(montages.load(photo) for photo in items("montage", montage)), gradient=_reference(gradient),
        made=making.making(chosen, made, method, seed, gradient=gradient is not None),
    )  # fmt: skip
    by = judge(made, oracle, score, target)
    with watched(watch, progress) as heard:
        request = EvaluateRequest(
            values=values, image=image, oracle=by.oracle, classes=classes, choice=choice, target=by.target,
            score=by.score, made=made, of=of, named=by.named, cap=Cap.stated(max_queries, max_tokens, max_usd),
            project=project, seed=seed, ledger=ledger, watch=heard, longest_wait=longest_wait,
        )  # fmt: skip
        async with prepared(request) as job:
            with paying(request, job.oracle, lambda: job.worst) as opened:
                return await job.run(opened)


def _read(
    given: NDArray[np.float64] | str | os.PathLike[str], target: str | None, *, or_gradient: bool
) -> tuple[NDArray[np.float64], Made | None, str]:
    """Return a map, how it was made where a record says so, and where it is from, in words."""
    if isinstance(given, np.ndarray):
        if given.dtype.kind not in "biuf":
            raise UsageError(f"map must hold real numbers, not {given.dtype}")
        return given, None, f"array {given.shape} of {given.dtype}"
    found = map_file.read(path("map", given), target=target, or_gradient=or_gradient)
    return found.values, found.made, str(found.path)


def _box(given: Sequence[int]) -> Box:
    sides = given if isinstance(given, Sequence | np.ndarray) else ()
    if len(sides) != 4:
        raise UsageError(f"box must be several of four whole numbers, [(x, y, width, height)], and one is {given!r}")
    return Box(*(whole("each number of a box", side) for side in sides))


def _reference(gradient: NDArray[np.float64] | str | os.PathLike[str] | None) -> reference.Reference | None:
    if gradient is None or isinstance(gradient, np.ndarray):
        return None if gradient is None else reference.Reference(gradient)
    return reference.read(path("gradient", gradient))


evaluate = synchronous(evaluate_async)
