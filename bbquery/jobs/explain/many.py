"""Explain several images in one run: one oracle, one ledger, and budgets nested project > run > image.

Theory of operation.

1. Every image is decoded, fitted and hashed before the first query, then dropped, and decoded again in its turn:
   a run holds one image at a time, however many there are, and a damaged one is found before anything is paid.
2. Each image has a budget within the run's. Where the image's own cap ends it, or there is nothing to explain in it,
   the run goes on to the next. Whatever else ends it (the run's or the project's cap, the oracle, a person) would end
   the next one too: no more is begun.
3. A run is named after its images, what they are called and what decides their answers: the same again resumes the same
   budgets, and asks only for what was never answered.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import re
import time
from collections.abc import AsyncGenerator, AsyncIterator, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal, TypeAlias

from blake3 import blake3

from bbquery.client import waiting
from bbquery.drift import DEFAULT_EVERY
from bbquery.errors import BadImage, BbqueryError, BudgetExhausted, UsageError
from bbquery.images import reading, samples
from bbquery.jobs import consent
from bbquery.jobs.explain.explain import (
    DEFAULT_METHOD,
    DEFAULT_QUERIES,
    Explanation,
    NothingToExplain,
    Part,
    Setting,
    Watch,
    open_run,
    setting,
)
from bbquery.jobs.spare import Rest, not_begun
from bbquery.ledger.records import Cap
from bbquery.ledger.shares import share
from bbquery.ledger.sqlite import open_ledger

if TYPE_CHECKING:
    import os
    from decimal import Decimal

    from bbquery.images.placement import Placement
    from bbquery.jobs.estimate import Estimate
    from bbquery.jobs.explain.explain import Job
    from bbquery.ledger.sqlite import Ledger
    from bbquery.oracle import Oracle
    from bbquery.saliency import Method
    from bbquery.scoring.base import Score
    from bbquery.types import Image
    from bbquery.units import Units

    Source: TypeAlias = str | os.PathLike[str] | Image

Status: TypeAlias = Literal["complete", "partial", "failed", "not begun"]


@dataclass(frozen=True, eq=False)
class ImageResult:
    """What became of one of several images. name: how its budget and its folder end. source: as it was given.

    explanation: None where not even the unperturbed image was answered. error: what ended it early, None where nothing
    did. ended_run: whether that ended the run as a whole. rest: what completing it takes.
    """

    name: str
    source: Source
    explanation: Explanation | None
    error: BbqueryError | None
    ended_run: bool
    rest: Rest

    @property
    def status(self) -> Status:
        """Complete; partial: fewer answers than planned; failed: for a cause of its own; not begun: the run ended."""
        if self.explanation is None:
            return "not begun" if self.ended_run else "failed"
        return "partial" if self.explanation.partial else "complete"


async def explain_many(
    images: Iterable[Source],
    oracle: Oracle | str = "efficientnet",
    *,
    method: Method | str = DEFAULT_METHOD,
    target: str | Sequence[str] | None = None,
    score: Score | str | None = None,
    max_queries: int | None = None,
    max_tokens: int | None = None,
    max_usd: str | Decimal | None = None,
    max_queries_per_image: int | None = None,
    max_tokens_per_image: int | None = None,
    max_usd_per_image: str | Decimal | None = None,
    project: str | None = None,
    spare: int | None = None,
    drift_every: int = DEFAULT_EVERY,
    seed: int = 0,
    ledger: Ledger | None = None,
    watch: Watch | None = None,
    longest_wait: float | None = None,
) -> AsyncGenerator[ImageResult, None]:
    """Explain images one after another in one run; give each result as soon as it is there, in the order given.

    max_queries, max_tokens, max_usd: caps of the run; the images share what has no cap of its own evenly. The caps per
    image: where the run has none of its own, it may spend that much for every image (1,000 queries if nothing is said).
    project: a budget, made before, that the run counts in too. spare: queries of each image that are kept for lost
    ones. The other options are those of `explain_async`. Nothing
    is kept of a result that was given: drop it when it is written, and 50 photos need the memory of one. Leave early
    only through `contextlib.aclosing`, which settles what is in flight.

    Raises:
        UsageError: bad input, found in any image before anything is sent. Later causes are in the results instead.
    """
    run, each = shared_caps(
        sources := list(images),
        Cap.stated(max_queries, max_tokens, max_usd),
        Cap.stated(max_queries_per_image, max_tokens_per_image, max_usd_per_image),
    )
    async with prepared_many(
        sources, oracle, method=method, target=target, score=score, run=run, each=each, drift_every=drift_every,
        seed=seed, spare=spare,
    ) as series:  # fmt: skip
        with open_ledger(ledger) as opened:
            said = (max_queries, max_usd, max_queries_per_image, max_usd_per_image)
            worst = max((image.worst for image in series.images), key=lambda worst: worst.picodollars)
            consent.check(series.setting.oracle.capabilities.name, lambda: worst, said, opened, project)
            explained = series.explain(opened, project, watch or Watch(), longest_wait)
            async with contextlib.aclosing(explained) as results:
                async for result in results:
                    yield result
                    del result  # or two explanations are held while the next is made


def shared_caps(images: Sequence[Source], run: Cap, each: Cap) -> tuple[Cap, Cap]:
    """Return the caps of a run and of each of its images (see `bbquery.ledger.shares`), with the default queries.

    Raises:
        UsageError: there is no image, or the caps leave nothing for one.
    """
    if not images:
        raise UsageError("there is no image to explain: name at least one")
    if run.queries is None and each.queries is None:
        each = replace(each, queries=DEFAULT_QUERIES)
    return share(len(images), run, each)


@dataclass(frozen=True, eq=False)
class Checked:
    """An image that was decoded once. identity: what its explanation is (see `Job.identity`). estimate: its cost.

    worst: the most that one query may cost. placement: where on it the pixels lie that are sent.
    """

    name: str
    source: Source
    identity: str
    estimate: Estimate
    worst: Units
    placement: Placement


@contextlib.asynccontextmanager
async def prepared_many(
    images: Sequence[Source],
    oracle: Oracle | str,
    *,
    method: Method | str,
    target: str | Sequence[str] | None,
    run: Cap,
    each: Cap,
    drift_every: int,
    seed: int,
    score: Score | str | None = None,
    spare: int | None = None,
) -> AsyncIterator[Series]:
    """Check everything that can be checked before a query, every image included; give what is ready to run."""
    most = each.queries or DEFAULT_QUERIES
    async with setting(
        oracle, method=method, target=target, score=score, max_queries=most, drift_every=drift_every, seed=seed,
        images=len(images), spare=spare,
    ) as chosen:  # fmt: skip
        pairs = zip(names_of(images), images, strict=True)
        checked = [await asyncio.to_thread(_checked, chosen, name, source) for name, source in pairs]
        yield Series(chosen, tuple(checked), run, each)


def _checked(chosen: Setting, name: str, source: Source) -> Checked:
    job = chosen.job(reading.load(source))
    return Checked(name, source, job.identity(), job.estimate(), job.worst, job.placement)


@dataclass(frozen=True, eq=False)
class Series:
    """Several images, checked, none of them held, ready to be explained. run_cap, image_cap: of all, and of each."""

    setting: Setting
    images: tuple[Checked, ...]
    run_cap: Cap
    image_cap: Cap

    @property
    def run(self) -> str:
        """The hash of what this run is; a second run with the same resumes its budgets."""
        what = [[image.name, image.identity] for image in self.images]
        return blake3(json.dumps(what).encode()).hexdigest(length=8)

    async def explain(
        self, ledger: Ledger, project: str | None, watch: Watch, longest_wait: float | None = None
    ) -> AsyncGenerator[ImageResult, None]:
        """Ask, and give each image's result as soon as it is there. longest_wait: as of `explain_async`."""
        budget = open_run(ledger, self.run, self.run_cap, project, f"{len(self.images)} images")
        name = ledger.budget(budget).name
        stop: BbqueryError | None = None
        for place, image in enumerate(self.images):
            if stop is not None:
                yield ImageResult(image.name, image.source, None, stop, ended_run=True, rest=self._whole(image))
                continue
            watch.begins(Part(place, len(self.images), image.name, budget))
            with waiting.at_most(longest_wait):
                result = await self._explain_one(image, ledger, (name, budget), watch)
            stop = result.error if result.ended_run else None
            yield result
            del result

    async def _explain_one(self, image: Checked, ledger: Ledger, run: tuple[str, int], watch: Watch) -> ImageResult:
        """Explain an image in a budget of its own. run: name and id of the run's."""
        began = time.perf_counter()
        name = f"{run[0]}/{image.name}"
        explanation: Explanation | None = None
        rest = self._whole(image)
        error: BbqueryError | None
        try:
            job = await asyncio.to_thread(self._again, image)
            budget = ledger.open_budget(name, self.image_cap, run[1], image.name)
            rest = replace(rest, budget=ledger.budget(budget))
            explanation = await job.ask(ledger, budget, watch, began)
            error, rest = explanation.error, explanation.rest
        except BbqueryError as found:
            error = found
        ended = _ends_run(error, name)
        return ImageResult(image.name, image.source, explanation, error, ended_run=ended, rest=rest)

    def _whole(self, image: Checked) -> Rest:
        """Return what an image takes that was not begun."""
        queries, worst = image.estimate.queries, image.worst
        return not_begun(self.setting.allowed, queries, worst, self.image_cap)

    def _again(self, image: Checked) -> Job:
        """Decode an image again, and see that it is still the one that was checked."""
        job = self.setting.job(reading.load(image.source))
        if job.identity() != image.identity:
            raise BadImage(image.name, "it changed since the run began: run the same command again")
        return job


def _ends_run(error: BbqueryError | None, budget: str) -> bool:
    """Whether what ended an image would end the next one too. budget: the image's own."""
    if isinstance(error, BudgetExhausted):
        return error.budget != budget
    return error is not None and not isinstance(error, (BadImage, NothingToExplain))


# --- names ---


def names_of(images: Sequence[Source]) -> list[str]:
    """Return a name for each image, for its budget and its folder: that of its file, without the suffix.

    Names that differ at most in case get ~2, ~3 and so on, in the order given. "index.html" is left to the list of all.
    """
    names: list[str] = []
    taken = {"index.html"}
    for image in images:
        own, number = stem(image), 1
        name = own
        while name.casefold() in taken:
            number += 1
            name = f"{own}~{number}"
        taken.add(name.casefold())
        names.append(name)
    return names


def stem(image: Source) -> str:
    """Return what an image is called, in letters that people can read; "image" where it has no name."""
    if not isinstance(image, str) and not hasattr(image, "__fspath__"):
        return "image"
    own = Path(str(image).removeprefix(samples.PREFIX)).stem
    plain = "".join(letter if letter.isprintable() else "_" for letter in own)
    return "image" if re.fullmatch(r"[. ]*", plain) else plain
