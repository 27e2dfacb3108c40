"""The clock on the wall is moved, or a laptop sleeps, in the middle of a run: money, pace and order do not notice.

Only records and dates in headers know the time of day; all waiting is by a clock that never goes back. That clock may
leap ahead, though, where a machine is suspended.
"""

from __future__ import annotations

import asyncio
import csv
import datetime
import itertools
import time
from email.utils import formatdate
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from aiohttp import web
from hypothesis import example, given
from hypothesis import strategies as st

import oracles.http
from bbquery.cli import main
from bbquery.client.client import Client
from bbquery.client.pace import Pace
from bbquery.drift import DriftWatch
from bbquery.errors import OracleError, OutcomeUnknown, RateLimited, Unreachable
from bbquery.ledger import reports, statements, vendor
from bbquery.ledger.accounts import Accounts
from bbquery.ledger.ledger import Ledger
from bbquery.ledger.records import Cap
from bbquery.ledger.usage import Usage
from bbquery.plan import Ask
from bbquery.scoring.soft import Soft
from bbquery.units import Units
from tests.client.test_pace import throttled_by
from tests.client.test_provider import most_in_a_window
from tests.support import openai_helpers
from tests.support.bookkeeping import COST, HOLD, asked, remember, sent
from tests.support.clocks import FakeClock
from tests.support.http_helpers import always, serving
from tests.support.images import tiny_images
from tests.support.oracles import CLASSES, FakeOracle

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

DAY = datetime.timedelta(days=1)
NOON = datetime.datetime(2026, 4, 13, 12, tzinfo=datetime.UTC)
BACK_AND_FORTH = (-DAY, DAY, datetime.timedelta())
HOUR = 3600.0
RATE = 60  # a minute
LONGEST_WAIT = 30.0  # seconds: of the back-off, and longer than what the oracle asks for


class Wall:
    """The clock on the wall: that of the client, `ahead` of noon."""

    def __init__(self, clock: FakeClock) -> None:
        self._clock = clock
        self.ahead = datetime.timedelta()

    def now(self) -> datetime.datetime:
        return NOON + datetime.timedelta(seconds=self._clock.now()) + self.ahead

    def record(self) -> str:
        return self.now().isoformat(timespec="milliseconds")


@pytest.fixture
def wall(clock: FakeClock, monkeypatch: pytest.MonkeyPatch) -> Iterator[Wall]:
    """Move the time of day for all who ask for it; asyncio-throttle lives by the client's clock."""
    found = Wall(clock)
    monkeypatch.setattr(statements, "now", found.record)
    monkeypatch.setattr(time, "time", lambda: found.now().timestamp())
    with throttled_by(clock):
        yield found


class Jumping:
    """A script of failures, in the middle of which the wall's clock is moved."""

    def __init__(self, wall: Wall, jumps: tuple[datetime.timedelta, ...]) -> None:
        self.wall = wall
        self.jumps = dict(zip(itertools.count(10, 15), jumps, strict=False))
        self.unknown = 0

    def __call__(self, number: int) -> OracleError | None:
        self.wall.ahead = self.jumps.get(number, self.wall.ahead)
        self.unknown += number % 10 == 6
        failures = {3: RateLimited("slow", retry_after=7.0), 6: OutcomeUnknown("cut off"), 8: Unreachable("down")}
        return failures.get(number % 10)


@pytest.fixture
def starts(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Return a list that is filled with the times at which requests may start."""
    found: list[float] = []
    turn = Pace.turn

    async def noted(pace: Pace, images: int, tokens: int, following: Callable[[], int]) -> None:
        await turn(pace, images, tokens, following)
        found.append(pace._clock.now())

    monkeypatch.setattr(Pace, "turn", noted)
    return found


async def run_with_drift_checks(oracle: FakeOracle, ledger: Ledger, budget: int, clock: FakeClock) -> int:
    """Ask 40 questions in fours, with checks of drift; return how many checks were made."""
    clean = tiny_images(1, seed=9)[0]
    async with Client(oracle, ledger, budget, clock=clock) as client:
        ((first,),) = await client.ask(Ask(clean[None]))
        assert first is not None
        watch = DriftWatch(clean, first, Soft().bind(first.answer, "bright", CLASSES), every=20)
        await watch.start(client)
        for images in np.split(tiny_images(40), 10):
            await client.ask(Ask(images))
            await watch.after(client)
        report = await watch.end(client)
    assert not report.drifted
    return len(report.checks)


@pytest.mark.parametrize("jumps", [(), *((jump,) for jump in BACK_AND_FORTH[:2]), BACK_AND_FORTH])
async def test_a_run_does_not_notice_that_the_clock_is_moved(
    jumps: tuple[datetime.timedelta, ...], wall: Wall, clock: FakeClock, ledger: Ledger, starts: list[float]
) -> None:
    """Pace, back-off, waits that were asked for, checks and money are those of a run by a clock that is left alone."""
    script = Jumping(wall, jumps)
    oracle = FakeOracle(script=script, largest_batch=1, concurrency=1, limits={"requests_per_minute": RATE})
    budget = ledger.open_budget("run", Cap(queries=200))

    checks = await run_with_drift_checks(oracle, ledger, budget, clock)

    state = ledger.budget(budget)
    assert oracle.requests > max(script.jumps, default=0)
    assert len(starts) == oracle.requests
    assert most_in_a_window(starts, 60) <= RATE
    assert most_in_a_window(starts, 1) <= 1
    assert all(0 <= seconds <= LONGEST_WAIT for seconds in clock.slept)
    assert checks == 1 + 2 + 2 + 1  # the first answer, two at the start, after each 20 or more sent, one at the end
    assert state.posted == Units(queries=oracle.billed) == Units(queries=40 + checks)
    assert state.held == Units(queries=script.unknown)


async def test_attempts_are_in_the_order_they_were_sent_with_the_time_that_was_shown(
    wall: Wall, clock: FakeClock, ledger: Ledger
) -> None:
    """Numbers count up whatever the clock shows, and each attempt keeps the time that it showed."""
    script, shown = Jumping(wall, BACK_AND_FORTH), list[int]()

    def noting(number: int) -> OracleError | None:
        shown.append(wall.now().day)
        return script(number)

    oracle = FakeOracle(script=noting, largest_batch=1, concurrency=1, limits={"requests_per_minute": RATE})

    await run_with_drift_checks(oracle, ledger, ledger.open_budget("run", Cap(queries=200)), clock)

    with Accounts(ledger.path) as accounts:
        attempts = accounts.read(lambda c: list(reports.attempts(c)))
    assert [attempt.id for attempt in attempts] == list(range(1, oracle.requests + 1))
    assert [int(attempt.opened[8:10]) for attempt in attempts] == shown
    assert list(dict(itertools.groupby(shown))) == [13, 12, 14]
    assert shown[-1] == 13


@pytest.mark.parametrize("jump", BACK_AND_FORTH[:2])
async def test_a_hold_does_not_expire(jump: datetime.timedelta, wall: Wall, ledger: Ledger) -> None:
    """Who opens the ledger by a clock that was moved releases nothing of what is in flight, or unknown."""
    oracle, budget = remember(ledger, model="m"), ledger.open_budget("run", Cap(queries=5))
    at = wall.record()
    await asyncio.to_thread(lambda: sent(ledger, budget, asked(oracle, 1), "unknown", at=at))
    await asyncio.to_thread(lambda: sent(ledger, budget, asked(oracle, 2), None, at=at))
    wall.ahead = jump

    with Ledger(ledger.path) as second:
        held = second.budget(budget).held

    assert held == HOLD.times(2)


# --- what is reported ---


def sent_at(ledger: Ledger, *days: int, outcome: Any = "posted", model: str = "gpt-4o") -> list[int]:
    """Send one attempt after the other while the clock shows so many days after noon; return their numbers."""
    oracle, budget = remember(ledger, model=model), ledger.open_budget("run", Cap())
    shown = [(NOON + day * DAY + datetime.timedelta(minutes=n)).isoformat() for n, day in enumerate(days)]
    return [sent(ledger, budget, asked(oracle, n), outcome, at=at) for n, at in enumerate(shown)]


def test_an_export_is_in_the_order_of_sending(home: Path, tmp_path: Path) -> None:
    """Rows are in the order of their numbers, each with the time that the clock showed."""
    home.mkdir()
    with Ledger(home / "bbquery.sqlite3") as ledger:
        numbers = sent_at(ledger, 0, -1, 1, 0)

    assert main(["budget", "export", "--out", str(tmp_path / "attempts.csv")]) == 0

    rows = list(csv.DictReader((tmp_path / "attempts.csv").read_text().splitlines()))
    assert [int(row["attempt"]) for row in rows] == numbers == sorted(numbers)
    assert [row["opened"][8:10] for row in rows] == ["13", "12", "14", "13"]


def test_days_are_those_that_were_recorded(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Spending by day counts each attempt on the day that the clock showed, and loses none."""
    home.mkdir()
    with Ledger(home / "bbquery.sqlite3") as ledger:
        sent_at(ledger, 0, -1, 1, 0)

    assert main(["budget", "show", "--by", "day"]) == 0

    lines = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert [line[:2] for line in lines if line and line[0].startswith("2026")] == [
        ["2026-04-12", "1"],
        ["2026-04-13", "2"],
        ["2026-04-14", "1"],
    ]


def compared(ledger: Ledger, day: int, *, now: datetime.datetime = NOON + 30 * DAY, queries: int = 0) -> Any:
    """Compare the ledger with a report of one day."""
    start = (NOON + day * DAY).replace(hour=0)
    cost = Units(COST.queries, COST.tokens, COST.picodollars).times(queries)
    usage = Usage("gpt-4o", start, start + DAY, cost, statements.UNITS)
    with Accounts(ledger.path) as accounts:
        return accounts.read(lambda c: vendor.compare(c, [usage], now, by_sum=False))


@pytest.mark.parametrize(("days", "reported"), [((0, -1, 0), -1), ((0, 1, 0), 1), ((0, 1, 0), 0)])
def test_a_report_settles_nothing_that_a_moved_clock_recorded(
    days: tuple[int, ...], reported: int, ledger: Ledger
) -> None:
    """An attempt whose time cannot be right may have been billed on another day, so that day's report frees no hold."""
    sent_at(ledger, *days, outcome="unknown")

    found = compared(ledger, reported)

    assert found.verdicts == []
    assert "not conclusive: the clock was moved" in found.windows[0].conclusion


def test_what_comes_after_the_time_of_day_is_doubtful(ledger: Ledger) -> None:
    """A last attempt of tomorrow shows that one clock was wrong, so a report settles nothing of that day."""
    sent_at(ledger, 0, 1, outcome="unknown")

    found = compared(ledger, 0, now=NOON + HOUR * datetime.timedelta(seconds=1))

    with Accounts(ledger.path) as accounts:
        doubtful = accounts.read(lambda c: reports.doubtful(c, NOON + datetime.timedelta(hours=1)))
    assert doubtful == {2}
    assert found.verdicts == []


@pytest.mark.parametrize("days", [(0, 0, 0), (0, 1, 2), (-20, 0, 0), (0, 400, 0)])
def test_days_that_are_in_order_can_be_settled(days: tuple[int, ...], ledger: Ledger) -> None:
    """Where nothing speaks against the recorded times, a report voids what was not billed.

    Nor does one attempt of next year, when the clock was reset, spoil all that were sent since.
    """
    numbers = sent_at(ledger, *days, outcome="unknown")

    found = compared(ledger, 0)

    expected = [number for number, day in zip(numbers, days, strict=True) if day == 0]
    assert [(verdict.attempt, verdict.outcome) for verdict in found.verdicts] == [(n, "voided") for n in expected]


def test_a_clock_that_is_set_right_by_seconds_was_not_moved(ledger: Ledger) -> None:
    """Clocks are corrected by seconds all the time; no report is doubted for that."""
    oracle, budget = remember(ledger, model="gpt-4o"), ledger.open_budget("run", Cap())
    for number, seconds in enumerate((0, -40, 5)):
        at = (NOON + datetime.timedelta(seconds=seconds)).isoformat()
        sent(ledger, budget, asked(oracle, number), "unknown", at=at)

    assert len(compared(ledger, 0).verdicts) == 3


# --- waiting until a date ---


def busy(**headers: str) -> Callable[[web.Request], Any]:
    return always(lambda: web.Response(status=429, headers=headers, text="{}"))


async def refused_by_http(url: str, ahead: float) -> OracleError:
    oracle: Any = await oracles.http.connect(url=url, template=TEMPLATE)
    oracle._endpoint.clock = lambda: NOON.timestamp() + ahead
    with pytest.raises(OracleError) as caught:
        await oracle.answer([oracle.encode(tiny_images(1)[0])])
    await oracle.aclose()
    return caught.value


async def refused_by_openai(url: str, ahead: float) -> OracleError:
    async with openai_helpers.connected(url, key_env=None) as connected:
        oracle: Any = connected
        oracle._endpoint.clock = lambda: NOON.timestamp() + ahead
        with pytest.raises(OracleError) as caught:
            await oracle.answer([oracle.encode(openai_helpers.image())])
    return caught.value


TEMPLATE = {
    "request": {"body": "json", "json": {"image": "${image_base64}"}},
    "answer": {"kind": "probabilities", "values": "$.p", "classes": ["left", "right"]},
}


@pytest.mark.parametrize("ahead", [0.0, -86400.0, 86400.0])
@pytest.mark.parametrize("refused", [refused_by_http, refused_by_openai])
async def test_a_wait_until_a_date_is_by_the_servers_clock(refused: Any, ahead: float) -> None:
    """Told to wait until half a minute after its own time, nobody waits a day, or not at all, by a wrong clock."""
    dates = {"Date": formatdate(NOON.timestamp(), usegmt=True)}
    dates["Retry-After"] = formatdate(NOON.timestamp() + 30, usegmt=True)

    async with serving(busy(**dates)) as url:
        error = await refused(url, ahead)

    assert isinstance(error, RateLimited)
    assert error.retry_after == 30


# --- a laptop sleeps ---


class Suspended(FakeClock):
    """The machine is suspended for an hour during some of the waits, counted from 0."""

    def __init__(self, *waits: int) -> None:
        super().__init__()
        self._waits, self._number = set(waits), -1

    async def sleep(self, seconds: float) -> None:
        self._number += 1
        await super().sleep(seconds)
        if self._number in self._waits:
            self.time += HOUR


class SuspendedOnce(FakeClock):
    """The machine is suspended for an hour during the first wait after which something is so."""

    def __init__(self, so: Callable[[], bool]) -> None:
        super().__init__()
        self._so, self._slept = so, False

    async def sleep(self, seconds: float) -> None:
        await super().sleep(seconds)
        if not self._slept and self._so():
            self._slept = True
            self.time += HOUR


@given(waits=st.sets(st.integers(0, 40), min_size=1, max_size=3), tokens=st.sampled_from([None, 1000.0]))
@example(waits={0, 19}, tokens=1000.0)  # the machine sleeps in a wait for tokens, with a place among the images
def test_nobody_makes_up_for_the_time_that_was_slept(waits: set[int], tokens: float | None) -> None:
    """After waking no window of a second or a minute holds more than the rate allows, in images or in tokens."""
    clock, starts = Suspended(*waits), list[float]()

    async def run() -> None:
        pace = Pace(600, tokens, clock)
        for _ in range(60):
            await pace.turn(1, 50)
            starts.append(clock.now())

    with throttled_by(clock):
        asyncio.run(run())

    assert most_in_a_window(starts, 1) <= 10
    assert most_in_a_window(starts, 60) <= (600 if tokens is None else tokens / 50)
    assert starts[-1] > HOUR


async def test_retries_that_wake_together_keep_the_pace(ledger: Ledger, starts: list[float]) -> None:
    """Ten queries that were told to wait, all due after an hour asleep, start one a second and not all at once."""
    clock = SuspendedOnce(lambda: oracle.requests >= 10)

    def told_to_wait(number: int) -> OracleError | None:
        return RateLimited("slow", retry_after=20.0) if number < 10 else None

    limits = {"requests_per_minute": RATE}
    oracle = FakeOracle(script=told_to_wait, largest_batch=1, concurrency=10, limits=limits)
    with throttled_by(clock):
        async with Client(oracle, ledger, ledger.open_budget("run", Cap(queries=99)), clock=clock) as client:
            rows = await client.ask(Ask(tiny_images(10)))

    assert None not in [reply for row in rows for reply in row]
    assert starts[-1] - starts[0] > HOUR
    assert most_in_a_window(starts, 1) <= 1


async def test_what_was_in_flight_while_the_machine_slept_is_unknown(
    ledger: Ledger, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its time-out passed in the sleep: it may have been billed, so its hold stays, and it is asked anew."""
    loop, awake = asyncio.get_running_loop(), asyncio.get_running_loop().time
    oracle = FakeOracle(largest_batch=1, concurrency=2, gated=True)
    budget = ledger.open_budget("run", Cap(queries=9))
    async with Client(oracle, ledger, budget, clock=clock) as client:
        asking = asyncio.create_task(client.ask(Ask(tiny_images(2))))
        while oracle.requests < 2:
            await asyncio.sleep(0)
        monkeypatch.setattr(loop, "time", lambda: awake() + HOUR)
        while oracle.requests < 4:
            await asyncio.sleep(0)
        oracle.gate.set()
        rows = await asking
        tally = client.tally

    state = ledger.budget(budget)
    assert None not in [reply for row in rows for reply in row]
    assert (tally.sent, tally.unknown) == (4, 2)
    assert (state.posted.queries, state.held.queries) == (2, 2)
