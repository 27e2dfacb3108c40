"""The google_vision oracle: how an attempt fails says what became of the money, over real gRPC."""

from __future__ import annotations

import asyncio
import socket
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import pytest
from google.rpc import error_details_pb2  # type: ignore[import-untyped, unused-ignore]  # ships no types

import oracles.google_vision
from bbquery.errors import KeyRefused, NotBilled, OutcomeUnknown, QuotaExceeded, RateLimited, Rejected, Unreachable
from oracles._google_vision.connection import Connection, NoConnection
from oracles._google_vision.endpoint import ServiceHost
from oracles._google_vision.vendor import grpc
from tests.support.google_vision_helpers import ImageResponse, ask, ask_at, failing, labelled, saying, serving, status

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

DOUBTFUL = (
    "CANCELLED", "UNKNOWN", "DEADLINE_EXCEEDED", "ALREADY_EXISTS", "ABORTED", "INTERNAL", "UNAVAILABLE", "DATA_LOSS",
)  # fmt: skip
REFUSED = ("INVALID_ARGUMENT", "FAILED_PRECONDITION", "OUT_OF_RANGE", "NOT_FOUND", "UNIMPLEMENTED")
FORBIDDEN = ("UNAUTHENTICATED", "PERMISSION_DENIED")
MINUTES = (
    "Quota exceeded for quota metric 'Requests' and limit 'Requests per minute' of service 'vision.googleapis.com'"
)
DAYS = MINUTES.replace("minute", "day")


async def whole(code: str, message: str = "why", details: tuple[Any, ...] = ()) -> Any:
    """Return the error of a call that ends with this status."""
    async with serving(failing(code, message, details)) as url:
        return await ask_at(url, images=2)


async def alone(code: str, message: str = "why", details: tuple[Any, ...] = ()) -> Any:
    """Return the error of an image that fails alone with this status."""
    async with serving(saying(ImageResponse(error=status(code, message, details)))) as url:
        return (await ask_at(url))[0]


BOTH = pytest.mark.parametrize("of", [whole, alone])


# --- statuses ---


def test_every_status_is_covered() -> None:
    """The tests below speak of every failure that gRPC knows."""
    known = {code.name for code in grpc.StatusCode} - {"OK", "RESOURCE_EXHAUSTED"}

    assert known == {*DOUBTFUL, *REFUSED, *FORBIDDEN}


@BOTH
@pytest.mark.parametrize("code", DOUBTFUL)
async def test_what_may_have_been_billed_is_unknown(of: Callable[..., Any], code: str) -> None:
    """The server's own failures may come after the work was done: the hold stays, and the message says more."""
    error = await of(code)

    assert type(error) is OutcomeUnknown
    assert f"{code}: why" in str(error)


@BOTH
@pytest.mark.parametrize("code", REFUSED)
async def test_a_wrong_request_is_rejected(of: Callable[..., Any], code: str) -> None:
    """What is refused for its form is not billed, and is not asked again."""
    error = await of(code)

    assert type(error) is Rejected
    assert f"{code}: why" in str(error)


@BOTH
@pytest.mark.parametrize("code", FORBIDDEN)
async def test_bad_credentials_are_rejected_with_advice(of: Callable[..., Any], code: str) -> None:
    """The message names the environment variable to look at; without credentials, all else would be refused too."""
    error = await of(code)

    assert type(error) is (KeyRefused if code == "UNAUTHENTICATED" else Rejected)
    assert "does GOOGLE_APPLICATION_CREDENTIALS name an account that may use the Vision API" in str(error)


async def test_an_unheard_of_status_is_unknown() -> None:
    """A number that is no gRPC status proves nothing."""
    odd = status("INTERNAL")
    odd.code = 77
    async with serving(saying(ImageResponse(error=odd))) as url:
        (error,) = await ask_at(url)

    assert type(error) is OutcomeUnknown


@pytest.mark.parametrize("code", ["PERMISSION_DENIED", "RESOURCE_EXHAUSTED", "UNIMPLEMENTED"])
@pytest.mark.parametrize(
    "message",
    ["Stream removed (RST_STREAM (Received RST_STREAM with error code 12))", "Received RST_STREAM with error code 11"],
)
async def test_a_broken_stream_is_unknown_whatever_its_code(code: str, message: str) -> None:
    """Such statuses are made up by gRPC when a stream breaks; nobody refused anything."""
    assert type(await whole(code, message)) is OutcomeUnknown


async def test_a_long_message_is_cut_and_kept_on_one_line() -> None:
    """What a server says is shown on one line of readable length."""
    error = await whole("INTERNAL", "first\nsecond\t" + "x" * 1000)

    assert "first second xxx" in str(error)
    assert len(str(error)) < 400


# --- RESOURCE_EXHAUSTED ---


def info(reason: str = "RATE_LIMIT_EXCEEDED", **metadata: str) -> Any:
    return error_details_pb2.ErrorInfo(reason=reason, domain="googleapis.com", metadata=metadata)


def violation(**fields: str) -> Any:
    return error_details_pb2.QuotaFailure(violations=[error_details_pb2.QuotaFailure.Violation(**fields)])


def retry(seconds: float) -> Any:
    made = error_details_pb2.RetryInfo()
    made.retry_delay.FromMilliseconds(int(seconds * 1000))
    return made


@BOTH
@pytest.mark.parametrize(
    ("message", "details", "retry_after"),
    [
        (MINUTES, (), None),
        (MINUTES, (info(quota_limit="RequestsPerMinutePerProject"), retry(2.5)), 2.5),
        ("Resource has been exhausted (e.g. check quota).", (), None),
        ("Insufficient tokens for quota 'DefaultGroup' and limit 'USER-100s'", (retry(0),), 0.0),
        ("too fast", (violation(description="Requests per minute"),), None),
    ],
)
async def test_a_rate_limit_is_waited_for(
    of: Callable[..., Any], message: str, details: tuple[Any, ...], retry_after: float | None
) -> None:
    """A limit per minute, or one that is not named, is a rate; RetryInfo says for how long."""
    error = await of("RESOURCE_EXHAUSTED", message, details)

    assert type(error) is RateLimited
    assert error.retry_after == retry_after


@BOTH
@pytest.mark.parametrize(
    ("message", "details"),
    [
        (DAYS, ()),
        ("Quota exceeded", (info(quota_limit="RequestsPerDayPerProject"), retry(1))),
        ("Quota exceeded", (info(quota_unit="1/d/{project}"),)),
        ("Quota exceeded", (info("RESOURCE_QUOTA_EXCEEDED", quota_limit="ImagesPerProject"),)),
        ("Quota exceeded", (violation(subject="project:1", description="Daily limit"),)),
        ("Quota exceeded", (violation(quota_id="LabelsPerMonth"),)),
        ("The monthly spend cap of this project is reached", ()),
        ("Your billing account has no credit", ()),
    ],
)
async def test_a_used_up_quota_stops_the_run(of: Callable[..., Any], message: str, details: tuple[Any, ...]) -> None:
    """Days, months and money do not come back in a minute, even where the server says when to ask again."""
    error = await of("RESOURCE_EXHAUSTED", message, details)

    assert type(error) is QuotaExceeded
    assert "waiting does not help" in str(error)


async def test_a_request_that_is_too_large_is_rejected_with_advice() -> None:
    """A server that takes less at once says so with the code of a rate limit, but no waiting helps."""
    async with serving(saying(labelled(cat=1)), **{"grpc.max_receive_message_length": 100}) as url:
        error = await ask_at(url, images=4)

    assert type(error) is Rejected
    assert "lower the option largest_batch" in str(error)


# --- connections ---


def closed_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


async def test_a_closed_port_is_unreachable() -> None:
    """Nobody listens, so nothing was sent; the message says where and why."""
    port = closed_port()

    error = await ask_at(f"127.0.0.1:{port}")

    assert type(error) is Unreachable
    assert f"cannot connect to 127.0.0.1:{port}" in str(error)
    assert "nothing answers at this address: start the server" in str(error)
    assert "Connection refused" in str(error)


async def test_a_server_that_comes_back_is_asked_again() -> None:
    """The same oracle recovers within moments: failed attempts do not spoil those after them."""
    port = closed_port()
    oracle = oracles.google_vision.connect(endpoint=f"127.0.0.1:{port}")
    found = await ask(oracle)
    refused = type(found)
    async with serving(saying(labelled(cat=1)), port=port), asyncio.timeout(10):
        while isinstance(found, Unreachable):
            found = await ask(oracle)
        await oracle.aclose()

    assert refused is Unreachable
    assert found[0].answer.labels[0].name == "cat"


@asynccontextmanager
async def deaf() -> AsyncIterator[int]:
    """Listen, accept, and say nothing."""
    writers = []

    async def accept(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writers.append(writer)

    listener = await asyncio.start_server(accept, "127.0.0.1", 0)
    try:
        yield listener.sockets[0].getsockname()[1]
    finally:
        listener.close()
        for writer in writers:
            writer.close()
        await listener.wait_closed()


async def test_a_connection_that_is_never_made_is_unreachable() -> None:
    """Half the time-out goes to connecting: a machine that accepts and is silent has been sent no image."""
    async with deaf() as port:
        error = await ask_at(f"127.0.0.1:{port}", timeout=0.2)

    assert type(error) is Unreachable
    assert "no connection within 0.1 s" in str(error)


async def test_a_failed_encryption_is_unreachable() -> None:
    """TLS that fails has carried no request."""
    async with serving(saying(labelled(cat=1))) as url:
        connection = Connection(ServiceHost(url, local=True), None)
        await connection.aclose()
        connection._channel = grpc.aio.secure_channel(url, grpc.ssl_channel_credentials())
        with pytest.raises(NoConnection, match=r"(?i)ssl|tls"):
            await connection.connected(5)
        await connection.aclose()


@pytest.mark.parametrize(
    "message",
    [
        "failed to connect to all addresses; last error: UNKNOWN: ipv4:10.0.0.1:443: Connection refused",
        "errors resolving backend:443: [field:hostname lookup error: Domain name not found]",
    ],
)
async def test_a_server_that_relays_such_a_message_proves_nothing(message: str) -> None:
    """A request that reached somebody may be billed, even if he says that he could not pass it on."""
    assert type(await whole("UNAVAILABLE", message)) is OutcomeUnknown


async def test_a_deadline_that_passes_is_unknown() -> None:
    """A server that does not answer in time may have done the work."""

    async def handler(request: Any, context: Any) -> Any:
        await asyncio.Event().wait()

    async with serving(handler) as url:
        error = await ask_at(url, timeout=0.3)

    assert type(error) is OutcomeUnknown
    assert "DEADLINE_EXCEEDED" in str(error)


async def test_one_attempt_is_one_call() -> None:
    """Neither Google's client nor gRPC asks again, whatever the status: retries belong to the ledger."""
    calls = 0

    async def handler(request: Any, context: Any) -> Any:
        nonlocal calls
        calls += 1
        await context.abort(grpc.StatusCode.UNAVAILABLE, "try again")

    async with serving(handler) as url:
        oracle = oracles.google_vision.connect(endpoint=url)
        errors = [await ask(oracle) for _ in range(3)]
        await oracle.aclose()

    assert calls == 3
    assert not any(isinstance(error, NotBilled) for error in errors)


async def test_an_attempt_that_is_cancelled_ends_its_call() -> None:
    """Who stops waiting cancels the call, and the oracle can be used again."""
    asked, ended = asyncio.Event(), asyncio.Event()

    async def handler(request: Any, context: Any) -> Any:
        context.add_done_callback(lambda _: ended.set())
        asked.set()
        await asyncio.Event().wait()

    async with serving(handler) as url:
        oracle = oracles.google_vision.connect(endpoint=url)
        attempt = asyncio.create_task(ask(oracle))
        await asked.wait()
        attempt.cancel()
        with pytest.raises(asyncio.CancelledError):
            await attempt
        await ended.wait()
        await oracle.aclose()


@BOTH
async def test_a_failure_that_names_a_time_says_it(of: Callable[..., Any]) -> None:
    """A service that is unavailable, and says until when, is left alone as long."""
    error = await of("UNAVAILABLE", "maintenance", (retry(70),))

    assert type(error) is OutcomeUnknown
    assert error.retry_after == 70
