"""The OpenAI emulator's files and batches as the vendor's own package sees them: objects, checks, faults and bill."""

from __future__ import annotations

import asyncio
import json
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import aiohttp
import openai
import pytest

from bbquery.errors import UsageError
from oracles.emulators import _openai_batch_input, _openai_batch_routes
from oracles.emulators._openai_models import SERVED, price
from oracles.emulators.openai import NO_FAULTS, Faults, OpenAIEmulator
from tests.support.http_helpers import base64_png
from tests.support.openai_helpers import KEY, image
from tests.support.oracles import colour_oracle

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from openai.types import Batch

CHAT: Any = "/v1/chat/completions"  # one of the names in the vendor's own type


pytestmark = pytest.mark.usefixtures("openai_key")


def body(seed: int = 0, **fields: Any) -> dict[str, Any]:
    """Return a chat completion's request about an image."""
    url = f"data:image/png;base64,{base64_png(image(seed=seed))}"
    parts = [{"type": "text", "text": "What is it?"}, {"type": "image_url", "image_url": {"url": url, "detail": "low"}}]
    return {"model": "gpt-4o", "messages": [{"role": "user", "content": parts}], "max_tokens": 30} | fields


def line(number: int = 0, **fields: Any) -> bytes:
    """Return a line of a batch; fields replace its own."""
    plain = {"custom_id": f"line-{number}", "method": "POST", "url": CHAT, "body": body(number)}
    return json.dumps(plain | fields).encode() + b"\n"


@asynccontextmanager
async def served(
    faults: Faults = NO_FAULTS, **options: Any
) -> AsyncIterator[tuple[OpenAIEmulator, openai.AsyncOpenAI]]:
    """Give an emulator and the vendor's client, which refuses replies that break the vendor's own types."""
    emulator = OpenAIEmulator(colour_oracle(), faults, key=KEY, **options)
    async with (
        emulator.running() as url,
        openai.AsyncOpenAI(base_url=url, api_key=KEY, max_retries=0, _strict_response_validation=True) as client,
    ):
        yield emulator, client


async def upload(client: openai.AsyncOpenAI, content: bytes, name: str = "lines.jsonl") -> str:
    return (await client.files.create(file=(name, content), purpose="batch")).id


async def create(client: openai.AsyncOpenAI, content: bytes, **options: Any) -> Batch:
    """Submit a file as a batch."""
    file = await upload(client, content)
    plain: dict[str, Any] = {"input_file_id": file, "endpoint": CHAT, "completion_window": "24h"}
    return await client.batches.create(**(plain | options))


async def finished(client: openai.AsyncOpenAI, batch: Batch) -> Batch:
    """Look at a batch until it has ended."""
    while batch.status not in ("failed", "completed", "expired", "cancelled"):
        batch = await client.batches.retrieve(batch.id)
    return batch


async def lines(client: openai.AsyncOpenAI, file: str | None) -> dict[str, Any]:
    """Return the lines of a file of results by their custom_id."""
    assert file is not None
    content = await client.files.content(file)
    return {found["custom_id"]: found for found in map(json.loads, content.text.splitlines())}


# --- the vendor's package ---


async def test_the_vendors_package_sees_a_batch_through() -> None:
    """From a file to its results, by way of the vendor's own states and types."""
    async with served(batch_lines=2) as (_, client):
        batch = await create(client, line(0) + line(1) + line(2), metadata={"for": "a test"})
        states = [batch]
        while states[-1].status != "completed":
            states.append(await client.batches.retrieve(batch.id))
        answers = await lines(client, states[-1].output_file_id)

    assert [state.status for state in states] == [
        "validating", "in_progress", "in_progress", "finalizing", "completed",
    ]  # fmt: skip
    counts = [state.request_counts.to_dict() for state in states if state.request_counts]
    assert [count["completed"] for count in counts] == [0, 0, 2, 3, 3]
    assert [count["total"] for count in counts] == [0, 3, 3, 3, 3]
    assert states[-1].error_file_id is None
    assert states[-1].metadata == {"for": "a test"}
    assert set(answers) == {"line-0", "line-1", "line-2"}
    completion = openai.types.chat.ChatCompletion.model_validate(answers["line-1"]["response"]["body"])
    assert str(completion.choices[0].message.content).startswith("The image most likely shows")
    assert completion.service_tier == "default"


async def test_the_responses_api_has_batches_too() -> None:
    """With its own bodies."""
    url = f"data:image/png;base64,{base64_png(image())}"
    parts = [{"type": "input_text", "text": "?"}, {"type": "input_image", "image_url": url, "detail": "low"}]
    asked = {"model": "gpt-4o", "input": [{"role": "user", "content": parts}]}
    async with served() as (_, client):
        batch = await create(client, line(url="/v1/responses", body=asked), endpoint="/v1/responses")
        batch = await finished(client, batch)
        answers = await lines(client, batch.output_file_id)

    assert answers["line-0"]["response"]["body"]["object"] == "response"


async def test_batches_are_listed_newest_first_in_pages() -> None:
    """The vendor's package walks through them by its own cursor."""
    async with served() as (_, client):
        made = [(await create(client, line())).id for _ in range(5)]
        listed = [batch.id async for batch in client.batches.list(limit=2)]
        first = await client.batches.list()
        none = await client.batches.list(after=made[0])

    assert listed == made[::-1]
    assert not first.has_next_page()
    assert not none.data


async def test_results_are_in_an_order_of_their_own() -> None:
    """Whoever counts on the order of the lines finds out here, and the same way each time."""
    orders = []
    for _ in range(2):
        async with served() as (_, client):
            batch = await finished(client, await create(client, b"".join(map(line, range(12)))))
            orders.append(list(await lines(client, batch.output_file_id)))

    assert orders[0] == orders[1]
    assert orders[0] != sorted(orders[0], key=lambda name: int(name.removeprefix("line-")))


# --- checks ---


@pytest.mark.parametrize(
    ("content", "code", "number"),
    [
        (b"", "empty_file", None),
        (b"\n \n", "empty_file", None),
        (line() + b"{\n", "invalid_json_line", 2),
        (b"[]\n", "invalid_json_line", 1),
        (line(0) + line(1) + line(0), "duplicate_custom_id", 3),
        (line(url="/v1/responses"), "url_mismatch", 1),
        (line(url="/v1/dreams"), "url_mismatch", 1),
        (line(method="GET"), "invalid_method", 1),
        (line(custom_id=""), "missing_required_parameter", 1),
        (line(custom_id=7), "missing_required_parameter", 1),
        (line(body=None), "missing_required_parameter", 1),
        (line(body=body(model="gpt-9")), "model_not_found", 1),
        (line(body=body(model=None)), "model_not_found", 1),
        (line(0) + line(1, body=body(model="gpt-4o-mini")), "model_mismatch", 2),
        (b"{}\n" * 50_001, "too_many_tasks", None),
    ],
)
async def test_a_file_that_is_wrong_fails_its_batch(content: bytes, code: str, number: int | None) -> None:
    """It is made, and fails when it is looked at, with what is wrong and where; nothing is counted or charged."""
    async with served() as (emulator, client):
        batch = await finished(client, await create(client, content))

    assert batch.status == "failed"
    assert batch.errors is not None
    assert batch.errors.data is not None
    assert [(error.code, error.line) for error in batch.errors.data] == [(code, number)]
    assert batch.output_file_id is batch.error_file_id is None
    assert not emulator.batches.submitted
    assert emulator.bill.requests == 0


async def test_a_file_that_is_too_large_fails_its_batch(monkeypatch: pytest.MonkeyPatch) -> None:
    """Above 200 MB at the vendor's."""
    monkeypatch.setattr(_openai_batch_input, "MOST_BYTES", 100)
    async with served() as (_, client):
        batch = await finished(client, await create(client, line()))

    assert batch.errors is not None
    assert batch.errors.data is not None
    assert batch.errors.data[0].code == "file_too_large"


async def test_an_upload_that_is_too_large_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """Before it fills the memory."""
    monkeypatch.setattr(_openai_batch_routes, "LARGEST_UPLOAD", 100)
    async with served() as (emulator, client):
        with pytest.raises(openai.APIStatusError) as caught:
            await upload(client, line())

    assert caught.value.status_code == 413
    assert emulator.bill.rejected == 1


@pytest.mark.parametrize(
    "options",
    [
        {"endpoint": "/v1/embeddings"},
        {"completion_window": "1h"},
        {"metadata": {str(number): "" for number in range(17)}},
        {"metadata": {"k" * 65: ""}},
        {"metadata": {"k": "v" * 513}},
        {"metadata": {"k": 1}},
        {"metadata": ["k"]},
    ],
)
async def test_a_batch_that_cannot_be_is_not_made(options: dict[str, Any]) -> None:
    """Its request is answered with 400."""
    async with served() as (emulator, client):
        with pytest.raises(openai.BadRequestError):
            await create(client, line(), **options)

    assert emulator.bill.batches == 0
    assert emulator.bill.rejected == 1


async def test_what_is_not_there_is_not_found() -> None:
    """Files and batches, and what comes after them."""
    async with served() as (_, client):
        asked: list[Any] = [
            client.batches.create(input_file_id="file-9", endpoint=CHAT, completion_window="24h"),
            client.batches.retrieve("batch_9"),
            client.batches.cancel("batch_9"),
            client.batches.list(after="batch_9"),
            client.files.content("file-9"),
        ]
        for asking in asked:
            with pytest.raises(openai.NotFoundError):
                await asking


@pytest.mark.parametrize("limit", [0, 101])
async def test_a_page_has_its_limits(limit: int) -> None:
    """1 to 100 batches."""
    async with served() as (_, client):
        with pytest.raises(openai.BadRequestError, match="limit"):
            await client.batches.list(limit=limit)


@pytest.mark.parametrize(
    ("name", "purpose", "said"),
    [
        ("lines.txt", "batch", r"Must be \.jsonl"),
        ("lines.jsonl", "fine-tune", "'fine-tune'"),
        ("lines.jsonl", "p" * 65, "too large"),
    ],
)
async def test_only_files_for_batches_are_taken(name: str, purpose: Any, said: str) -> None:
    """As the vendor has it, by their names."""
    async with served() as (_, client):
        with pytest.raises(openai.APIStatusError, match=said):
            await client.files.create(file=(name, b"{}\n"), purpose=purpose)


async def test_a_form_without_a_file_is_refused() -> None:
    """And so is what is no form."""
    async with served() as (_, client), aiohttp.ClientSession(headers={"Authorization": f"Bearer {KEY}"}) as session:
        form = aiohttp.FormData({"purpose": "batch"}, default_to_multipart=True)
        async with session.post(f"{client.base_url}files", data=form) as without:
            assert (without.status, (await without.json())["error"]["param"]) == (400, "file")
        async with session.post(f"{client.base_url}files", data=b"lines") as plain:
            assert plain.status == 415
        async with session.post(f"{client.base_url}batches", data=b"{}") as untyped:
            assert untyped.status == 415
        async with session.post(
            f"{client.base_url}batches", data=b"{", headers={"Content-Type": "application/json"}
        ) as bad:
            assert bad.status == 400


async def test_a_wrong_key_sees_nothing() -> None:
    """At none of the addresses."""
    async with served() as (_, client):
        stranger = client.with_options(api_key="sk-other")
        asked: list[Any] = [
            upload(stranger, line()),
            stranger.files.content("file-0"),
            stranger.batches.create(input_file_id="file-0", endpoint=CHAT, completion_window="24h"),
            stranger.batches.list(),
            stranger.batches.retrieve("batch_0"),
            stranger.batches.cancel("batch_0"),
        ]
        for asking in asked:
            with pytest.raises(openai.AuthenticationError):
                await asking


async def test_a_page_in_a_browser_is_turned_away() -> None:
    """It can send a form to any server unasked; its browser says where it is from."""
    async with served() as (emulator, client):
        with pytest.raises(openai.PermissionDeniedError):
            await client.with_options(default_headers={"Origin": "https://example.org"}).files.create(
                file=("a.jsonl", line()), purpose="batch"
            )

    assert emulator.bill.rejected == 1


# --- work ---


async def test_a_line_that_is_wrong_fails_alone() -> None:
    """With the status and the error that its request would have been told; free of charge."""
    wrong = line(1, body=body(temperature=9))
    async with served() as (emulator, client):
        batch = await finished(client, await create(client, line(0) + wrong))
        failed = await lines(client, batch.error_file_id)
        answers = await lines(client, batch.output_file_id)

    response = failed["line-1"]["response"]
    assert response["status_code"] == 400
    assert response["body"]["error"]["param"] == "temperature"
    assert failed["line-1"]["error"] is None
    assert set(answers) == {"line-0"}
    assert emulator.batches.charged == {"line-0": 1}
    assert emulator.batches.submitted == {"line-0": 1, "line-1": 1}


async def test_a_batch_of_failures_has_no_answers() -> None:
    """It is completed all the same, without a file of answers."""
    async with served() as (_, client):
        batch = await finished(client, await create(client, line(body=body(temperature=9))))

    assert batch.status == "completed"
    assert batch.output_file_id is None
    assert batch.request_counts is not None
    assert batch.request_counts.failed == 1


@pytest.mark.parametrize("name", SERVED)
def test_a_batch_costs_half(name: str) -> None:
    """Of every price, as the vendor's page has it."""
    tokens = {"plain": 1000, "cached": 200, "written": 40, "output": 30}

    assert price(SERVED[name], "batch", **tokens) * 2 == price(SERVED[name], "default", **tokens)


async def test_answers_in_a_batch_are_billed_at_half() -> None:
    """The same answer costs twice as much when it is asked for at once."""
    async with served() as (emulator, client):
        await finished(client, await create(client, line()))
        half = emulator.bill.picodollars
        await client.chat.completions.create(**body())

    bill = emulator.bill
    assert bill.picodollars == 3 * half > 0
    assert (bill.requests, bill.images_answered) == (2, 2)
    assert (bill.batches, bill.batch_lines, bill.batch_answers) == (1, 1, 1)


async def test_the_bill_shows_what_was_repeated() -> None:
    """Also to another process, by its address."""
    async with served() as (_, client):
        for _ in range(2):
            await finished(client, await create(client, line(0) + line(1)))
        async with aiohttp.ClientSession() as session, session.get(f"{client.base_url}bill") as response:
            bill = await response.json()

    assert (bill["batch_lines"], bill["repeated_lines"]) == (4, 2)
    assert (bill["batch_answers"], bill["repeated_answers"]) == (4, 2)


async def test_a_batch_that_nobody_looks_at_gets_on() -> None:
    """Whoever lost sight of it is charged; looking at any batch lets time pass for all."""
    async with served() as (emulator, client):
        await create(client, line(0))
        seen = await create(client, line(1))
        await finished(client, seen)

    assert emulator.batches.charged == {"line-0": 1, "line-1": 1}


async def test_a_look_does_not_wait_for_another() -> None:
    """While lines are being answered a second look shows how far they are."""
    fake = colour_oracle(gated=True)
    emulator = OpenAIEmulator(fake)
    async with emulator.running() as url, openai.AsyncOpenAI(base_url=url, api_key=KEY, max_retries=0) as client:
        batch = await create(client, line())
        await client.batches.retrieve(batch.id)
        working = asyncio.create_task(client.batches.retrieve(batch.id))
        while not fake.requests:
            await asyncio.sleep(0)
        seen = await client.batches.retrieve(batch.id)
        await client.batches.cancel(batch.id)
        fake.gate.set()
        assert (await working).status == "cancelling"
        batch = await client.batches.retrieve(batch.id)

    assert seen.status == "in_progress"
    assert (batch.status, batch.request_counts and batch.request_counts.completed) == ("cancelled", 1)


async def test_a_batch_that_has_ended_cannot_be_cancelled() -> None:
    """The vendor calls it a conflict."""
    async with served() as (_, client):
        batch = await finished(client, await create(client, line()))
        with pytest.raises(openai.ConflictError, match="completed"):
            await client.batches.cancel(batch.id)


# --- faults ---


@pytest.mark.parametrize(
    ("fault", "counted"),
    [
        ("batch_rate_limited", "rate_limited"),
        ("batch_quota", "quota"),
        ("batch_server_error", "server_errors"),
        ("batch_dropped", "dropped"),
    ],
)
async def test_the_bill_counts_what_goes_wrong(fault: str, counted: str) -> None:
    """As it does for requests."""
    share: Any = {fault: 1.0}
    async with served(Faults(**share)) as (emulator, client):
        with pytest.raises(openai.APIError):
            await create(client, line())

    assert getattr(emulator.bill, counted) == 1


async def test_a_download_that_is_cut_off_is_counted() -> None:
    """A file that was uploaded is never cut off: only results are."""
    async with served(Faults(batch_truncated=1.0)) as (emulator, client):
        batch = await finished(client, await create(client, line()))
        assert (await client.files.content(batch.input_file_id)).content == line()
        with pytest.raises(openai.APIConnectionError):
            await client.files.content(str(batch.output_file_id))

    assert emulator.bill.truncated == 1


def test_faults_of_batches_are_drawn_as_often_as_told() -> None:
    """From the seed and the number of the request alone."""
    faults = Faults(seed=5, batch_dropped=0.2, batch_server_error=0.3, batch_invalid=0.4, batch_expired=0.1)
    fates = [faults.batch_fate(number) for number in range(2000)]
    ends = [faults.batch_end(number) for number in range(2000)]

    assert fates == [faults.batch_fate(number) for number in range(2000)]
    assert fates.count(("dropped", True)) == pytest.approx(400, abs=80)
    assert fates.count(("server_error", True)) == pytest.approx(300, abs=70)
    assert fates.count(("server_error", False)) == pytest.approx(300, abs=70)
    assert fates.count(("made", True)) == pytest.approx(1000, abs=120)
    assert ends.count("invalid") == pytest.approx(800, abs=110)
    assert ends.count("expired") == pytest.approx(200, abs=60)


@pytest.mark.parametrize(
    "shares",
    [
        {"batch_dropped": 0.6, "batch_timeout": 0.6},
        {"batch_invalid": 0.6, "batch_expired": 0.6},
        {"batch_part": 1.1},
        {"batch_truncated": 1.1},
        {"batch_quota": -0.1},
    ],
)
def test_shares_that_cannot_be_are_refused(shares: dict[str, Any]) -> None:
    """Before anything is served."""
    with pytest.raises(UsageError):
        Faults(**shares)
