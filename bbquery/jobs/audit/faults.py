"""Faults of a plan, all of them in one message: each with file, line, key and what is wrong."""

from __future__ import annotations

from dataclasses import dataclass, field

from bbquery.errors import UsageError
from bbquery.jobs.audit.locate import KeyPath, line_of, lines, written
from bbquery.shown import shown

MOST = 20  # faults in a message


@dataclass
class Faults:
    """Faults that were found so far. file: what the plan is called. text: of the file, None where there is none."""

    file: str
    text: str | None = None
    found: list[tuple[KeyPath, str]] = field(default_factory=list)

    def add(self, path: KeyPath, message: str) -> None:
        """Note a fault."""
        self.found.append((path, message))

    def check(self) -> None:
        """See that there is none.

        Raises:
            UsageError: there are some; says each in a line of its own, in the order of the file.
        """
        if not self.found:
            return
        known = {} if self.text is None else lines(self.text)
        placed = [(line_of(known, path), path, message) for path, message in self.found]
        said = [self._said(*each) for each in sorted(placed, key=lambda each: each[0])]
        more = [f"and {len(said) - MOST} more"] if len(said) > MOST else []
        raise UsageError("\n".join(map(shown, said[:MOST] + more)))

    def _said(self, line: int, path: KeyPath, message: str) -> str:
        place = self.file if self.text is None else f"{self.file}:{line}"
        return f"{place}: {written(path)}: {message}" if path else f"{place}: {message}"
