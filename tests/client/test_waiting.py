"""Waiting is never silent: what a run waits for is said with its end and its reason, and too long a wait ends it."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from PIL import Image as Pillow

import bbquery
from bbquery.cli import _parser, main
from bbquery.client.client import Client
from bbquery.client.halt import Halt, Interrupted
from bbquery.client.waiting import Waits, in_words, longest, read
from bbquery.errors import OracleError, OutcomeUnknown, QuotaExceeded, RateLimited, UsageError
from bbquery.interop import predict_fn
from bbquery.ledger.records import Cap
from bbquery.oracle import RateSeen
from bbquery.plan import Ask
from bbquery.telemetry import Requests
from oracles._http import refusals
from tests.support.clocks import FakeClock, ManualClock
from tests.support.images import tiny_images
from tests.support.models import sides
from tests.support.oracles import FakeOracle, failing_first

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from bbquery.ledger.ledger import Ledger
    from bbquery.system.clock import Clock

DAY = 86_400.0


def begin(oracle: FakeOracle, ledger: Ledger, clock: Clock, **options: Any) -> tuple[Client, list[str]]:
    said: list[str] = []
    budget = ledger.open_budget("run", Cap(queries=100))
    return Client(oracle, ledger, budget, clock=clock, waiting=said.append, **options), said


def refusing_after(answers: int, error: OracleError) -> Callable[[int], OracleError | None]:
    return lambda number: None if number < answers else error


async def test_a_wait_of_a_day_ends_the_run_like_a_used_up_quota(ledger: Ledger) -> None:
    """Nobody waits for tomorrow unseen: the run ends at once, says when and why, and keeps what was answered."""
    refused = RateLimited("Rate limit reached", oracle="vendor", retry_after=DAY)
    oracle = FakeOracle(largest_batch=1, concurrency=1, script=refusing_after(3, refused))
    client, _ = begin(oracle, ledger, ManualClock())
    async with asyncio.timeout(5), client:
        rows = await client.ask(Ask(tiny_images(8)))

    assert isinstance(client.halt.error, QuotaExceeded)
    assert "(in 24 hours), and a run waits for at most 15 minutes (--longest-wait)" in client.halt.reason
    assert client.halt.reason.endswith("Rate limit reached")
    assert sum(reply is not None for (reply,) in rows) == ledger.budget(client.budget).posted.queries == 3


async def test_a_failing_server_that_says_when_to_come_back_is_left_alone(ledger: Ledger) -> None:
    """A gateway that answers 503 with Retry-After may have billed, and is not asked again before that."""
    failed = OutcomeUnknown("gave 503: maintenance", oracle="vendor", retry_after=DAY)
    oracle = FakeOracle(largest_batch=1, concurrency=1, script=refusing_after(3, failed))
    client, _ = begin(oracle, ledger, ManualClock())
    async with asyncio.timeout(5), client:
        await client.ask(Ask(tiny_images(8)))

    assert isinstance(client.halt.error, QuotaExceeded)
    assert "(in 24 hours)" in client.halt.reason
    assert client.halt.reason.endswith("gave 503: maintenance")
    assert ledger.budget(client.budget).held.queries == 1  # not each try of each image


async def test_limits_that_come_back_in_six_hours_end_the_run(ledger: Ledger) -> None:
    """An answer that says that it was the last for six hours is the last of the run."""
    seen = RateSeen(requests=100, requests_left=0, requests_reset=6 * 3600.0)
    oracle = FakeOracle(largest_batch=1, concurrency=1, rate=seen)
    client, _ = begin(oracle, ledger, ManualClock())
    async with asyncio.timeout(5), client:
        rows = await client.ask(Ask(tiny_images(4)))

    assert "(in 6 hours)" in client.halt.reason
    assert [reply is not None for (reply,) in rows] == [True, False, False, False]


async def test_limits_that_come_back_later_end_no_run_that_asks_no_more(ledger: Ledger) -> None:
    """Where the last answer of a run used up the limit, nothing waits, so nothing is said."""
    oracle = FakeOracle(rate=RateSeen(requests=100, requests_left=0, requests_reset=6 * 3600.0))
    client, said = begin(oracle, ledger, ManualClock())
    async with asyncio.timeout(5), client:
        await client.ask(Ask(tiny_images(2)))

    assert (client.halt.error, said) == (None, [])


async def test_a_wait_that_a_person_notices_is_said_once(ledger: Ledger) -> None:
    """Fifty refusals that name the same end are one line, with the end and the reason."""
    refused = RateLimited("slow down", oracle="fake", retry_after=40.0)
    oracle = FakeOracle(largest_batch=1, concurrency=50, script=lambda _: refused)
    client, said = begin(oracle, ledger, ManualClock())
    async with asyncio.timeout(5), client:
        asking = asyncio.create_task(client.ask(Ask(tiny_images(50))))
        while not said:
            await asyncio.sleep(0)
        for _ in range(100):
            await asyncio.sleep(0)
        client.halt.set(Interrupted("Ctrl-C"))
        await asking

    assert len(said) == 1
    assert said[0].startswith("fake is not asked until ")
    assert said[0].endswith("(40 seconds): slow down; Ctrl-C keeps what is answered")


async def test_a_short_wait_is_not_worth_a_line(ledger: Ledger) -> None:
    """A second is waited for as it always was."""
    oracle = FakeOracle(script=failing_first(RateLimited("slow down", retry_after=1.0)))
    client, said = begin(oracle, ledger, FakeClock())
    async with client:
        await client.ask(Ask(tiny_images(5)))

    assert (client.halt.error, said) == (None, [])


async def test_refusals_that_name_no_time_are_counted(ledger: Ledger) -> None:
    """Where nothing is answered, that is said at the tenth refusal, and not at each."""
    oracle = FakeOracle(largest_batch=1, concurrency=1, script=lambda _: RateLimited("slow down", oracle="fake"))
    client, said = begin(oracle, ledger, FakeClock())
    async with client:
        await client.ask(Ask(tiny_images(1)))

    assert said == ["fake refused 10 times without an answer between, and asks again: slow down"]
    assert client.halt.error is not None


async def test_refusals_without_end_are_one_wait(ledger: Ledger) -> None:
    """An oracle that says "in a minute" again and again is given up once the longest wait is over."""
    oracle = FakeOracle(largest_batch=1, script=lambda _: RateLimited("slow down", oracle="fake", retry_after=60.0))
    client, said = begin(oracle, ledger, FakeClock(), longest_wait=300.0)
    async with client:
        await client.ask(Ask(tiny_images(1)))

    assert isinstance(client.halt.error, QuotaExceeded)
    assert "after its last answer" in client.halt.reason
    assert len(said) == oracle.requests - 1 == 5


async def test_ctrl_c_ends_a_wait(ledger: Ledger) -> None:
    """A person who was told of a wait need not sit it out; what was answered is kept."""
    refused = RateLimited("slow down", oracle="fake", retry_after=600.0)
    oracle = FakeOracle(largest_batch=1, concurrency=1, script=refusing_after(2, refused))
    client, said = begin(oracle, ledger, ManualClock())
    async with asyncio.timeout(5), client:
        asking = asyncio.create_task(client.ask(Ask(tiny_images(5))))
        while not said:
            await asyncio.sleep(0)
        client.halt.set(Interrupted("Ctrl-C"))
        rows = await asking

    assert client.halt.interrupted
    assert sum(reply is not None for (reply,) in rows) == 2


async def test_a_run_in_a_pause_that_another_met_says_so_too(ledger: Ledger) -> None:
    """Runs that share a provider share its pause, so each says what it waits for."""
    refused = RateLimited("slow down", oracle="fake", retry_after=DAY)
    first, _ = begin(FakeOracle(provider="shared", script=lambda _: refused), ledger, clock := ManualClock())
    async with asyncio.timeout(5), first:
        await first.ask(Ask(tiny_images(1)))
    oracle = FakeOracle(provider="shared")
    second, _ = begin(oracle, ledger, clock)
    async with asyncio.timeout(5), second:
        await second.ask(Ask(tiny_images(1)))

    assert "(in 24 hours)" in second.halt.reason
    assert oracle.requests == 0


# --- how long ---


@pytest.mark.parametrize(
    ("text", "seconds"), [("0", 0.0), ("90", 90.0), ("1.5m", 90.0), ("15m", 900.0), ("6h", 21_600.0), ("1d", DAY)]
)
def test_a_time_is_read_as_people_write_it(text: str, seconds: float) -> None:
    """Seconds, or a number with its unit."""
    assert read(text) == seconds


@pytest.mark.parametrize("text", ["", "-1", "soon", "inf", "nan", "1e9", "15 m 3"])
def test_what_is_no_time_is_a_usage_error(text: str) -> None:
    """The error names what was written and how it is written."""
    with pytest.raises(UsageError, match="15m, 6h or 1d"):
        read(text)


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(0.2, "1 second"), (45, "45 seconds"), (119, "119 seconds"), (900, "15 minutes"), (21_600, "6 hours"),
     (5_400, "90 minutes"), (DAY, "24 hours"), (3 * DAY, "3 days")],
)  # fmt: skip
def test_a_time_is_said_in_words(seconds: float, words: str) -> None:
    """In the unit that people would take."""
    assert in_words(seconds) == words


def test_the_longest_wait_is_fifteen_minutes_unless_another_is_given() -> None:
    """A number of seconds, 0 among them; what is no time is refused."""
    assert (longest(None), longest(5.0), longest(0)) == (900.0, 5.0, 0.0)
    with pytest.raises(UsageError, match="no time"):
        longest(float("nan"))


def test_an_hour_asleep_is_no_wait() -> None:
    """A machine that slept through a short wait goes on; only what the provider asks for, added up, ends a run."""
    halt, clock = Halt(), FakeClock()
    waits = Waits("fake", halt, clock, print, 900.0)
    waits.refused("slow down", 500.0)
    clock.time += 3600.0

    waits.refused("slow down", 300.0)
    assert not halt

    clock.time += 300.0
    waits.refused("slow down", 200.0)
    assert isinstance(halt.error, QuotaExceeded)


def test_a_wait_beyond_all_dates_is_said() -> None:
    """A server may name any number."""
    halt = Halt()

    Waits("fake", halt, FakeClock(), print, 900.0).refused("slow down", 1e18)

    assert "can be asked again at 20" in halt.reason


@pytest.mark.parametrize("seconds", [float("nan"), float("inf"), -3.0])
def test_a_time_that_is_none_is_not_waited_for(seconds: float) -> None:
    """An oracle that names no time that could be waited for has named none."""
    assert RateLimited("slow down", retry_after=seconds).retry_after is None


@pytest.mark.parametrize("command", ["explain", "compare", "evaluate", "attack", "probe"])
def test_every_command_that_asks_takes_it(command: str) -> None:
    """One option, written the same everywhere."""
    needed = {"attack": ["--oracle", "x", "--max-queries", "9"], "evaluate": ["map.npy"], "compare": ["--methods", "x"]}
    typed = needed.get(command, [])

    chosen = _parser().parse_args([command, "photo.png", "--longest-wait", "6h", *typed])

    assert chosen.longest_wait == 21_600.0


def waits(image: Any) -> list[float]:
    """Ask to be left alone for a minute."""
    raise RateLimited("slow down", oracle="model", retry_after=60.0)


def test_the_command_ends_with_the_oracles_exit_code(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A longest wait that is shorter than what the oracle asks for ends the command within seconds, and says why."""
    path = tmp_path / "photo.png"
    Pillow.fromarray(np.zeros((8, 8, 3), np.uint8)).save(path)
    oracle = "function:call=tests.client.test_waiting.waits,classes=left|right,version=1"

    code = main(["explain", str(path), "--oracle", oracle, "--out", str(tmp_path / "out"), "--longest-wait", "30s"])

    assert code == 3
    assert "a run waits for at most 30 seconds (--longest-wait)" in capsys.readouterr().err


def test_python_takes_it_too(tmp_path: Path, ledger: Ledger) -> None:
    """A keyword of what explains, and of a model as a plain function."""
    pixels = np.zeros((8, 8, 3), np.uint8)
    oracle = "function:call=tests.client.test_waiting.waits,classes=left|right,version=1"

    with pytest.raises(QuotaExceeded, match="at most 30 seconds"):
        bbquery.explain(pixels, oracle, ledger=ledger, longest_wait=30)
    predict = predict_fn(oracle, max_queries=5, ledger=ledger, longest_wait=30)
    with predict, pytest.raises(QuotaExceeded, match="at most 30 seconds"):
        predict(pixels[None])
    assert sides(pixels) == [0.0, 0.0]


# --- what servers say ---


@pytest.mark.parametrize(
    "message",
    [
        "Rate limit exceeded: free-models-per-day. Add 10 credits to unlock 1000 free model requests per day",
        "You exceeded your daily request limit",
        "Quota exceeded for quota metric 'requests' and limit 'per month'",
    ],
)
def test_a_quota_that_only_a_message_names_ends_the_run(message: str) -> None:
    """A 429 whose words name a day or longer, and no time to wait, is a quota that is used up."""
    error = refusals.outcome(refusals.Complaint(message), message, oracle="http", status=429)

    assert isinstance(error, QuotaExceeded)


@pytest.mark.parametrize(
    ("message", "wait"),
    [
        ("Rate limit reached on requests per day (RPD): Limit 200. Please try again in 7m12s. Visit", 432.0),
        ("Rate limit reached on tokens per min: Please try again in 120ms.", 0.12),
        ("Requests to the API have exceeded the rate limit. Please retry after 20 seconds.", 20.0),
        ("Slow down", None),
    ],
)
def test_a_time_that_only_a_message_names_is_waited_for(message: str, wait: float | None) -> None:
    """Azure and OpenAI name it in words."""
    complaint = refusals.of({"error": {"message": message}})

    error = refusals.outcome(complaint, message, oracle="openai", status=429)

    assert isinstance(error, RateLimited)
    assert error.retry_after == wait


def test_equal_warnings_are_one_with_a_count(caplog: pytest.LogCaptureFixture) -> None:
    """Failures that differ in nothing but numbers are logged once, and counted where something else follows."""
    requests = Requests("fake", "")
    with caplog.at_level(logging.WARNING, "bbquery"):
        for number in range(50):
            requests.failed([RateLimited(f"slow down, request req_{number}a: try again in {number}.5s")])
        requests.failed([OutcomeUnknown("lost")])
        requests.close()

    fields = [record.__dict__["fields"] for record in caplog.records]
    assert [field.get("times") for field in fields] == [None, 49, None]
    assert [field["outcome"] for field in fields] == ["voided", "voided", "unknown"]
