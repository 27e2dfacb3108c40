"""An oracle, a client and a budget behind plain synchronous calls.

Theory of operation.

1. Everything asynchronous lives on one event loop in a thread of its own, so a call works in a notebook, whose own loop
   is running, and from several threads at once, whose rows share the oracle's concurrency.
2. The client holds each query's worst case in the ledger before it leaves. The first cause that forbids sending (a cap,
   the oracle's final refusal, Ctrl-C) holds for the rest of the session: what is stored is served, all else raises that
   cause again.
3. A program may end without closing it; what is in flight is then awaited and stored all the same.
4. A budget without a name is made anew for each session, so a cap is that of the session. A named one is resumed.
"""

from __future__ import annotations

import atexit
import contextlib
import threading
import uuid
from dataclasses import dataclass
from typing import TYPE_CHECKING

from bbquery import load
from bbquery.client.client import Client
from bbquery.client.halt import Interrupted
from bbquery.interop.loop import LoopThread
from bbquery.ledger.ledger import open_ledger
from bbquery.ledger.projects import open_within
from bbquery.money import in_unit
from bbquery.plan import Ask

if TYPE_CHECKING:
    from bbquery.errors import BbqueryError
    from bbquery.ledger.ledger import Ledger
    from bbquery.ledger.records import BudgetState, Cap
    from bbquery.oracle import Oracle
    from bbquery.types import Answer, Images
    from bbquery.units import Units

INTERRUPTED = "a call was interrupted, so nothing more is sent: open another; what was answered is kept"


@dataclass(frozen=True)
class Tally:
    """What a session asked and spent so far; as a string, a line for people.

    asked: rows that the library asked. sent: attempts that left, each retry again. from_store: answered without one.
    unknown: attempts that may have been billed without an answer. unreadable: answers that were paid for and could not
    be read, each time they were asked. posted, held: spent, and set aside for what is in
    flight or unknown, of the budget, which a name makes that of earlier sessions too. budget: its name.
    """

    asked: int
    sent: int
    from_store: int
    unknown: int
    unreadable: int
    posted: Units
    held: Units
    budget: str

    def __str__(self) -> str:
        """Return a line for people."""
        unknown = f", {self.unknown} unknown" if self.unknown else ""
        unknown += f", {self.unreadable} paid and not readable" if self.unreadable else ""
        tokens = f", {in_unit(self.posted.tokens, 'tokens')}" if self.posted.tokens else ""
        cost = in_unit(self.posted.picodollars, "picodollars")
        return f"{self.asked} asked: {self.sent} sent, {self.from_store} from the store{unknown}; {cost}{tokens}"


class Session:
    """Asks an oracle within one budget, from any thread."""

    def __init__(
        self,
        oracle: Oracle | str,
        cap: Cap,
        ledger: Ledger | None,
        name: str | None,
        project: str | None,
        *,
        longest_wait: float | None = None,
    ) -> None:
        """Connect, and open the budget; nothing is sent. longest_wait: as of `Client`.

        Raises:
            UsageError: the oracle or the project cannot be used. StorageFailed: the ledger cannot be opened.
        """
        self._closing = threading.Lock()
        self._last: Tally | None = None
        with contextlib.ExitStack() as opened:
            self._loop = LoopThread()
            opened.callback(self._loop.close)
            self.oracle = self._connected(oracle, opened)
            self._ledger = opened.enter_context(open_ledger(ledger))
            own = f"predict-{uuid.uuid4().hex[:16] if name is None else name}"
            self._budget = open_within(self._ledger, project, own, cap)
            self._client = self._loop.run(self._begun(longest_wait))
            self._rows = self._answered = 0
            opened.callback(self._end)
            self._opened = opened.pop_all()
        atexit.register(self._at_exit)

    def _connected(self, oracle: Oracle | str, opened: contextlib.ExitStack) -> Oracle:
        """Return an oracle: one that is given stays open, one that is named is closed at the end."""
        if not isinstance(oracle, str):
            return oracle
        own = self._loop.run(load.oracle(oracle))
        opened.callback(lambda: self._loop.run(own.aclose()))
        return own

    async def _begun(self, longest_wait: float | None) -> Client:
        return Client(self.oracle, self._ledger, self._budget, longest_wait=longest_wait)

    def ask(self, images: Images) -> list[Answer]:
        """Ask each image once; return its answers in order. Equal questions are one query, now and later.

        Raises:
            BudgetExhausted: a cap does not allow the rest. OracleError: the oracle failed for good.
            Interrupted: an earlier call was stopped. UsageError: the session is closed.
        """
        answers, error = self.ask_what_fits(images)
        if error is not None:
            raise error
        return [answer for answer in answers if answer is not None]

    def ask_what_fits(self, images: Images) -> tuple[list[Answer | None], BbqueryError | None]:
        """Ask as `ask` does; return the answers, None where there is none, and why so (None: there are all).

        Raises:
            UsageError: the session is closed.
        """
        answers = self._loop.run(self._asked(Ask(images)), interrupted=self._stop)
        if all(answer is not None for answer in answers):
            return answers, None
        assert self._client.halt.error is not None  # noqa: S101 - nothing else leaves a row unanswered
        return answers, self._client.halt.error

    async def _asked(self, ask: Ask) -> list[Answer | None]:
        self._rows += ask.queries
        rows = await self._client.ask(ask)
        answers = [None if reply is None else reply.answer for (reply,) in rows]
        self._answered += sum(answer is not None for answer in answers)
        return answers

    def _stop(self) -> None:
        self._client.halt.set(Interrupted(INTERRUPTED))

    @property
    def tally(self) -> Tally:
        """What was asked and spent so far, or until it was closed."""
        if self._last is not None:
            return self._last
        counts, budget = self._client.tally, self.budget
        from_store = self._answered - (counts.answered - counts.from_store)  # rows that were equal to one before too
        return Tally(
            self._rows, counts.sent, from_store, counts.unknown, counts.unreadable,
            budget.posted, budget.held, budget.name,
        )  # fmt: skip

    @property
    def budget(self) -> BudgetState:
        """The budget as the last commit left it."""
        return self._ledger.budget(self._budget)

    def close(self) -> None:
        """Wait for what is in flight, store it, and close all that was opened here. A second time does nothing."""
        atexit.unregister(self._at_exit)
        if self._loop.process.left:  # it is not ours to close
            return
        with self._closing:
            self._opened.close()

    def _at_exit(self) -> None:
        """Close what a program forgot to close: what is in flight is stored, and the loop ends without complaints."""
        with contextlib.suppress(RuntimeError):  # an oracle that closes on a thread cannot have one any more
            self.close()

    def _end(self) -> None:
        try:
            self._loop.run(self._client.aclose())
        except KeyboardInterrupt:  # a person waits no longer: what is in flight becomes unknown
            self._loop.run(self._abandoned())
            raise
        finally:
            self._last = self.tally

    async def _abandoned(self) -> None:
        self._client.abandon()
        await self._client.aclose()
