"""Usage reports of servers to rehearse with, as `bbquery budget reconcile --csv` reads them."""

from __future__ import annotations

import asyncio
import urllib.error
import urllib.request
from typing import TYPE_CHECKING, Any

import pytest

from bbquery.ledger import settlement_csv
from bbquery.units import Units
from oracles.emulators.anthropic import AnthropicEmulator
from oracles.emulators.google_vision import GoogleVisionEmulator
from oracles.emulators.http import HttpEmulator
from oracles.emulators.openai import OpenAIEmulator
from tests.support.oracles import halves_oracle

if TYPE_CHECKING:
    from pathlib import Path


def read(url: str, host: str | None = None) -> bytes:
    request = urllib.request.Request(url, headers={} if host is None else {"Host": host})
    with urllib.request.urlopen(request, timeout=30) as answer:
        body: bytes = answer.read()
        return body


@pytest.mark.parametrize("emulator", [OpenAIEmulator, AnthropicEmulator, HttpEmulator, GoogleVisionEmulator])
async def test_a_server_reports_what_is_on_its_bill(emulator: Any, tmp_path: Path) -> None:
    """Plain HTTP gives one row for the server's address, in a form that settles; the amounts are those of the bill."""
    server = emulator(halves_oracle())
    bill = server.bill
    bill.images_answered, bill.tokens, bill.picodollars = 3, 70, 2_100_000_000_001
    async with server.running() as url:
        body = await asyncio.to_thread(read, f"{url}/usage.csv")
    (tmp_path / "usage.csv").write_bytes(body)

    verdicts, (usage,) = settlement_csv.read(tmp_path / "usage.csv")

    assert verdicts == []
    assert (usage.server, usage.model) == (url.split("/")[2], "")
    assert usage.amount == Units(3, 70, 2_100_000_000_001)
    assert usage.start < usage.end


@pytest.mark.parametrize(("path", "host"), [("/", None), ("/usage.csv", "example.org")])
async def test_the_relay_of_grpc_says_nothing_else_in_plain_http(path: str, host: str | None) -> None:
    """Another page, or another host's name for this machine, is not there."""
    async with GoogleVisionEmulator(halves_oracle()).running() as url:
        with pytest.raises(urllib.error.HTTPError, match="404"):
            await asyncio.to_thread(read, f"{url}{path}", host)
