"""A relay in front of a gRPC server, to do to connections what gRPC does not let a server do: break them.

Each client's connection is passed on, byte by byte, to a connection of its own to the server. The server knows a client
by the port of that connection, and names it when the client is to be cut off. One that asks for the usage report in
plain HTTP is answered here.
"""

from __future__ import annotations

import asyncio
import errno
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from bbquery.errors import UsageError
from oracles.emulators import _usage
from oracles.emulators._address import checked_port, is_own_address, loopback

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

CHUNK = 2**18  # bytes
THIS_MACHINE = "127.0.0.1"


@dataclass(eq=False)
class Link:
    """A client's connection and the server's. allowed: bytes that the client still gets; None where nothing is cut."""

    client: asyncio.StreamWriter
    server: asyncio.StreamWriter
    allowed: int | None = None

    def abort(self) -> None:
        """Break both connections."""
        self.client.transport.abort()
        self.server.transport.abort()

    async def up(self, source: asyncio.StreamReader) -> None:
        """Pass on what the client sends."""
        while data := await source.read(CHUNK):
            self.server.write(data)
            await self.server.drain()

    async def down(self, source: asyncio.StreamReader) -> None:
        """Pass on what the server sends, as far as it is allowed."""
        while data := await source.read(CHUNK):
            if self.allowed is not None:
                data = data[: self.allowed]
                self.allowed -= len(data)
            self.client.write(data)
            await self.client.drain()
            if self.allowed == 0:
                return


class Relay:
    """Passes connections on to `port` of this machine, and reports usage."""

    def __init__(self, port: int, usage: _usage.Usage) -> None:
        self._port, self._usage = port, usage
        self._links: dict[int, Link] = {}
        self._passing: set[asyncio.Task[None]] = set()

    def cut(self, peer: str, after: int = 0) -> None:
        """Break the connection of `peer`, as the server calls it, once so many more bytes have reached the client."""
        link = self._links.get(int(peer.rpartition(":")[2]))
        if link is None:  # the client has gone by itself
            return
        if after:
            link.allowed = after
        else:
            link.abort()

    def accept(self, client_reader: asyncio.StreamReader, client: asyncio.StreamWriter) -> None:
        """Pass a client's connection on, in a task that ends with it."""
        task = asyncio.create_task(self._pass(client_reader, client))
        self._passing.add(task)
        task.add_done_callback(self._passing.discard)

    async def aclose(self) -> None:
        """Break every connection."""
        for link in list(self._links.values()):
            link.abort()
        await asyncio.gather(*self._passing, return_exceptions=True)

    async def _pass(self, client_reader: asyncio.StreamReader, client: asyncio.StreamWriter) -> None:
        try:
            server_reader, server = await asyncio.open_connection(THIS_MACHINE, self._port)
        except OSError:  # it is stopping
            client.transport.abort()
            return
        own_port = server.get_extra_info("sockname")[1]
        link = self._links[own_port] = Link(client, server)
        ways: list[asyncio.Task[None]] = []
        try:
            begun = await client_reader.read(CHUNK)  # of gRPC, a client sends first
            if begun.startswith(b"GET "):
                client.write(self._answer(begun.decode("latin-1")))
            else:
                server.write(begun)
                ways += [asyncio.create_task(link.up(client_reader)), asyncio.create_task(link.down(server_reader))]
                await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)  # either side's end is the end of both
            await _flushed(client)
        finally:
            link.abort()
            await asyncio.gather(*ways, return_exceptions=True)
            del self._links[own_port]

    def _answer(self, request: str) -> bytes:
        """Return what plain HTTP is answered."""
        head = dict(line.lower().split(": ", 1) for line in request.split("\r\n")[1:] if ": " in line)
        host = head.get("host", "")
        if request.split(" ")[1] != _usage.PATH or not is_own_address(host):
            return b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
        report = self._usage.csv(host).encode()
        start = f"HTTP/1.1 200 OK\r\nContent-Type: {_usage.TYPE}\r\nContent-Length: {len(report)}"
        return f"{start}\r\nConnection: close\r\n\r\n".encode() + report


async def _flushed(writer: asyncio.StreamWriter) -> None:
    """Wait until what was written has left; a connection that is broken already has nothing to wait for."""
    writer.close()
    try:
        await writer.wait_closed()
    except OSError:
        return


@asynccontextmanager
async def relaying(target: int, usage: _usage.Usage, *, host: str, port: int) -> AsyncIterator[tuple[Relay, str]]:
    """Listen on this machine for connections to its port `target`; give the relay and the address it listens on.

    Raises:
        UsageError: the host is not this machine's loopback, or the port cannot be had.
    """
    relay, address = Relay(target, usage), loopback(host)
    try:
        listener = await asyncio.start_server(relay.accept, address, checked_port(port))
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            raise UsageError(f"port {port} is in use: choose another, or 0 for any free one") from error
        raise UsageError(f"cannot listen on port {port} of {address}: {error.strerror or error}") from error
    bound = listener.sockets[0].getsockname()[1]
    try:
        yield relay, f"{f'[{address}]' if ':' in address else address}:{bound}"
    finally:
        listener.close()
        await relay.aclose()
        await listener.wait_closed()
