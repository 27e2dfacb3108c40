"""Batch runs against OpenAI's protocol: the vendor's own package, and an emulator that keeps its own bill."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from PIL import Image as Pillow

import bbquery
from bbquery.batches import prefetch
from bbquery.ledger.ledger import Ledger
from bbquery.oracle import Price
from bbquery.saliency.rise import Rise
from oracles import function
from oracles.emulators.openai import Faults, OpenAIEmulator
from tests.support import models, openai_helpers
from tests.support.bookkeeping import guard_caps
from tests.support.clocks import FakeClock

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from bbquery.jobs.explain.result import Explanation

QUERIES = 24
PHOTO = np.random.default_rng(3).integers(0, 256, (8, 8, 3), dtype=np.uint8)
METHOD = Rise(queries=QUERIES, batch=16, cells=3)
CHECKS = 3


@pytest.fixture(autouse=True)
def prepared(monkeypatch: pytest.MonkeyPatch) -> None:
    openai_helpers.prepare(monkeypatch)
    monkeypatch.setattr(prefetch, "SystemClock", FakeClock)


@dataclass
class Bench:
    emulator: OpenAIEmulator
    url: str
    ledger: Ledger

    async def explain(self, *, batch: bool = True, ledger: Ledger | None = None, **more: Any) -> Explanation:
        """Explain in a run of its own, through a connection of its own."""
        options = {"classes": "left|right", "top_logprobs": 5} | more
        async with openai_helpers.connected(self.url, **options) as oracle:
            return await bbquery.explain_async(
                PHOTO,
                oracle,
                method=METHOD,
                target="left",
                max_queries=200,
                verify=0,
                drift_every=100,
                batch=batch,
                ledger=ledger or self.ledger,
            )


@asynccontextmanager
async def bench(folder: Path, **faults: Any) -> AsyncIterator[Bench]:
    async with AsyncExitStack() as stack:
        inner = function.connect(
            models.sides, classes="left|right", height=8, width=8, version="1", price=Price(), concurrency=4
        )
        stack.push_async_callback(inner.aclose)
        emulator = OpenAIEmulator(inner, Faults(**faults), key=openai_helpers.KEY)
        url = await stack.enter_async_context(emulator.running())
        ledger = stack.enter_context(Ledger(folder / "l.sqlite3"))
        guard_caps(ledger)
        yield Bench(emulator, url, ledger)


def picodollars(explanation: Explanation) -> tuple[int, int]:
    return explanation.budget.posted.picodollars, explanation.budget.held.picodollars


async def test_the_vendors_bill_is_the_ledger(tmp_path: Path) -> None:
    """Every line is answered once, at half price, and to the picodollar what the emulator says it is owed."""
    async with bench(tmp_path) as b:
        explanation = await b.explain()

        bill = b.emulator.bill
        assert not explanation.partial
        assert picodollars(explanation) == (bill.picodollars, 0)
        assert explanation.budget.posted.tokens == bill.tokens
        assert (bill.batches, bill.batch_lines, bill.batch_answers) == (1, QUERIES + CHECKS, QUERIES + CHECKS)
        assert (bill.repeated_lines, bill.repeated_answers) == (0, 0)


@pytest.mark.parametrize("api", ["chat", "responses"])
async def test_the_map_is_the_ordinary_one_for_half_the_money(tmp_path: Path, api: str) -> None:
    """By the file or at once, the same pixels get the same answers; the lines cost half."""
    async with bench(tmp_path) as b:
        by_file = await b.explain(api=api)
        with Ledger(tmp_path / "other.sqlite3") as other:
            at_once = await b.explain(api=api, batch=False, ledger=other)

    assert by_file.maps[0].values.tobytes() == at_once.maps[0].values.tobytes()
    whole, half = picodollars(at_once)[0], picodollars(by_file)[0]
    assert by_file.queries.sent == at_once.queries.sent == 1 + QUERIES + CHECKS
    assert half < whole * 0.53  # the unperturbed image is asked at once, at full price


async def test_what_was_answered_by_the_file_is_not_paid_at_full_price(tmp_path: Path) -> None:
    """The answers are the ordinary run's: without --batch it asks nothing more."""
    async with bench(tmp_path) as b:
        await b.explain()
        again = await b.explain(batch=False)

    assert again.queries.sent == 0
    assert not again.partial


async def test_an_expired_batch_is_settled_as_charged(tmp_path: Path) -> None:
    """What was worked on is paid, what was not is asked again, a bounded number of times."""
    async with bench(tmp_path, batch_expired=1.0, batch_part=0.5) as b:
        explanation = await b.explain()

        bill = b.emulator.bill
        assert bill.batches == prefetch.MOST_ROUNDS
        assert picodollars(explanation) == (bill.picodollars, 0)
        assert explanation.partial
        assert "batch_expired" in str(explanation.error)
        assert explanation.maps[0].sent.answered < QUERIES
        assert (bill.images_answered, bill.repeated_answers) == (1 + bill.batch_answers, 0)


async def test_a_batch_that_fails_validation_costs_nothing(tmp_path: Path) -> None:
    """The vendor's reason is told, and nothing is held."""
    async with bench(tmp_path, batch_invalid=1.0) as b:
        explanation = await b.explain()

        assert "Enqueued token limit" in str(explanation.error)
        assert picodollars(explanation) == (b.emulator.bill.picodollars, 0)
        assert b.emulator.bill.batch_answers == 0


async def test_a_batch_that_was_made_and_not_told_is_found(tmp_path: Path) -> None:
    """The connection drops each time the batch is made: it is found by our name, and made once."""
    async with bench(tmp_path, batch_dropped=1.0) as b:
        explanation = await b.explain()

        assert not explanation.partial
        assert b.emulator.bill.batches == 1
        assert picodollars(explanation) == (b.emulator.bill.picodollars, 0)


@pytest.mark.parametrize("seed", range(8))
async def test_through_all_faults_no_line_is_submitted_twice_and_the_bill_is_covered(tmp_path: Path, seed: int) -> None:
    """Whatever goes wrong, again and again: what the vendor charges is posted or held, and no line leaves twice."""
    faults = {
        "batch_rate_limited": 0.1,
        "batch_server_error": 0.3,
        "batch_dropped": 0.2,
        "batch_invalid": 0.1,
        "batch_expired": 0.3,
        "batch_truncated": 0.3,
        "item_error": 0.1,
    }
    async with bench(tmp_path, seed=seed, **faults) as b:
        explanations = [await b.explain() for _ in range(3)]

        bill, (posted, held) = b.emulator.bill, picodollars(explanations[-1])
        assert bill.repeated_lines == bill.repeated_answers == 0
        assert posted <= bill.picodollars <= posted + held
        assert bill.batch_answers > 0
        if not explanations[-1].unknown:
            assert posted == bill.picodollars


RUN = """
import os, signal, sys
from bbquery.cli import main
from bbquery.system.clock import SystemClock
from bbquery.ledger import batches
from tests.support.clocks import FakeClock

clock = FakeClock()
SystemClock.now, SystemClock.sleep = lambda _: clock.now(), lambda _, seconds: clock.sleep(seconds)
advance, end = batches.advance, batches.end
def dying(connection, batch, to, *more):
    if to == sys.argv[1]:
        os.kill(os.getpid(), signal.SIGKILL)
    return advance(connection, batch, to, *more)
batches.advance = dying
sys.exit(main(sys.argv[2:]))
"""


@pytest.mark.parametrize("at", ["written", "submitting", "submitted", "collected"])
async def test_a_killed_command_goes_on_where_it_was(tmp_path: Path, at: str) -> None:
    """Killed before a batch is written, submitted, known to be, or closed, the same command ends with bill = ledger."""
    Pillow.fromarray(PHOTO).save(tmp_path / "photo.png")
    async with bench(tmp_path) as b:
        first, _ = await run(tmp_path, b.url, at)
        second, said = await run(tmp_path, b.url, "")

        bill = b.emulator.bill
        assert (first, second) == (-signal.SIGKILL, 0), said
        with Ledger(tmp_path / "home" / "bbquery.sqlite3") as ledger:
            state = ledger.budget(1)
        assert (bill.batches, bill.repeated_lines, bill.repeated_answers) == (1, 0, 0)
        assert (state.posted.picodollars, state.held.picodollars) == (bill.picodollars, 0)
        assert state.posted.queries == 1 + QUERIES + CHECKS


async def run(folder: Path, url: str, at: str) -> tuple[int | None, str]:
    """Run the command in a process of its own, killed before a batch gets to a state."""
    oracle = f"openai:model=gpt-4o-mini,base_url={url},classes=left|right,top_logprobs=5,height=8,width=8"
    arguments = ["explain", str(folder / "photo.png"), "--oracle", oracle, "--method", f"rise:queries={QUERIES}"]
    more = ["--target", "left", "--batch", "--out", str(folder / "out"), "--max-queries", "200", "--yes"]
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", RUN, at, *arguments, *more),
        env=os.environ | {"BBQUERY_HOME": str(folder / "home")},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    _, said = await process.communicate()
    return process.returncode, said.decode()
