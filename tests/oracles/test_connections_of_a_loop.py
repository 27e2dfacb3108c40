"""Connections belong to the event loop that they were opened in: one set a loop, and closed in it."""

from __future__ import annotations

import asyncio
import gc
import warnings
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest

import bbquery
import oracles.google_vision
import oracles.http
from bbquery.errors import Unreachable
from bbquery.interop.loop import LoopThread
from oracles._google_vision.connection import Connection
from oracles._shared.loops import OnePerLoop
from oracles.emulators.http import HttpEmulator
from oracles.emulators.openai import OpenAIEmulator
from tests.support.images import tiny_images
from tests.support.openai_helpers import connect, prepare
from tests.support.oracles import colour_oracle

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bbquery.ledger.ledger import Ledger
    from bbquery.oracle import Oracle


class Opened:
    """Something that belongs to a loop, and remembers where it was closed."""

    def __init__(self) -> None:
        self.loop = asyncio.get_running_loop()
        self.closed_in: list[asyncio.AbstractEventLoop] = []

    async def close(self) -> None:
        await asyncio.sleep(0)
        self.closed_in.append(asyncio.get_running_loop())


@contextmanager
def served(emulator: HttpEmulator | OpenAIEmulator) -> Iterator[str]:
    """Serve in a thread of its own, as a server outside the program would be."""
    loop, running = LoopThread(), emulator.running()
    try:
        yield loop.run(running.__aenter__())
        loop.run(running.__aexit__(None, None, None))
    finally:
        loop.close()


def connected(protocol: str, url: str) -> Oracle:
    """Return an oracle object, connected in a loop that has ended."""
    return asyncio.run(oracles.http.connect(url=url)) if protocol == "http" else connect(url)


@pytest.mark.parametrize("protocol", ["http", "openai"])
def test_explaining_with_a_remote_oracle_leaves_nothing_open(
    protocol: str, ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`explain` given an oracle object warns of nothing left open, and the object serves a second call."""
    prepare(monkeypatch)
    emulator = HttpEmulator(colour_oracle()) if protocol == "http" else OpenAIEmulator(colour_oracle())
    gc.collect()
    with served(emulator) as url, warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        oracle = connected(protocol, url)
        options: dict[str, Any] = {"target": "red", "max_queries": 6, "drift_every": 0, "ledger": ledger}
        first, second = (bbquery.explain(tiny_images(1)[0], oracle, seed=seed, **options) for seed in (0, 1))
        del oracle
        gc.collect()

    assert [str(one.message) for one in said] == []
    assert first.queries.sent == 6
    assert second.queries.sent >= 4  # those that the first did not ask
    assert not second.partial


def test_a_channel_is_closed_as_its_loop_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    """Google's oracle, asked in two loops and never closed, closes the channel of each."""
    closed = []
    close = Connection.aclose

    async def noted(connection: Connection) -> None:
        closed.append(connection)
        await close(connection)

    monkeypatch.setattr(Connection, "aclose", noted)
    oracle = oracles.google_vision.connect(endpoint="127.0.0.1:9")
    for _ in range(2):
        with pytest.raises(Unreachable):
            asyncio.run(oracle.answer([oracle.encode(tiny_images(1)[0])]))

    assert len({id(connection) for connection in closed}) == len(closed) == 2


async def test_a_loop_has_one() -> None:
    """However often, and by how many tasks at once, it is needed in a loop: it is opened once."""
    kept = OnePerLoop(Opened.close)

    first, *others = await asyncio.gather(*(kept.here(Opened) for _ in range(5)))

    assert all(other is first for other in others)


async def test_what_was_closed_is_opened_anew() -> None:
    """After closing, twice or once, the next need opens another; what was closed is closed once."""
    kept = OnePerLoop(Opened.close)
    first = await kept.here(Opened)
    await asyncio.gather(kept.aclose(), kept.aclose())
    await kept.aclose()

    second = await kept.here(Opened)

    assert first.closed_in == [first.loop]
    assert second is not first
    assert second.closed_in == []


def test_what_is_left_open_is_closed_in_its_loop_as_that_ends() -> None:
    """Each of two loops, one after the other, closes its own; a loop that failed does so too."""
    kept, found = OnePerLoop(Opened.close), []

    async def needed() -> None:
        found.append(await kept.here(Opened))
        raise KeyError

    for _ in range(2):
        with pytest.raises(KeyError):
            asyncio.run(needed())

    first, second = found
    assert first is not second
    assert [first.closed_in, second.closed_in] == [[first.loop], [second.loop]]


def test_loops_of_two_threads_do_not_disturb_each_other() -> None:
    """While another thread's loop asks too, and closes, this loop keeps what it has open."""
    kept = OnePerLoop(Opened.close)

    async def elsewhere() -> Opened:
        opened = await kept.here(Opened)
        await kept.aclose()
        return opened

    async def here() -> tuple[Opened, Opened, Opened]:
        before = await kept.here(Opened)
        other = await asyncio.to_thread(asyncio.run, elsewhere())
        assert before.closed_in == []
        return before, other, await kept.here(Opened)

    before, other, after = asyncio.run(here())
    assert before is after
    assert other is not before
    assert other.closed_in == [other.loop]
    assert before.closed_in == [before.loop]


async def test_what_cannot_be_opened_is_tried_again() -> None:
    """An error while opening is raised, and nothing is kept of it."""
    kept = OnePerLoop(Opened.close)

    def fails() -> Opened:
        raise OSError("no such file")

    with pytest.raises(OSError, match="no such file"):
        await kept.here(fails)

    assert isinstance(await kept.here(Opened), Opened)
