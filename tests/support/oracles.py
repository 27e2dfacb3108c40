"""The fake oracle of all tests: an argument for every kind of answer, fault and wait; and clients that ask it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from bbquery.client.client import Client
from bbquery.errors import OracleError
from bbquery.ledger.records import Cap
from bbquery.oracle import ONE_QUERY, Capabilities, Limits, Price, Quote, RateSeen, View
from bbquery.types import UINT8, Answer, AnswerKind, Classes, Domain, Image, Reply, Vector
from tests.support.clocks import FakeClock
from tests.support.models import sides

if TYPE_CHECKING:
    from bbquery.ledger.ledger import Ledger
    from bbquery.system.clock import Clock
    from bbquery.units import Units

CLASSES = Classes((("bright",), ("dark",)))
COLOURS = Classes((("red", "scarlet"), ("green",), ("blue",)), ("r", "g", "b"))


def brightness(image: Image) -> Vector:
    """A classifier that anyone can check by hand."""
    share = float(np.mean(image)) / 255
    return Vector(np.array([share, 1 - share]))


def share_of_colours(image: Image) -> Vector:
    """Answer with the softmax of the mean colour, (3,): irrational numbers that need every digit."""
    mean = image.reshape(-1, 3).astype(np.float64).mean(axis=0) / 255
    return Vector(np.exp(mean) / np.exp(mean).sum())


def strongest_colour(image: Image) -> str:
    """Return the name of the colour that is strongest in the mean."""
    return COLOURS.show(int(image.reshape(-1, 3).mean(axis=0).argmax()))


async def no_work(_: int) -> None:
    """Let others run once."""
    await asyncio.sleep(0)


@dataclass
class FakeOracle:
    """An oracle that answers with `reply`, and keeps what it was shown and its own bill of answered images.

    reply: from an image to its answer or error; what it raises, the request raises. script: from a request's number,
    from 0, to the error with which it fails; lost_after_answering: where that is said after the images were billed.
    work: awaited before a request is answered, with its number. gated: no request is answered before `gate` is set.
    hold: of each query. rate: what it last said of its limits. limits: those that have no argument of their own.
    """

    reply: Callable[[Image], Answer | Reply | OracleError] = brightness
    script: Callable[[int], Exception | None] = lambda _: None
    lost_after_answering: Callable[[int], bool] = lambda _: False
    work: Callable[[int], Awaitable[object]] = no_work
    gated: bool = False
    answers: AnswerKind = "probabilities"
    classes: Classes | None = CLASSES
    name: str = "fake"
    version: str = "1"
    identity: Mapping[str, Any] = field(default_factory=dict)
    domain: Domain = UINT8
    view: View = field(default_factory=View)
    largest_batch: int = 4
    concurrency: int = 3
    timeout: float = 30.0
    limits: Mapping[str, Any] = field(default_factory=dict)
    free: bool = False
    hold: Units = ONE_QUERY
    provider: str = ""
    remote: bool = False
    rate: RateSeen | None = None

    shown: list[Image] = field(default_factory=list, init=False)
    batch_sizes: list[int] = field(default_factory=list, init=False)
    billed: int = field(default=0, init=False)
    most_in_flight: int = field(default=0, init=False)
    gate: asyncio.Event = field(default_factory=asyncio.Event, init=False)
    _in_flight: int = field(default=0, init=False)
    _at: tuple[int, Callable[[], None]] | None = field(default=None, init=False)

    def __post_init__(self) -> None:
        if not self.gated:
            self.gate.set()

    @property
    def requests(self) -> int:
        """How many requests were begun."""
        return len(self.batch_sizes)

    @property
    def capabilities(self) -> Capabilities:
        limits = Limits(
            largest_batch=self.largest_batch, concurrency=self.concurrency, timeout=self.timeout, **self.limits
        )
        return Capabilities(
            name=self.name,
            answers=self.answers,
            identity={"oracle": self.name, "version": self.version, **self.identity},
            classes=self.classes,
            domain=self.domain,
            view=self.view,
            limits=limits,
            price=Price(free=self.free),
            provider=self.provider,
            remote=self.remote,
        )

    @property
    def rate_seen(self) -> RateSeen | None:
        return self.rate

    def encode(self, image: Image) -> Image:
        return image

    def quote(self, payload: Image) -> Quote:
        return Quote(worst=self.hold, expected=self.hold)

    async def answer(self, payloads: Sequence[Image]) -> Sequence[Reply | OracleError]:
        number = self.requests
        self.batch_sizes.append(len(payloads))
        self.shown.extend(payloads)
        self._in_flight += 1
        self.most_in_flight = max(self.most_in_flight, self._in_flight)
        try:
            await self.gate.wait()
            await self.work(number)
            return self._answered(number, payloads)
        finally:
            self._in_flight -= 1

    def _answered(self, number: int, payloads: Sequence[Image]) -> Sequence[Reply | OracleError]:
        failure = self.script(number)
        if failure is not None and not self.lost_after_answering(number):
            raise failure
        answers = [as_reply(self.reply(payload)) for payload in payloads]
        self._bill(sum(not isinstance(answer, OracleError) for answer in answers))
        if failure is not None:
            raise failure
        return answers

    def when_billed(self, more: int, act: Callable[[], None]) -> None:
        """Call `act` once so many more images are billed, before they are answered."""
        self._at = self.billed + more, act

    def _bill(self, images: int) -> None:
        self.billed += images
        if self._at is not None and self.billed >= self._at[0]:
            (_, act), self._at = self._at, None
            act()

    async def aclose(self) -> None:
        return


def as_reply(answer: Answer | Reply | OracleError) -> Reply | OracleError:
    """Wrap a bare answer."""
    return answer if isinstance(answer, Reply | OracleError) else Reply(answer)


def colour_oracle(
    reply: Callable[[Image], Answer | Reply | OracleError] = share_of_colours, **options: Any
) -> FakeOracle:
    """Return a fake that sees colours, as emulators serve it. It takes the middle of a photo, 8 by 8 pixels."""
    view = View(size=(8, 8), crop=0.875)
    identity = {"layers": 3, "temperature": 1.5, "prompt": None}
    plain: dict[str, Any] = {"name": "colours", "identity": identity, "view": view, "concurrency": 2, "free": True}
    plain["classes"] = COLOURS if options.get("answers", "probabilities") in ("probabilities", "scores") else None
    return FakeOracle(reply, **(plain | options))


def halves_oracle(*names: str, side: int | None = None) -> FakeOracle:
    """Return a fake that answers as `models.sides`. names: of both classes. side: of the squares that it is sent."""
    view = View(size=None if side is None else (side, side))
    classes = Classes(tuple((name,) for name in names or ("left", "right")))
    plain: dict[str, Any] = {"classes": classes, "view": view, "largest_batch": 1, "concurrency": 4}
    return FakeOracle(lambda image: Vector(np.array(sides(image))), **plain)


def failing_first(error: Exception) -> Callable[[int], Exception | None]:
    """A script by which the first request fails."""
    return lambda number: error if number == 0 else None


def client_of(oracle: FakeOracle, ledger: Ledger, *, cap: int = 1000, clock: Clock | None = None) -> Client:
    """A client with a budget of its own; time passes only when it sleeps."""
    return Client(oracle, ledger, ledger.open_budget("run", Cap(queries=cap)), clock=clock or FakeClock())
