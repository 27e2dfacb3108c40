"""Attack several images by several attacks in one run: budgets nested project > run > one attack on one image.

Theory of operation.

1. Every image is decoded, fitted and hashed, and every attack on it checked, before the first query. Then pixels are
   dropped, and decoded again in their turn: a damaged image, or one that is given twice, is found before anything is
   paid.
2. Images are attacked side by side, since an attack waits for its answers: so few at a time that few pixels are held.
   The attacks on one image follow one another, so what they ask alike, the clean image, is paid once: the store answers
   the second.
3. Each attack on each image has a budget within the run's. Where its own cap ends it, or a cause that lies in the
   image, the others go on. Whatever else ends it (the run's or the project's cap, the oracle, a person) would end the
   next one too: no more is begun.
4. A control (`bbquery.attacks._controls`) is asked like an attack, and may take as many queries at each distance as an
   attack takes in all: so its caps are those of an attack, times the number of distances.
5. A run is named after its images, what they are called and what decides their answers: the same again resumes the same
   budgets, and asks only for what was never answered. No answer depends on what else is asked at the time.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import time
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, TypeAlias

from bbquery import load
from bbquery.attacks._controls import Control
from bbquery.errors import BadImage, BbqueryError, UnknownName, UsageError
from bbquery.images import reading
from bbquery.jobs.attack.job import AttackJob
from bbquery.jobs.attack.preparation import job_of
from bbquery.jobs.attack.run import AttackedImage, AttackRun
from bbquery.jobs.identity import identity
from bbquery.jobs.job import NothingToExplain, connection
from bbquery.jobs.names import names_of_images, names_of_specifications
from bbquery.jobs.parts import Part, ends_run
from bbquery.jobs.presented import brief, html_of_part, in_a_line
from bbquery.jobs.spare import Rest, not_begun
from bbquery.jobs.watch import Watch
from bbquery.ledger import codec
from bbquery.ledger.projects import open_within
from bbquery.ledger.records import LARGEST_AMOUNT, Cap
from bbquery.ledger.shares import share
from bbquery.specification import constructor, type_name

if TYPE_CHECKING:
    from typing import Self

    import numpy as np
    from numpy.typing import NDArray

    from bbquery.attacks import Attack
    from bbquery.attacks._control_kinds import Kind
    from bbquery.images.placement import Placement
    from bbquery.images.reading import Source
    from bbquery.jobs.attack.request import AttackRequest
    from bbquery.jobs.attack.result import Stress
    from bbquery.jobs.estimate import Estimate
    from bbquery.jobs.parts import Status
    from bbquery.ledger.ledger import Ledger
    from bbquery.oracle import Oracle
    from bbquery.units import Units

SIDE_BY_SIDE = 8  # images
RESERVED = ("index.html", "attacks.json", "table.md", "table.csv", "distance.png")
"""Names of files beside the images' folders."""


@dataclass(frozen=True, eq=False)
class Attacked:
    """The result of one attack on one of several images. image, attack: how its budget and its folders are called.

    source: the image, as it was given. given: the attack, likewise. control: whether it is one, and no attack.
    stress: None where not even the clean image was answered. error: what ended it early, None where nothing did.
    ended_run: whether that ended the run as a whole. rest: what completing it takes. part_of: the run, as it stood when
    this was given. call: the text of the call from Python that made it; empty where a command did.
    """

    image: str
    attack: str
    source: Source
    given: str
    control: bool
    stress: Stress | None
    error: BbqueryError | None
    ended_run: bool
    rest: Rest
    part_of: AttackRun
    call: str = ""

    def __repr__(self) -> str:
        """Return which attack on which image it is, and what came of it, in a line."""
        stress = self.stress
        came = brief(self.error) if stress is None else f"{stress.outcome}, rmse={stress.rmse:.4f}"
        return in_a_line("Attacked", brief(self.name), self.status, came)

    def called(self, call: str) -> Self:
        """Return it with the text of the call that made it."""
        stress = None if self.stress is None else self.stress.called(call)
        return replace(self, call=call, stress=stress)

    def _repr_html_(self) -> str:
        """Return it for a notebook: how it ended, and what was found where the clean image was answered."""
        return html_of_part(f"{self.name}: {self.status}", self.stress, self.error)

    @property
    def name(self) -> str:
        """Image and attack, as its folders are called."""
        return f"{self.image}/{self.attack}"

    @property
    def status(self) -> Status:
        """Complete; partial: fewer answers than planned; failed: for a cause of its own; not begun: the run ended."""
        if self.stress is None:
            return "not begun" if self.ended_run else "failed"
        return "partial" if self.stress.partial else "complete"


@dataclass(frozen=True, kw_only=True, eq=False)
class AttackSeriesRequest:
    """Images to be attacked in one run, and how.

    labels: the true label of each image, None for what the oracle says first; empty: as `each` says. controls: kinds of
    change. each: what is asked by any attack of any image. run: the cap of all, each.cap of one attack on one image.

    Raises:
        UsageError: there is nothing to attack, or there is not one label for each image.
    """

    images: Sequence[Source]
    attacks: Sequence[Attack | str]
    labels: Sequence[str | None]
    controls: Sequence[Kind]
    each: AttackRequest
    run: Cap

    def __post_init__(self) -> None:
        if not self.images or not self.attacks:
            raise UsageError("there is nothing to attack: name at least one image and one attack")
        if self.labels and len(self.labels) != len(self.images):
            raise UsageError(f"labels must be one for each of {len(self.images)} images, not {len(self.labels)}")

    def shared(self) -> AttackSeriesRequest:
        """Return it with caps of the run and of each attack on each image (see `bbquery.ledger.shares`).

        A control counts as so many attacks as there are distances.

        Raises:
            UsageError: no number of queries was stated, or the caps leave nothing for each.
        """
        if self.run.queries is None and self.each.cap.queries is None:
            raise UsageError("say how much may be asked: --max-queries N of all, or --max-queries-per-attack N of each")
        of_one = len(self.attacks) + len(self.controls) * len(self.each.thresholds)
        run, each = share(len(self.images) * of_one, self.run, self.each.cap, "attack")
        return replace(self, run=run, each=replace(self.each, cap=each))


@dataclass(frozen=True)
class Way:
    """One attack, or one control, of all images. name: of its folders. given: as it was given, in words."""

    name: str
    given: str
    attack: Attack | str | Kind
    control: bool


@dataclass(frozen=True, eq=False)
class Checked:
    """One attack on an image that was decoded once. identity: of the attack alone. estimate: its cost at most.

    request: what is asked. planned, allowed: its queries, and those that its plan was made for.
    """

    way: Way
    request: AttackRequest
    identity: str
    estimate: Estimate
    planned: int
    allowed: int
    worst: Units

    @property
    def rest(self) -> Rest:
        """What it takes if it was not begun."""
        return not_begun(self.allowed, self.planned, self.worst, self.request.caps)


@dataclass(frozen=True, eq=False)
class CheckedImage:
    """An image that was decoded once, and all attacks on it. placement: where on it the pixels lie that are sent."""

    name: str
    source: Source
    pixels: str
    placement: Placement
    attacks: tuple[Checked, ...]


@contextlib.asynccontextmanager
async def prepared_series(request: AttackSeriesRequest) -> AsyncIterator[AttackSeries]:
    """Check everything that can be checked before a query, every image included; give what is ready to run.

    request: with the caps as they were stated.
    """
    began, request = time.perf_counter(), request.shared()
    ways, labels = _ways(request), request.labels or [request.each.one_target] * len(request.images)
    async with connection(request.each) as oracle:
        named = zip(names_of_images(request.images, RESERVED), request.images, labels, strict=True)
        images = []
        for name, source, label in named:
            each = replace(request.each, image=source, target=label)
            images.append(await asyncio.to_thread(_checked, oracle, each, name, ways))
        _refuse_twice(images)
        yield AttackSeries(request, oracle, tuple(images), time.perf_counter() - began)


def _ways(request: AttackSeriesRequest) -> list[Way]:
    """Return the attacks and controls in their order, each with a name of its own.

    Raises:
        UsageError: one is given twice.
    """
    given = [each if isinstance(each, str) else constructor(load.given("attack", each)) for each in request.attacks]
    several = [*given, *(f"control:kind={kind}" for kind in request.controls)]
    twice = next((each for each in several if several.count(each) > 1), None)
    if twice is not None:
        raise UsageError(f"{twice!r} is given twice: it would find the same images")
    specified = [each if isinstance(each, str) else type_name(each) for each in request.attacks]
    attacks = zip(names_of_specifications(specified), given, request.attacks, strict=True)
    controls = [Way(f"control-{kind}", f"control {kind}", kind, control=True) for kind in request.controls]
    return [*(Way(name, text, attack, control=False) for name, text, attack in attacks), *controls]


def _checked(oracle: Oracle, each: AttackRequest, name: str, ways: Sequence[Way]) -> CheckedImage:
    photo = reading.load(each.image)
    jobs, attacks = list[AttackJob](), list[Checked]()
    for way in ways:
        request = _request(each, way, jobs)
        try:
            jobs.append(job := job_of(request, oracle, photo))
        except (BadImage, UnknownName):
            raise
        except UsageError as error:
            raise UsageError(f"{way.given} on {name}, with {request.queries} queries of its own: {error}") from error
        allowed = request.queries - job.spare
        attacks.append(Checked(way, request, job.identity(), job.estimate(), job.planned, allowed, job.worst))
    return CheckedImage(name, each.image, codec.image_digest(photo).hex(), jobs[0].placement, tuple(attacks))


def _request(each: AttackRequest, way: Way, attacks: Sequence[AttackJob]) -> AttackRequest:
    """Return what one attack asks. attacks: those of the same image; a control asks as much as the longest of them.

    A control begins nowhere, and nobody asks what preprocessing does to it.
    """
    if not way.control:
        return replace(each, attack=way.attack)
    distances = each.thresholds
    most = max(job.attack.queries for job in attacks if not isinstance(job.attack, Control))
    control = Control(queries=len(distances) * most, kind=way.attack, distances=distances)  # type: ignore[arg-type] # its kind
    return replace(each, attack=control, cap=times(each.cap, len(distances)), start=None, check_preprocessing=0)


def times(cap: Cap, number: int) -> Cap:
    """Return caps so many times as large."""
    amounts = vars(cap).items()
    return Cap(**{unit: None if each is None else min(each * number, LARGEST_AMOUNT) for unit, each in amounts})


def _refuse_twice(images: Sequence[CheckedImage]) -> None:
    """Refuse an image that is given twice: it would count twice in what is said of all."""
    first: dict[str, str] = {}
    for image in images:
        other = first.setdefault(image.pixels, image.name)
        if other != image.name:
            raise UsageError(f"{image.name} and {other} are the same photo, which may count but once: give one of them")


Came: TypeAlias = Callable[..., Attacked]
"""Makes the result of an attack that is done, once the run that it is part of is known as it stands."""


@dataclass
class _Ending:
    """What ended the run, once something has."""

    error: BbqueryError | None = None


@dataclass(frozen=True, eq=False)
class AttackSeries:
    """Several images and attacks, checked, no pixels held, ready to run. prepared: seconds that this took."""

    request: AttackSeriesRequest
    oracle: Oracle
    images: tuple[CheckedImage, ...]
    prepared: float
    began: float = field(default_factory=time.perf_counter)

    @property
    def parts(self) -> list[tuple[CheckedImage, Checked]]:
        """Every attack on every image, in order."""
        return [(image, attack) for image in self.images for attack in image.attacks]

    @property
    def worst(self) -> Units:
        """The most that one query may cost, whatever the image."""
        return max((attack.worst for _, attack in self.parts), key=lambda worst: worst.picodollars)

    def identity(self) -> str:
        """Return the hash of what this run is; a second run with the same resumes its budgets."""
        return identity([[image.name, attack.way.name, attack.identity] for image, attack in self.parts])

    def open_budget(self, ledger: Ledger) -> int:
        """Make or resume the budget of all together; return its id."""
        about = f"{len(self.images)} images"
        return open_within(ledger, self.request.each.project, f"attack-{self.identity()}", self.request.run, about)

    def state(self, ledger: Ledger, budget: int) -> AttackRun:
        """Return the run as it stands. budget: its id."""
        each = self.request.each
        return AttackRun(
            run=self.identity(), thresholds=each.thresholds, linf_thresholds=each.linf_thresholds,
            images=tuple(
                AttackedImage(
                    image.name, reading.described(image.source), image.pixels, image.attacks[0].request.one_target
                )
                for image in self.images
            ),
            oracle=self.oracle.capabilities, seed=each.seed, budget=ledger.budget(budget),
            seconds={"prepare": self.prepared, "attack": time.perf_counter() - self.began},
        )  # fmt: skip

    async def run(self, ledger: Ledger) -> AsyncGenerator[Attacked, None]:
        """Ask, and give the result of each attack, image after image, as soon as all of an image are there."""
        budget, ending = self.open_budget(ledger), _Ending()
        waiting = list(enumerate(self.images))
        at_work: list[asyncio.Task[list[Came]]] = []
        try:
            while waiting or at_work:
                while waiting and len(at_work) < SIDE_BY_SIDE:
                    place, image = waiting.pop(0)
                    at_work.append(asyncio.create_task(self._image(place, image, ledger, budget, ending)))
                results = await at_work[0]
                del at_work[0]
                for came in results:
                    yield came(part_of=self.state(ledger, budget))
                    del came
                del results
        finally:
            for task in at_work:
                task.cancel()
            await asyncio.gather(*at_work, return_exceptions=True)

    async def _image(self, place: int, image: CheckedImage, ledger: Ledger, budget: int, ending: _Ending) -> list[Came]:
        """Run all attacks on an image, one after another."""
        results = []
        for number, attack in enumerate(image.attacks):
            part = Part(place * len(image.attacks) + number, len(self.parts), f"{image.name}/{attack.way.name}", budget)
            results.append(await self._one(part, image, attack, ledger, ending))
        return results

    async def _one(self, part: Part, image: CheckedImage, attack: Checked, ledger: Ledger, ending: _Ending) -> Came:
        """Run one attack in a budget of its own."""
        stress: Stress | None = None
        error, ended, rest = ending.error, True, attack.rest
        if error is None:
            stress, error, rest = await self._asked(part, attack, ledger)
            ended = ends_run(error, f"{ledger.budget(part.budget).name}/{part.name}", OF_ONE_IMAGE)
            if ended:
                ending.error = ending.error or error
        way = attack.way
        return functools.partial(
            Attacked,
            image.name,
            way.name,
            image.source,
            way.given,
            way.control,
            stress,
            error,
            ended_run=ended,
            rest=rest,
        )

    async def _asked(
        self, part: Part, attack: Checked, ledger: Ledger
    ) -> tuple[Stress | None, BbqueryError | None, Rest]:
        watch = (attack.request.watch or Watch()).beside(part)
        watch.begins(part)
        rest = attack.rest
        try:
            job = await asyncio.to_thread(self._again, part, attack, watch)
            name = f"{ledger.budget(part.budget).name}/{part.name}"
            own = ledger.open_budget(name, attack.request.caps, part.budget, reading.called(attack.request.image))
            rest = replace(rest, budget=ledger.budget(own))
            stress = await job.ask(ledger, own)
        except BbqueryError as found:
            return None, found, rest
        finally:
            watch.ends(part)
        return stress, stress.error, stress.rest

    def _again(self, part: Part, attack: Checked, watch: Watch) -> AttackJob:
        """Decode an image again, and see that it is still the one that was checked."""
        photo: NDArray[np.uint8] = reading.load(attack.request.image)
        job = job_of(replace(attack.request, watch=watch, began=time.perf_counter()), self.oracle, photo)
        if job.identity() != attack.identity:
            raise BadImage(part.name, "it changed since the run began: run the same command again")
        return job


OF_ONE_IMAGE = (BadImage, NothingToExplain, UsageError)
"""Causes that lie in an image: what no score can read in one answer, another may hold."""
