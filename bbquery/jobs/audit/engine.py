"""The engine of an audit: lanes, one an oracle, whose photos are asked side by side within nested budgets.

Theory of operation.

1. What an audit asks is decided by its plan, its photos and its oracles, not by what ran before: a second run of the
   same plan finds rows that are complete, and begins only the others, those first that were begun before.
2. A lane begins its photos in the plan's order, each once its promise fits (`bbquery.jobs.audit.admission`) and the
   oracle would idle otherwise (`bbquery.jobs.audit.lane`). A photo is decoded in its turn, and dropped with its row.
3. A photo that is not whole since queries of it were lost, and for nothing else, is begun again at once, with as many
   more allowed: as long as each time more is answered, and where there is room for it. Room for what photos of its
   oracle have lost so far, twice over, is kept beside the promise of each new one.
4. An oracle that fails ends its lane; a person, the ledger or the disk ends all. Then nothing more begins, and what is
   at work ends in order: what is in flight is settled, and every photo that was begun has its row.
5. Rows are given as they come. Nothing is kept of them here.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import math
from collections.abc import AsyncGenerator, Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from bbquery.errors import BadImage, BbqueryError, BudgetExhausted, KeyMissing, OracleError, UsageError, unforeseen
from bbquery.jobs.audit.admission import Admission, Item, Room
from bbquery.jobs.audit.asking import asking, name_of
from bbquery.jobs.audit.beforehand import check_keys, is_stored, looked_through, unreadable
from bbquery.jobs.audit.budgets import earlier, open_budgets
from bbquery.jobs.audit.content import digest
from bbquery.jobs.audit.executor import Asks, Executor, Local
from bbquery.jobs.audit.lane import Heard, Lane, Todo
from bbquery.jobs.audit.work import Outcome, Work, unasked
from bbquery.jobs.parts import Part, Status
from bbquery.money import in_unit
from bbquery.system.clock import SystemClock
from bbquery.units import NOTHING, Units

if TYPE_CHECKING:
    from bbquery.jobs.audit.asking import Asking
    from bbquery.jobs.audit.budgets import Budgets
    from bbquery.jobs.audit.keeping import Keeper
    from bbquery.jobs.audit.photos import Photo
    from bbquery.jobs.audit.plan import Plan
    from bbquery.jobs.audit.row import Row
    from bbquery.jobs.watch import Watch
    from bbquery.ledger.ledger import Ledger
    from bbquery.oracle import Oracle
    from bbquery.system.clock import Clock

SECONDS_BETWEEN_LOOKS = 0.05  # whether an oracle idles: short against a request, long against the look
SECONDS_AN_HOUR = 3600.0


class NoRoom(BudgetExhausted):
    """The next photo may take more than is left of a cap: it is not begun, so that no half of it is paid."""

    in_ledger = False  # the plan has it

    def __init__(self, budget: str, unit: str, *, remaining: int, needed: int, cap: int) -> None:
        super().__init__(budget, unit, remaining=remaining, needed=needed, cap=cap)
        left = f"budget {budget!r} has {in_unit(remaining, unit)} of {in_unit(cap, unit)} left"
        self.args = (f"{left}, and the next photo may take {in_unit(needed, unit)}: raise the cap in the plan",)


class AbovePhotoCap(BudgetExhausted):
    """A photo may take more than the plan allows for one: it is not begun, since it would stay a half."""

    in_ledger = False  # the plan has it

    def __init__(self, asked: Asking, unit: str, before: Units) -> None:
        spent = getattr(before, unit)
        cap, needed = getattr(asked.plan.caps.photo.cap, unit), getattr(asked.promise, unit) + spent
        name = f"photo {asked.photo.name!r} on {asked.setting.name!r}"
        super().__init__(name, unit, remaining=cap, needed=needed, cap=cap)
        allows, takes = in_unit(cap, unit), in_unit(needed, unit)
        of = f", with the {in_unit(spent, unit)} that an earlier form of the plan took" if spent else ""
        self.args = (f"[caps.photo] allows {allows}, and {name} may take {takes}{of}: raise it, or ask less of each",)


class TimeUp(BudgetExhausted):
    """The hours that the plan allows are over: no more photos are begun."""

    in_ledger = False  # the plan has it

    def __init__(self, budget: str, hours: float) -> None:
        super().__init__(budget, "hours", remaining=0, needed=1, cap=math.ceil(hours))
        self.args = (f"the plan's max_hours = {hours:g} are over: the same command goes on",)


@dataclass(frozen=True, eq=False)
class Turn:
    """A photo whose turn it is. place: in the plan. item: for admission."""

    place: int
    photo: Photo
    budgets: Budgets
    item: Item


@dataclass(frozen=True, eq=False)
class Ready:
    """A photo that may begin. asking: decoded."""

    turn: Turn
    identity: str
    asking: Asking


@dataclass(eq=False)
class Engine:
    """An audit that runs once. photos: of the plan. oracles: connected, in the plan's order.

    ended: what ended it as a whole, lacks: why a photo is not whole; None while nothing is so. earlier: what earlier
    runs took, of each oracle by name and of the whole by "".
    """

    plan: Plan
    photos: Sequence[Photo]
    oracles: Sequence[Oracle]
    ledger: Ledger
    keeper: Keeper
    watch: Watch
    clock: Clock = field(default_factory=SystemClock)
    executor: Executor = field(default_factory=Local)
    ended: BbqueryError | None = None
    lacks: BbqueryError | None = None
    lanes: list[Lane] = field(default_factory=list)
    earlier: dict[str, Units] = field(default_factory=dict)
    _promises: dict[tuple[int, int], Units] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """The name of the audit's budget."""
        return f"audit-{self.plan.name}"

    async def check(self) -> None:
        """See, before a query, that the plan can be asked of the first photo of each lane that can be read.

        Raises:
            UsageError: it cannot.
        """
        for setting, oracle in zip(self.plan.oracles, self.oracles, strict=True):
            for photo in self.photos:
                try:
                    await asyncio.to_thread(asking, self.plan, setting, photo, oracle)
                except BadImage:
                    continue
                break

    async def check_keys(self) -> None:
        """See, before a query and once opened, that each oracle that must be asked has its key.

        Raises:
            KeyMissing: one is not set, or cannot be sent; names all such oracles.
        """
        wanted = [
            (lane.setting.name, lane.oracle, functools.partial(self._is_stored, lane))
            for lane in self.lanes
            if lane.todo
        ]
        await asyncio.to_thread(check_keys, wanted)

    def _is_stored(self, lane: Lane) -> bool:
        """Whether the store has what a lane says of each photo that is left: so it may be an audit that is replayed."""
        left = [self.photos[todo.place] for todo in lane.todo]
        return is_stored(lane.oracle, left, self.ledger)

    async def look_through(self) -> None:
        """Say, before a query and once opened, which of the photos that are left cannot be read: these fail alone."""
        left = [self.photos[place] for place in sorted({todo.place for lane in self.lanes for todo in lane.todo})]
        found = await asyncio.to_thread(looked_through, left)
        damaged = {name: each.reason for name, each in found.items() if isinstance(each, BadImage)}
        for line in unreadable(damaged):
            self.watch.beware(f"a photo cannot be read, so nothing is asked of it: {line}")

    async def check_photo_cap(self) -> None:
        """See, before a query and once opened, that one of the photos that are left may begin within [caps.photo].

        Raises:
            AbovePhotoCap: all may take more.
        """
        above: BbqueryError | None = None
        for lane, todo in [(each, todo) for each in self.lanes for todo in each.todo]:
            try:
                photo = self.photos[todo.place]
                asked = await asyncio.to_thread(asking, self.plan, lane.setting, photo, lane.oracle)
                found = await asyncio.to_thread(self._above_photo_cap, lane, asked)
            except UsageError:
                continue
            if found is None:
                return
            above = above or found
        if above is not None:
            raise above

    def _above_photo_cap(self, lane: Lane, asked: Asking) -> AbovePhotoCap | None:
        """Return why a photo may not begin: it may take more than the plan allows for one; None where it may begin."""
        before = earlier(self.ledger, asked, f"{lane.name}/{asked.photo.name}")
        unit = Room(asked.plan.caps.photo.cap).lacks(asked.promise.plus(before))
        return AbovePhotoCap(asked, unit, before) if unit else None

    async def run(self) -> AsyncGenerator[Row, None]:
        """Ask, and give each photo's row as soon as it is written."""
        if not self.lanes:
            await self.open()
        self._rows: asyncio.Queue[Row | None] = asyncio.Queue()
        self._changed, self._writing = asyncio.Event(), asyncio.Lock()
        self._until = self._deadline()
        task = asyncio.create_task(self._all())
        try:
            while (row := await self._rows.get()) is not None:
                yield row
            await task
        finally:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task

    def _deadline(self) -> float | None:
        hours = self.plan.caps.max_hours
        return None if hours is None else self.clock.now() + hours * SECONDS_AN_HOUR

    async def open(self) -> None:
        """Make or resume the budgets of the audit and of its oracles, and see what is left to ask."""
        plan = self.plan
        whole = self.ledger.open_budget(self.name, plan.caps.cap, None, f"{len(self.photos)} photos")
        self.budget, self.earlier[""] = whole, self.ledger.budget(whole).taken
        for place, (setting, oracle) in enumerate(zip(plan.oracles, self.oracles, strict=True)):
            name = f"{self.name}/{setting.name}"
            budget = self.ledger.open_budget(name, setting.cap, whole, oracle.capabilities.name)
            lane = Lane(setting, oracle, place, budget, name, [], 0)
            self.earlier[setting.name] = self.ledger.budget(budget).taken
            lane.todo = await asyncio.to_thread(self._todo, lane)
            lane.done = len(self.photos) - len(lane.todo)
            self.lanes.append(lane)
        for lane in self.lanes:
            for photo in sorted(set(range(len(self.photos))) - {todo.place for todo in lane.todo}):
                self.watch.had(self._part(lane, photo))
        rooms = {lane.name: self._room(lane.budget) for lane in self.lanes}
        self._admission = Admission(self._room(whole), rooms)

    def _room(self, budget: int) -> Room:
        state = self.ledger.budget(budget)
        return Room(state.cap, state.posted.plus(state.held))

    def _todo(self, lane: Lane) -> list[Todo]:
        """Return the photos of a lane that are not complete as they are asked now, in order."""
        return sorted(self._not_complete(lane))

    def _not_complete(self, lane: Lane) -> Iterator[Todo]:
        for place, photo in enumerate(self.photos):
            row = self.keeper.row(lane.setting.name, photo.name)
            if row is not None and (row.status == "not begun" or not self._is_same(row, lane, photo)):
                self.keeper.forget(lane.setting.name, photo.name)  # else it counts as an answer to what is asked now
                row = None
            if row is None or not row.complete:
                yield Todo(0 if row is not None and row.status == "partial" else 1, place)

    def _is_same(self, row: Row, lane: Lane, photo: Photo) -> bool:
        try:
            return row.identity == self._identity(lane, photo)
        except BadImage:
            return False

    def _identity(self, lane: Lane, photo: Photo) -> str:
        return name_of(self.plan, lane.setting, photo, digest(photo), lane.oracle.capabilities.identity)

    async def _all(self) -> None:
        """Run all lanes, and say when no more rows come."""
        try:
            async with asyncio.TaskGroup() as tasks:
                for lane in self.lanes:
                    tasks.create_task(self._lane(lane, tasks))
        finally:
            self._rows.put_nowait(None)

    async def _lane(self, lane: Lane, photos: asyncio.TaskGroup) -> None:
        """Begin a lane's photos, one after another, as there is room for each."""
        with self._ends_all(lane):
            await self._begun(lane, photos)
        for outcome in lane.put_off.values():
            self._took(outcome)
        self._wake()

    async def _begun(self, lane: Lane, photos: asyncio.TaskGroup) -> None:
        while self.ended is None and (todo := await self._next(lane)) is not None:
            ready = await asyncio.to_thread(self._ready, lane, todo.place)
            if isinstance(ready, Outcome):
                lane.next += 1
                self._took(ready)
            elif await self._admitted(lane, todo, ready):
                lane.next += 1
                self._begin(lane, ready, photos)
            del ready

    @contextlib.contextmanager
    def _ends_all(self, lane: Lane) -> Iterator[None]:
        """End the audit in order by whatever happens meanwhile: the ledger or the disk may fail at any time."""
        try:
            yield
        except Exception as error:  # noqa: BLE001 - whatever it is, the photos at work are settled and written
            self.ended = self.ended or unforeseen(error, lane.setting.name)

    async def _next(self, lane: Lane) -> Todo | None:
        """Return what is next of a lane, once that is known: a photo at work may have to be begun again."""
        while (todo := next(lane.left(), None)) is None and lane.at_work and lane.ended is None:
            await self._something_changed()
        return todo

    def _ready(self, lane: Lane, place: int) -> Ready | Outcome:
        """Decode a photo and open its budgets; give the row of one that cannot be asked. On a worker thread."""
        photo = self.photos[place]
        identity = ""
        try:
            identity = self._identity(lane, photo)
            asked = asking(self.plan, lane.setting, photo, lane.oracle)
            above = self._above_photo_cap(lane, asked)
        except UsageError as error:
            return self._not_asked(lane, photo, identity, error, "failed")
        if above is not None:
            return self._not_asked(lane, photo, identity, above, "not begun")
        budgets = open_budgets(self.ledger, asked, f"{lane.name}/{photo.name}", lane.budget, self.plan.caps.photo.cap)
        anew = budgets.already == NOTHING  # what was begun before is to end, whatever the next one may lose
        promise = lane.with_losses(budgets.promise) if anew else budgets.promise
        item = Item(lane.name, promise, budgets.already)
        return Ready(Turn(place, photo, budgets, item), identity, asked)

    def _not_asked(self, lane: Lane, photo: Photo, identity: str, error: BbqueryError, status: Status) -> Outcome:
        """Keep and return the row of a photo of which nothing is asked; what it has from earlier on stays."""
        own = lane.setting.name
        row = unasked(
            error, status=status, photo=photo, own=own, identity=identity, oracle=lane.oracle,
            folder=self.keeper.folder(own, photo.name),
        )  # fmt: skip
        if status == "failed" or self.keeper.row(own, photo.name) is None:
            self.keeper.keep(row)
        return Outcome(row, lacks=error)

    async def _admitted(self, lane: Lane, todo: Todo, ready: Ready) -> bool:
        """Wait until a photo may begin; return whether it may: the lane may end first, or another photo come first."""
        while self.ended is None and next(lane.left(), None) is todo:
            if self._until is not None and self.clock.now() >= self._until:
                lane.ended = TimeUp(self.name, self.plan.caps.max_hours or 0)
                break
            earlier = await self._earlier(lane, todo)
            decision = self._admission.decide(ready.turn.item, earlier)
            if decision == "cap":
                lane.ended = self._no_room(lane, ready)
                break
            if decision == "begin" and self._has_room(lane, ready):
                return True
            await self._something_changed()
        return False

    def _has_room(self, lane: Lane, ready: Ready) -> bool:
        lanes = sum(each.at_work > 0 or next(each.left(), None) is not None for each in self.lanes)
        return self.executor.has_room(lane, lanes, ready.asking, self.clock.now())

    async def _earlier(self, lane: Lane, todo: Todo) -> list[Units]:
        """Return the promises of photos of other lanes that come before this one, where they share a cap with it."""
        if not self._admission.shares:
            return []
        promises = []
        for other in self.lanes:
            for before in other.left():
                if other is lane or (before, other.place) > (todo, lane.place):
                    break
                promises.append(await self._promise(other, before.place))
        return promises

    async def _promise(self, lane: Lane, place: int) -> Units:
        """Return what a photo may take beside what it has; nothing of one that cannot be asked."""
        key = (lane.place, place)
        if key not in self._promises:
            ready = await asyncio.to_thread(self._ready, lane, place)
            self._promises[key] = Units() if isinstance(ready, Outcome) else ready.turn.item.more
        return self._promises[key]

    def _no_room(self, lane: Lane, ready: Ready) -> NoRoom:
        """Return which cap a photo does not fit in."""
        which, unit = self._admission.lacks(ready.turn.item)
        state = self.ledger.budget(lane.budget if which == "the oracle" else self.budget)
        cap = getattr(state.cap, unit)
        left = cap - getattr(state.posted, unit) - getattr(state.held, unit)
        return NoRoom(state.name, unit, remaining=max(left, 0), needed=getattr(ready.turn.item.more, unit), cap=cap)

    def _begin(self, lane: Lane, ready: Ready, photos: asyncio.TaskGroup) -> None:
        turn = ready.turn
        self._admission.begin(turn.item)
        self._promises.pop((lane.place, turn.place), None)
        lane.put_off.pop(turn.place, None)
        lane.at_work += 1
        lane.began = self.clock.now()
        heard = Heard(lane, self._part(lane, turn.place), self.watch)
        work = Work(ready.asking, ready.identity, turn.budgets, self.ledger, self.keeper, heard, self._writing)
        photos.create_task(self._photo(lane, turn, heard, self.executor.taken(work)))

    def _part(self, lane: Lane, photo: int) -> Part:
        """Return a photo on an oracle as who watches knows it."""
        place, count = photo * len(self.lanes) + lane.place, len(self.photos) * len(self.lanes)
        return Part(place, count, f"{lane.setting.name}/{self.photos[photo].name}", self.budget)

    async def _photo(self, lane: Lane, turn: Turn, heard: Heard, asks: Asks) -> None:
        """Ask a photo to its end; what no part of it foresees ends the audit in order."""
        outcome = Outcome(None)
        heard.begins(heard.part)
        try:
            with self._ends_all(lane):
                outcome = await asks()
        finally:
            heard.ends(heard.part)
            with self._ends_all(lane):
                self._end(lane, turn)
        lane.done += outcome.row is not None and outcome.row.complete
        goes_on = self.ended is None and lane.ended is None
        if goes_on and outcome.lost and outcome.answered > lane.answered.get(turn.place, 0):
            lane.answered[turn.place] = outcome.answered
            lane.put_off[turn.place] = outcome
            lane.again(turn.place)
            self._wake()
            return
        self._ends_lane(lane, lane.took(outcome.error, f"{lane.name}/{turn.photo.name}"))
        self._took(outcome)
        self._wake()

    def _took(self, outcome: Outcome) -> None:
        """Give a photo's row, where it has one."""
        if self.lacks is None or isinstance(self.lacks, UsageError):  # of one photo: what another one lost weighs more
            self.lacks = outcome.lacks or self.lacks
        if outcome.row is not None and outcome.row.status != "not begun":
            self._rows.put_nowait(outcome.row)

    def _end(self, lane: Lane, turn: Turn) -> None:
        """Count what a photo has really taken."""
        lane.at_work -= 1
        state = self.ledger.budget(turn.budgets.photo)
        lane.taken, lane.lost = lane.taken + state.posted.queries, lane.lost + state.held.queries
        self._admission.end(turn.item, state.posted.plus(state.held))

    def _ends_lane(self, lane: Lane, error: BbqueryError | None) -> None:
        """End a lane by what ended a photo, or all lanes where it is nobody's oracle's fault."""
        if error is None:
            return
        lane.ended = lane.ended or error
        above = isinstance(error, BudgetExhausted) and not error.budget.startswith(lane.name)
        if above or not isinstance(error, OracleError | BudgetExhausted | KeyMissing):
            self.ended = self.ended or error

    def _wake(self) -> None:
        """Let lanes look again."""
        self._changed.set()
        self._changed = asyncio.Event()

    async def _something_changed(self) -> None:
        """Wait until a photo has ended, or a moment: whether an oracle idles is nothing that anybody tells."""
        waits = [asyncio.create_task(self._changed.wait())]
        waits.append(asyncio.create_task(self.clock.sleep(SECONDS_BETWEEN_LOOKS)))  # type: ignore[arg-type] # of another result
        try:
            await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for each in waits:
                each.cancel()

    @property
    def error(self) -> BbqueryError | None:
        """The error of the exit code: what ended all, an oracle that failed, a cap, a photo that is not whole."""
        ended = [lane.ended for lane in self.lanes if lane.ended is not None]
        failed = next((each for each in ended if isinstance(each, OracleError)), None)
        return self.ended or failed or next(iter(ended), None) or self.lacks
