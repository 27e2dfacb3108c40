"""Headers of a request, in which ${NAME} stands for a secret: an environment variable's value, sent and never shown."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from bbquery.errors import UsageError
from oracles._shared.key import Key

if TYPE_CHECKING:
    from collections.abc import Mapping

NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
"""The names that a header may have (RFC 9110, section 5.1)."""

_SECRET = re.compile(r"\$\{([^}]*)\}")


class Headers:
    """Headers by name; nothing is read from the environment before they are sent.

    option: what the user calls them, for messages.

    Raises:
        UsageError: a name or value that no header can have, or a ${...} that names no variable.
    """

    def __init__(self, templates: Mapping[str, str], option: str = "headers") -> None:
        for name, value in templates.items():
            if not NAME.fullmatch(name):
                raise UsageError(f"{option}: {name!r} cannot be the name of a header")
            if not (value.isascii() and value.isprintable()):
                raise UsageError(f"{option}: {name} must be printable ASCII on one line")
        self.templates = dict(templates)
        found = [secret for value in templates.values() for secret in _SECRET.findall(value)]
        self._keys = {secret: Key(secret, option) for secret in found}

    @property
    def variables(self) -> list[str]:
        """The environment variables whose values are sent."""
        return list(self._keys)

    def __repr__(self) -> str:
        return f"Headers({sorted(self.templates)})"  # values may hold what should have been a ${NAME}

    def with_key(self, variable: str) -> Headers:
        """Return these headers with the value of `variable` as their one secret, or as a bearer token beside none.

        Raises:
            UsageError: they have several, or an Authorization without one; or it cannot be the name of a variable.
        """
        if len(self._keys) > 1:
            raise UsageError(
                f"key_env names one secret, and the template has {len(self._keys)}: {', '.join(self._keys)}"
            )
        if not self._keys and any(name.lower() == "authorization" for name in self.templates):
            raise UsageError("the template has an Authorization of its own: leave out key_env, or the header")
        Key(variable)
        named = {name: _SECRET.sub(f"${{{variable}}}", value) for name, value in self.templates.items()}
        return Headers(named if self._keys else named | {"Authorization": f"Bearer ${{{variable}}}"}, "key_env")

    def sent(self) -> Mapping[str, str]:
        """Return the headers as they are sent.

        Raises:
            UsageError: a variable is unset or empty, or holds what no header can carry.
        """
        if not self._keys:
            return self.templates
        return {name: _SECRET.sub(self._read, value) for name, value in self.templates.items()}

    def hide(self, text: str) -> str:
        """Return `text` without the secrets."""
        for key in self._keys.values():
            text = key.hide(text)
        return text

    def hide_in_answer(self, body: bytes) -> bytes:
        """Return the body of an answer without the secrets."""
        for key in self._keys.values():
            body = key.hide_in_answer(body)
        return body

    def _read(self, found: re.Match[str]) -> str:
        return self._keys[found[1]].read()
