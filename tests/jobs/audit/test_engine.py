"""The engine of an audit: side by side, within caps, and never the same question paid twice."""

from __future__ import annotations

import asyncio
import tracemalloc
from typing import TYPE_CHECKING, Any

import pytest

from bbquery.client.halt import Interrupted
from bbquery.errors import KeyMissing, KeyRefused, OutcomeUnknown, QuotaExceeded, Rejected, StorageFailed
from bbquery.jobs.audit import lane
from bbquery.jobs.audit.budgets import open_budgets
from bbquery.jobs.audit.engine import AbovePhotoCap, NoRoom, TimeUp
from bbquery.jobs.audit.photos import Photo
from bbquery.jobs.watch import Watch
from tests.support.audits import MAPS, Small, Undrawn, photos_in, plan_of
from tests.support.clocks import FakeClock
from tests.support.oracles import FakeOracle

if TYPE_CHECKING:
    from pathlib import Path

    from bbquery.client.client import Client
    from bbquery.jobs.audit.asking import Asking
    from bbquery.jobs.audit.budgets import Budgets
    from bbquery.jobs.audit.row import Row
    from bbquery.jobs.parts import Part
    from bbquery.ledger.ledger import Ledger

pytestmark = pytest.mark.slow


def _by_status(rows: list[Row], oracle: str = "one") -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for row in sorted(rows, key=lambda row: row.photo):
        if row.oracle == oracle:
            found.setdefault(row.status, []).append(row.photo)
    return found


def test_each_photo_on_each_oracle_has_a_row_and_a_damaged_one_fails_alone(tmp_path: Path) -> None:
    """An unreadable photo is a failed row that says why; all others are whole, with their maps."""
    photos = photos_in(tmp_path / "photos", 3)
    (tmp_path / "bad.png").write_bytes(b"no picture")
    audit = Small(tmp_path, [Photo("bad", str(tmp_path / "bad.png"), "bad.png"), *photos])

    rows, engine = audit.run(plan_of("one", "two", explain=MAPS), FakeOracle(), FakeOracle(version="2"))

    for oracle in ("one", "two"):
        assert _by_status(rows, oracle) == {"failed": ["bad"], "complete": ["p00", "p01", "p02"]}
    assert all(len(row.maps) == 1 and len(row.maps[0].grid) == 8 for row in rows if row.complete)
    assert "not a picture" in next(row.why for row in rows if row.photo == "bad")
    assert engine.error is engine.lacks


def test_an_oracle_that_refuses_every_photo_ends_its_lane_alone(tmp_path: Path) -> None:
    """One oracle refuses every request: it is left alone after three photos, and the other is asked to the end."""
    refused = FakeOracle(script=lambda _: Rejected("404: no such model"))
    audit = Small(tmp_path, photos_in(tmp_path / "photos", 8))

    rows, engine = audit.run(plan_of("one", "two"), refused, FakeOracle(version="2"))

    assert len(_by_status(rows, "two")["complete"]) == 8
    assert set(_by_status(rows, "one")) == {"failed"}
    assert refused.requests < 8
    assert isinstance(engine.error, Rejected)


def test_a_ledger_that_fails_as_a_photo_begins_ends_all_in_order(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing more begins, on no oracle; what is at work has its rows, and the failure is what the audit ends by."""

    def fails_at_the_third(ledger: Ledger, asked: Asking, *rest: Any) -> Budgets:
        if asked.photo.name == "p02":
            raise StorageFailed("the disk is full")
        return open_budgets(ledger, asked, *rest)

    monkeypatch.setattr("bbquery.jobs.audit.engine.open_budgets", fails_at_the_third)
    audit = Small(tmp_path, photos_in(tmp_path / "photos", 8))

    rows, engine = audit.run(plan_of("one", "two"), FakeOracle(), FakeOracle(version="2"))

    assert str(engine.error) == "the disk is full"
    assert engine.error is engine.ended
    assert all({row.photo for row in rows if row.oracle == own} <= {"p00", "p01"} for own in ("one", "two"))
    assert any(row.complete for row in rows)


@pytest.mark.parametrize("error", [KeyRefused("401: no such key"), KeyMissing("KEY is unset: put the key in it")])
def test_a_key_that_fails_under_way_is_said_once(tmp_path: Path, error: Exception) -> None:
    """No photo has a row for it, none is tried after the first ones, and the other oracle is asked to the end.

    A key that is not set is found before (tests/commands/test_audit_beforehand.py), but not by an oracle that cannot
    say so, nor where a worker of a fleet alone lacks it: then what others answer is paid, and is not thrown away.
    """
    keyless = FakeOracle(script=lambda _: error, largest_batch=1)
    audit = Small(tmp_path, photos_in(tmp_path / "photos", 8))

    rows, engine = audit.run(plan_of("one", "two"), keyless, FakeOracle(version="2"))

    assert _by_status(rows, "one") == {}
    assert len(_by_status(rows, "two")["complete"]) == 8
    assert keyless.requests <= 2 * lane.LEAST_AT_WORK
    assert isinstance(engine.error, type(error))
    assert engine.ended is None


def test_a_quota_that_is_used_up_ends_its_lane_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Waiting does not help, so no further photo is tried; what was answered before is kept in its rows."""
    for most in ("LEAST_AT_WORK", "MOST_AT_WORK"):  # side by side, the four answers may be of three photos
        monkeypatch.setattr(lane, most, 1)
    oracle = FakeOracle(script=lambda n: QuotaExceeded("no credit") if n >= 4 else None, largest_batch=1)
    audit = Small(tmp_path, photos_in(tmp_path / "photos", 30))

    rows, engine = audit.run(plan_of("one"), oracle)

    assert isinstance(engine.error, QuotaExceeded)
    assert _by_status(rows)["complete"] == ["p00", "p01"]
    assert sum(row.posted.queries for row in rows) == audit.spent() == 4
    assert len(rows) == 3


def test_a_spent_cap_leaves_finished_photos_and_no_halves(tmp_path: Path) -> None:
    """Two oracles share a cap: each has the same photos whole, none is begun in vain, and the cap is not passed."""
    audit = Small(tmp_path, photos_in(tmp_path / "photos", 12))
    plan = plan_of("one", "two", explain=MAPS, caps={"max_queries": 160})

    rows, engine = audit.run(plan, FakeOracle(), FakeOracle(version="2", concurrency=1))

    assert {row.status for row in rows} == {"complete"}
    assert 2 <= len(_by_status(rows)["complete"]) <= 6
    assert _by_status(rows, "one") == _by_status(rows, "two")
    assert audit.spent() <= 160
    assert isinstance(engine.error, NoRoom)
    assert "the next photo may take" in str(engine.error)


def test_a_photo_that_may_take_more_than_one_is_allowed_is_not_begun(tmp_path: Path) -> None:
    """Its row says which cap and what it needs; nothing is asked, so that no photo is left a half."""
    audit, asked = Small(tmp_path, photos_in(tmp_path / "photos", 3)), FakeOracle()

    rows, engine = audit.run(plan_of("one", explain=MAPS, caps={"photo": {"max_queries": 20}}), asked)

    assert (rows, asked.billed, audit.spent()) == ([], 0, 0)
    kept = Undrawn(tmp_path / "out").row("one", "p02")
    assert kept is not None
    assert kept.status == "not begun"
    assert "[caps.photo] allows 20 queries, and photo 'p02' on 'one' may take 27 queries" in kept.why
    assert isinstance(engine.error, AbovePhotoCap)


def test_a_photo_begins_once_its_own_cap_is_raised(tmp_path: Path) -> None:
    """What was not begun is asked as anything else, and a row that there was stays where the cap is lowered."""
    audit = Small(tmp_path, photos_in(tmp_path / "photos", 2))
    audit.run(plan_of("one", caps={"photo": {"max_queries": 1}}), FakeOracle())

    rows, engine = audit.run(plan_of("one", caps={"photo": {"max_queries": 3}}), FakeOracle())
    again, lowered = audit.run(plan_of("one", caps={"photo": {"max_queries": 1}}), FakeOracle())

    assert [row.status for row in rows] == ["complete"] * 2
    assert engine.error is lowered.error is None
    assert again == []


def test_a_raised_cap_goes_on_and_pays_only_the_rest(tmp_path: Path) -> None:
    """What two runs paid together is what one run pays, by the oracle's own count."""
    photos = photos_in(tmp_path / "photos", 5)
    whole = FakeOracle()
    (tmp_path / "alone").mkdir()
    Small(tmp_path / "alone", photos).run(plan_of("one", explain=MAPS), whole)
    audit, first, second = Small(tmp_path, photos), FakeOracle(), FakeOracle()

    begun, _ = audit.run(plan_of("one", explain=MAPS, caps={"max_queries": 60}), first)
    rows, engine = audit.run(plan_of("one", explain=MAPS, caps={"max_queries": 600}), second)

    assert 0 < len(begun) < 5
    assert len(begun) + len(rows) == 5
    assert first.billed + second.billed == whole.billed == audit.spent()
    assert engine.error is None


def test_an_added_photo_and_an_added_oracle_are_all_that_is_asked(tmp_path: Path) -> None:
    """The same plan again asks nothing; with one photo more, that one; with one oracle more, that one."""
    photos = photos_in(tmp_path / "photos", 4)
    Small(tmp_path, photos[:3]).run(plan_of("one"), FakeOracle())
    again, more, other = FakeOracle(), FakeOracle(), FakeOracle(version="2")

    assert Small(tmp_path, photos[:3]).run(plan_of("one"), again)[0] == []
    rows, _ = Small(tmp_path, photos).run(plan_of("one"), more)
    both, _ = Small(tmp_path, photos).run(plan_of("one", "two"), FakeOracle(), other)

    assert again.billed == 0
    assert ([row.photo for row in rows], more.billed) == (["p03"], 2)
    assert ({row.oracle for row in both}, other.billed) == ({"two"}, 8)


class _StopsAt(Watch):
    """Stops a run as Ctrl-C does, once so many queries were answered."""

    def __init__(self, answers: int) -> None:
        self.left, self.clients, self.began = answers, list["Client"](), list[str]()

    def beside(self, part: Part) -> Watch:
        self.began.append(part.name)
        return self

    def started(self, client: Client, queries: int, rows: int) -> None:
        self.clients.append(client)
        if self.left <= 0:
            client.halt.set(Interrupted("stopped"))

    def progressed(self) -> None:
        self.left -= 1
        if self.left == 0:
            for client in self.clients:
                client.halt.set(Interrupted("stopped"))


def test_a_person_who_stops_it_pays_only_the_rest_later(tmp_path: Path) -> None:
    """What is in flight is settled; photos at work have partial rows, come first in the next run, and end whole."""
    photos = photos_in(tmp_path / "photos", 4)
    first, second = FakeOracle(largest_batch=1), FakeOracle(largest_batch=1)
    plan = plan_of("one", explain=MAPS)

    rows, engine = Small(tmp_path, photos, _StopsAt(30)).run(plan, first)
    seen = _StopsAt(10_000)
    _, ended = Small(tmp_path, photos, seen).run(plan, second)

    assert isinstance(engine.error, Interrupted)
    assert "partial" in {row.status for row in rows}
    assert ended.error is None
    assert first.billed + second.billed == Small(tmp_path, photos).spent() == 4 * first_bill(tmp_path, plan, photos)
    partial = {f"one/{row.photo}" for row in rows if row.status == "partial"}
    assert set(seen.began[: len(partial)]) == partial


def first_bill(tmp_path: Path, plan: object, photos: list[Photo]) -> int:
    """Return what one photo costs by itself."""
    oracle = FakeOracle()
    (tmp_path / "alone").mkdir()
    Small(tmp_path / "alone", photos[:1]).run(plan, oracle)  # type: ignore[arg-type] # a plan
    return oracle.billed


def test_lost_queries_are_allowed_again_until_a_photo_is_whole(tmp_path: Path) -> None:
    """Queries of unknown outcome stay held and count; the next run may take as many more, and no other photo waits."""
    photos = photos_in(tmp_path / "photos", 1)
    lost = FakeOracle(script=lambda n: OutcomeUnknown("no answer") if n >= 3 else None, largest_batch=1, concurrency=2)
    plan = plan_of("one", explain=MAPS | {"max_queries": 20})

    rows, _ = Small(tmp_path, photos).run(plan, lost)
    again, engine = Small(tmp_path, photos).run(plan, FakeOracle())

    assert rows[0].status == "partial"
    assert rows[0].held.queries > 0
    assert [row.status for row in again] == ["complete"]
    assert again[0].held.queries == rows[0].held.queries
    assert engine.error is None


def test_a_photo_that_lost_queries_is_begun_again_in_the_same_run(tmp_path: Path) -> None:
    """Each fifth request is lost: no photo is left a half for that, and none is told before it is whole."""
    photos = photos_in(tmp_path / "photos", 3)
    oracle = FakeOracle(script=lambda n: OutcomeUnknown("no answer") if n % 5 == 2 else None, largest_batch=1)

    rows, engine = Small(tmp_path, photos).run(plan_of("one", explain=MAPS | {"max_queries": 16}), oracle)

    assert [row.status for row in rows] == ["complete"] * 3
    assert all(row.held.queries for row in rows)
    assert engine.error is None


def test_after_the_plans_hours_nothing_more_begins(tmp_path: Path) -> None:
    """Those at work end; the others are not begun."""
    clock = FakeClock()

    async def late(_: int) -> None:
        clock.time += 1200

    audit = Small(tmp_path, photos_in(tmp_path / "photos", 9), clock=clock)
    rows, engine = audit.run(plan_of("one", caps={"max_hours": 1}), FakeOracle(work=late))

    assert {row.status for row in rows} == {"complete"}
    assert 2 <= len(rows) < 9
    assert isinstance(engine.error, TimeUp)


def test_memory_does_not_grow_with_the_number_of_photos(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Six times as many photos take no more at once than their names and rows."""
    monkeypatch.setattr(lane, "MOST_AT_WORK", 2)
    photos = photos_in(tmp_path / "photos", 70, side=256)
    plan = plan_of("one")
    Small(tmp_path, photos[:1]).run(plan, FakeOracle(concurrency=2))  # imports, caches
    peaks = []
    for few in (photos[:10], photos[10:70]):
        tracemalloc.start()
        oracle = FakeOracle(concurrency=2)
        oracle.shown = _Forgetful()  # type: ignore[assignment] # a list of nothing
        Small(tmp_path, few).run(plan, oracle)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()

    assert peaks[1] < peaks[0] + 0.1 * 50 * 256 * 256 * 3  # bytes: a tenth of the pixels of the 50 photos more


class _Forgetful(list[object]):
    def extend(self, _: object) -> None:
        """Keep nothing."""


class _Slots:
    """An oracle's slots in time of their own: a request ends once all slots are in use, or nothing more comes."""

    PATIENCE = 3.0  # seconds without a further request, after which the slots count as idle

    def __init__(self, slots: int) -> None:
        self.slots, self.waiting = slots, list[asyncio.Future[None]]()
        self.used: list[int] = []

    async def work(self, _: int) -> None:
        loop = asyncio.get_running_loop()
        end = loop.create_future()
        self.waiting.append(end)
        if len(self.waiting) == self.slots:
            self._tick()
            return
        timer = loop.call_later(self.PATIENCE, self._tick)
        try:
            await end
        finally:
            timer.cancel()

    def _tick(self) -> None:
        """Let time pass by one request: all that are in flight end."""
        if not self.waiting:
            return
        self.used.append(len(self.waiting))
        for each in self.waiting:
            if not each.done():
                each.set_result(None)
        self.waiting.clear()


def test_the_slower_oracles_slots_are_always_used(tmp_path: Path) -> None:
    """Until its last photos, the slower of two oracles has at least 95 % of its slots in use."""
    slots = _Slots(4)
    slow = FakeOracle(work=slots.work, concurrency=4, largest_batch=1, provider="slow")
    fast = FakeOracle(version="2", concurrency=8, largest_batch=1, provider="fast")
    audit = Small(tmp_path, photos_in(tmp_path / "photos", 16))

    rows, _ = audit.run(plan_of("one", "two", explain=MAPS), slow, fast)

    assert len(rows) == 32
    until_last = slots.used[: int(0.8 * len(slots.used))]
    assert sum(until_last) >= 0.95 * 4 * len(until_last)
