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
import time
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from bbquery.errors import BadImage, BbqueryError, UsageError
from bbquery.images import reading
from bbquery.jobs.explain.job import name_of
from bbquery.jobs.explain.setting import ExplainRequest, Setting, setting
from bbquery.jobs.identity import identity
from bbquery.jobs.job import NothingToExplain, connection
from bbquery.jobs.names import names_of_images
from bbquery.jobs.parts import Part, ends_run
from bbquery.jobs.presented import brief, html_of_part, in_a_line
from bbquery.jobs.spare import Rest, not_begun
from bbquery.jobs.watch import Watch
from bbquery.ledger.projects import open_within
from bbquery.ledger.shares import share

if TYPE_CHECKING:
    from typing import Self

    from bbquery.images.placement import Placement
    from bbquery.images.reading import Source
    from bbquery.jobs.estimate import Estimate
    from bbquery.jobs.explain.job import ExplainJob
    from bbquery.jobs.explain.result import Explanation
    from bbquery.jobs.parts import Status
    from bbquery.ledger.ledger import Ledger
    from bbquery.ledger.records import BudgetState, Cap
    from bbquery.units import Units


@dataclass(frozen=True, eq=False)
class ImageResult:
    """The result of one of several images. name: how its budget and its folder end. source: as it was given.

    explanation: None where not even the unperturbed image was answered. error: what ended it early, None where nothing
    did. ended_run: whether that ended the run as a whole. rest: what completing it takes. run: the hash of what the run
    asks, of all images. budget: the run's, once this image was done. call: the text of the call from Python that made
    it; empty where a command did.
    """

    name: str
    source: Source
    explanation: Explanation | None
    error: BbqueryError | None
    ended_run: bool
    rest: Rest
    run: str
    budget: BudgetState
    call: str = ""

    def __repr__(self) -> str:
        """Return which image it is, and what came of it, in a line."""
        came = brief(self.error) if self.explanation is None else f"{self.explanation.queries.answered:,} queries"
        return in_a_line("ImageResult", repr(brief(self.name)), self.status, came)

    def called(self, call: str) -> Self:
        """Return it with the text of the call that made it."""
        explanation = None if self.explanation is None else self.explanation.called(call)
        return replace(self, call=call, explanation=explanation)

    def _repr_html_(self) -> str:
        """Return it for a notebook: how it ended, and the explanation where there is one."""
        return html_of_part(f"{self.name}: {self.status}", self.explanation, self.error)

    @property
    def status(self) -> Status:
        """Complete; partial: fewer answers than planned; failed: for a cause of its own; not begun: the run ended."""
        if self.explanation is None:
            return "not begun" if self.ended_run else "failed"
        return "partial" if self.explanation.partial else "complete"


@dataclass(frozen=True, kw_only=True, eq=False)
class SeriesRequest:
    """Images to be explained in one run. each: what is asked of any of them. run: the cap of all, each.cap of one."""

    images: Sequence[Source]
    each: ExplainRequest
    run: Cap


def shared_caps(images: Sequence[Source], run: Cap, each: Cap) -> tuple[Cap, Cap]:
    """Return the caps of a run and of each of its images (see `bbquery.ledger.shares`), with the default queries.

    Raises:
        UsageError: there is no image, or the caps leave nothing for one.
    """
    if not images:
        raise UsageError("there is no image to explain: name at least one")
    if run.queries is None and each.queries is None:
        each = replace(each, queries=ExplainRequest.DEFAULT_QUERIES)
    return share(len(images), run, each)


@dataclass(frozen=True, eq=False)
class Checked:
    """An image that was decoded once. identity: of its explanation. estimate: its cost.

    worst: the most that one query may cost. placement: where on it the pixels lie that are sent.
    """

    name: str
    source: Source
    identity: str
    estimate: Estimate
    worst: Units
    placement: Placement


@contextlib.asynccontextmanager
async def prepared_series(request: SeriesRequest) -> AsyncIterator[Series]:
    """Check everything that can be checked before a query, every image included; give what is ready to run."""
    async with connection(request.each) as oracle:
        chosen = setting(oracle, request.each, len(request.images))
        pairs = zip(names_of_images(request.images), request.images, strict=True)
        checked = [await asyncio.to_thread(_checked, chosen, name, source) for name, source in pairs]
        yield Series(chosen, tuple(checked), request.run)


def _checked(chosen: Setting, name: str, source: Source) -> Checked:
    job = chosen.job(source, reading.load(source))
    return Checked(name, source, job.identity(), job.estimate(), job.worst, job.placement)


@dataclass(frozen=True, eq=False)
class Series:
    """Several images, checked, none of them held, ready to be explained. cap: of all."""

    setting: Setting
    images: tuple[Checked, ...]
    cap: Cap

    @property
    def image_cap(self) -> Cap:
        """The cap of each image."""
        return self.setting.request.caps

    @property
    def worst(self) -> Units:
        """The most that one query may cost, whatever the image."""
        return max((image.worst for image in self.images), key=lambda worst: worst.picodollars)

    def identity(self) -> str:
        """Return the hash of what this run is; a second run with the same resumes its budgets."""
        return identity([[image.name, image.identity] for image in self.images])

    def open_budget(self, ledger: Ledger) -> int:
        """Make or resume the budget of all images together; return its id."""
        about = f"{len(self.images)} images"
        return open_within(ledger, self.setting.request.project, name_of(self.identity()), self.cap, about)

    async def run(self, ledger: Ledger) -> AsyncGenerator[ImageResult, None]:
        """Ask, and give each image's result as soon as it is there."""
        budget, watch = self.open_budget(ledger), self.setting.request.watch or Watch()
        name = ledger.budget(budget).name
        stop: BbqueryError | None = None
        for place, image in enumerate(self.images):
            if stop is not None:
                yield self._result(image, None, stop, self.whole(image), (ledger, budget), ended=True)
                continue
            watch.begins(Part(place, len(self.images), image.name, budget))
            result = await self._explain_one(image, ledger, (name, budget))
            stop = result.error if result.ended_run else None
            yield result
            del result

    async def _explain_one(self, image: Checked, ledger: Ledger, run: tuple[str, int]) -> ImageResult:
        """Explain an image in a budget of its own. run: name and id of the run's."""
        began = time.perf_counter()
        name = f"{run[0]}/{image.name}"
        explanation: Explanation | None = None
        rest = self.whole(image)
        error: BbqueryError | None
        try:
            job = await asyncio.to_thread(self._again, image)
            budget = ledger.open_budget(name, self.image_cap, run[1], image.name)
            rest = replace(rest, budget=ledger.budget(budget))
            explanation = await job.ask(ledger, budget, began)
            error, rest = explanation.error, explanation.rest
        except BbqueryError as found:
            error = found
        ended = ends_run(error, name, (BadImage, NothingToExplain))
        return self._result(image, explanation, error, rest, (ledger, run[1]), ended=ended)

    def _result(
        self, image: Checked, explanation: Explanation | None, error: BbqueryError | None, rest: Rest,
        run: tuple[Ledger, int], *, ended: bool,
    ) -> ImageResult:  # fmt: skip
        """Return what came of an image. run: where its budget is kept, and its id."""
        return ImageResult(
            image.name, image.source, explanation, error, ended_run=ended, rest=rest, run=self.identity(),
            budget=run[0].budget(run[1]),
        )  # fmt: skip

    def whole(self, image: Checked) -> Rest:
        """Return what an image takes that was not begun."""
        return not_begun(self.setting.allowed, image.estimate.queries, image.worst, self.image_cap)

    def _again(self, image: Checked) -> ExplainJob:
        """Decode an image again, and see that it is still the one that was checked."""
        job = self.setting.job(image.source, reading.load(image.source))
        if job.identity() != image.identity:
            raise BadImage(image.name, "it changed since the run began: run the same command again")
        return job
