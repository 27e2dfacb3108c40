"""A ledger on a server that restarts, is lost amid a commit, or takes a process for dead: nothing goes unrecorded."""

from __future__ import annotations

import itertools
import tempfile
import threading
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from bbquery.commands import news
from bbquery.errors import StorageFailed
from bbquery.ledger import postgres, statements
from bbquery.ledger.engine import OutOfReach
from bbquery.ledger.ledger import LAPSED, Ledger
from bbquery.ledger.records import Cap, Granted, HoldRequest, Settlement
from bbquery.types import Reply, Text
from bbquery.units import Units
from tests.support.bookkeeping import asked, remember
from tests.support.proxy import proxy_before

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.support.postgresql import Server
    from tests.support.proxy import Proxy

pytestmark = pytest.mark.slow
ONE = Units(queries=1)
LOST = {5, 26, 48, 71, 95, 120}  # of a server's answers: a transaction on a new connection needs less than 20
CLOSE_OTHERS = (
    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
    " WHERE pid != pg_backend_pid() AND backend_type = 'client backend'"
)
STATES = "SELECT state, reason FROM attempt ORDER BY id"


@pytest.fixture
def url(postgresql: Server) -> str:
    return postgresql.url()


@pytest.fixture
def ledger(url: str) -> Iterator[Ledger]:
    with Ledger(url) as opened:
        yield opened


async def held(ledger: Ledger, budget: int, oracle: str, number: int, *, free: bool = False) -> int:
    (result,) = await ledger.reserve([HoldRequest(asked(oracle, number), budget, ONE, free)])
    assert isinstance(result, Granted)
    return result.attempt


def posted(attempt: int, oracle: str, number: int) -> Settlement:
    return Settlement(attempt, "posted", ONE, question=asked(oracle, number), reply=Reply(Text("a cat"), ONE))


def states(ledger: Ledger) -> list[tuple[str, str | None]]:
    return ledger.read(lambda c: c.execute(STATES).fetchall())


# --- a process that is taken for dead ---


def bury(ledger: Ledger) -> None:
    """Let all leases end, and another process look at the ledger."""
    ledger._database.write(lambda c: c.execute("DELETE FROM owner")).result()
    with Ledger(ledger.place):
        pass


async def test_a_process_without_a_lease_is_dead_and_one_with_a_lease_is_not(ledger: Ledger) -> None:
    """Attempts stay in flight as long as their process renews its lease, and are unknown once the lease has ended."""
    oracle, budget = remember(ledger, model="m"), ledger.open_budget("b", Cap(queries=5))
    await held(ledger, budget, oracle, 1)
    with Ledger(ledger.place):
        while_alive = ledger.unknowns(budget)

    bury(ledger)

    assert while_alive == []
    assert [unknown.reason for unknown in ledger.unknowns(budget)] == [statements.BURIED]
    assert ledger.budget(budget).held == ONE


def test_a_lease_is_counted_from_the_start_of_a_server_that_was_down(ledger: Ledger, postgresql: Server) -> None:
    """After an hour's outage nobody has been heard of for an hour, and nobody is dead of that."""
    ledger._database.write(lambda c: c.execute("UPDATE owner SET seen = seen - INTERVAL '1 hour'")).result()
    postgresql.stop()
    postgresql.start()

    assert ledger._me.dead({ledger._me.name, "never heard of"}) == {"never heard of"}


async def test_who_comes_back_from_the_dead_posts_what_it_paid(ledger: Ledger) -> None:
    """An answer that arrives after its process was taken for dead is posted and kept: nothing paid is lost."""
    oracle, budget = remember(ledger, model="m"), ledger.open_budget("b", Cap(queries=5))
    attempt = await held(ledger, budget, oracle, 1)
    bury(ledger)

    await ledger.settle([posted(attempt, oracle, 1)])

    state = ledger.budget(budget)
    assert (state.posted, state.held, states(ledger)) == (ONE, Units(), [("posted", None)])
    assert ledger.find([asked(oracle, 1).key])[asked(oracle, 1).key].answer == Text("a cat")


async def test_a_free_answer_is_kept_though_its_hold_was_given_back(ledger: Ledger) -> None:
    """What is free was voided when its process was taken for dead: its answer counts, and the books stay balanced."""
    oracle, budget = remember(ledger, model="m"), ledger.open_budget("b", Cap(queries=5))
    attempts = [await held(ledger, budget, oracle, 1, free=True), await held(ledger, budget, oracle, 2)]
    bury(ledger)

    await ledger.settle([posted(attempt, oracle, n) for n, attempt in enumerate(attempts, 1)])

    assert (ledger.budget(budget).posted, ledger.budget(budget).held) == (ONE, Units())
    assert len(ledger.find([asked(oracle, number).key for number in (1, 2)])) == 2


async def test_what_was_held_too_long_ago_is_held_anew(ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    """A hold whose commit outlasted the lease may belong to an attempt that others call unknown: it is not sent."""
    oracle, budget = remember(ledger, model="m"), ledger.open_budget("b", Cap(queries=1))
    lapsed = iter([False, True])
    monkeypatch.setattr(ledger._me, "holds", lambda epoch: next(lapsed))

    attempt = await held(ledger, budget, oracle, 1)

    assert states(ledger) == [("voided", LAPSED), ("open", None)]
    assert attempt == 2
    assert ledger.budget(budget).held == ONE


def test_a_lease_that_was_not_renewed_in_time_is_a_new_one(ledger: Ledger) -> None:
    """A process knows by itself that others may have taken it for dead, before it hears of it."""
    me = ledger._me
    epoch = me.epoch
    me._lives_until = 0.0  # type: ignore[attr-defined] # of a lease

    lapsed = me.holds(epoch)
    me.renew()

    assert not lapsed
    assert not me.holds(epoch)
    assert me.holds(me.epoch)


async def test_a_lapsed_lease_is_renewed_once_the_server_is_back(ledger: Ledger, postgresql: Server) -> None:
    """After an outage longer than a lease a process goes on: connections that were closed meanwhile do not stop it."""
    oracle, budget = remember(ledger, model="m"), ledger.open_budget("b", Cap(queries=5))
    ledger.budget(budget)
    postgresql.stop("immediate")
    postgresql.start()
    ledger._me._lives_until = 0.0  # type: ignore[attr-defined] # of a lease

    attempt = await held(ledger, budget, oracle, 1)

    assert states(ledger) == [("voided", LAPSED), ("open", None)]
    assert (attempt, ledger.budget(budget).held) == (2, ONE)


# --- a connection that is lost ---


@pytest.fixture
def proxy(postgresql: Server) -> Iterator[tuple[Proxy, Path]]:
    with tempfile.TemporaryDirectory() as folder, proxy_before(postgresql.socket, Path(folder)) as between:
        yield between, Path(folder)  # not tmp_path: a socket's path must be short


@pytest.mark.parametrize("way", ["asked", "answered"])
async def test_a_commit_that_was_lost_is_looked_up_and_not_repeated(
    postgresql: Server, proxy: tuple[Proxy, Path], way: str
) -> None:
    """Whether the server never got the COMMIT, or its answer was lost, what it was for is recorded once."""
    between, folder = proxy
    losses = iter([True])
    with Ledger(postgresql.url().replace(str(postgresql.socket.parent), str(folder))) as ledger:
        oracle, budget = remember(ledger, model="m"), ledger.open_budget("b", Cap(queries=5))
        setattr(between, way, lambda data: b"COMMIT" in data and next(losses, False))

        attempt = await held(ledger, budget, oracle, 1)
        await ledger.settle([posted(attempt, oracle, 1)])

        assert between.lost == 1
        assert states(ledger) == [("posted", None)]
        assert (ledger.budget(budget).posted, ledger.budget(budget).held) == (ONE, Units())


async def test_a_commit_that_a_crash_undid_is_not_taken_for_another_with_its_number(
    postgresql: Server, proxy: tuple[Proxy, Path]
) -> None:
    """A server that crashed gives numbers of transactions again: what was undone is recorded all the same."""
    between, folder = proxy
    crashes, url = iter([True]), postgresql.url()

    def crash(data: bytes) -> bool:
        if b"COMMIT" not in data or not next(crashes, False):
            return False
        postgresql.stop("immediate")
        postgresql.start()
        with postgresql.connection(url) as another:
            for _ in range(5):
                another.execute("UPDATE version SET number = number")
        return True

    with Ledger(url.replace(str(postgresql.socket.parent), str(folder))) as ledger:
        oracle, budget = remember(ledger, model="m"), ledger.open_budget("b", Cap(queries=5))
        attempt = await held(ledger, budget, oracle, 1)
        between.asked = crash

        await ledger.settle([posted(attempt, oracle, 1)])

        assert between.lost == 1
        assert states(ledger) == [("posted", None)]


async def test_a_connection_lost_between_statements_costs_nothing(
    postgresql: Server, proxy: tuple[Proxy, Path]
) -> None:
    """A proxy may close the connection anywhere: the transaction begins again on another, and is done once."""
    between, folder = proxy
    with Ledger(postgresql.url().replace(str(postgresql.socket.parent), str(folder))) as ledger:
        oracle, budget = remember(ledger, model="m"), ledger.open_budget("b", Cap(queries=50))
        pieces = itertools.count(1)
        between.answered = lambda _: next(pieces) in LOST

        for number in range(10):
            await ledger.settle([posted(await held(ledger, budget, oracle, number), oracle, number)])

        between.answered = lambda _: False
        assert between.lost == len(LOST)
        assert (ledger.budget(budget).posted, ledger.budget(budget).held) == (ONE.times(10), Units())
        assert [state for state, _ in states(ledger)] == ["posted"] * 10


async def test_a_restart_between_holding_and_settling_loses_nothing(ledger: Ledger, postgresql: Server) -> None:
    """A settlement waits for the server, and is recorded once it is back, on a new connection."""
    oracle, budget = remember(ledger, model="m"), ledger.open_budget("b", Cap(queries=5))
    attempt = await held(ledger, budget, oracle, 1)
    postgresql.stop("immediate")
    starting = threading.Thread(target=postgresql.start)
    starting.start()

    await ledger.settle([posted(attempt, oracle, 1)])

    starting.join()
    assert states(ledger) == [("posted", None)]
    assert ledger.budget(budget).posted == ONE


async def test_a_server_that_stays_away_ends_the_waiting(
    ledger: Ledger, postgresql: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After so long a time an error says since when; nothing was done, and the same again works once it is back."""
    oracle, budget = remember(ledger, model="m"), ledger.open_budget("b", Cap(queries=5))
    for longest in ("LONGEST_OUTAGE", "LONGEST_KEPT"):
        monkeypatch.setattr(postgres, longest, 0.0)
    postgresql.stop()
    try:
        with pytest.raises(OutOfReach, match="was out of reach for"):
            await held(ledger, budget, oracle, 1)
        with pytest.raises(StorageFailed, match="was out of reach for"):
            ledger.budget(budget)
    finally:
        postgresql.start()
    monkeypatch.undo()

    assert await held(ledger, budget, oracle, 1) == 1


def test_a_server_that_is_not_there_is_said_at_once(postgresql: Server) -> None:
    """Who mistypes a host does not wait for it: only what was open once is waited for."""
    with pytest.raises(StorageFailed, match=r"^the ledger postgresql://.* cannot be used: "):
        Ledger("postgresql:///d?host=/nowhere")


async def test_a_person_is_told_of_an_outage_once_and_of_its_end(
    ledger: Ledger, postgresql: Server, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """While the server is away a line says so, and another when it is back; one lost connection is no news."""
    budget = ledger.open_budget("b", Cap(queries=5))
    with news.told():
        with postgresql.connection(str(ledger.place)) as connection:
            connection.execute(CLOSE_OTHERS)
        ledger.open_budget("another", Cap())
        blip = capsys.readouterr().err
        postgresql.stop("immediate")

        starts = iter([postgresql.start])

        def pause(_: float) -> None:
            """Start the server once the ledger has noticed that it is away."""
            if ledger.out_of_reach and (start := next(starts, None)):
                start()

        monkeypatch.setattr("bbquery.ledger.postgres.time.sleep", pause)
        ledger.open_budget("a third", Cap())
        state = ledger.budget(budget)

    first, last = capsys.readouterr().err.splitlines()
    assert blip == ""
    assert first.startswith(f"bbquery: the ledger {ledger.name} is out of reach (")
    assert first.endswith("): nothing new is sent until it is back, and what was answered is recorded then")
    assert last == f"bbquery: the ledger {ledger.name} is back"
    assert (state.cap.queries, ledger.out_of_reach) == (5, False)
