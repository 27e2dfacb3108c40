"""The emulator of the http protocol as any client sees it, its bill, and where it listens."""

from __future__ import annotations

import asyncio
import base64
import socket
from typing import TYPE_CHECKING, Any

import aiohttp
import numpy as np
import pytest

import oracles.http
from bbquery.errors import (
    MalformedAnswer,
    OracleError,
    OutcomeUnknown,
    QuotaExceeded,
    RateLimited,
    Rejected,
    Unreachable,
    UsageError,
)
from bbquery.oracle import View
from bbquery.types import NoAnswer, Reply, Vector
from bbquery.units import Units
from oracles.emulators.http import Bill, Faults, HttpEmulator, serve
from tests.support.http_helpers import base64_png
from tests.support.images import png_header_of, tiny_images
from tests.support.oracles import colour_oracle, share_of_colours

if TYPE_CHECKING:
    from bbquery.types import Answer
from tests.support.http_requests import OUTCOMES, attempt, attempts, png, post

COUNTS = {fault: fault for fault in OUTCOMES} | {"server_error": "server_errors", "timeout": "timeouts"}
COUNTS["drip"] = "dripped"


async def get(url: str, path: str) -> dict[str, Any]:
    async with aiohttp.ClientSession() as session, session.get(url + path) as response:
        content: dict[str, Any] = await response.json()
        return content


# --- the protocol ---


async def test_a_plain_client_is_answered() -> None:
    """The protocol needs nothing of this package on the client's side."""
    images = tiny_images(2)
    async with HttpEmulator(colour_oracle()).running() as url:
        status, content, _ = await post(url, [base64_png(image) for image in images])

    assert status == 200
    assert content == {"answers": [{"probabilities": share_of_colours(image).values.tolist()} for image in images]}


async def test_the_model_is_described_in_plain_json() -> None:
    """GET /v1/model holds the wrapped oracle's own capabilities."""
    async with HttpEmulator(colour_oracle()).running() as url:
        model = await get(url, "/v1/model")

    assert model == {
        "name": "colours",
        "identity": {"oracle": "colours", "version": "1", "layers": 3, "temperature": 1.5, "prompt": None},
        "answers": "probabilities",
        "classes": {"names": [["red", "scarlet"], ["green"], ["blue"]], "keys": ["r", "g", "b"]},
        "size": [8, 8],
        "crop": 0.875,
        "largest_batch": 4,
        "concurrency": 2,
    }


@pytest.mark.parametrize(
    ("body", "fault"),
    [
        ({"json": {"images": ["%%%"]}}, "image 0: not a base64 PNG"),
        ({"json": {"images": [base64.b64encode(b"GIF89a").decode()]}}, "image 0: not a base64 PNG"),
        ({"json": {"images": [png("RGB"), png("RGB")[:60]]}}, "image 1: not a base64 PNG"),
        ({"json": {"images": [png("RGBA")]}}, "image 0: a PNG of mode RGBA"),
        ({"json": {"images": [base64_png(np.zeros((9, 8, 3), np.uint8))]}}, "image 0 is (9, 8)"),
        ({"json": {"images": []}}, "at least one image"),
        ({"json": {"images": [5]}}, "at least one image"),
        ({"json": {"images": [png("RGB")] * 5}}, "5 images in a request; at most 4"),
        ({"json": []}, "must be an object"),
        ({"data": b"{", "headers": {"Content-Type": "application/json"}}, "not JSON"),
    ],
)
async def test_a_wrong_request_is_told_why_and_not_billed(body: dict[str, Any], fault: str) -> None:
    """400 names what is wrong; the model is not asked."""
    emulator = HttpEmulator(colour_oracle())
    async with emulator.running() as url:
        status, content, _ = await post(url, None, **({"json": None} | body))

    assert status == 400
    assert fault in content["error"]
    assert (emulator.bill.rejected, emulator.bill.images_answered) == (1, 0)


async def test_images_of_any_size_reach_a_model_without_one() -> None:
    """A model that takes every size is sent every size."""
    async with HttpEmulator(colour_oracle(view=View())).running() as url:
        status, _, _ = await post(url, [base64_png(np.zeros((3, 5, 3), np.uint8))])

    assert status == 200


async def test_a_body_that_is_too_large_is_told_413() -> None:
    """A request above the cap is rejected, and the client hears it."""
    emulator = HttpEmulator(colour_oracle(), largest_body=200)
    async with emulator.running() as url:
        oracle = await oracles.http.connect(url=url)
        error = await attempt(oracle)
        await oracle.aclose()

    assert isinstance(error, Rejected)
    assert "413" in str(error)
    assert emulator.bill == Bill(requests=1, rejected=1)


async def test_an_image_that_is_too_large_is_told_400() -> None:
    """A PNG of 9,000 × 9,000 pixels is judged by its header, and is the client's mistake."""
    emulator = HttpEmulator(colour_oracle())
    async with emulator.running() as url:
        status, content, _ = await post(url, [base64.b64encode(png_header_of(9000, 9000)).decode()])

    assert status == 400
    assert "9000 × 9000 pixels: send at most 64 megapixels" in content["error"]
    assert (emulator.bill.rejected, emulator.bill.server_errors) == (1, 0)


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("127.0.0.1:8000", 200), ("127.0.0.1", 200), ("localhost", 200), ("LOCALHOST:80", 200), ("[::1]:8000", 200),
        ("evil.example", 421), ("evil.example:8000", 421), ("127.0.0.1.evil.example", 421), ("localhost.evil", 421),
        ("192.168.0.7", 421), ("", 421), ("[::1", 421), ("a@b", 421),
    ],
)  # fmt: skip
async def test_requests_to_another_host_s_name_are_refused(host: str, status: int) -> None:
    """A web page whose name leads to this machine gets nothing: only this machine's own names are served."""
    async with HttpEmulator(colour_oracle()).running() as url:
        reader, writer = await asyncio.open_connection("127.0.0.1", int(url.rpartition(":")[2]))
        writer.write(f"GET /v1/model HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n".encode())
        line = await reader.readline()
        writer.close()

    assert int(line.split()[1]) == status


async def test_only_json_is_taken() -> None:
    """A page in a browser cannot make a paid request: without preflight it can only send plain text or forms."""
    async with HttpEmulator(colour_oracle()).running() as url:
        status, _, _ = await post(url, None, json=None, data=b'{"images": []}', headers={"Content-Type": "text/plain"})

    assert status == 415


async def test_other_methods_and_paths_are_rejected() -> None:
    """405 and 404 count as rejected."""
    emulator = HttpEmulator(colour_oracle())
    async with emulator.running() as url, aiohttp.ClientSession() as session:
        statuses = [(await session.get(f"{url}{path}")).status for path in ("/v1/answer", "/v2/model")]

    assert statuses == [405, 404]
    assert emulator.bill.rejected == 2


@pytest.mark.parametrize(
    ("raised", "status", "count"),
    [
        (RateLimited("slow", retry_after=2.5), 429, "rate_limited"),
        (RateLimited("slow"), 429, "rate_limited"),
        (QuotaExceeded("no money"), 429, "quota"),
        (Rejected("no"), 422, "rejected"),
        (UsageError("no"), 400, "rejected"),
        (OutcomeUnknown("lost"), 502, "server_errors"),
        (Unreachable("gone"), 502, "server_errors"),
        (MalformedAnswer("junk"), 502, "server_errors"),
    ],
)
async def test_a_failing_model_fails_as_honestly_here(raised: Exception, status: int, count: str) -> None:
    """What the wrapped oracle raises is told in HTTP's terms, and a doubt about billing stays a doubt."""

    def fail(_: object) -> Vector:
        raise raised

    emulator = HttpEmulator(colour_oracle(fail))
    async with emulator.running() as url:
        told, content, headers = await post(url, [png("RGB")])

    assert told == status
    assert str(raised) in content["error"]
    assert headers.get("Retry-After") == ("3" if getattr(raised, "retry_after", None) else None)
    assert vars(emulator.bill)[count] == 1


async def test_a_broken_model_is_told_500_and_counted(caplog: pytest.LogCaptureFixture) -> None:
    """A bug in the model is the server's failure: logged with its traceback, and not told to the client."""

    def fail(_: object) -> Vector:
        raise ZeroDivisionError("inner workings")

    emulator = HttpEmulator(colour_oracle(fail))
    async with emulator.running() as url:
        status, content, _ = await post(url, [png("RGB")])

    assert status == 500
    assert "inner workings" not in str(content)
    assert "inner workings" in caplog.text
    assert emulator.bill == Bill(requests=1, images_received=1, server_errors=1)


# --- the bill ---


async def test_the_bill_counts_requests_and_images() -> None:
    """Each request and each answered image is counted, refusals too, failures alone not; anyone may read it."""
    three: list[Answer | OracleError] = [share_of_colours(tiny_images(1)[0]), NoAnswer("no"), OutcomeUnknown("lost")]
    replies = iter(three)
    emulator = HttpEmulator(colour_oracle(lambda _: next(replies)))
    async with emulator.running() as url:
        await post(url, [png("RGB")] * 3)
        bill = await get(url, "/v1/bill")

    assert emulator.bill == Bill(requests=1, images_received=3, images_answered=2)
    assert bill == vars(emulator.bill)


@pytest.mark.parametrize("faults", [Faults(latency=1), Faults(latency=1, dropped=1)], ids=["answered", "dropped"])
async def test_an_answer_that_comes_too_late_is_billed(faults: Faults) -> None:
    """A client that has stopped waiting has still had its images answered."""
    late, answered = asyncio.Event(), asyncio.Event()

    async def sleep(_: float) -> None:
        await late.wait()

    def reply(image: Any) -> Vector:
        answered.set()
        return share_of_colours(image)

    assert faults.fate(0).billed
    emulator = HttpEmulator(colour_oracle(reply), faults, sleep=sleep)
    async with emulator.running() as url:
        oracle = await oracles.http.connect(url=url, timeout=0.1)
        outcome = await attempt(oracle)
        await oracle.aclose()
        late.set()
        await answered.wait()

    assert isinstance(outcome, OutcomeUnknown)
    assert emulator.bill.images_answered == 1
    assert emulator.bill.dropped == faults.dropped


@pytest.mark.parametrize("fault", [fault for fault in OUTCOMES if fault not in ("answered", "timeout")])
async def test_each_fault_reaches_the_client_and_the_bill(fault: str) -> None:
    """The client sees the fault for what it is, and the bill holds just the images that the model answered."""
    fake = colour_oracle()
    emulator = HttpEmulator(fake, Faults(seed=1, retry_after=3, drip_seconds=0, **{fault: 1.0}), usd_per_image="0.0015")

    found = await attempts(emulator, 12, images=2)

    bill = emulator.bill
    assert all(type(outcome) is OUTCOMES[fault] for outcome in found)
    assert (bill.requests, bill.images_received) == (12, 24)
    assert bill.images_answered == len(fake.shown) == 2 * sum(emulator.faults.fate(n).billed for n in range(12))
    assert bill.picodollars == bill.images_answered * 1_500_000_000
    assert vars(bill)[COUNTS[fault]] == 12


async def test_a_request_that_is_never_answered_is_billed() -> None:
    """A server may bill, and then say nothing for as long as the client waits."""
    fake = colour_oracle()
    emulator = HttpEmulator(fake, Faults(timeout=1))

    (error,) = await attempts(emulator, 1, timeout=0.1)

    assert isinstance(error, OutcomeUnknown)
    assert "within 0.1 s" in str(error)
    assert emulator.bill == Bill(requests=1, images_received=1, images_answered=1, timeouts=1)


async def test_a_drip_comes_whole_and_slowly() -> None:
    """An answer in drops is right, and takes the seconds that were told."""
    slept: list[float] = []

    async def sleep(seconds: float) -> None:
        slept.append(seconds)

    (answer,) = await attempts(HttpEmulator(colour_oracle(), Faults(drip=1, drip_seconds=20), sleep=sleep), 1)

    assert isinstance(answer, Vector)
    assert np.array_equal(answer.values, share_of_colours(tiny_images(1)[0]).values)
    assert slept == [2.0] * 10


async def test_images_fail_alone() -> None:
    """A share of images fails beside others that are answered, the same ones each time, and is not billed."""
    faults = Faults(seed=4, item_error=0.3)
    emulator = HttpEmulator(colour_oracle(), faults)
    async with emulator.running() as url:
        oracle = await oracles.http.connect(url=url)
        payloads = [oracle.encode(image) for image in tiny_images(4)]
        replies = [await oracle.answer(payloads) for _ in range(10)]
        await oracle.aclose()

    failed = [[isinstance(reply, OutcomeUnknown) for reply in batch] for batch in replies]
    assert failed == [[faults.item_fails(request, item) for item in range(4)] for request in range(10)]
    assert 0 < emulator.bill.images_failed == sum(map(sum, failed))
    assert emulator.bill.images_answered == 40 - emulator.bill.images_failed


async def test_the_model_that_answered_is_named() -> None:
    """What the wrapped oracle says of the version that served it reaches the client."""
    fake = colour_oracle(lambda image: Reply(share_of_colours(image), served="v7"))
    async with HttpEmulator(fake).running() as url:
        oracle = await oracles.http.connect(url=url, usd_per_query="0.25")
        (reply,) = await oracle.answer([oracle.encode(tiny_images(1)[0])])
        await oracle.aclose()

    assert isinstance(reply, Reply)
    assert (reply.served, reply.cost) == ("v7", Units(queries=1, picodollars=250_000_000_000))


# --- where it listens ---


@pytest.mark.parametrize("host", ["0.0.0.0", "192.0.2.1", "::", "example.org", ""])
async def test_it_listens_on_this_machine_only(host: str) -> None:
    """A host that others could reach is refused, by name."""
    with pytest.raises(UsageError, match=f"not '{host}'"):
        async with HttpEmulator(colour_oracle()).running(host=host):
            pass


@pytest.mark.parametrize(("host", "start"), [("127.0.0.1", "http://127.0.0.1:"), ("localhost", "http://127.0.0.1:")])
async def test_loopback_hosts_are_taken(host: str, start: str) -> None:
    """This machine may be called by its address or its name."""
    async with HttpEmulator(colour_oracle()).running(host=host) as url:
        assert url.startswith(start)
        assert (await get(url, "/v1/model"))["name"] == "colours"


async def test_a_port_in_use_is_named() -> None:
    """The message says which port, and what to do."""
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        held.listen()
        port = held.getsockname()[1]
        with pytest.raises(UsageError, match=f"port {port} is in use: choose another"):
            await serve(colour_oracle(), port=port)


async def test_a_port_that_cannot_be_had_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """A port that the system withholds is a message, not a traceback."""

    async def denied(_: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("aiohttp.web.TCPSite.start", denied)

    with pytest.raises(UsageError, match=r"cannot listen on port 80 of 127\.0\.0\.1: Permission denied"):
        await serve(colour_oracle(), port=80)


@pytest.mark.parametrize("port", [-1, 65536])
async def test_a_port_that_cannot_be_is_refused(port: int) -> None:
    """Ports end at 65535."""
    with pytest.raises(UsageError, match=f"0 to 65535, not {port}"):
        await serve(colour_oracle(), port=port)


async def test_serving_lasts_until_cancelled() -> None:
    """`serve` tells its URL once it answers, runs until cancelled, and then the port is closed."""
    told: asyncio.Future[str] = asyncio.get_running_loop().create_future()
    task = asyncio.create_task(serve(colour_oracle(), port=0, ready=told.set_result))
    url = await told
    oracle = await oracles.http.connect(url=url)

    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task

    assert isinstance(await attempt(oracle), Unreachable)
    await oracle.aclose()


async def test_serving_needs_no_listener() -> None:
    """`ready` may be left out."""
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(serve(colour_oracle(), port=0), timeout=0.1)
