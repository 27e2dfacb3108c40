"""The synchronous verbs: in a running loop, in the caller's context, stopped by Ctrl-C, and gone when they are over."""

from __future__ import annotations

import asyncio
import contextvars
import signal
import threading
from concurrent.futures import wait
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

import bbquery
from bbquery.client.halt import Interrupted
from bbquery.jobs.synchronous import synchronous, synchronous_iterator
from oracles import function
from tests.support.models import sides

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Iterator
    from concurrent.futures import Future

    from bbquery.client.client import Client
    from bbquery.ledger.ledger import Ledger
    from bbquery.oracle import Oracle
    from bbquery.types import Image

PHOTOS = [np.random.default_rng(n).integers(100, 200, (16, 20, 3), dtype=np.uint8) for n in range(2)]
CALLS: dict[str, Callable[..., Any]] = {
    "explain": lambda oracle, ledger: bbquery.explain(PHOTOS[0], oracle, max_queries=10, ledger=ledger),
    "explain_many": lambda oracle, ledger: [*bbquery.explain_many(PHOTOS, oracle, max_queries=20, ledger=ledger)],
    "compare": lambda oracle, ledger: bbquery.compare(
        PHOTOS[0], oracle, methods="rise:cells=3,occlusion:queries=9", max_queries=10, ledger=ledger
    ),
    "evaluate": lambda oracle, ledger: bbquery.evaluate(
        np.arange(320.0).reshape(16, 20), PHOTOS[0], oracle, metrics="aopc", steps=2, ledger=ledger
    ),
    "probe": lambda oracle, ledger: bbquery.probe(PHOTOS[0], oracle, score="soft", max_queries=30, ledger=ledger),
    "attack": lambda oracle, ledger: bbquery.attack(
        PHOTOS[0], oracle, attack="lr_mifgsm:cells=4", score="label", max_queries=300, ledger=ledger
    ),
    "attack_many": lambda oracle, ledger: [
        *bbquery.attack_many(
            PHOTOS[:1], oracle, attack="lr_mifgsm:cells=4", score="label", max_queries=300, ledger=ledger
        )
    ],
}


def named(call: Callable[[Image], Any] = sides) -> Oracle:
    return function.connect(call, classes="left|right", version="1")


def threads_of_runs() -> list[str]:
    return [thread.name for thread in threading.enumerate() if thread.name.startswith("bbquery-run")]


@pytest.mark.parametrize("verb", CALLS)
async def test_a_verb_works_inside_a_running_loop(verb: str, ledger: Ledger) -> None:
    """In a notebook, whose loop is running, a verb is called as anywhere, and leaves no thread behind."""
    found = CALLS[verb](named(), ledger)

    assert isinstance(found, list) or not found.partial
    assert found
    assert threads_of_runs() == []
    assert asyncio.get_running_loop().is_running()


async def test_a_series_can_be_left_inside_a_running_loop(ledger: Ledger) -> None:
    """Who leaves the loop after an image has closed the run and its thread, in a notebook too."""
    for result in bbquery.explain_many(PHOTOS, named(), max_queries=20, ledger=ledger):
        assert result.status == "complete"
        break

    assert threads_of_runs() == []


def test_what_a_run_raises_is_raised_to_the_caller(ledger: Ledger) -> None:
    """A mistake of the caller arrives as it is, and no thread stays."""
    with pytest.raises(bbquery.UsageError, match="unknown method"):
        bbquery.explain(PHOTOS[0], named(), method="nothing", max_queries=10, ledger=ledger)

    assert threads_of_runs() == []


@pytest.mark.parametrize("raised", [ZeroDivisionError, KeyboardInterrupt, SystemExit, asyncio.CancelledError])
@pytest.mark.parametrize("verb", ["explain", "explain_many"])
def test_what_a_function_of_the_caller_raises_ends_the_run(
    verb: str, raised: type[BaseException], ledger: Ledger
) -> None:
    """Whatever is raised in a function that is told of progress ends the run, which keeps what it has and says why."""

    def ends(done: int, total: int) -> None:
        if done == 2:
            raise raised

    options: dict[str, Any] = {"max_queries": 20, "ledger": ledger, "progress": ends}
    if verb == "explain":
        found: Any = bbquery.explain(PHOTOS[0], named(), **options)
    else:
        found, later = bbquery.explain_many(PHOTOS, named(), **options)
        assert later.status == "not begun"

    assert (found if verb == "explain" else found.explanation).partial
    assert raised.__name__ in str(found.error)
    assert threads_of_runs() == []


@pytest.mark.parametrize("raised", [ZeroDivisionError, KeyboardInterrupt, SystemExit])
def test_who_watches_may_end_the_run_at_its_beginning(raised: type[BaseException], ledger: Ledger) -> None:
    """What a watch raises before anything is answered is said to the caller, and the run is closed."""

    class Ends(bbquery.Watch):
        def started(self, client: Client, queries: int, rows: int) -> None:
            raise raised

    with pytest.raises(Interrupted, match=raised.__name__):
        bbquery.attack(PHOTOS[0], named(), max_queries=300, ledger=ledger, watch=Ends())

    assert threads_of_runs() == []


@pytest.mark.parametrize("raised", [KeyboardInterrupt, SystemExit])
def test_an_oracle_of_the_caller_that_ends_the_program_ends_the_run(
    raised: type[BaseException], ledger: Ledger
) -> None:
    """An asynchronous function runs on the event loop, and does not stop it by what it raises."""

    async def ends(image: Image) -> list[float]:
        raise raised

    first, second = bbquery.explain_many(PHOTOS, named(ends), max_queries=20, ledger=ledger)

    assert raised.__name__ in str(first.error)
    assert second.status == "not begun"
    assert threads_of_runs() == []


def test_context_variables_of_the_caller_hold_in_the_run(ledger: Ledger) -> None:
    """A program's own context, such as a trace, is that of the run; what the run sets stays in there."""
    variable = contextvars.ContextVar("variable", default=0)

    @synchronous
    async def seen_async() -> int:
        seen = variable.get()
        variable.set(2)
        return seen

    variable.set(1)

    assert seen_async() == variable.get() == 1


def test_an_iterator_keeps_one_context(ledger: Ledger) -> None:
    """What a generator sets before a result is set after it too, and never in the caller."""
    variable = contextvars.ContextVar("variable", default=0)

    async def counting_async() -> AsyncGenerator[int, None]:
        for _ in range(3):
            variable.set(variable.get() + 1)
            yield variable.get()

    assert [(number, variable.get()) for number in synchronous_iterator(counting_async)()] == [(1, 0), (2, 0), (3, 0)]


class CtrlC:
    """Interrupts this thread as Ctrl-C does, from another one, and tells when this one waits."""

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        self._waits, self._main = threading.Semaphore(0), threading.get_ident()
        patch.setattr("bbquery.jobs.synchronous.wait", self._until_done)

    def _until_done(self, futures: list[Future[Any]], seconds: float) -> None:
        self._waits.release()
        while not wait(futures, seconds).done:  # a signal that comes from now on is met here
            continue

    def press(self) -> None:
        signal.pthread_kill(self._main, signal.SIGINT)

    async def caller_waits(self) -> None:
        """Return once the caller waits for the run: the first time, or again after it was interrupted."""
        while not self._waits.acquire(blocking=False):
            await asyncio.sleep(0)
        await asyncio.sleep(0)  # what the interrupted caller left to this loop has its turn


@pytest.fixture
def ctrl_c(monkeypatch: pytest.MonkeyPatch) -> Iterator[CtrlC]:
    """Give what interrupts this thread."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield CtrlC(monkeypatch)
    signal.signal(signal.SIGINT, before)


class Slow:
    """A model that, at its n-th question, interrupts the caller so often, and answers once that is heard."""

    def __init__(self, ctrl_c: CtrlC, at: int, times: int = 1) -> None:
        self.asked, self._at, self._times, self._ctrl_c = 0, at, times, ctrl_c

    async def __call__(self, image: Image) -> list[float]:
        self.asked += 1
        if self.asked == self._at:
            await self._ctrl_c.caller_waits()
            for _ in range(self._times):
                self._ctrl_c.press()
                await self._ctrl_c.caller_waits()
            if self._times > 1:
                await asyncio.Event().wait()  # it never answers
        return sides(image)


def test_ctrl_c_returns_what_there_is(ctrl_c: CtrlC, ledger: Ledger) -> None:
    """The first Ctrl-C sends no more, waits for what is in flight, and returns a partial map that says so."""
    slow = Slow(ctrl_c, at=5)

    found = bbquery.explain(PHOTOS[0], named(slow), max_queries=50, ledger=ledger)

    assert found.partial
    assert isinstance(found.error, Interrupted)
    assert slow.asked == found.queries.answered == 5
    assert threads_of_runs() == []


def test_a_second_ctrl_c_does_not_wait(ctrl_c: CtrlC, ledger: Ledger) -> None:
    """A model that never answers is left alone, and what was answered before is returned all the same."""
    slow = Slow(ctrl_c, at=5, times=2)

    found = bbquery.explain(PHOTOS[0], named(slow), max_queries=50, ledger=ledger)

    assert (found.partial, found.queries.answered) == (True, 4)
    assert threads_of_runs() == []


def test_ctrl_c_ends_a_series_after_the_image_at_work(ctrl_c: CtrlC, ledger: Ledger) -> None:
    """No further image is begun, and each result says what became of it."""
    results = [*bbquery.explain_many(PHOTOS, named(Slow(ctrl_c, at=5)), max_queries=40, ledger=ledger)]

    assert [each.status for each in results] == ["partial", "not begun"]


class Late(Exception):
    """What a program's own alarm raises."""


def test_an_alarm_of_the_caller_ends_the_run(ctrl_c: CtrlC, ledger: Ledger) -> None:
    """What a signal's handler raises in the waiting program ends the run at once, and reaches the program."""

    def late(number: int, frame: object) -> None:
        raise Late

    signal.signal(signal.SIGINT, late)

    with pytest.raises(Late):
        bbquery.explain(PHOTOS[0], named(Slow(ctrl_c, at=5, times=2)), max_queries=50, ledger=ledger)

    assert threads_of_runs() == []


def test_ctrl_c_before_anything_is_asked_ends_the_call(ctrl_c: CtrlC, ledger: Ledger) -> None:
    """There is nothing to return yet, so the program is interrupted as anywhere else."""
    began = threading.Event()

    @synchronous
    async def connecting_async() -> None:
        began.set()
        await ctrl_c.caller_waits()
        ctrl_c.press()
        await asyncio.Event().wait()

    with pytest.raises(KeyboardInterrupt):
        connecting_async()

    assert began.is_set()
    assert threads_of_runs() == []
