"""A key that is used appears nowhere: not in what a run writes, prints, logs or keeps."""

from __future__ import annotations

import asyncio
import base64
import traceback
from typing import TYPE_CHECKING

import numpy as np
import pytest
from aiohttp import web
from PIL import Image as Pillow

from bbquery.cli import main
from bbquery.errors import OutcomeUnknown
from oracles import function, http
from oracles.emulators import http as http_emulator
from oracles.emulators import openai as openai_emulator
from tests.support import models
from tests.support.http_helpers import serving

if TYPE_CHECKING:
    from pathlib import Path

ANSWER = {"kind": "text", "text": "$.text"}
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
            *("--target", "left", "--max-queries", "80", "--yes", "--out", str(tmp_path / "out")),
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


def echoes(key: str) -> list[str]:
    """Return ways in which a server may write a key that it repeats, as text of JSON."""
    slashed = key.replace("/", "\\/").replace("=", "\\u003d")
    spelled = "".join(f"\\u{ord(c):04x}" for c in key)
    basic = base64.b64encode(f"user:{key}".encode()).decode()
    percent = "".join(f"%{ord(c):02X}" for c in key)
    return [key, slashed, spelled, slashed.replace("\\", "\\\\"), percent, basic, key.encode().hex()]


@pytest.mark.parametrize("name", SPECIFICATIONS)
@pytest.mark.parametrize("status", [200, 400])
async def test_a_key_in_disguise_is_in_nothing_that_a_run_leaves_behind(
    name: str, status: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A server that repeats the key, escaped in every way, in answers, names and errors, puts it nowhere."""
    key = "sk-Marker/7f3a=9c51+d2Zq"
    monkeypatch.setenv("ACME_KEY", key)
    Pillow.fromarray(np.full((24, 24, 3), 180, np.uint8)).save(tmp_path / "photo.png")
    said = " left ".join(["x" * 150, *echoes(key)])
    message = f'{{"role": "assistant", "content": "{said}"}}'
    completion = f'{{"choices": [{{"message": {message}, "finish_reason": "stop"}}], "model": "m {said}"}}'
    answer = f'{{"answers": [{{"text": "{said}", "served": "v {said}"}}]}}'
    error = f'{{"error": {{"message": "{said}", "code": "{said}"}}}}'
    model = f'{{"name": "m {said}", "identity": {{"v": "{said}"}}, "answers": "text", "size": [16, 16]}}'

    async def handler(request: web.Request) -> web.Response:
        await request.read()
        if request.path.endswith("/model"):
            return web.Response(text=model, content_type="application/json")
        text = error if status != 200 else completion if name == "openai" else answer
        return web.Response(text=text, content_type="application/json", status=status, reason=f"No {key}")

    async with serving(handler) as url:
        command = [
            *(
                "explain",
                str(tmp_path / "photo.png"),
                "--oracle",
                SPECIFICATIONS[name].format(url=url),
                "--max-usd",
                "1",
            ),
            *("--target", "left", "--max-queries", "24", "--out", str(tmp_path / "out"), "--score", "mention"),
            *("--log", str(tmp_path / "run.log"), "--method", "rise:queries=16"),
        ]
        await asyncio.to_thread(main, command)
    await asyncio.to_thread(main, ["budget", "export", "--out", str(tmp_path / "attempts.csv")])
    await asyncio.to_thread(main, ["store", "export", str(tmp_path / "audit.jsonl")])

    shown = capsys.readouterr()
    left = {path.name: path.read_bytes().decode("latin-1") for path in tmp_path.rglob("*") if path.is_file()}
    left["the screen"] = shown.out + shown.err
    if status == 200:
        assert "run.json" in left, left["the screen"]
    for place, text in left.items():
        for echo in echoes(key):
            assert echo not in text, (place, echo)
            assert echo[10:22] not in text, (place, echo)


async def test_an_exception_of_a_library_that_quotes_a_server_shows_no_key(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever a library raises over a response, its text and all that a traceback would print come without the key."""
    monkeypatch.setenv("ACME_KEY", MARKER)

    async def stumble(*_: object, **__: object) -> None:
        raise ValueError(f"invalid header {MARKER!r}")

    oracle = await http.connect(
        url="http://127.0.0.1:9",
        template={"request": {"path": "/", "body": "raw"}, "answer": ANSWER},
        key_env="ACME_KEY",
    )
    monkeypatch.setattr("aiohttp.ClientSession.request", stumble)
    with pytest.raises(OutcomeUnknown) as caught:
        await oracle.answer([oracle.encode(np.zeros((8, 8, 3), np.uint8))])
    await oracle.aclose()

    assert "invalid header '***'" in str(caught.value)
    assert MARKER not in "".join(traceback.format_exception(caught.value))
