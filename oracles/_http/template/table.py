"""A table of a template file, read key by key, so that what is misspelled or of a wrong kind is named."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, get_args

from bbquery.errors import UnknownName, UsageError

_CALLED: dict[type, str] = {
    str: "a text",
    int: "a whole number",
    float: "a number",
    bool: "true or false",
    list: "a list",
    dict: "a table",
}


class Table:
    """The keys of one table. name: what it is called in the file, "" for the file itself.

    Raises:
        UsageError: it is no table.
    """

    def __init__(self, content: Any, name: str = "") -> None:
        if not isinstance(content, Mapping):
            raise UsageError(f"{name or 'the template'} must be a table, not {content!r:.60}")
        self._content, self._name = content, name
        self._known: list[str] = []

    @property
    def content(self) -> Mapping[str, Any]:
        """What it holds, unread."""
        return self._content

    def take(self, key: str, *kinds: type, default: Any = None) -> Any:
        """Return the value of a key, `default` where it is not there.

        Raises:
            UsageError: it is of none of these kinds.
        """
        self._known.append(key)
        value = self._content.get(key)
        if value is None:
            return default
        if type(value) in kinds or (float in kinds and type(value) is int):
            return value
        called = " or ".join(_CALLED[kind] for kind in kinds)
        raise UsageError(f"{self.called(key)} must be {called}, not {value!r:.60}")

    def need(self, key: str, *kinds: type) -> Any:
        """Return the value of a key that must be there.

        Raises:
            UsageError: it is not there, or of none of these kinds.
        """
        value = self.take(key, *kinds)
        if value is None:
            raise UsageError(f"the template needs {self.called(key)}")
        return value

    def choice(self, key: str, choices: Any, default: str | None = None) -> Any:
        """Return the value of a key that is one of a `Literal`'s; it must be there if there is no default.

        Raises:
            UsageError: it is not there. UnknownName: it is none of them.
        """
        value = self.need(key, str) if default is None else self.take(key, str, default=default)
        if value not in get_args(choices):
            raise UnknownName(f"value of {self.called(key)}", value, get_args(choices))
        return value

    def table(self, key: str) -> Table:
        """Return a table within this one; an empty one where it is not there.

        Raises:
            UsageError: it is no table.
        """
        self._known.append(key)
        return Table(self._content.get(key, {}), self.called(key))

    def plain(self, key: str, *kinds: type) -> dict[str, Any]:
        """Return a table whose values are all of these kinds; an empty one where it is not there.

        Raises:
            UsageError: one is not.
        """
        inner = self.table(key)
        return {str(name): inner.need(name, *kinds) for name in inner.content}

    def end(self) -> None:
        """Check that every key was one that there is.

        Raises:
            UnknownName: it was not.
        """
        for key in self._content:
            if key not in self._known:
                raise UnknownName(f"key of {self._name or 'the template'}", str(key), self._known)

    def called(self, key: str) -> str:
        """Return what a key is called in messages."""
        return f"{self._name}.{key}" if self._name else key
