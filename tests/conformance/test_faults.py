"""Every remote oracle against every fault of its emulator, and against a bill that somebody else keeps."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from bbquery.client.client import Client
from bbquery.errors import QuotaExceeded
from bbquery.ledger.ledger import Ledger
from bbquery.ledger.records import Cap
from bbquery.plan import Ask
from bbquery.units import Units
from oracles import function, google_vision, http, openai, openai_moderation
from oracles.emulators import anthropic as anthropic_emulator
from oracles.emulators import gemini as gemini_emulator
from oracles.emulators import google_vision as google_emulator
from oracles.emulators import http as http_emulator
from oracles.emulators import hugging_face as face_emulator
from oracles.emulators import ollama as ollama_emulator
from oracles.emulators import openai as openai_emulator
from tests.support.bookkeeping import guard_caps
from tests.support.clocks import FakeClock
from tests.support.images import tiny_images

if TYPE_CHECKING:
    from pathlib import Path

    from bbquery.ledger.records import BudgetState, UnknownAttempt
    from bbquery.oracle import Oracle

SIDE = 16
TIMEOUT = 0.4  # seconds; a request that is never answered costs a test so much
PATIENCE = 60.0  # seconds, where all is answered: so slow is no machine
QUERIES = 300
FREE_FAULTS = ("rate_limited", "quota")
FAULTS = (*FREE_FAULTS, "server_error", "timeout", "dropped", "truncated", "junk", "drip", "item_error")
Served = AbstractAsyncContextManager[tuple[Any, "Oracle"]]


@pytest.fixture(autouse=True)
def key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REHEARSAL_KEY", "any")


def model() -> Oracle:
    """Return the small model that every emulator serves."""

    def shares(batch: np.ndarray) -> np.ndarray:
        colours = batch.reshape(len(batch), -1, 3).mean(axis=1) + 1.0
        return np.asarray(colours / colours.sum(axis=1, keepdims=True))

    return function.connect(
        shares, takes="batch", largest_batch=16, concurrency=2, height=SIDE, width=SIDE, version="1", classes="r|g|b"
    )


@asynccontextmanager
async def over_http(seconds: float = PATIENCE, **faults: Any) -> AsyncIterator[tuple[Any, Oracle]]:
    inner = model()
    emulator = http_emulator.HttpEmulator(inner, http_emulator.Faults(**faults), usd_per_image="0.002")
    async with emulator.running() as url:
        oracle = await http.connect(url=url, timeout=seconds, usd_per_query="0.002", largest_batch=4)
        yield emulator, oracle
        await oracle.aclose()
    await inner.aclose()


def over_openai(name: str, **options: Any) -> Callable[..., Served]:
    @asynccontextmanager
    async def served(seconds: float = PATIENCE, **faults: Any) -> AsyncIterator[tuple[Any, Oracle]]:
        inner = model()
        emulator = openai_emulator.OpenAIEmulator(inner, openai_emulator.Faults(**faults))
        async with emulator.running() as url:
            oracle = openai.connect(
                model=name, base_url=url, key_env=None, height=SIDE, width=SIDE, timeout=seconds, **options
            )
            yield emulator, oracle
            await oracle.aclose()
        await inner.aclose()

    return served


def over_template(emulated: Callable[..., Any], faults_of: Callable[..., Any], **options: Any) -> Callable[..., Served]:
    @asynccontextmanager
    async def served(seconds: float = PATIENCE, **faults: Any) -> AsyncIterator[tuple[Any, Oracle]]:
        inner = model()
        emulator = emulated(inner, faults_of(**faults))
        async with emulator.running() as url:
            oracle = await http.connect(url=url, size=SIDE, timeout=seconds, key_env="REHEARSAL_KEY", **options)
            yield emulator, oracle
            await oracle.aclose()
        await inner.aclose()

    return served


def over_claude(name: str) -> Callable[..., Served]:
    return over_template(
        anthropic_emulator.AnthropicEmulator, anthropic_emulator.Faults, template="@anthropic-messages", model=name
    )


def over_gemini(name: str, **options: Any) -> Callable[..., Served]:
    made = gemini_emulator.GeminiEmulator
    return over_template(made, gemini_emulator.Faults, template="@gemini", model=name, **options)


@asynccontextmanager
async def over_moderation(seconds: float = PATIENCE, **faults: Any) -> AsyncIterator[tuple[Any, Oracle]]:
    inner = model()
    emulator = openai_emulator.OpenAIEmulator(inner, openai_emulator.Faults(**faults))
    async with emulator.running() as url:
        oracle = openai_moderation.connect(base_url=url, key_env=None, height=SIDE, width=SIDE, timeout=seconds)
        yield emulator, oracle
        await oracle.aclose()
    await inner.aclose()


@asynccontextmanager
async def over_google(seconds: float = PATIENCE, **faults: Any) -> AsyncIterator[tuple[Any, Oracle]]:
    inner = model()
    emulator = google_emulator.GoogleVisionEmulator(inner, google_emulator.Faults(**faults))
    async with emulator.running() as url:
        oracle = google_vision.connect(
            endpoint=url.removeprefix("http://"), height=SIDE, width=SIDE, timeout=seconds, largest_batch=8
        )
        yield emulator, oracle
        await oracle.aclose()
    await inner.aclose()


PRICED: dict[str, Callable[..., Served]] = {
    "http, a price a query": over_http,
    "google_vision, a price a feature": over_google,
    "anthropic, patches": over_claude("claude-haiku-4-5"),
    "anthropic, with thoughts": over_claude("claude-opus-5-5"),
    "gemini, a budget of thought": over_gemini("gemini-2.5-flash-lite"),
    "gemini, a level of thought": over_gemini("gemini-3.5-flash", detail="high"),
    "openai, tiles": over_openai("gpt-4o-mini"),
    "openai, patches": over_openai("gpt-4.1-mini", detail="high"),
    "openai, responses at flex": over_openai("gpt-5.2", api="responses", tier="flex"),
}
REMOTE = {name.partition(",")[0]: made for name, made in reversed(PRICED.items())}
REMOTE |= {  # which are free
    "openai_moderation": over_moderation,
    "hugging_face": over_template(face_emulator.HuggingFaceEmulator, face_emulator.Faults, template="@hugging-face"),
    "ollama": over_template(ollama_emulator.OllamaEmulator, ollama_emulator.Faults, template="@ollama", model="llava"),
}


async def ask(oracle: Oracle, ledger: Ledger, rows: int, cap: Cap) -> tuple[Client, BudgetState, list[UnknownAttempt]]:
    # no pace: what is tested here is money, and the vendors' rates would take minutes
    limits = replace(oracle.capabilities.limits, requests_per_minute=None, tokens_per_minute=None)
    object.__setattr__(oracle, "capabilities", replace(oracle.capabilities, limits=limits, provider=""))
    budget = ledger.open_budget("run", cap)
    async with Client(oracle, ledger, budget, clock=FakeClock()) as client:
        await client.ask(Ask(tiny_images(rows, side=SIDE)))
    return client, ledger.budget(budget), ledger.unknowns(budget)


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("name", REMOTE)
async def test_every_fault_leaves_the_bill_covered(name: str, fault: str, tmp_path: Path) -> None:
    """A third of requests fails in one way: caps hold, the bill is posted or held, and only doubt is held.

    What is provably free holds nothing. A quota ends the run at once; an answer that cannot be read is paid, named, and
    asked again.
    """
    share = {fault: 0.3} | ({"drip_seconds": 0.05} if fault == "drip" else {"retry_after": 0.0})
    path = tmp_path / "l.sqlite3"
    seconds = TIMEOUT if fault == "timeout" else PATIENCE
    async with REMOTE[name](seconds, seed=3, **share) as (emulator, oracle):
        with Ledger(path) as ledger:
            guard_caps(ledger)
            client, state, unknowns = await ask(oracle, ledger, 24, Cap(queries=60))

    held = sum(unknown.hold.picodollars for unknown in unknowns)
    assert emulator.bill.images_answered <= state.posted.queries + len(unknowns)
    assert emulator.bill.picodollars <= state.posted.picodollars + held
    assert state.held.queries == len(unknowns)
    if fault in FREE_FAULTS or fault == "drip":
        assert not unknowns
    if fault == "quota":
        assert isinstance(client.halt.error, QuotaExceeded)
    if fault == "junk":
        assert client.halt.error is None
        assert state.posted.queries > 24
    if fault in ("rate_limited", "drip"):
        assert client.halt.error is None
        assert state.posted.queries == 24


@pytest.mark.parametrize("name", PRICED)
async def test_holds_are_never_below_the_bill_and_the_books_agree(name: str, tmp_path: Path) -> None:
    """For each shape of price every hold covers its query, and in the end ledger and bill agree to the picodollar."""
    async with PRICED[name]() as (emulator, oracle):
        quote = oracle.quote(oracle.encode(tiny_images(1, side=SIDE)[0])).worst
        with Ledger(tmp_path / "l.sqlite3") as ledger:
            client, state, _ = await ask(oracle, ledger, QUERIES, Cap(queries=QUERIES))

    assert client.halt.error is None  # a bill above its hold would have halted the run
    assert state.posted == Units(QUERIES, getattr(emulator.bill, "tokens", 0), emulator.bill.picodollars)
    assert state.held == Units()
    assert state.posted.picodollars <= QUERIES * quote.picodollars
    assert emulator.bill.picodollars > 0
