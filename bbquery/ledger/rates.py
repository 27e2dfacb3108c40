"""Rates that several processes share: leases of a provider's time, taken one after another.

Theory of operation.

1. A provider's rate is a line of time. A request takes as much of it as it must be apart from the next: at 600 a minute
   a tenth of a second. A lease is a stretch of the line, in which one process alone may start requests.
2. Each lease begins where the one before it ends, so the starts of all processes are as far apart as those of one. No
   count of processes is needed: whoever has work takes the next stretch, and who has none takes nothing.
3. A lease is granted only when it begins soon. So the line ends at most `IN_TURN` seconds and one lease from now,
   however many processes wait; a fleet that stops at once holds nobody up for longer.
4. Whoever is refused gets a place, and asks again when all before it have had their leases: so few ask at once, and
   each has its turn. A place binds nobody. Where its holder does not come the line runs dry, and who asks then is next.
5. The database's clock decides where a lease begins. A process is told in how many seconds that is, and counts them on
   a clock of its own. Where the database's clock was set back, what is leased goes back with it.
6. A lease ends as its time passes. So a process that dies holding one costs the others that stretch and no more, and
   nothing need be given back: a process leases only what it has requests for, at most a second or one request.
7. Beside the line stand the pause that a provider last asked for and the limits that it last stated, or that it stated
   none, for the others.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

if TYPE_CHECKING:
    from bbquery.ledger.connection import Connection

Stated: TypeAlias = "tuple[int | None, int | None]"
"""Requests and tokens a minute, as a provider stated them; None where it did not."""
CREDIT = 0.1  # seconds: a lease may begin so long ago, or the way to the database would be lost between two leases
DRY, NEAR, IN_TURN = 1.0, 2.0, 3.0  # seconds: how soon a lease must begin. See `Rate.soon`
LONGEST_PAUSE = 60.0  # seconds; who is asked to wait for longer met a quota, and each process finds that out for itself
REMEMBERED = 600.0  # seconds for which a stated limit is taken over; an account's limits may rise
FIELDS = ("leased_until", "queued_until", "paused_until", "seen", "requests", "tokens", "said")
READ = f"SELECT {{now}}, {', '.join(FIELDS)} FROM (SELECT 1) AS once LEFT JOIN rate ON provider = ?"  # noqa: S608 - constants
WRITE = (
    f"INSERT INTO rate (provider, {', '.join(FIELDS)}) VALUES (?{', ?' * len(FIELDS)}) ON CONFLICT (provider)"  # noqa: S608 - likewise
    f" DO UPDATE SET {', '.join(f'{field} = excluded.{field}' for field in FIELDS)}"
)


class Wish(NamedTuple):
    """What a process asks for.

    seconds: of the line, for the requests that it could start now. later: for those that it could start once its place
    comes up. place: seconds until then; None where it has no place.
    """

    seconds: float
    later: float
    place: float | None = None


class Answer(NamedTuple):
    """What a process is told that asked for a lease.

    seconds: until its lease begins, at least -CREDIT; where it has none, until its place comes up, and it asks again.
    dry: seconds until the line runs dry, if nobody else leases.
    """

    is_leased: bool
    seconds: float
    dry: float = 0.0


@dataclass(frozen=True)
class Rate:
    """A provider's line at one moment. Times are seconds since 1970 by the database's clock.

    leased_until: where the next lease begins. queued_until: where it would begin if all who have a place came.
    paused_until: before this nothing starts. seen: the moment itself.
    requests, tokens: the limits a minute that the provider stated last, None where it did not; said: when it answered.
    """

    leased_until: float
    queued_until: float
    paused_until: float
    seen: float
    requests: int | None = None
    tokens: int | None = None
    said: float | None = None

    @property
    def paused(self) -> float:
        """Seconds for which nothing starts yet; 0 where the provider asked for no pause."""
        return max(0.0, self.paused_until - self.seen)

    @property
    def is_told(self) -> bool:
        """Whether the provider answered not long ago, so that what it states is known, or that it states nothing."""
        return self.said is not None and self.seen - self.said < REMEMBERED

    @property
    def limits(self) -> Stated:
        """What the provider stated not long ago."""
        return (self.requests, self.tokens) if self.is_told else (None, None)

    def at(self, now: float) -> Rate:
        """Return the same line at another moment; where the clock was set back, its times go back as far."""
        back = max(0.0, self.seen - now)
        said = None if self.said is None else min(self.said, now)
        leased, queued = self.leased_until - back, self.queued_until - back
        paused = self.paused_until - back
        return replace(self, leased_until=leased, queued_until=queued, paused_until=paused, seen=now, said=said)

    def begin(self) -> float:
        """Return when the next lease begins."""
        return max(self.seen - CREDIT, self.leased_until, self.paused_until)

    @property
    def ahead(self) -> float:
        """Seconds until the next lease begins."""
        return self.begin() - self.seen

    @property
    def is_dry(self) -> bool:
        """Whether the line ends so soon that whoever comes may go first."""
        return self.ahead <= DRY

    def soon(self, place: float | None) -> float:
        """Return how soon the next lease must begin for who asks now, in seconds.

        Who comes in turn need not be exact. Who does not waits behind those who have a place, unless the line is dry.

        place: as `Wish` has it.
        """
        if place is None:
            return DRY if self.queued_until > self.begin() else NEAR
        return DRY if place > 0 else IN_TURN

    def asked(self, wish: Wish) -> tuple[Rate, Answer]:
        """Return the line once a process asked for a lease, and the answer."""
        if self.ahead <= self.soon(wish.place):
            return self.leased(wish.seconds), Answer(True, self.ahead)
        if wish.place is not None and wish.place > 0:
            return self, Answer(False, wish.place, self.ahead - DRY)
        turn = max(self.queued_until, self.begin())
        return replace(self, queued_until=turn + wish.later), Answer(False, turn - NEAR - self.seen, self.ahead - DRY)

    def leased(self, seconds: float) -> Rate:
        """Return the line once so many seconds of it are leased."""
        return replace(self, leased_until=self.begin() + seconds)

    def pausing(self, seconds: float) -> Rate:
        """Return the line once the provider asked for a pause."""
        return replace(self, paused_until=max(self.paused_until, self.seen + min(seconds, LONGEST_PAUSE)))

    def told(self, requests: int | None, tokens: int | None) -> Rate:
        """Return the line once the provider answered; what it did not state stays as it is."""
        before = self.limits
        return replace(self, requests=requests or before[0], tokens=tokens or before[1], said=self.seen)


def read(connection: Connection, now: str, provider: str) -> Rate:
    """Return the line of a provider; that of one that nobody shared yet is free. now: SQL for the database's time."""
    time, *row = connection.execute(READ.format(now=now), (provider,)).fetchone()
    return Rate(time, time, time, time) if row[0] is None else Rate(*row).at(time)


def lease(connection: Connection, now: str, provider: str, wish: Wish, stated: Stated) -> Answer:
    """Lease what a process asks for of a provider's line, if it begins soon.

    stated: what the provider stated to this process, for the others.
    """
    line = read(connection, now, provider)
    line, answer = (line.told(*stated) if any(stated) else line).asked(wish)
    _write(connection, provider, line)
    return answer


def owe(connection: Connection, now: str, provider: str, seconds: float) -> None:
    """Leave so many seconds of a provider's line unused, for requests that started without a lease."""
    _write(connection, provider, read(connection, now, provider).leased(seconds))


def tell(connection: Connection, now: str, provider: str, stated: Stated, owed: float) -> None:
    """Note what a provider stated in an answer, or that it stated nothing, and leave so many seconds of it unused."""
    line = read(connection, now, provider).told(*stated)
    _write(connection, provider, line.leased(owed) if owed else line)


def pause(connection: Connection, now: str, provider: str, seconds: float) -> None:
    """Note that a provider asked for a pause."""
    _write(connection, provider, read(connection, now, provider).pausing(seconds))


def _write(connection: Connection, provider: str, line: Rate) -> None:
    connection.execute(WRITE, (provider, *(getattr(line, field) for field in FIELDS)))
