"""`bbquery.attack_many`: stress tests of several images by several attacks in one run."""

from __future__ import annotations

import contextlib
import typing
from collections.abc import AsyncGenerator, Iterable, Sequence
from typing import TYPE_CHECKING

from bbquery.attacks._control_kinds import Kind
from bbquery.drift import DEFAULT_EVERY
from bbquery.errors import UnknownName, UsageError
from bbquery.jobs.attack.goal import DEFAULT_CRITERION
from bbquery.jobs.attack.request import DEFAULT_ATTACK, DEFAULT_RMSE, AttackRequest
from bbquery.jobs.attack.series import AttackSeriesRequest, prepared_series
from bbquery.jobs.consent import paying
from bbquery.jobs.public import public_iterator
from bbquery.jobs.request import several
from bbquery.jobs.synchronous import synchronous_iterator
from bbquery.jobs.watched import watched
from bbquery.ledger.records import Cap
from bbquery.option_types import items, texts
from bbquery.specification import split_specifications

if TYPE_CHECKING:
    from decimal import Decimal

    from bbquery.attacks import Attack
    from bbquery.images.reading import Source
    from bbquery.jobs.attack.series import Attacked
    from bbquery.jobs.request import AnyOracle
    from bbquery.jobs.watch import Watch
    from bbquery.jobs.watched import Progress
    from bbquery.ledger.ledger import Ledger
    from bbquery.scoring.base import Score
    from bbquery.scoring.criteria import Criterion

KINDS: tuple[Kind, ...] = typing.get_args(Kind)


@public_iterator
async def attack_many_async(
    images: Iterable[Source],
    oracle: AnyOracle,
    *,
    classes: str | Sequence[str] | None = None,
    attack: Attack | str | Sequence[Attack | str] = DEFAULT_ATTACK,
    controls: Sequence[Kind] = (),
    rmse: Sequence[float] = DEFAULT_RMSE,
    linf: Sequence[float] = (),
    target: str | None = None,
    labels: Sequence[str | None] | None = None,
    target_class: str | None = None,
    start: Source | None = None,
    criterion: Criterion = DEFAULT_CRITERION,
    tau: float = 0.0,
    check_preprocessing: int = 0,
    score: Score | str | None = None,
    max_queries: int | None = None,
    max_tokens: int | None = None,
    max_usd: str | float | Decimal | None = None,
    max_queries_per_attack: int | None = None,
    max_tokens_per_attack: int | None = None,
    max_usd_per_attack: str | float | Decimal | None = None,
    project: str | None = None,
    spare: int | None = None,
    drift_every: int = DEFAULT_EVERY,
    seed: int = 0,
    ledger: Ledger | None = None,
    progress: Progress = None,
    watch: Watch | None = None,
    longest_wait: float | None = None,
) -> AsyncGenerator[Attacked, None]:
    """Attack images by one attack or several in one run; give each result as soon as all of an image are there.

    Only for models that you own or are authorised to test. The results come in the order given, image after image;
    images are attacked side by side.

    attack: one, or several, also as a text such as "lr_mifgsm,lr_mifgsm:steps=10,norm=linf". controls: kinds of random
    change ("random_sign", "gaussian", "impulse", "blur", "jpeg"), each of which is asked at every distance of `rmse`
    for as many queries as an attack may ask. target: the true label of all images. labels: instead, that of each, None
    for what the oracle says first; an image without its label is not attacked, and is no success.

    max_queries, max_tokens, max_usd: caps of the run; all attacks on all images share what has no cap of its own. The
    caps per attack are of each attack on each image: where the run has none of its own, it may spend that much for
    every one. A control counts as so many attacks as there are distances. One cap of queries must be given. spare:
    queries of each attack that are kept for lost ones. watch: hears of all parts; `Watch.beside` tells them apart. The
    other options are those of `bbquery.attack_async`.

    Nothing is kept of a result that was given: drop it when it is written. Leave an asynchronous generator early only
    through `contextlib.aclosing`, which settles what is in flight.

    Raises:
        UsageError: bad input, found in any image before anything is sent. Later causes are in the results instead.
    """
    sources = several(images, "bbquery.attack")
    stated = Cap.stated(max_queries, max_tokens, max_usd)
    stated_each = Cap.stated(max_queries_per_attack, max_tokens_per_attack, max_usd_per_attack)
    with watched(watch, progress) as heard:
        each = AttackRequest(
            image=sources[0] if sources else "", oracle=oracle, classes=classes, rmse=rmse, linf=linf, target=target,
            target_class=target_class, start=start, criterion=criterion, tau=tau,
            check_preprocessing=check_preprocessing, score=score, cap=stated_each, project=project, spare=spare,
            drift_every=drift_every, seed=seed, ledger=ledger, watch=heard, longest_wait=longest_wait,
        )  # fmt: skip
        request = AttackSeriesRequest(
            images=sources, attacks=several_attacks(attack), labels=_labels(labels, target),
            controls=kinds_of(controls), each=each, run=stated,
        )  # fmt: skip
        async with prepared_series(request) as series:
            with paying(each, series.oracle, lambda: series.worst, [stated, stated_each]) as opened:
                async with contextlib.aclosing(series.run(opened)) as results:
                    async for result in results:
                        yield result
                        del result  # or two are held while the next is made


def several_attacks(attack: Attack | str | Sequence[Attack | str]) -> list[Attack | str]:
    """Return attacks that are given as one, as a text of several, or as several."""
    if isinstance(attack, str):
        return list(split_specifications(attack))
    return list(attack) if isinstance(attack, Sequence) else [attack]


def kinds_of(controls: Sequence[str]) -> list[Kind]:
    """Return kinds of controls by their names.

    Raises:
        UnknownName: there is no such kind.
    """
    known: dict[str, Kind] = {kind: kind for kind in KINDS}
    names = texts("controls", controls)
    unknown = next((name for name in names if name not in known), None)
    if unknown is not None:
        raise UnknownName("kind of control", unknown, known)
    return [known[name] for name in names]


def _labels(labels: Sequence[str | None] | None, target: str | None) -> list[str | None]:
    """Return the true label of each image; none where one target is of all.

    Raises:
        UsageError: both are given, or they are no labels.
    """
    found = [] if labels is None else list(items("labels", labels))
    if not all(label is None or isinstance(label, str) for label in found):
        raise UsageError(f"labels must be several texts, one for each image, not {labels!r}")
    if found and target is not None:
        raise UsageError("target is the label of all images, and labels are of each: give one of them")
    return found


attack_many = synchronous_iterator(attack_many_async)
