"""A real PostgreSQL server of the tests' own, on a socket in a temporary folder; nothing of the system's is touched."""

from __future__ import annotations

import itertools
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import psycopg
import pytest

from tests.support.ports import free_port

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tests.support.tls_helpers import Shown

DEBIAN = Path("/usr/lib/postgresql")
UNPRIVILEGED = ("postgres", "nobody")  # the server refuses to run as root
FAST = (
    "fsync=off",
    "synchronous_commit=off",
    "full_page_writes=off",
)  # a killed server loses nothing; a power cut would
MEMORY = Path("/dev/shm")
USER, LOCKED = "bbquery", "locked"
"""Who needs no password, and who needs one, once `Server.locked` has set it."""
SECONDS_TO_START = "60"


class Server:
    """A server that can be stopped, killed and started again. `url` gives a new, empty ledger each time."""

    def __init__(self, programs: Path) -> None:
        self._programs = programs
        self._folder = Path(tempfile.mkdtemp(prefix="bbq-pg-", dir=MEMORY if os.access(MEMORY, os.W_OK) else None))
        self._numbers = itertools.count()
        self._user = None if os.geteuid() else next(name for name in UNPRIVILEGED if _exists(name))
        if self._user is not None:
            shutil.chown(self._folder, self._user)
        data = ("-D", str(self.data), "-U", USER, "-A", "trust", "-E", "UTF8", "--locale=C", "-N")
        self._run("initdb", *data)
        with (self.data / "postgresql.conf").open("a") as file:
            file.write(f"listen_addresses = ''\nunix_socket_directories = '{self._folder}'\nmax_connections = 60\n")
            file.writelines(f"{setting}\n" for setting in FAST)
        access = self.data / "pg_hba.conf"
        access.write_text(f"local all {LOCKED} scram-sha-256\n{access.read_text()}")
        self.start()

    @property
    def data(self) -> Path:
        return self._folder / "data"

    @property
    def socket(self) -> Path:
        """Where it listens."""
        return self._folder / ".s.PGSQL.5432"

    def start(self) -> None:
        self._run(
            "pg_ctl", "-D", str(self.data), "-w", "-t", SECONDS_TO_START, "-l", str(self._folder / "log"), "start"
        )

    def stop(self, mode: str = "fast") -> None:
        """Stop it; immediate is as if it had crashed."""
        self._run("pg_ctl", "-D", str(self.data), "-w", "-m", mode, "stop")

    def listens(self, *settings: str) -> int:
        """Start it anew with these settings, and on a port of this machine; return the port."""
        port = free_port()
        self.stop()
        with (self.data / "postgresql.conf").open("a") as file:
            file.writelines(
                f"{setting}\n" for setting in ("listen_addresses = '127.0.0.1'", f"port = {port}", *settings)
            )
        self.start()
        return port

    def shows(self, shown: Shown) -> None:
        """Take a certificate and its key, which it shows once it speaks TLS."""
        for name, file in (("server.crt", shown.certificate), ("server.key", shown.key)):
            own = self.data / name
            shutil.copy(file, own)
            own.chmod(0o600)
            if self._user is not None:
                shutil.chown(own, self._user)

    def close(self) -> None:
        number = self.data / "postmaster.pid"
        if number.exists():
            os.kill(int(number.read_text().split()[0]), signal.SIGQUIT)
        shutil.rmtree(self._folder, ignore_errors=True)

    def url(self, **parameters: str) -> str:
        """Return the address of a ledger that nobody has opened."""
        schema = f"ledger_{os.getpid()}_{next(self._numbers)}"
        more = "".join(f"&{name}={value}" for name, value in parameters.items())
        return f"postgresql://{USER}@/postgres?host={self._folder}&schema={schema}{more}"

    def locked(self, url: str, password: str) -> str:
        """Return the address of a ledger for one who needs this password."""
        with self.connection(url) as connection:
            known = connection.execute("SELECT 1 FROM pg_roles WHERE rolname = %s", (LOCKED,)).fetchone()
            change = "ALTER" if known else "CREATE"
            connection.execute(f"{change} ROLE {LOCKED} SUPERUSER LOGIN PASSWORD '{password}'".encode())
        return url.replace(USER, LOCKED, 1)

    def connection(self, url: str) -> psycopg.Connection[tuple[object, ...]]:
        """Return a connection to a ledger, past bbquery."""
        schema = url.partition("schema=")[2].partition("&")[0]
        return psycopg.connect(
            f"postgresql://{USER}@/postgres?host={self._folder}", options=f"-c search_path={schema}", autocommit=True
        )

    def _run(self, program: str, *arguments: str) -> None:
        command: Sequence[str] = [str(self._programs / program), *arguments]
        done = subprocess.run(
            command, user=self._user, extra_groups=[] if self._user else None, cwd=self._folder, check=False,
            stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, start_new_session=True,
            env={"PATH": os.environ["PATH"], "LC_ALL": "C"},
        )  # fmt: skip
        if done.returncode:
            log = self._folder / "log"
            said = log.read_text()[-2000:] if log.exists() else ""
            raise RuntimeError(f"{program} failed: {done.stderr.decode()} {said}")


def programs() -> Path | None:
    """Return the folder of the server's programs; None where it is not installed."""
    found = shutil.which("initdb")
    if found is not None:
        return Path(found).parent
    versions = sorted(DEBIAN.glob("*/bin/initdb"), key=lambda path: int(path.parts[-3]))
    return versions[-1].parent if versions else None


def started() -> Server:
    """Start a server, or skip the test with the reason why there is none."""
    if (folder := programs()) is None:
        pytest.skip("PostgreSQL's server is not installed (Debian: postgresql)")
    return Server(folder)


def _exists(user: str) -> bool:
    try:
        pwd.getpwnam(user)
    except KeyError:
        return False
    return True
