"""A proxy before a server: as a test says, it passes what it is sent, loses it, cuts connections or stalls them."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

Loses = Callable[[bytes], bool]
"""Whether the connection is lost at what just came."""


class Proxy:
    """A network that a test may break.

    asked, answered: called with each piece that a client sent, or the server, before it is passed on; where one returns
    true the piece is lost, and its connection. lost: how many were. address: where it listens, if at a port.
    """

    def __init__(self, listening: socket.socket, connect: Callable[[], socket.socket], address: str = "") -> None:
        self.asked: Loses = lambda _: False
        self.answered: Loses = lambda _: False
        self.lost, self.address = 0, address
        self._listening, self._connect = listening, connect
        self._passes = threading.Event()
        self._passes.set()
        self._lock, self._is_cut = threading.Lock(), False
        self._to_turn_away: int | None = None
        self._ends: list[socket.socket] = []

    def cut(self, turning_away: int | None = None) -> None:
        """Close every connection, and the next that come: so many, or all until `mend`."""
        with self._lock:
            self._is_cut, self._to_turn_away = True, turning_away
            for end in self._ends:
                _close(end)
            self._ends.clear()

    def stall(self) -> None:
        """Keep whatever comes, both ways, until `mend`: nobody hears of it."""
        self._passes.clear()

    def mend(self) -> None:
        """Pass on what was kept, and what comes from now on."""
        with self._lock:
            self._is_cut = False
        self._passes.set()

    def serve(self) -> None:
        """Serve clients until the socket is closed."""
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._listening.accept()
                self._begin(client)

    def _begin(self, client: socket.socket) -> None:
        with self._lock:
            if self._is_cut:
                client.close()
                if self._to_turn_away is not None:
                    self._to_turn_away -= 1
                    self._is_cut = self._to_turn_away > 0
                return
            try:
                server = self._connect()
            except OSError:  # the server is away
                client.close()
                return
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
        self._passes.wait()  # who hangs up in a network that stalls is not heard either
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
        try:
            beyond.connect(str(server))
        except OSError:
            beyond.close()
            raise
        return beyond

    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(folder / server.name))
        listening.listen()
        with _serving(Proxy(listening, connect), listening) as proxy:
            yield proxy


@contextlib.contextmanager
def proxy_before_port(address: str) -> Iterator[Proxy]:
    """Listen at a port of this machine for a server at tcp://HOST:PORT."""
    host, port = address.removeprefix("tcp://").split(":")
    with socket.create_server(("127.0.0.1", 0)) as listening:
        own = f"tcp://127.0.0.1:{listening.getsockname()[1]}"
        connect = lambda: socket.create_connection((host, int(port)))  # noqa: E731 - one line
        with _serving(Proxy(listening, connect, own), listening) as proxy:
            yield proxy


@contextlib.contextmanager
def _serving(proxy: Proxy, listening: socket.socket) -> Iterator[Proxy]:
    thread = threading.Thread(target=proxy.serve, daemon=True)
    thread.start()
    try:
        yield proxy
    finally:
        listening.shutdown(socket.SHUT_RDWR)
        thread.join(10)
        proxy.cut()
        proxy.mend()
