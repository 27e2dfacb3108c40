"""JSON paths: where in a server's answer something stands.

A subset of RFC 9535: `$` is the whole answer, `.name` or `['any name']` a member, `[0]` an element, counted from the
end if negative, and `[*]` or `.*` every element or member, in order; `[?@.name=='value']` every element with such a
member, and `[?@.name]` every one with that member at all. Unlike there, a member or element that is absent is an error:
a path that is spelled wrong must not be taken for an empty answer.
"""

from __future__ import annotations

import itertools
import re
from dataclasses import dataclass
from typing import Any, TypeAlias

from bbquery.errors import UsageError
from oracles._http.wire.fields import WireError
from oracles._shared.texts import brief

EVERY = None


@dataclass(frozen=True)
class Where:
    """The elements that have a member with this value; None for any."""

    name: str
    value: str | None

    def holds(self, element: Any) -> bool:
        """Whether an element is such a one."""
        return isinstance(element, dict) and self.name in element and self.value in (None, element[self.name])


Step: TypeAlias = str | int | Where | None
"""A member's name, an element's index, some elements, or EVERY one of them."""

_STEP = re.compile(
    r"""
      \.(?P<name>[^\W\d][\w-]*)
    | \[(?P<quoted>'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*")\]
    | \[(?P<index>-?[0-9]{1,9})\]
    | \[\?@\.(?P<having>[^\W\d][\w-]*)(?:\s*==\s*'(?P<value>[^'\\]*)')?\]
    | \.\* | \[\*\]
    """,
    re.VERBOSE | re.DOTALL,
)


@dataclass(frozen=True)
class Path:
    """A path, read."""

    text: str
    steps: tuple[Step, ...]

    @property
    def is_choice(self) -> bool:
        """Whether it selects whichever elements are such as it says, so none or several are as good as one."""
        return any(isinstance(step, Where) for step in self.steps)

    def select(self, document: Any) -> list[Any]:
        """Return all that it selects, in the order of the document.

        Raises:
            WireError: a part of it is absent; says which.
        """
        found = [document]
        for step in self.steps:
            found = [part for value in found for part in self._taken(value, step)]
        return found

    def first(self, document: Any) -> Any:
        """Return the first thing that it selects, None where there is none."""
        try:
            return next(iter(self.select(document)), None)
        except WireError:
            return None

    def shared(self, other: Path) -> Path:
        """Return the path to where both part."""
        both = zip(self.steps, other.steps, strict=False)
        return Path(self.text, tuple(step for step, _ in itertools.takewhile(lambda two: two[0] == two[1], both)))

    def after(self, start: Path) -> Path:
        """Return what is left of it from the end of `start`, with which it begins."""
        return Path(self.text, self.steps[len(start.steps) :])

    def _taken(self, value: Any, step: Step) -> list[Any]:
        match step, value:
            case str(), dict() if step in value:
                return [value[step]]
            case int(), list() if -len(value) <= step < len(value):
                return [value[step]]
            case Where(), list():
                return [part for part in value if step.holds(part)]
            case None, list():
                return value
            case None, dict():
                return list(value.values())
        wanted = {str: f"member {step!r}", int: f"element {step}"}.get(type(step), "elements or members")
        raise WireError(f"the path {self.text} finds no {wanted} in {brief(value)}")


def read_path(text: str, option: str) -> Path:
    """Return the path that `text` writes. option: what the user calls it, for messages.

    Raises:
        UsageError: it is none; says from where on.
    """
    if not text.startswith("$"):
        raise UsageError(f"{option} must be a JSON path that begins with $, such as $.outputs[0].data, not {text!r}")
    steps: list[Step] = []
    place = 1
    while place < len(text):
        match = _STEP.match(text, place)
        if match is None:
            raise UsageError(
                f"{option}: the path {text!r} cannot be read from {text[place:]!r} on: write .name, ['any name'], [0], "
                f"[*], .* or [?@.name=='value']"
            )
        steps.append(_step(match))
        place = match.end()
    return Path(text, tuple(steps))


def _step(match: re.Match[str]) -> Step:
    if match["name"] is not None:
        return match["name"]
    if match["having"] is not None:
        return Where(match["having"], match["value"])
    if match["quoted"] is not None:
        return re.sub(r"\\(.)", r"\1", match["quoted"][1:-1], flags=re.DOTALL)
    return EVERY if match["index"] is None else int(match["index"])
