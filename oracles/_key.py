"""A secret that is sent and never shown: read from the environment, hidden in every text for people."""

from __future__ import annotations

import os

from bbquery.errors import UsageError

HIDDEN = "***"


class Key:
    """The value of an environment variable, to be sent as a bearer token. Its repr names the variable only."""

    def __init__(self, variable: str) -> None:
        """Read `variable`.

        Raises:
            UsageError: it is unset or empty, or holds what an HTTP header cannot carry.
        """
        value = os.environ.get(variable, "").strip()
        if not value:
            raise UsageError(f"the environment variable {variable!r} (key_env) is unset or empty: put the key in it")
        if not (value.isascii() and value.isprintable()):
            raise UsageError(f"the environment variable {variable!r} (key_env) holds characters that no key has")
        self.variable, self._value = variable, value

    def __repr__(self) -> str:
        return f"Key({self.variable!r})"

    def header(self) -> dict[str, str]:
        """Return the header that carries it."""
        return {"Authorization": f"Bearer {self._value}"}

    def hide(self, text: str) -> str:
        """Return `text` without it: servers echo keys in their messages."""
        return text.replace(self._value, HIDDEN)
