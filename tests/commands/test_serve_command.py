"""`bbquery serve` with a price and limits of one's own; that it serves and ends is in `test_cli`."""

from __future__ import annotations

import asyncio
import functools
import importlib
import inspect
import json
import os
import signal
import sys
import urllib.request
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from PIL import Image as Pillow

from bbquery import load
from bbquery.cli import main
from bbquery.commands.serve import OPTIONS
from bbquery.ledger.ledger import Ledger
from bbquery.specification import with_option

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

SIDES = "function:call=tests.support.models.sides,classes=left|right,version=1"


@pytest.mark.parametrize("protocol", load.names("emulator"))
def test_every_option_of_a_server_is_shown_and_can_be_given(protocol: str, capsys: pytest.CaptureFixture[str]) -> None:
    """The help names what `serve` of each protocol takes, and nothing else."""
    with pytest.raises(SystemExit):
        main(["serve", "--help"])

    said = capsys.readouterr().out
    taken = inspect.signature(importlib.import_module(f"oracles.emulators.{protocol}").serve).parameters
    assert set(OPTIONS[protocol]) == set(taken) - load.SERVED_WITH
    assert f"\n  {protocol}\n" in said
    assert all(f"\n    {option} " in said for option in OPTIONS[protocol])


def remembering(serve: Callable[..., Any], seen: dict[str, Any]) -> Callable[..., Any]:
    """Return a `serve` that ends as soon as it begins, and keeps what it was given."""

    @functools.wraps(serve)
    async def served(oracle: object, *, ready: Callable[[str], None], **options: Any) -> None:
        seen.update(options)
        ready("http://127.0.0.1:8000")

    return served


@pytest.mark.parametrize(
    ("protocol", "given", "asked"),
    [
        (
            "http",
            {"usd_per_image": "0.002", "largest_body": 1000},
            "http:url=http://127.0.0.1:8000,usd_per_query=0.002",
        ),
        (
            "google_vision",
            {"usd_per_thousand": "0.5"},
            "google_vision:endpoint=http://127.0.0.1:8000,usd_per_thousand=0.5",
        ),
        ("http", {}, "http:url=http://127.0.0.1:8000\n"),
    ],
)
def test_options_reach_the_server_and_the_price_whoever_asks_it(
    protocol: str,
    given: dict[str, Any],
    asked: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """What follows the protocol is the server's, and the command that is printed asks at the same price."""
    seen: dict[str, Any] = {}
    module = importlib.import_module(f"oracles.emulators.{protocol}")
    monkeypatch.setattr(module, "serve", remembering(module.serve, seen))
    written = functools.reduce(lambda text, pair: with_option(text, *pair), given.items(), protocol)

    assert main(["serve", "--oracle", SIDES, "--protocol", written, "--port", "0"]) == 0

    assert seen == given | {"port": 0, "faults": module.NO_FAULTS}
    assert f"ask it with: --oracle {asked}" in capsys.readouterr().out


async def test_a_rehearsal_at_a_price_ends_with_equal_bills(tmp_path: Path, home: Path) -> None:
    """The server is told a price, the run asks as the server says, and both count the same dollars."""
    Pillow.fromarray(np.full((8, 8, 3), 180, np.uint8)).save(tmp_path / "photo.png")
    # in a terminal Ctrl-C is heard; where the tests run in the background it may be ignored, and a child inherits that
    heard = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler)"
    arguments = ["serve", "--oracle", SIDES, "--port", "0", "--protocol", "http:usd_per_image=0.0001"]
    server = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", f"{heard}; from bbquery.cli import main; main({arguments!r})"),
        env=os.environ | {"PYTHONUNBUFFERED": "1"},
        stdout=asyncio.subprocess.PIPE,
    )
    assert server.stdout is not None
    try:
        url, oracle = [(await server.stdout.readline()).decode().split() for _ in range(2)]
        run = ["--oracle", oracle[-1], "--method", "rise:queries=9", "--target", "left", "--yes"]
        code = await asyncio.to_thread(
            main, ["explain", str(tmp_path / "photo.png"), *run, "--out", str(tmp_path / "out")]
        )
        bill = await asyncio.to_thread(read, url[2].rstrip(";") + "/v1/bill")
        server.send_signal(signal.SIGINT)
        await server.communicate()
    finally:
        if server.returncode is None:
            server.kill()

    with Ledger(home / "bbquery.sqlite3") as ledger:
        posted = ledger.budget(1).posted
    assert code == 0
    assert posted.picodollars == bill["picodollars"] == posted.queries * 100_000_000
    assert bill["images_answered"] == posted.queries > 9


def read(url: str) -> Any:
    with urllib.request.urlopen(url) as response:
        return json.load(response)
