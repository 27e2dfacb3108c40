"""The ledger and the answer store in one database: a SQLite file, or PostgreSQL.

Theory of operation.

1. *Reserve*, committed before a byte leaves; *send*; *settle*: outcome, cost, release and answer in one commit.
2. An attempt ends *posted* (answered), *voided* (provably not billed) or *unknown* (perhaps billed). The hold of an
   unknown stays, without expiry: a budget may strand some of its cap, but is never overdrawn.
3. An owner is a live process. When one dies, its open attempts become unknown (voided where the oracle is free);
   whoever opens the ledger next, or waits for such an attempt, sees to that. Or it is a batch, which does not die:
   see `batches`. On a server, one that is out of reach for long is taken for dead, and comes back: it sends nothing
   that it held before, and what it settles then is recorded.
4. A key has at most one open attempt in a ledger: equal questions from several processes are paid once.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import itertools
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, TypeVar

from bbquery.errors import StorageFailed
from bbquery.ledger import places, rates, statements, store
from bbquery.ledger.database import Database
from bbquery.ledger.records import Granted, Settlement

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from typing import Self

    from bbquery.ledger.connection import Connection
    from bbquery.ledger.places import Place
    from bbquery.ledger.rates import Answer, Rate, Stated, Wish
    from bbquery.ledger.records import BudgetState, Cap, HoldRequest, Result, UnknownAttempt, Unreadable
    from bbquery.types import Reply

T = TypeVar("T")
LAPSED = "it was held for so long before it could be sent that this process may have been taken for dead"


class Ledger:
    """Budgets, attempts and answers. A context manager; usable from any thread and event loop.

    name: what people call it. place: where another process opens it. path: where this machine keeps files of it.
    """

    def __init__(self, place: Place | None = None) -> None:
        """Open a ledger, made if absent, and bury what dead processes left.

        place: a file, or postgresql://USER@HOST/DATABASE; by default what BBQUERY_LEDGER says, or else a file in
        bbquery's data folder.

        Raises:
            StorageFailed: it cannot be used. UsageError: that is no place, or PostgreSQL's driver is missing.
        """
        self.place = places.chosen(place)
        engine = places.opened(self.place)
        self.name, self.path = engine.name, engine.path
        self.seconds_between_looks = engine.seconds_between_looks
        self._database = Database(engine)
        self._opened = time.monotonic()
        self._unsettled: StorageFailed | None = None
        try:
            self._me = engine.owner()
        except BaseException:
            self._database.close()
            raise
        self.bury_the_dead()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Commit what waits and close. Attempts still open become unknown when the ledger is next opened."""
        self._database.finish()
        self._me.close()
        self._database.close()

    @property
    def out_of_reach(self) -> bool:
        """Whether whoever asks it now would have to wait for a server to be back."""
        return self._database.engine.out_of_reach

    def open_budget(self, name: str, cap: Cap, parent: int | None = None, about: str = "") -> int:
        """Make the budget `name`, or resume it with a new cap; return its id. about: its image, for people."""
        return self._database.write(lambda c: statements.open_budget(c, name, cap, parent, about)).result()

    def find_budget(self, name: str) -> int:
        """Return the id of the budget `name`.

        Raises:
            UnknownName: there is none.
        """
        return self._database.read(lambda c: statements.find_budget(c, name))

    def budget(self, budget: int) -> BudgetState:
        """Return a budget as the last commit left it."""
        return self._database.read(lambda c: statements.state(c, budget))

    def budgets(self, names: Sequence[str]) -> dict[str, BudgetState]:
        """Return budgets by name, all as one commit left them, so that they add up; a name without one is left out."""

        def found(connection: Connection) -> dict[str, BudgetState]:
            states = {name: statements.budget_named(connection, name) for name in names}
            return {name: state for name, state in states.items() if state is not None}

        return self._database.read_at_one_moment(found)

    def unknowns(self, budget: int) -> list[UnknownAttempt]:
        """Return the attempts of a budget that may have been billed without an answer."""
        return self._database.read(lambda c: statements.unknowns(c, budget))

    def unreadable(self, budget: int) -> Unreadable:
        """Return how many answers of a budget were paid for and could not be read."""
        return self._database.read(lambda c: statements.unreadable(c, budget))

    def remember_oracle(self, fingerprint: str, identity: str) -> None:
        """Keep the identity behind a fingerprint; answers refer to it."""
        self._database.write(lambda c: store.remember_oracle(c, fingerprint, identity)).result()

    def find(self, keys: Sequence[bytes]) -> dict[bytes, Reply]:
        """Return what is stored under these keys. Reads only; called on worker threads."""
        return self._database.read(lambda c: store.find(c, keys))

    def payers(self, keys: Sequence[bytes]) -> dict[bytes, int | None]:
        """Return of what is stored under these keys which budget paid for it; None: it came from a published store."""
        return self._database.read(lambda c: store.payers(c, keys))

    def in_flight(self, key: bytes) -> bool:
        """Whether a live process has an open attempt at this key; buries the dead first, unless it just did.

        Raises:
            StorageFailed: it is this process's own, of which some could not be settled: it may never end.
        """
        if time.monotonic() >= self._buries_again:
            self.bury_the_dead()
        owner = self._database.read(lambda c: statements.asked_by(c, key))
        if owner == self._me.name and self._unsettled is not None:
            raise StorageFailed(str(self._unsettled)) from self._unsettled
        return owner is not None

    async def reserve(self, requests: Sequence[HoldRequest]) -> list[Result]:
        """Hold each request's worst case, or say why not; committed when this returns.

        What is granted may be sent at once. Where this took so long that others may have taken this process for dead,
        and made its attempts unknown, they are voided and held anew.
        """
        while True:
            epoch = self._me.epoch
            results: list[Result] = await self._database.write_soon(self._reserve, requests)
            if self._me.holds(epoch):
                return results
            granted = [result.attempt for result in results if isinstance(result, Granted)]
            await self.settle([Settlement(attempt, "voided", reason=LAPSED) for attempt in granted])
            await asyncio.to_thread(self._me.renew)

    @property
    def epoch(self) -> int:
        """How often others may have taken this process for dead so far."""
        return self._me.epoch

    def holds(self, epoch: int) -> bool:
        """Whether what was held in that epoch may still be sent: nobody can have taken this process for dead since."""
        return self._me.holds(epoch)

    async def settle(self, settlements: Sequence[Settlement]) -> None:
        """Record how attempts ended, with their answers; committed when this returns.

        Raises:
            StorageFailed: nothing is recorded, and the attempts stay open until this process ends.
        """
        try:
            await self._database.write_soon(self._settle, settlements)
        except StorageFailed as error:
            self._unsettled = error
            raise

    @property
    def age(self) -> float:
        """For how many seconds others have been able to see that this process has the ledger open."""
        return time.monotonic() - self._opened

    def shares_rates(self) -> bool:
        """Whether other processes may ask the same providers. Reads only; called on worker threads."""
        return self._me.may_have_company()

    def rate(self, provider: str) -> Rate:
        """Return what processes know together of a provider's rate. Reads only; called on worker threads."""
        return self._database.read(lambda c: rates.read(c, self._now, provider))

    async def lease(self, provider: str, wish: Wish, stated: Stated) -> Answer:
        """Lease what this process asks for of a provider's time, if it begins soon.

        stated: what the provider stated to this process.
        """
        return await self.write(lambda c: rates.lease(c, self._now, provider, wish, stated))

    async def owe(self, provider: str, seconds: float) -> None:
        """Leave so many seconds of a provider's time unused, for requests that started without a lease."""
        await self.write(lambda c: rates.owe(c, self._now, provider, seconds))

    def announce_limits(self, provider: str, stated: Stated, owed: float) -> None:
        """Let the other processes know what a provider stated in an answer; returns before they do.

        owed: seconds of its time to leave unused, for requests that started without a lease of them.
        """
        self._database.write(lambda c: rates.tell(c, self._now, provider, stated, owed))

    def announce_pause(self, provider: str, seconds: float) -> None:
        """Let the other processes know that a provider asked for a pause; returns before they do."""
        self._database.write(lambda c: rates.pause(c, self._now, provider, seconds))

    @property
    def _now(self) -> str:
        return self._database.engine.now

    def _reserve(self, connection: Connection, parts: Sequence[Sequence[HoldRequest]]) -> list[list[Result]]:
        results = iter(statements.reserve(connection, [r for part in parts for r in part], self._me.name))
        return [list(itertools.islice(results, len(part))) for part in parts]

    def _settle(self, connection: Connection, parts: Sequence[Sequence[Settlement]]) -> list[None]:
        statements.settle(connection, [s for part in parts for s in part])
        return [None] * len(parts)

    def read(self, work: Callable[[Connection], T]) -> T:
        """Run `work`, which only reads; called on worker threads."""
        return self._database.read(work)

    async def write(self, work: Callable[[Connection], T]) -> T:
        """Run `work` in one transaction, all of it or, if it raises, nothing; committed when this returns."""
        return await asyncio.wrap_future(self._database.write(work))

    def bury_the_dead(self) -> int:
        """Turn open attempts of processes that no longer run into unknowns; return how many."""
        self._buries_again = time.monotonic() + self.seconds_between_looks
        in_flight = self._database.read(statements.owners_in_flight) - {self._me.name}
        dead = self._me.dead(in_flight)
        return sum(self._database.write(functools.partial(statements.bury, owner=name)).result() for name in dead)


@contextlib.contextmanager
def open_ledger(ledger: Ledger | None) -> Iterator[Ledger]:
    """Use the given ledger and leave it open, or open the default one for as long as this lasts."""
    if ledger is not None:
        yield ledger
        return
    with Ledger() as own:
        yield own
