"""A key that is used appears nowhere: not in what a run writes, prints, logs or keeps."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import numpy as np
import pytest
from PIL import Image as Pillow

from bbquery.cli import main
from oracles import function
from oracles.emulators import http as http_emulator
from oracles.emulators import openai as openai_emulator
from tests import models

if TYPE_CHECKING:
    from pathlib import Path

MARKER = "sk-marker-7f3a9c51d2"
SPECIFICATIONS = {
    "openai": "openai:model=gpt-4o-mini,base_url={url},key_env=ACME_KEY,height=16,width=16",
    "http": "http:url={url},key_env=ACME_KEY,usd_per_query=0.001",
}


@pytest.mark.parametrize("name", SPECIFICATIONS)
async def test_a_key_is_in_nothing_that_a_run_leaves_behind(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Through faults of many kinds the marker key is in no file of the run, ledger or log, nor on the screen."""
    monkeypatch.setenv("ACME_KEY", MARKER)
    Pillow.fromarray(np.full((24, 24, 3), 180, np.uint8)).save(tmp_path / "photo.png")
    inner = function.connect(models.sides, classes="left|right", height=16, width=16, version="1", concurrency=2)
    module = {"openai": openai_emulator, "http": http_emulator}[name]
    faults = module.Faults(seed=1, rate_limited=0.05, retry_after=0.0, server_error=0.05, dropped=0.05, junk=0.02)
    emulator = openai_emulator.OpenAIEmulator if name == "openai" else http_emulator.HttpEmulator
    async with emulator(inner, faults).running() as url:
        command = [
            *("explain", str(tmp_path / "photo.png"), "--oracle", SPECIFICATIONS[name].format(url=url)),
            *("--target", "left", "--max-queries", "80", "--out", str(tmp_path / "out")),
            *("--log", str(tmp_path / "run.log")),
        ]
        await asyncio.to_thread(main, command)
    await inner.aclose()
    await asyncio.to_thread(main, ["budget", "export", "--out", str(tmp_path / "attempts.csv")])
    await asyncio.to_thread(main, ["store", "export", str(tmp_path / "audit.jsonl")])

    written = [path for path in tmp_path.rglob("*") if path.is_file()]
    said = capsys.readouterr()
    assert {"run.json", "run.log", "bbquery.sqlite3", "attempts.csv", "audit.jsonl"} <= {p.name for p in written}
    assert [str(path) for path in written if MARKER.encode() in path.read_bytes()] == []
    assert MARKER not in said.out + said.err
