"""A proxy before a server that loses, cuts or stalls what a test tells it to."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

Loses = Callable[[bytes], bool]
"""Whether the connection is lost at what just came."""


class Proxy:
    """What a test sets. asked, answered: called with each piece that a client sent, or the server; it is then lost.

    address: where it listens, if at a port.
    """

    def __init__(self, listening: socket.socket, connect: Callable[[], socket.socket]) -> None:
        self.asked: Loses = lambda _: False
        self.answered: Loses = lambda _: False
        self.lost = 0
        self.address = ""
        self._listening, self._connect = listening, connect
        self._passes, self._cut = threading.Event(), False
        self._passes.set()
        self._ends: list[socket.socket] = []

    def cut(self) -> None:
        """Close every connection, and each that comes until `mend`."""
        self._cut = True
        for end in tuple(self._ends):
            _close(end)

    def stall(self) -> None:
        """Keep whatever comes, both ways, until `mend`; no connection is closed."""
        self._passes.clear()

    def mend(self) -> None:
        """Pass on what was kept, and what comes from now on."""
        self._cut = False
        self._passes.set()

    def serve(self) -> None:
        """Serve clients until the socket is closed."""
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._listening.accept()
                threading.Thread(target=self._begin, args=(client,), daemon=True).start()

    def _begin(self, client: socket.socket) -> None:
        if self._cut:
            _close(client)
            return
        server = self._connect()
        self._ends += (client, server)
        for source, target, way in ((client, server, "asked"), (server, client, "answered")):
            threading.Thread(target=self._pipe, args=(source, target, way), daemon=True).start()

    def _pipe(self, source: socket.socket, target: socket.socket, way: str) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(65536):
                if getattr(self, way)(data):
                    self.lost += 1
                    break
                self._passes.wait()
                target.sendall(data)
        self._passes.wait()
        for end in (source, target):
            _close(end)


def _close(end: socket.socket) -> None:
    with contextlib.suppress(OSError):
        end.shutdown(socket.SHUT_RDWR)
    end.close()


@contextlib.contextmanager
def proxy_before(server: Path, folder: Path) -> Iterator[Proxy]:
    """Listen in a folder as the server does in its own."""

    def connect() -> socket.socket:
        beyond = socket.socket(socket.AF_UNIX)
        beyond.connect(str(server))
        return beyond

    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(folder / server.name))
        with _serving(Proxy(listening, connect)) as proxy:
            yield proxy


@contextlib.contextmanager
def proxy_before_port(address: str) -> Iterator[Proxy]:
    """Listen at a port of this machine for a server at tcp://HOST:PORT."""
    host, port = address.removeprefix("tcp://").split(":")
    with socket.create_server(("127.0.0.1", 0)) as listening:
        proxy = Proxy(listening, lambda: socket.create_connection((host, int(port))))
        proxy.address = f"tcp://127.0.0.1:{listening.getsockname()[1]}"
        with _serving(proxy):
            yield proxy


@contextlib.contextmanager
def _serving(proxy: Proxy) -> Iterator[Proxy]:
    proxy._listening.listen()
    thread = threading.Thread(target=proxy.serve, daemon=True)
    thread.start()
    try:
        yield proxy
    finally:
        proxy.mend()
        proxy._listening.shutdown(socket.SHUT_RDWR)
        thread.join(10)
