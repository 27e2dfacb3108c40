"""Preparation of an attack: what can be checked before a query is; then it is ready to run, or to be estimated."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from bbquery import load
from bbquery.errors import UnknownName, UsageError
from bbquery.images import reading
from bbquery.images.placement import fit
from bbquery.jobs.attack.job import AttackJob, overhead
from bbquery.jobs.job import connection
from bbquery.jobs.spare import kept
from bbquery.scoring.mention import BoundMention
from bbquery.scoring.wordnet.data import COMMAND, find
from bbquery.specification import constructor
from bbquery.types import Text

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from bbquery.attacks import Attack
    from bbquery.images.reading import Source
    from bbquery.jobs.attack.goal import Goal
    from bbquery.jobs.attack.request import AttackRequest
    from bbquery.oracle import Capabilities, Oracle
    from bbquery.scoring.base import Score
    from bbquery.types import Image

PLENTY = 10**9  # queries: as many as any attack needs


@contextlib.asynccontextmanager
async def prepared(request: AttackRequest) -> AsyncIterator[AttackJob]:
    """Check everything that can be checked before a query; give what is ready to run, or to be estimated."""
    photo = reading.load(request.image)
    async with connection(request) as oracle:
        yield job_of(request, oracle, photo)


def job_of(request: AttackRequest, oracle: Oracle, photo: NDArray[np.uint8]) -> AttackJob:
    """Return the attack that is requested, checked and ready to run. photo: what the image holds, (H, W, 3).

    Raises:
        UsageError: it cannot be asked as it is requested.
    """
    capabilities = oracle.capabilities
    if capabilities.domain.dtype != "uint8":
        raise UsageError(f"{capabilities.name} takes floating-point pixels; attacks are exact on 8-bit pixels only")
    scores = _scores(capabilities, request.score, request.targets, request.goal)
    spare = kept(request.queries, capabilities.price, request.spare)
    every = request.every(capabilities)
    chosen = _attack(request, spare, every)
    x, placement = fit(photo, capabilities.view, capabilities.domain)
    job = AttackJob(
        request=request, oracle=oracle, photo=photo, x=x, placement=placement, attack=chosen, scores=scores,
        start=None if request.start is None else _start(request.start, x, capabilities), spare=spare,
    )  # fmt: skip
    job.search_cap()  # before anything is asked
    return job


def _start(start: Source, x: Image, capabilities: Capabilities) -> Image:
    """Return an image to begin at as it is sent: of the same view as the clean one, and of its size."""
    view = replace(capabilities.view, size=(x.shape[0], x.shape[1]))
    return fit(reading.load(start), view, capabilities.domain)[0]


def _scores(capabilities: Capabilities, wanted: Score | str | None, targets: Sequence[str], goal: Goal) -> list[Score]:
    """Return the scores to try on the clean answer, in this order.

    Raises:
        UsageError: the one that is wanted, or every usual one, cannot read the answers, or tell when the goal is
            reached.
    """
    if wanted is not None:
        scores = [load.score_for(capabilities, wanted)]
    else:
        scores = [load.score("label")] if capabilities.answers == "text" else [load.score("hard"), load.score("label")]
    named = targets if goal.target_class is None else [*targets, goal.target_class]
    check_mentioned(capabilities, named)
    for score in scores[:-1]:
        with contextlib.suppress(UsageError):
            _check(score, capabilities, targets, goal)
            return [score, scores[-1]]
    _check(scores[-1], capabilities, targets, goal)
    return scores[-1:]


def without_wordnet(capabilities: Capabilities, wanted: Score | str | None) -> str:
    """Return which score is used, and why, where only WordNet is missing for the usual one; else an empty text."""
    if wanted is not None or capabilities.answers == "text":
        return ""
    try:
        find()
    except UsageError:
        return f"the score is 'label', as there is no WordNet for 'hard' ('{COMMAND}' gets it): results differ by that"
    return ""


def _check(score: Score, capabilities: Capabilities, targets: Sequence[str], goal: Goal) -> None:
    score.check(capabilities, targets)
    goal.check(capabilities, next(iter(targets), None), score)


def check_mentioned(capabilities: Capabilities, targets: Sequence[str]) -> None:
    """See that a text can mention the target: one of a closed set does where the name of a class does.

    Raises:
        UnknownName: no class does.
    """
    if capabilities.answers != "text" or capabilities.classes is None:
        return
    names = [name for of_class in capabilities.classes.names for name in of_class]
    for target in targets:
        mentioned, _ = BoundMention(target)([Text(name) for name in names])
        if not mentioned.any():
            raise UnknownName("label", target, names)


def _attack(request: AttackRequest, spare: int, every: int) -> Attack:
    """Make the attack, and see that its queries fit into the cap. spare: of these, kept for lost ones."""
    attack, queries = request.attack, request.queries
    others = overhead(queries - spare, every) + request.further
    left = queries - spare - others
    lost = f", and {spare} are kept for lost ones" if spare else ""
    message = f"of {queries} queries the clean image, its checks and the verification take {others}{lost}"
    if left < 1:
        raise UsageError(f"{message}: allow more with --max-queries")
    chosen = (
        _made(attack, left, request.thresholds[0], message) if isinstance(attack, str) else load.given("attack", attack)
    )
    if chosen.queries > left:
        raise UsageError(
            f"{message}, and {constructor(chosen)} asks {chosen.queries}: raise --max-queries or lower the attack's"
        )
    if request.start is not None and not getattr(chosen, "takes_start", True):  # of other libraries, not all do
        raise UsageError(f"{constructor(chosen)} takes no start image: leave out --start, or take another attack")
    return chosen


def _made(specification: str, left: int, rmse: float, message: str) -> Attack:
    """Make the attack that is specified. message: says how many of the cap's queries are left for it.

    Raises:
        UsageError: so many are too few for it, or an option is bad. UnknownName: no such attack or option.
    """
    try:
        return load.attack(specification, queries=left, rmse=rmse)
    except UsageError as error:
        load.attack(specification, queries=PLENTY, rmse=rmse)  # or raises, as no number of queries would help
        raise UsageError(f"{message}, which leaves {left}: {error}") from error
