"""The account that pays: credentials from the file that an environment variable names, read when first needed.

Only the variable GOOGLE_APPLICATION_CREDENTIALS counts. Google's library would go on to look for a login of gcloud and
for the machine's own account, so that a run could be charged to an account that nobody named. Once the variable is set
the library reads it as ever: service accounts, users, workload identities. Neither the path nor anything secret in the
file is shown in an error.
"""

from __future__ import annotations

import asyncio
import os
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bbquery.errors import KeyMissing, Rejected, Unreachable, UsageError
from bbquery.system import user_file
from oracles._google_vision.vendor import (
    GoogleAuthError,
    ImageAnnotatorGrpcAsyncIOTransport,
    TokenRequest,
    TransportError,
    default_credentials,
    service_account,
)
from oracles._shared import hiding

if TYPE_CHECKING:
    from google.auth.credentials import Credentials

VARIABLE = "GOOGLE_APPLICATION_CREDENTIALS"
LONGEST_TOKEN = 10.0  # seconds to ask for one; 120 by default, longer than an attempt
SECRETS = ("private_key", "private_key_id", "client_secret", "client_id", "client_email", "refresh_token")


class Account:
    """The credentials, and what must never be shown of them. Its repr names the variable only."""

    def __init__(self) -> None:
        self._credentials: Credentials | None = None
        self._secrets: tuple[str, ...] = ()

    def __repr__(self) -> str:
        return f"Account({VARIABLE!r})"

    def check(self) -> None:
        """See that the variable names a file that may hold credentials; nobody is asked about them.

        Raises:
            KeyMissing: it is unset. UsageError: the file cannot be read, or is no JSON object.
        """
        self._content()

    async def credentials(self) -> Credentials:
        """Return the credentials, with a token that is valid now.

        Raises:
            UsageError: there are none. Rejected: Google gives no token for them. Unreachable: it could not be asked.
        """
        if self._credentials is None:
            self._credentials = await asyncio.to_thread(self._read)
        # A service account signs its own tokens. All others fetch one: here, where a failure has sent no image yet.
        if not isinstance(self._credentials, service_account.Credentials) and not self._credentials.valid:
            await self._refresh(self._credentials)
        return self._credentials

    def hide(self, text: str) -> str:
        """Return `text` without the path or any secret: what was never read was never sent."""
        token = str(getattr(self._credentials, "token", None) or "")
        return hiding.hide(text, (secret for secret in (*self._secrets, token) if len(secret) >= hiding.SHORTEST))

    # In the functions below `from None`: the library's errors quote the path and what the file holds.

    def _read(self) -> Credentials:
        path, content = self._content()
        self._secrets = (path, *(str(content[field]) for field in SECRETS if field in content))
        return _loaded()

    def _content(self) -> tuple[str, dict[str, Any]]:
        """Return the path of the file, and what it holds."""
        path = os.environ.get(VARIABLE, "")
        if not path:
            raise KeyMissing(
                f"the environment variable {VARIABLE} is unset: put into it the path of the credentials (a JSON file) "
                "of the Google Cloud account that pays"
            )
        try:
            content = user_file.parsed_json(Path(path), "the credentials")
        except UsageError as error:
            raise _unusable(f"cannot be read as JSON ({type(error.__cause__ or error).__name__})") from None
        if not isinstance(content, dict):
            raise _unusable("is JSON but not an object")
        return path, content

    async def _refresh(self, credentials: Credentials) -> None:
        try:
            await asyncio.to_thread(credentials.refresh, partial(TokenRequest(), timeout=LONGEST_TOKEN))
        except GoogleAuthError as error:
            kind = Unreachable if isinstance(error, TransportError) or error.retryable else Rejected
            said = f"Google gave no token for the credentials of {VARIABLE}: {self.hide(str(error))}"
            raise kind(said, oracle="google_vision") from None


def _loaded() -> Credentials:
    scopes: Any = ImageAnnotatorGrpcAsyncIOTransport.AUTH_SCOPES
    try:
        credentials, _ = default_credentials(default_scopes=scopes)
    except (GoogleAuthError, ValueError, LookupError, TypeError, AttributeError, OSError) as error:
        raise _unusable(f"holds no credentials that Google's library can use ({type(error).__name__})") from None
    return credentials


def _unusable(why: str) -> UsageError:
    return UsageError(f"the file that the environment variable {VARIABLE} names {why}: download the credentials anew")
