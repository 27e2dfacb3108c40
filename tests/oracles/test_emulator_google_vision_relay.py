"""The relay in front of the emulated gRPC server: what it passes on, and how it breaks connections."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from oracles.emulators._bill import Bill
from oracles.emulators._google_vision_relay import Relay, relaying
from oracles.emulators._usage import Usage

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable


@asynccontextmanager
async def serving(
    handler: Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]],
) -> AsyncIterator[tuple[Relay, int]]:
    """Relay to a server that hands each connection to `handler` and closes it afterwards; the relay, and its port."""
    handled: list[asyncio.Task[None]] = []

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError):
            await handler(reader, writer)
        writer.transport.abort()

    def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        handled.append(asyncio.create_task(handle(reader, writer)))

    async with await asyncio.start_server(accept, "127.0.0.1", 0) as server:
        target = server.sockets[0].getsockname()[1]
        async with relaying(target, Usage(Bill()), host="127.0.0.1", port=0) as (relay, address):
            yield relay, int(address.rpartition(":")[2])
        await asyncio.gather(*handled)


async def test_bytes_pass_in_both_directions_until_one_side_ends() -> None:
    """What a client sends reaches the server and comes back, in order and whole."""
    sent = bytes(range(256)) * 4000

    async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(1000):
            writer.write(data)

    async with serving(echo) as (_, port):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(sent)
        received = await reader.readexactly(len(sent))
        writer.close()
        await writer.wait_closed()

    assert received == sent


async def test_a_cut_leaves_so_many_bytes() -> None:
    """A client that is cut off gets what it is still allowed, however slowly it reads, and then the end."""

    async def told(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1)
        for link in relay._links.values():  # as little as possible waits in the system's own buffers
            link.client.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1)
        relay.cut(f"ipv4:127.0.0.1:{writer.get_extra_info('peername')[1]}", after=60_000)
        writer.write(b"x" * 100_000)
        await reader.read()

    async with serving(told) as (relay, port):
        received = await _received_slowly(port)

    assert received == 60_000


async def _received_slowly(port: int) -> int:
    """Return how many bytes come from a port for a first one sent, read in small bites."""
    loop = asyncio.get_running_loop()
    with socket.socket() as client:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1)
        client.setblocking(False)
        await loop.sock_connect(client, ("127.0.0.1", port))
        await loop.sock_sendall(client, b"?")
        received = 0
        while bite := await loop.sock_recv(client, 500):
            received += len(bite)
    return received


async def test_a_client_that_has_gone_cannot_be_cut_off() -> None:
    """Cutting off nobody leaves alone who is there."""

    async def repeated(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(await reader.read(1))
        await reader.read()

    async with serving(repeated) as (relay, port):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        relay.cut("ipv4:127.0.0.1:5")
        writer.write(b"?")
        said = await reader.read(1)
        writer.close()

    assert said == b"?"


async def test_a_server_that_is_gone_takes_the_client_along() -> None:
    """A connection that cannot be passed on ends at once."""
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        async with relaying(one.getsockname()[1], Usage(Bill()), host="127.0.0.1", port=0) as (_, address):
            reader, writer = await asyncio.open_connection(*address.split(":"))
            with contextlib.suppress(ConnectionError):
                await reader.read()
            writer.transport.abort()

    assert reader.at_eof() or reader.exception()


async def test_a_client_that_breaks_off_leaves_nothing_behind() -> None:
    """A reset in the middle of a connection ends both of its halves."""
    ended = asyncio.Event()

    async def until_the_end(reader: asyncio.StreamReader, _: asyncio.StreamWriter) -> None:
        try:
            await reader.read()
        finally:
            ended.set()

    async with serving(until_the_end) as (relay, port):
        client = socket.create_connection(("127.0.0.1", port))
        client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))  # close with a reset
        client.sendall(b"?")
        while not relay._links:
            await asyncio.sleep(0)
        client.close()
        await ended.wait()
        while relay._passing:
            await asyncio.sleep(0)

    assert not relay._links
