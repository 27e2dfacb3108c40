"""Job, the core of all verbs: an image as an oracle is sent it, and one way to ask, to pay and to be named."""

from __future__ import annotations

import contextlib
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

from bbquery import load
from bbquery.client.client import Client
from bbquery.errors import OracleError
from bbquery.images import reading
from bbquery.jobs import targeting
from bbquery.jobs.estimate import Estimate, estimate
from bbquery.jobs.identity import subject
from bbquery.jobs.request import is_named
from bbquery.jobs.watch import Watch
from bbquery.ledger.projects import open_within
from bbquery.plan import Ask
from bbquery.types import Labels, NoAnswer

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from bbquery.images.placement import Placement
    from bbquery.jobs.request import Request
    from bbquery.ledger.ledger import Ledger
    from bbquery.ledger.records import Cap
    from bbquery.oracle import Oracle
    from bbquery.scoring.base import BoundScore
    from bbquery.types import Answer, Image, Reply
    from bbquery.units import Units


class NothingToExplain(OracleError):
    """The oracle answered the unperturbed image, and named nothing in it; another image may fare better."""

    outcome = "posted"


@contextlib.asynccontextmanager
async def connection(request: Request) -> AsyncIterator[Oracle]:
    """Give the oracle of a request: an object stays open, all else is connected for as long as this lasts."""
    oracle = request.oracle
    if not is_named(oracle):
        load.check_no_classes(request.classes)
        yield load.given("oracle", cast("Oracle", oracle))
        return
    own = await load.oracle(oracle, request.classes)
    try:
        yield own
    finally:
        await own.aclose()


@dataclass(frozen=True, kw_only=True, eq=False)
class Job(ABC):
    """A run of a verb on one image, checked and ready.

    photo: (H, W, 3) uint8, upright. x: the pixels that are sent unperturbed. placement: where on the photo they lie.
    """

    request: Request
    oracle: Oracle
    photo: NDArray[np.uint8]
    x: Image
    placement: Placement

    @property
    @abstractmethod
    def queries(self) -> int:
        """How many queries it sends at most, retries not counted."""

    @abstractmethod
    def identity(self) -> str:
        """Return the hash of what this run asks; a second run with the same resumes its budgets."""

    @property
    def subject(self) -> dict[str, Any]:
        """What identifies the image and the oracle, a part of what `identity` hashes."""
        return subject(self.photo, self.x, self.oracle.capabilities)

    @property
    def source(self) -> str:
        """Where the photo is from, in words, for records."""
        return reading.described(self.request.image)

    @property
    def watch(self) -> Watch:
        """The callbacks of the run; those of a plain `Watch` do nothing."""
        return self.request.watch or Watch()

    @property
    def every(self) -> int:
        """After how many queries drift is looked for, 0 for never."""
        return self.request.every(self.oracle.capabilities)

    @property
    def worst(self) -> Units:
        """The most that a query may cost."""
        return self.oracle.quote(self.oracle.encode(self.x)).worst

    def estimate(self) -> Estimate:
        """Return what it would cost; nothing is sent."""
        return self.estimate_of(self.queries)

    def estimate_of(self, queries: int) -> Estimate:
        """Return what so many queries would cost."""
        return estimate(self.oracle.quote(self.oracle.encode(self.x)), queries, self.oracle.capabilities.limits)

    def open_budget(self, ledger: Ledger, own: str, cap: Cap) -> int:
        """Make or resume the run's budget, inside its project's where it has one; return its id. own: its name."""
        return open_within(ledger, self.request.project, own, cap, reading.called(self.request.image))

    def client(self, ledger: Ledger, budget: int) -> Client:
        """Return a client that asks the oracle within a budget, and reports to the watch."""
        return Client(
            self.oracle, ledger, budget, progress=self.watch.progressed, waiting=self.watch.waiting,
            longest_wait=self.request.longest_wait,
        )  # fmt: skip

    async def clean(self, client: Client, *, nothing: str, what: str = "the unperturbed image") -> Reply:
        """Ask the unperturbed image, and show the watch its answer.

        nothing: what to say, after "names nothing in it", where that is so and no target is named. what: its name.

        Raises:
            OracleError, BudgetExhausted: it was not answered. NothingToExplain: with nothing.
        """
        ((reply,),) = await client.ask(Ask(self.x[None]))
        name = self.oracle.capabilities.name
        if reply is None:
            assert client.halt.error is not None  # noqa: S101 - nothing else leaves a row unanswered
            raise client.halt.error
        if isinstance(reply.answer, NoAnswer):
            raise NothingToExplain(f"gave no answer to {what}: {reply.answer.reason}", oracle=name)
        if reply.answer == Labels(()) and not self.request.targets:
            raise NothingToExplain(f"names nothing in {what}{nothing}", oracle=name)
        self.watch.seen(reply.answer, self.oracle.capabilities)
        return reply

    async def beware(self, client: Client, scores: Sequence[BoundScore], clean: Answer) -> None:
        """Warn the watch of doubtful targets before the budget is spent. clean: the unperturbed image's answer."""
        targets, capabilities = self.request.targets, self.oracle.capabilities
        for line in await client.off_loop(targeting.beware, targets, scores, clean, capabilities):
            self.watch.beware(line)
