"""A paid audit of a thousand queries through faults and kills, against the bill that the server keeps."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image as Pillow

from bbquery.cli import main
from bbquery.ledger.ledger import Ledger
from bbquery.units import Units
from oracles.emulators.openai import Faults, OpenAIEmulator
from tests.support.oracles import FakeOracle, halves_oracle

if TYPE_CHECKING:
    from pathlib import Path

    import pytest

QUERIES = 1000


async def test_the_ledger_agrees_with_the_bill_through_faults_and_kills(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With 20 % faults and three kills, a thousand paid answers are in the books to the picodollar.

    What the server billed beyond what is posted is covered, query by query, by named unknowns that stay held; once its
    report is reconciled, what is posted is its bill, and nothing is unknown.
    """
    pixels = np.random.default_rng(1).integers(0, 256, (32, 32, 3), dtype=np.uint8)
    Pillow.fromarray(pixels).save(tmp_path / "photo.png")
    oracle = halves_oracle(side=16)
    shares: dict[str, Any] = {"rate_limited": 0.05, "server_error": 0.05, "dropped": 0.04, "truncated": 0.03}
    faults = Faults(seed=4, retry_after=0.0, junk=0.03, **shares)
    emulator = OpenAIEmulator(oracle, faults)
    rng = np.random.default_rng(8)
    async with emulator.running() as url:
        codes = [await _audit(tmp_path, url, oracle, int(rng.integers(50, 250))) for _ in range(3)]
        codes.append(await _audit(tmp_path, url, oracle, None))

    with Ledger(tmp_path / "home" / "bbquery.sqlite3") as ledger:
        state, unknowns, unread = ledger.budget(1), ledger.unknowns(1), ledger.unreadable(1)
    report = tmp_path / "usage.csv"
    report.write_text(emulator.usage.csv(url.split("/")[2]), encoding="utf-8")
    monkeypatch.setenv("BBQUERY_HOME", str(tmp_path / "home"))
    settled = await asyncio.to_thread(main, ["budget", "reconcile", "--csv", str(report), "--by-sum"])
    with Ledger(tmp_path / "home" / "bbquery.sqlite3") as ledger:
        after = ledger.budget(1)
    bill = emulator.bill
    assert codes == [-signal.SIGKILL] * 3 + [0]
    assert state.posted.queries - unread.answers == QUERIES + 1
    assert state.held.queries == len(unknowns) > 0
    assert 0 <= bill.images_answered - state.posted.queries <= len(unknowns)
    assert bill.picodollars - state.posted.picodollars <= state.held.picodollars
    assert bill.tokens - state.posted.tokens <= state.held.tokens
    assert settled == 0
    assert after.posted == Units(bill.images_answered, bill.tokens, bill.picodollars)
    assert after.held == Units()


async def _audit(folder: Path, url: str, oracle: FakeOracle, kill_after: int | None) -> int:
    command = [
        *(sys.executable, "-m", "bbquery", "explain", str(folder / "photo.png"), "--target", "left"),
        *("--oracle", f"openai:model=gpt-4o-mini,base_url={url},key_env=REHEARSAL_KEY,height=16,width=16"),
        *("--method", f"rise:queries={QUERIES}", "--max-queries", "1900", "--max-usd", "5", "--drift-every", "0"),
        *("--verify", "0"),
        *("--out", str(folder / "out")),
    ]
    environment = os.environ | {"BBQUERY_HOME": str(folder / "home"), "REHEARSAL_KEY": "sk-rehearsal"}
    process = await asyncio.create_subprocess_exec(*command, env=environment, stderr=asyncio.subprocess.DEVNULL)
    if kill_after is not None:
        oracle.when_billed(kill_after, process.kill)
    return await process.wait()
