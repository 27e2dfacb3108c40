"""A secret that is sent and never shown: read when it is first needed, hidden in every text for people.

It comes from an environment variable or, where the package `keyring` is installed, from the system's keyring, as the
user name of the variable under the service "bbquery" (`keyring set bbquery VARIABLE`).
"""

from __future__ import annotations

import importlib
import os
import re

from bbquery.errors import KeyMissing, UsageError
from oracles._shared import hiding

SERVICE = "bbquery"


class Key:
    """The value of an environment variable. Its repr names the variable only; nothing is read before it is asked for.

    option: what the user calls it, for messages.

    Raises:
        UsageError: `variable` cannot be the name of one; it is not echoed, since it may be the key itself.
    """

    def __init__(self, variable: str, option: str = "key_env") -> None:
        if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", variable):
            raise UsageError(f"{option} takes the name of an environment variable (not shown: it may be a key)")
        self.variable = variable
        self._option = option
        self._value: str | None = None

    def __repr__(self) -> str:
        return f"Key({self.variable!r})"

    def read(self) -> str:
        """Return the secret, looked up once.

        Raises:
            KeyMissing: it is unset or empty. UsageError: it holds what an HTTP header cannot carry.
        """
        if self._value is None:
            self._value = self._found()
        return self._value

    def header(self) -> dict[str, str]:
        """Return the header that carries it as a bearer token.

        Raises:
            UsageError: as `read`.
        """
        return {"Authorization": f"Bearer {self.read()}"}

    def hide(self, text: str) -> str:
        """Return `text` without it: servers echo keys in their messages. What was never read was never sent."""
        return text if self._value is None else hiding.hide(text, (self._value,))

    def hide_in_answer(self, body: bytes) -> bytes:
        """Return the body of an answer without it: what a server echoes there would be stored."""
        return body if self._value is None else hiding.hide_in_body(body, (self._value,))

    def _found(self) -> str:
        value = os.environ.get(self.variable, "").strip() or _in_keyring(self.variable)
        named = f"the environment variable {self.variable!r} ({self._option})"
        if not value:
            raise KeyMissing(f"{named} is unset or empty: put the key in it")
        if not (value.isascii() and value.isprintable()):
            raise UsageError(f"{named} holds characters that no key has")
        return value


def _in_keyring(variable: str) -> str:
    try:
        keyring = importlib.import_module("keyring")
        return (keyring.get_password(SERVICE, variable) or "").strip()
    except Exception:  # noqa: BLE001 - no package, no keyring on this machine, or it is locked: there is no key in it
        return ""
