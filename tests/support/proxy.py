"""A proxy before a server's socket that loses what a test tells it to lose, and closes the connection with it."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

Loses = Callable[[bytes], bool]
"""Whether the connection is lost at what just came."""


class Proxy:
    """What a test sets. asked, answered: called with each piece that a client sent, or the server; it is then lost."""

    def __init__(self) -> None:
        self.asked: Loses = lambda _: False
        self.answered: Loses = lambda _: False
        self.lost = 0

    def serve(self, listening: socket.socket, server: Path) -> None:
        """Serve clients until the socket is closed."""
        with contextlib.suppress(OSError):
            while True:
                client, _ = listening.accept()
                beyond = socket.socket(socket.AF_UNIX)
                try:
                    beyond.connect(str(server))
                except OSError:  # the server is away
                    client.close()
                    beyond.close()
                    continue
                for source, target, way in ((client, beyond, "asked"), (beyond, client, "answered")):
                    threading.Thread(target=self._pipe, args=(source, target, way), daemon=True).start()

    def _pipe(self, source: socket.socket, target: socket.socket, way: str) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(65536):
                if getattr(self, way)(data):
                    self.lost += 1
                    break
                target.sendall(data)
        for end in (source, target):
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
            end.close()


@contextlib.contextmanager
def proxy_before(server: Path, folder: Path) -> Iterator[Proxy]:
    """Listen in a folder as the server does in its own."""
    proxy = Proxy()
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(folder / server.name))
        listening.listen()
        thread = threading.Thread(target=proxy.serve, args=(listening, server), daemon=True)
        thread.start()
        yield proxy
        listening.shutdown(socket.SHUT_RDWR)
    thread.join(10)
