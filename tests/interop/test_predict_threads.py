"""A model as a plain function: event loops, threads, processes, and how it ends."""

from __future__ import annotations

import asyncio
import functools
import os
import signal
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import numpy as np
import pytest

from bbquery.client.halt import Interrupted
from bbquery.errors import BbqueryError, UsageError
from bbquery.interop import Predict, predict_fn
from bbquery.oracle import Price
from tests.support.bookkeeping import guard_caps
from tests.support.counted import Counted
from tests.support.interop import by_hand, images, oracle
from tests.support.models import sides

if TYPE_CHECKING:
    from pathlib import Path

    from bbquery.ledger.ledger import Ledger
    from bbquery.types import Image


def wait_for_halt(predict: Predict) -> None:
    """Return once the session's run may send no more."""
    halted, halt = threading.Event(), predict._session._client.halt
    halt.add_listener(halted.set)
    assert halt or halted.wait(30)


SIDES = "function:call=tests.support.models.sides,classes=left|right,version=1"


# --- loops, threads and ends ---


async def test_it_works_where_a_loop_runs_already(ledger: Ledger) -> None:
    """A plain call inside a running event loop, as in a notebook, answers."""
    with predict_fn(oracle(), max_queries=3, ledger=ledger) as predict:
        assert np.array_equal(predict(images(3)), by_hand(images(3)))


def test_threads_share_one_budget(ledger: Ledger) -> None:
    """Eight threads with overlapping questions get the right numbers, and each distinct image is one query."""
    guard_caps(ledger)
    pool = images(40)

    with (
        predict_fn(oracle(concurrency=4), max_queries=40, ledger=ledger) as predict,
        ThreadPoolExecutor(8) as threads,
    ):
        parts = [pool[(5 * i) % 40 :][:15] for i in range(16)]
        values = list(threads.map(predict, parts))

    assert all(np.array_equal(got, by_hand(part)) for got, part in zip(values, parts, strict=True))
    assert predict.tally.sent == 40
    assert predict.tally.asked == sum(map(len, parts))


def test_rows_of_a_batch_travel_at_once(ledger: Ledger) -> None:
    """A batch uses the oracle's concurrency: four images wait for each other and all are answered."""
    meet = threading.Barrier(4, timeout=30)

    def waits(image: Image) -> list[float]:
        meet.wait()
        return sides(image)

    with predict_fn(oracle(waits, concurrency=4), max_queries=4, ledger=ledger) as predict:
        assert np.array_equal(predict(images(4)), by_hand(images(4)))


def test_ctrl_c_stops_the_sending_and_keeps_what_came(ledger: Ledger) -> None:
    """After Ctrl-C in a call nothing more is sent, later calls say why, and answers in flight are kept."""
    main = threading.main_thread().ident
    assert main is not None
    before = signal.signal(signal.SIGINT, signal.default_int_handler)

    def third_interrupts(image: Image) -> list[float]:
        if len(shown.shown) == 3:
            signal.pthread_kill(main, signal.SIGINT)
            stopped.wait(30)
        return sides(image)

    shown, stopped = Counted(third_interrupts), threading.Event()
    try:
        with predict_fn(oracle(shown), max_queries=99, ledger=ledger) as predict:
            with pytest.raises(KeyboardInterrupt):
                predict(images(50))
            wait_for_halt(predict)
            stopped.set()
            with pytest.raises(Interrupted, match="open another"):
                predict(images(50))
    finally:
        signal.signal(signal.SIGINT, before)

    assert len(shown.shown) == predict.tally.sent == 3
    assert predict.tally.posted.queries == 3


def test_a_second_ctrl_c_waits_no_longer(ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    """Interrupted while it closes, it leaves what is in flight as perhaps billed, and the loop's thread ends."""
    main, asked, forever = threading.main_thread().ident, threading.Event(), asyncio.Event()
    assert main is not None
    before = signal.signal(signal.SIGINT, signal.default_int_handler)

    async def never(image: Image) -> list[float]:
        asked.set()
        await forever.wait()
        return sides(image)

    predict = predict_fn(oracle(never, price=Price()), max_queries=9, ledger=ledger)
    close = predict._session._client.aclose
    interrupts = iter([functools.partial(signal.pthread_kill, main, signal.SIGINT)])

    async def closing() -> None:
        next(interrupts, bool)()
        await close()

    monkeypatch.setattr(predict._session._client, "aclose", closing)
    try:
        with ThreadPoolExecutor(1) as caller:
            call = caller.submit(predict, images(1))
            asked.wait(30)
            with pytest.raises(KeyboardInterrupt):
                predict.close()
    finally:
        signal.signal(signal.SIGINT, before)

    assert isinstance(call.exception(), BbqueryError)
    assert predict.tally.unknown == 1
    assert predict.tally.held.queries == 1


def test_closing_from_another_thread_ends_a_call(ledger: Ledger) -> None:
    """A call that is cut short by closing is told so; what was in flight is answered and kept, nothing else is sent."""

    def closes(image: Image) -> list[float]:
        closer.submit(predict.close)
        wait_for_halt(predict)
        return sides(image)

    shown = Counted(closes)
    predict = predict_fn(oracle(shown), max_queries=9, ledger=ledger)
    with ThreadPoolExecutor(1) as closer, pytest.raises(Interrupted, match="closed"):
        predict(images(5))

    assert len(shown.shown) == predict.tally.sent == predict.tally.posted.queries == 1


def test_after_closing_it_says_so(ledger: Ledger) -> None:
    """A closed function refuses calls, keeps its tally, and may be closed again."""
    with predict_fn(oracle(), max_queries=3, ledger=ledger) as predict:
        predict(images(3))
    predict.close()

    with pytest.raises(UsageError, match="closed"):
        predict(images(1))

    assert predict.tally.sent == 3


def test_its_thread_ends_with_it(ledger: Ledger) -> None:
    """Closing leaves no thread of its own behind."""
    before = set(threading.enumerate())

    with predict_fn(SIDES, max_queries=3, ledger=ledger) as predict:
        predict(images(3))

    assert set(threading.enumerate()) <= before


def test_an_oracle_that_is_given_stays_open(ledger: Ledger) -> None:
    """Two functions may share one oracle, one after the other."""
    shared = oracle()

    for seed in (1, 2):
        with predict_fn(shared, max_queries=1, ledger=ledger) as predict:
            assert predict(images(1, seed=seed)).shape == (1, 2)


def test_the_default_ledger_is_the_persons_own(home: Path) -> None:
    """Without a ledger the default one holds budget and answers, and a specification names the oracle."""
    for sent in (3, 0):
        with predict_fn(SIDES, max_queries=3) as predict:
            predict(images(3))
        assert predict.tally.sent == sent

    assert (home / "bbquery.sqlite3").is_file()


def test_a_program_that_forgets_to_close_it_ends(tmp_path: Path) -> None:
    """Neither thread nor ledger keeps a process alive, and nothing complains."""
    code = (
        "from bbquery.interop import predict_fn\n"
        "from tests.support.interop import images\n"
        f"predict = predict_fn({SIDES!r}, max_queries=3)\n"
        "predict(images(3)); print(predict.tally)"
    )
    environment = os.environ | {"BBQUERY_HOME": str(tmp_path / "own"), "PYTHONPATH": "."}
    ran = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=60, env=environment
    )

    assert ran.stderr == ""
    assert ran.stdout == "3 asked: 3 sent, 0 from the store; $0.00\n"
