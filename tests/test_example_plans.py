"""Every plan of examples/ does what it says: it is asked against servers on this machine, with fewer queries."""

from __future__ import annotations

import asyncio
import json
import re
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING

import pytest

import oracles.efficientnet
from bbquery.cli import main
from bbquery.jobs.audit.photos import listing
from bbquery.jobs.audit.reading import read
from oracles.emulators.google_vision import GoogleVisionEmulator
from oracles.emulators.http import HttpEmulator
from oracles.emulators.openai import OpenAIEmulator
from tests.support import drawing
from tests.support.paths import ROOT
from tests.support.reader import stand_in

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.slow
PLANS = sorted((ROOT / "examples").glob("*.toml"))
QUERIES = 24
BUDGET = re.compile(r"^max_queries = (\d+)", re.MULTILINE)
FEWER_STEPS = re.compile(r"srg:steps=\d+")


async def rehearsed(plan: Path, folder: Path, servers: AsyncExitStack) -> Path:
    """Write a plan with fewer queries whose oracles are asked on this machine, as its comments say; return its path."""
    text = BUDGET.sub(lambda found: f"max_queries = {min(int(found[1]), QUERIES)}", plan.read_text(encoding="utf-8"))
    text = FEWER_STEPS.sub("srg:steps=4", text.replace("[caps]\nmax_queries = 24\n", "[caps]\nmax_queries = 5000\n"))
    model = stand_in()
    if "openai:" in text:
        url = await servers.enter_async_context(OpenAIEmulator(model).running())
        text = text.replace("top_logprobs=5", f"top_logprobs=5,base_url={url},key_env=REHEARSAL_KEY")
    if '"google_vision"' in text:
        url = await servers.enter_async_context(GoogleVisionEmulator(model).running())
        text = text.replace('"google_vision"', f'"google_vision:endpoint={url.removeprefix("http://")}"')
    if "http://127.0.0.1:8000" in text:
        url = await servers.enter_async_context(HttpEmulator(model).running())
        text = text.replace("http://127.0.0.1:8000", url)
    written = folder / plan.name
    written.write_text(text, encoding="utf-8")
    return written


@pytest.mark.parametrize("plan", PLANS, ids=lambda plan: plan.stem)
async def test_an_example_says_what_it_would_cost(
    plan: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A dry run lists every oracle of the plan, fits its caps, and sends nothing."""
    monkeypatch.setattr(oracles.efficientnet, "connect", stand_in)
    monkeypatch.chdir(tmp_path)
    async with AsyncExitStack() as servers:
        file = await rehearsed(plan, tmp_path, servers)
        code = await asyncio.to_thread(main, ["audit", str(file), "--dry-run"])

    said = capsys.readouterr()
    assert (code, said.err) == (0, "")
    assert "nothing was asked" in said.out


def test_there_are_three() -> None:
    """One in this process, two vendors, and a gate."""
    assert [plan.stem for plan in PLANS] == ["audit_gate", "audit_in_process", "audit_two_vendors"]


@pytest.mark.parametrize("plan", PLANS, ids=lambda plan: plan.stem)
async def test_an_example_is_run(
    plan: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Each photo is whole on each oracle, within the caps; the exit code tells of the gates alone."""
    drawing.make_blank(monkeypatch)
    monkeypatch.setattr(oracles.efficientnet, "connect", stand_in)
    monkeypatch.setenv("REHEARSAL_KEY", "any")
    monkeypatch.chdir(tmp_path)
    async with AsyncExitStack() as servers:
        file = await rehearsed(plan, tmp_path, servers)
        code = await asyncio.to_thread(main, ["audit", str(file), "--yes", "--out", "audit"])

    said, asked = capsys.readouterr(), read(file)
    rows = [json.loads(line) for line in (tmp_path / "audit" / "rows.jsonl").read_text(encoding="utf-8").splitlines()]
    assert code in (0, 5), said.err
    assert len(rows) == len(listing(asked).photos) * len(asked.plan.oracles)
    assert {row["status"] for row in rows} == {"complete"}
    assert (tmp_path / "audit" / "report.html").is_file()
