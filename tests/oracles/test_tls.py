"""Encrypted servers by command line: whom the oracles trust, and what is said and booked where they must not.

Whom to trust is the environment's word, and each library has its own way to hear it:

- `http` (aiohttp): SSL_CERT_FILE and SSL_CERT_DIR, read by OpenSSL once, when the program starts; else the system's.
- `openai` (httpx2, over aiohttp or not): the same two, read when the connections are opened.
- `google_vision` (gRPC): GRPC_DEFAULT_SSL_ROOTS_FILE_PATH, read once; else those that gRPC brings along. SSL_CERT_FILE
  is not heard. Only Google's own hosts are asked with TLS, so here a proxy leads the way to Google to this machine.

So every run is a process of its own, with the environment that a person would give it.
"""

from __future__ import annotations

import asyncio
import importlib.util
import json
import os
import sys
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from PIL import Image as Pillow

import oracles.http
from bbquery.errors import OutcomeUnknown, Unreachable, UsageError
from bbquery.ledger import reports
from bbquery.ledger.accounts import Accounts
from bbquery.units import Units
from oracles._google_vision.vendor import grpc
from oracles._http.tls import advice
from tests.support import google_vision_helpers
from tests.support.http_helpers import MODEL, saying, serving
from tests.support.openai_helpers import KEY, VARIABLE, answered, ask, completion, prepare
from tests.support.tls_helpers import Authority, serving_tls, tunnelling

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from tests.support.http_helpers import Handler
    from tests.support.tls_helpers import Shown

HOSTS = ("localhost", "vision.googleapis.com")
FAULTS = ("self-signed", "expired", "wrong host")
SAID = {
    "self-signed": ("self signed certificate", "nobody whom this machine trusts"),
    "expired": ("certificate has expired", "needs a new one"),
    "wrong host": ("", "the certificate of another host"),
    "no TLS": ("wrong version number", "does not speak TLS at this port"),
}
"""What is said of each fault: the library's word for it, in letters and spaces, and our advice."""

TRIES = 6  # at what was not billed
WITHOUT_WAITING = """
import asyncio, sys
from bbquery.cli import main
from bbquery.system.clock import SystemClock

async def at_once(self, seconds):
    await asyncio.sleep(0)

SystemClock.sleep = at_once
sys.exit(main(sys.argv[1:]))
"""
TEMPLATE: dict[str, Any] = {
    "request": {"body": "json", "json": {"image": "${image_base64}"}},
    "pixels": {"size": 8},
    "answer": {"kind": "probabilities", "values": "$.p", "classes": ["left", "right"]},
}


@dataclass(frozen=True)
class Asked:
    """An oracle as a person names it, the host in it, and what the environment holds: whom to trust, and keys."""

    specification: str
    host: str
    environment: dict[str, str]


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"))


@asynccontextmanager
async def encrypted(handler: Handler, shown: Shown | None) -> AsyncIterator[str]:
    """Serve with TLS, or, showing nothing, without it and under a URL that promises it."""
    if shown is not None:
        async with serving_tls(handler, shown) as url:
            yield url
    else:
        async with serving(handler) as url:
            yield url.replace("http:", "https:")


@asynccontextmanager
async def at_http(shown: Shown | None, roots: Path, folder: Path) -> AsyncIterator[Asked]:
    template = folder / "template.json"
    template.write_text(json.dumps(TEMPLATE))
    async with encrypted(saying({"p": [0.75, 0.25]}), shown) as url:
        options = f"url={url},template={template},key_env={VARIABLE},usd_per_query=0.01"
        yield Asked(f"http:{options}", url, {"SSL_CERT_FILE": str(roots), VARIABLE: KEY})


@asynccontextmanager
async def at_openai(shown: Shown | None, roots: Path, folder: Path) -> AsyncIterator[Asked]:
    async with encrypted(saying(completion("left")), shown) as url:
        options = f"model=gpt-4o-mini,base_url={url}/v1,height=8,width=8"
        yield Asked(f"openai:{options}", f"{url}/v1", {"SSL_CERT_FILE": str(roots), VARIABLE: KEY})


@asynccontextmanager
async def at_google(shown: Shown | None, roots: Path, folder: Path) -> AsyncIterator[Asked]:
    account = folder / "account.json"
    account.write_text(json.dumps(service_account()))
    handler = google_vision_helpers.saying(google_vision_helpers.labelled(left=0.75))
    tls = grpc.ssl_server_credentials([(shown.key.read_bytes(), shown.certificate.read_bytes())]) if shown else None
    async with google_vision_helpers.serving(handler, tls=tls) as address, tunnelling(address) as proxy:
        environment = {
            "GRPC_DEFAULT_SSL_ROOTS_FILE_PATH": str(roots),
            "GOOGLE_APPLICATION_CREDENTIALS": str(account),
            "GOOGLE_CLOUD_PROJECT": "project",
            "https_proxy": proxy,
            "no_proxy": "",
        }
        options = "height=8,width=8,largest_batch=1"
        yield Asked(f"google_vision:{options}", "cannot connect to vision.googleapis.com", environment)


def service_account() -> dict[str, str]:
    """Return an account that signs its tokens itself; the key that is looked for stands beside its real one."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    pem = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    return {
        "type": "service_account",
        "project_id": "project",
        "private_key_id": KEY,
        "private_key": pem.decode(),
        "client_email": f"{KEY}@project.iam.gserviceaccount.com",
        "client_id": KEY,
        "token_uri": "http://127.0.0.1:1/token",
    }


ORACLES = {"http": at_http, "openai": at_openai, "google_vision": at_google}


async def explained(asked: Asked, folder: Path) -> tuple[int | None, str]:
    """Explain a photo by command line, with no wait between the tries; return the exit code and all that is said."""
    Pillow.fromarray(np.full((8, 8, 3), 180, np.uint8)).save(folder / "photo.png")
    proxies = {"http_proxy", "https_proxy", "all_proxy", "grpc_proxy", "no_proxy"}
    inherited = {name: value for name, value in os.environ.items() if name.lower() not in proxies}
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", WITHOUT_WAITING, "explain", str(folder / "photo.png"), "--oracle", asked.specification),
        *("--target", "left", "--method", "rise:queries=2", "--max-queries", "9", "--max-usd", "1"),
        *("--drift-every", "0", "--out", str(folder / "out"), "--log", str(folder / "run.log")),
        env=inherited | asked.environment,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    said, _ = await process.communicate()
    return process.returncode, said.decode()


@pytest.mark.parametrize("oracle", ORACLES)
async def test_a_certificate_of_a_trusted_authority_is_answered(
    oracle: str, authority: Authority, tmp_path: Path
) -> None:
    """An authority that the library's own environment variable names is trusted: the run is paid for and complete."""
    async with ORACLES[oracle](authority.shown(*HOSTS), authority.certificate, tmp_path) as asked:
        code, said = await explained(asked, tmp_path)

    assert code == 0, said
    assert "3 sent, 0 from the store, 0 unknown" in said


@pytest.mark.parametrize("fault", SAID)
@pytest.mark.parametrize("oracle", ORACLES)
async def test_a_server_that_cannot_be_trusted_gets_nothing(
    oracle: str, fault: Any, authority: Authority, tmp_path: Path, home: Path
) -> None:
    """Host and cause are named with advice, every try is voided, no money is held, and no key is left anywhere."""
    shown = authority.shown(*HOSTS, fault=fault) if fault in FAULTS else None
    async with ORACLES[oracle](shown, authority.certificate, tmp_path) as asked:
        code, said = await explained(asked, tmp_path)

    with Accounts() as accounts:
        tries = accounts.read(lambda connection: list(reports.attempts(connection)))
        (budget,) = accounts.read(reports.budgets)
    cause, advised = SAID[fault]
    words = said.lower().replace("_", " ").replace("-", " ")
    assert code == 3, said
    assert asked.host in said
    assert cause in words
    assert advised in said
    assert [attempt.state for attempt in tries] == ["voided"] * TRIES
    assert (budget.state.posted, budget.state.held) == (Units(), Units())
    assert KEY not in said
    left = [path for folder in (tmp_path / "out", home, tmp_path / "run.log") for path in [folder, *folder.rglob("*")]]
    assert [path for path in left if path.is_file() and KEY.encode() in path.read_bytes()] == []


async def test_a_server_that_says_what_it_is_must_be_trusted_first(authority: Authority) -> None:
    """Without a template the http oracle already fails to connect, and says at whom and why."""
    async with serving_tls(saying(MODEL), authority.shown(*HOSTS, fault="self-signed")) as url:
        with pytest.raises(Unreachable, match=rf"cannot connect to {url}.*self-signed.*SSL_CERT_FILE"):
            await oracles.http.connect(url=url, usd_per_query=0)


@pytest.fixture(params=["aiohttp", "httpx2"])
def _transport(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ask OpenAI's API over aiohttp, and as if it were not installed."""
    prepare(monkeypatch)
    if request.param == "httpx2":
        monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)


@pytest.mark.usefixtures("_transport")
async def test_both_of_openais_transports_trust_whom_the_environment_names(
    authority: Authority, monkeypatch: pytest.MonkeyPatch
) -> None:
    """SSL_CERT_FILE counts for this machine's own servers too, which no proxy of the environment is asked for."""
    monkeypatch.setenv("SSL_CERT_FILE", str(authority.certificate))
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:9")

    async with serving_tls(saying(completion("cat")), authority.shown(*HOSTS)) as url:
        reply = await answered(f"{url}/v1")

    assert reply.cost == Units(1, 103, 100 * 150_000 + 3 * 600_000)


@pytest.mark.usefixtures("_transport")
async def test_a_file_of_trust_that_is_not_there_is_the_users_mistake(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A misspelt SSL_CERT_FILE is said before anything is sent, not taken for a request that may have been billed."""
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "no-such.pem"))

    with pytest.raises(UsageError, match="what SSL_CERT_FILE or SSL_CERT_DIR names cannot be used"):
        await ask("https://localhost:9/v1")


@pytest.mark.usefixtures("_transport")
async def test_a_request_in_plain_text_at_an_encrypted_port_may_have_been_read(authority: Authority) -> None:
    """A server that hangs up on http:// where it speaks TLS has been sent the image, so nobody says it is free."""
    async with serving_tls(saying(completion("cat")), authority.shown(*HOSTS)) as url:
        with pytest.raises(OutcomeUnknown, match=r"http://localhost.* broke off"):
            await ask(f"{url.replace('https:', 'http:')}/v1")


def test_what_is_not_of_tls_gets_other_advice() -> None:
    """A refused connection and a name that nobody has are no matter of certificates; what is unknown gets none."""
    assert "start the server, or correct the address" in advice("Connect call failed ('127.0.0.1', 9)")
    assert "no machine is found by this name" in advice("Name or service not known")
    assert advice("broken pipe") == ""
