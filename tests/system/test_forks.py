"""A forked child that uses what its parent opened is told at once, and harms nothing of the parent's."""

from __future__ import annotations

import asyncio
import os
import re
import select
import signal
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest

from bbquery.interop import predict_fn
from bbquery.ledger.ledger import Ledger
from bbquery.ledger.owners import LockedOwner
from bbquery.ledger.records import Cap, Granted, HoldRequest
from bbquery.plan import Ask
from bbquery.units import Units
from oracles import function, onnx
from tests.support.bookkeeping import question
from tests.support.images import tiny_images
from tests.support.models import sides
from tests.support.onnx_models import classifier
from tests.support.oracles import FakeOracle, client_of

if TYPE_CHECKING:
    from bbquery.client.client import Client
    from bbquery.oracle import Oracle

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="no forks here")
SECONDS = 10.0  # within which a child has ended
REFUSED = re.compile(
    r"UsageError: (?P<what>.+?) was opened in process (?P<process>\d+) and cannot be used in process .+"
    r"open it in the child, after the fork, or start the child with"
)


def in_a_child(work: Callable[[], object]) -> str:
    """Run `work` in a forked child; return what it raised, or returned."""
    reads, writes = os.pipe()
    child = os.fork()
    if not child:
        try:
            said = f"returned {work()}"
        except BaseException as error:  # noqa: BLE001 - whatever it is, the parent is told
            said = f"{type(error).__name__}: {error}"
        os.write(writes, said.encode())
        os._exit(0)
    os.close(writes)
    with os.fdopen(reads, "rb") as pipe:
        told, _, _ = select.select([pipe], [], [], SECONDS)  # until it says something
        if not told:
            os.kill(child, signal.SIGKILL)
        said = pipe.read().decode()  # until it has ended
    os.waitpid(child, 0)
    if not told:
        pytest.fail("the child waits for ever")
    return said


def refused(said: str) -> str:
    """Return what a child may not use, where that was told with the process that opened it and what to do."""
    told = REFUSED.match(said)
    return told["what"] if told is not None and int(told["process"]) == os.getpid() else f"not refused: {said}"


def test_a_ledger_of_the_parent_is_refused(ledger: Ledger) -> None:
    """To write in it would wait for a thread that the child has not; to read, share a connection."""
    budget = ledger.open_budget("run", Cap(queries=5))

    assert refused(in_a_child(lambda: ledger.open_budget("other", Cap()))) == f"the ledger {ledger.path}"
    assert refused(in_a_child(lambda: ledger.budget(budget))) == f"the ledger {ledger.path}"
    assert refused(in_a_child(lambda: asyncio.run(ledger.reserve([])))) == f"the ledger {ledger.path}"


async def test_a_child_that_closes_leaves_the_parent_alive(tmp_path: Path) -> None:
    """The parent's hold stays its own, and its ledger goes on."""
    path = tmp_path / "ledger.sqlite3"
    with Ledger(path) as ledger:
        budget = ledger.open_budget("run", Cap(queries=5))
        (granted,) = await ledger.reserve([HoldRequest(question(1), budget, Units(1))])

        assert in_a_child(ledger.close) == "returned None"

        assert isinstance(granted, Granted)
        assert ledger._me.dead({ledger._me.name}) == set()
        with Ledger(path) as other:
            assert (other.unknowns(budget), other.budget(budget).held.queries) == ([], 1)


def test_a_child_that_lives_on_keeps_no_dead_parent_alive(tmp_path: Path) -> None:
    """What a killed process left in flight becomes unknown, though a child that it forked still runs."""
    owner = LockedOwner(tmp_path)
    reads, writes = os.pipe()
    child = os.fork()
    if not child:
        os.write(writes, b"x")
        signal.pause()
        os._exit(0)
    try:
        os.read(reads, 1)
        assert owner.dead({owner.name}) == set()

        owner._file.close()  # as the system does when a process is killed

        assert owner.dead({owner.name}) == {owner.name}
    finally:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        os.close(reads)
        os.close(writes)


def test_a_ledger_that_the_child_opens_itself_is_fine(ledger: Ledger) -> None:
    """Opened after the fork, it works beside the parent's."""

    def opened() -> int:
        with Ledger(ledger.path) as own:
            return own.open_budget("child", Cap(queries=5))

    assert in_a_child(opened).startswith("returned ")
    assert ledger.find_budget("child")


def small_onnx(tmp_path: Path) -> Oracle:
    return onnx.connect(model=classifier(tmp_path / "model.onnx", softmax=True))


def small_function(_: Path) -> Oracle:
    return function.connect(sides, classes="left|right", version="1")


@pytest.mark.parametrize("made", [small_function, small_onnx])
async def test_an_oracle_in_the_process_is_refused(made: Callable[[Path], Oracle], tmp_path: Path) -> None:
    """Its worker threads are the parent's: asked in the child, they would never answer."""
    oracle = made(tmp_path)
    pixels = np.zeros((*(oracle.capabilities.view.size or (8, 8)), 3), np.uint8)
    await oracle.answer([oracle.encode(pixels)])

    def asked() -> object:
        return asyncio.new_event_loop().run_until_complete(oracle.answer([oracle.encode(pixels)]))

    said = await asyncio.to_thread(in_a_child, asked)

    await oracle.aclose()
    assert refused(said).startswith("the oracle ")


def test_a_predict_function_is_refused(ledger: Ledger) -> None:
    """Libraries that fork workers are told that each needs one of its own; closing it there does nothing."""
    with predict_fn(small_function(Path()), max_queries=9, ledger=ledger) as predict:
        first = predict(np.zeros((1, 8, 8, 3), np.uint8))

        assert refused(in_a_child(lambda: predict(np.zeros((1, 8, 8, 3), np.uint8)))) == "this predict function"
        assert in_a_child(predict.close) == "returned None"

        assert np.array_equal(predict(np.zeros((1, 8, 8, 3), np.uint8)), first)


def test_a_client_is_refused(ledger: Ledger) -> None:
    """So is a client that the parent made."""

    async def made() -> Client:
        return client_of(FakeOracle(), ledger)

    loop = asyncio.new_event_loop()
    client = loop.run_until_complete(made())

    def asked() -> object:
        return asyncio.new_event_loop().run_until_complete(client.ask(Ask(tiny_images(1))))

    said = in_a_child(asked)
    loop.run_until_complete(client.aclose())
    loop.close()
    assert refused(said) == "this client"
