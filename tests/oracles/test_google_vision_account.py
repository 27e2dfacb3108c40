"""The google_vision oracle: credentials come from one environment variable, late, and are never shown."""

from __future__ import annotations

import json
import logging
import threading
import traceback
from http.server import BaseHTTPRequestHandler, HTTPServer
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from google.cloud.vision_v1.services.image_annotator.transports import ImageAnnotatorGrpcAsyncIOTransport

import oracles.google_vision
from bbquery.errors import BbqueryError, KeyMissing, Rejected, Unreachable, UsageError
from oracles._google_vision.account import Account
from oracles._google_vision.answers import Sent
from oracles._google_vision.vendor import grpc
from tests.support.google_vision_helpers import ask, failing, labelled, saying, serving
from tests.support.images import tiny_images

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from bbquery.oracle import Oracle

VARIABLE = "GOOGLE_APPLICATION_CREDENTIALS"
MARKER = "marker-4b1d9e72"
"""In every secret of the tests, and in the path: it must be seen nowhere."""


@pytest.fixture(scope="module")
def private_key() -> str:
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    pem = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    return pem.decode()


def service_account(private_key: str) -> dict[str, str]:
    return {
        "type": "service_account",
        "project_id": "project",
        "private_key_id": f"{MARKER}-id",
        "private_key": private_key,
        "client_email": f"{MARKER}@project.iam.gserviceaccount.com",
        "client_id": f"{MARKER}-client",
        "token_uri": "http://127.0.0.1:1/token",
    }


def user() -> dict[str, str]:
    secrets = {name: f"{MARKER}-{name}" for name in ("client_id", "client_secret", "refresh_token")}
    return {"type": "authorized_user", "quota_project_id": "project"} | secrets


def ask_for_tokens_at(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Send users' requests for tokens to this machine, and let the library's pauses between them take no time."""
    monkeypatch.setattr("google.oauth2.credentials._GOOGLE_OAUTH2_TOKEN_ENDPOINT", url)
    monkeypatch.setattr("google.auth._exponential_backoff.time", SimpleNamespace(sleep=lambda _: None))


def put(content: object, folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Write a file of credentials and name it in the environment."""
    path = folder / f"{MARKER}.json"
    path.write_text(content if isinstance(content, str) else json.dumps(content), encoding="utf-8")
    monkeypatch.setenv(VARIABLE, str(path))
    monkeypatch.setenv("GOOGLE_CLOUD_PROJECT", "project")  # else the library asks gcloud for one
    return path


async def raised_by(oracle: Oracle) -> BbqueryError:
    """Return what an attempt raises before anything is sent."""
    with pytest.raises(BbqueryError) as caught:
        await oracle.answer([oracle.encode(tiny_images(1)[0])])
    await oracle.aclose()
    return caught.value


def shown(error: BaseException, *things: object) -> str:
    """Return everything that a person may get to see of an error and of other things."""
    return "\n".join(
        [*traceback.format_exception(error), repr(error), str(error), repr(vars(error)), *map(repr, things)]
    )


# --- no credentials ---


async def test_without_credentials_all_but_asking_works(monkeypatch: pytest.MonkeyPatch) -> None:
    """A dry run needs no account: connecting, encoding and quoting work; the first attempt names the variable."""
    monkeypatch.delenv(VARIABLE, raising=False)
    oracle = oracles.google_vision.connect()
    oracle.quote(oracle.encode(tiny_images(1)[0]))

    error = await raised_by(oracle)

    assert type(error) is KeyMissing
    assert "GOOGLE_APPLICATION_CREDENTIALS is unset" in str(error)


@pytest.mark.parametrize(
    ("content", "fault"),
    [
        (None, r"cannot be read as JSON \(FileNotFoundError\)"),
        (f"no JSON but {MARKER}", r"cannot be read as JSON \(JSONDecodeError\)"),
        ([MARKER], "is JSON but not an object"),
        ({"type": MARKER}, r"holds no credentials that Google's library can use \(DefaultCredentialsError\)"),
        ({"type": "service_account", "client_email": MARKER}, r"\(DefaultCredentialsError\)"),
        (service_account(f"{MARKER} no key"), "holds no credentials"),
    ],
)
async def test_useless_credentials_are_the_users_mistake(
    content: object, fault: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The message says what is wrong with the file, and shows neither its path nor anything in it."""
    path = put(content, tmp_path, monkeypatch)
    if content is None:
        path.unlink()

    error = await raised_by(oracles.google_vision.connect())

    assert type(error) is UsageError
    assert VARIABLE in str(error)
    assert pytest.raises(UsageError, match=fault).matches(error)
    assert MARKER not in shown(error)


async def test_credentials_put_into_the_variable_itself_are_not_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    """Who pastes the JSON where its path belongs does not find it in the error."""
    monkeypatch.setenv(VARIABLE, json.dumps(user()))

    error = await raised_by(oracles.google_vision.connect())

    assert type(error) is UsageError
    assert MARKER not in shown(error)


# --- tokens ---


@pytest.fixture
def token_server(monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, Any]]:
    """Serve a token endpoint that says what a test puts into the dictionary."""
    said: dict[str, Any] = {"status": 400, "body": {}}

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            self.send_response(said["status"])
            self.end_headers()
            self.wfile.write(json.dumps(said["body"]).encode())

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    server = HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        ask_for_tokens_at(f"http://127.0.0.1:{server.server_port}/token", monkeypatch)
        yield said
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


async def test_credentials_that_google_refuses_are_rejected(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, token_server: dict[str, Any]
) -> None:
    """A token that is refused is refused for good; what the server echoes is hidden."""
    token_server["body"] = {"error": "invalid_grant", "error_description": f"no user {MARKER}-refresh_token"}
    put(user(), tmp_path, monkeypatch)

    error = await raised_by(oracles.google_vision.connect())

    assert type(error) is Rejected
    assert VARIABLE in str(error)
    assert "no user ***" in str(error)
    assert MARKER not in shown(error)


async def test_a_token_server_that_fails_is_unreachable(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, token_server: dict[str, Any]
) -> None:
    """Failures that pass are asked again later: no image has been sent."""
    token_server |= {"status": 503, "body": {"error": "internal_failure"}}
    put(user(), tmp_path, monkeypatch)

    error = await raised_by(oracles.google_vision.connect())

    assert type(error) is Unreachable


async def test_a_token_server_that_is_gone_is_unreachable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """So are connections that are refused."""
    ask_for_tokens_at("http://127.0.0.1:1/token", monkeypatch)
    put(user(), tmp_path, monkeypatch)

    error = await raised_by(oracles.google_vision.connect())

    assert type(error) is Unreachable
    assert MARKER not in shown(error)


# --- credentials that work ---


@pytest.fixture
def at_google(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """Let the vendor's library make its channels to this machine, and keep what it was asked to make."""
    asked: dict[str, Any] = {}

    def create_channel(host: str, **arguments: Any) -> Any:
        asked.update(host=host, **arguments)
        return grpc.aio.insecure_channel(asked["instead"], options=arguments["options"])

    monkeypatch.setattr(ImageAnnotatorGrpcAsyncIOTransport, "create_channel", create_channel)
    return asked


async def test_google_is_asked_with_the_accounts_credentials(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, private_key: str, at_google: dict[str, Any]
) -> None:
    """By default the vendor's own channel is made, to Google's host, for the account of the file, without retries."""
    put(service_account(private_key), tmp_path, monkeypatch)
    async with serving(saying(labelled(cat=0.5))) as url:
        at_google["instead"] = url
        oracle = oracles.google_vision.connect()
        (reply,) = await ask(oracle)
        await oracle.aclose()

    assert at_google["host"] == "vision.googleapis.com:443"
    assert at_google["credentials"].service_account_email.startswith(MARKER)
    assert ("grpc.enable_retries", 0) in at_google["options"]
    assert reply.answer.labels[0].name == "cat"


async def test_a_token_is_fetched_once(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    token_server: dict[str, Any],
    at_google: dict[str, Any],
) -> None:
    """A user's token is fetched before the first attempt and kept while it is valid."""
    token_server |= {"status": 200, "body": {"access_token": f"{MARKER}-token", "expires_in": 3600}}
    put(user(), tmp_path, monkeypatch)
    async with serving(failing("INTERNAL", f"Bearer {MARKER}-token is odd")) as at:
        at_google["instead"] = at
        oracle = oracles.google_vision.connect(endpoint="eu-vision.googleapis.com")
        first = await ask(oracle)
        token_server |= {"status": 400, "body": {}}
        second = await ask(oracle)
        await oracle.aclose()

    assert at_google["host"] == "eu-vision.googleapis.com:443"
    assert str(first) == str(second)
    assert "Bearer *** is odd" in str(first)


async def test_nothing_of_the_credentials_is_ever_shown(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    private_key: str,
    at_google: dict[str, Any],
    caplog: pytest.LogCaptureFixture,
) -> None:
    """A server that echoes path and secrets finds them hidden in errors, tracebacks, reprs, identity and logs."""
    caplog.set_level(logging.INFO)
    content = service_account(private_key)
    path = put(content, tmp_path, monkeypatch)
    echo = " ".join((str(path), content["private_key_id"], content["client_email"], content["client_id"]))
    async with serving(failing("PERMISSION_DENIED", echo)) as url:
        at_google["instead"] = url
        oracle = oracles.google_vision.connect()
        error = await ask(oracle)
        await oracle.aclose()

    assert "*** *** *** ***" in str(error)
    assert MARKER not in shown(error, oracle, oracle.capabilities, vars(oracle))
    assert MARKER not in caplog.text


async def test_an_emulator_gets_no_credentials(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """On this machine nothing is read and nothing is sent, whatever the environment holds."""
    put(f"no JSON but {MARKER}", tmp_path, monkeypatch)
    sent: dict[str, Any] = {}

    async def handler(request: Any, context: Any) -> Any:
        sent.update(context.invocation_metadata())
        return await saying(labelled(cat=0.5))(request, context)

    async with serving(handler) as url:
        oracle = oracles.google_vision.connect(endpoint=url)
        await ask(oracle)
        await oracle.aclose()

    assert "authorization" not in sent
    assert MARKER not in str(sent)


def test_an_account_shows_its_variable_only() -> None:
    """The repr of the credentials' holder is safe."""
    assert repr(Account()) == "Account('GOOGLE_APPLICATION_CREDENTIALS')"


def test_short_values_are_not_hidden() -> None:
    """What is too short to be a secret would be found everywhere."""
    account = Account()
    account._secrets = ("abc", "")

    assert account.hide("abcdef") == "abcdef"


async def test_labels_that_repeat_a_secret_are_kept_without_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, private_key: str
) -> None:
    """What the service answers is stored: a name with a secret in it, escaped or not, is hidden there too."""
    (tmp_path / "account.json").write_text(json.dumps(service_account(private_key)), encoding="utf-8")
    monkeypatch.setenv(VARIABLE, str(tmp_path / "account.json"))
    oracle: Any = oracles.google_vision.connect()
    await oracle._account.credentials()
    response = labelled(**{f"seen {MARKER}-client": 0.75, f"%6d{MARKER[1:]}%2Did": 0.5})

    reply = oracle._read_one(0, type(response).pb(response), Sent(height=8, width=8))

    assert [label.name for label in reply.answer.labels] == ["seen ***", "***"]
