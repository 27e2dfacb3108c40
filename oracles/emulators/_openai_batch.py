"""One batch of the OpenAI emulator: its lines, what became of them, and how the vendor describes it."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from oracles.emulators._openai_reply import CREATED

if TYPE_CHECKING:
    from oracles.emulators._openai_batch_input import Fault, Line
    from oracles.emulators._openai_request import Api

Status: TypeAlias = Literal[
    "validating", "failed", "in_progress", "finalizing", "completed", "expired", "cancelling", "cancelled"
]
ENDED: frozenset[Status] = frozenset({"failed", "completed", "expired", "cancelled"})
WINDOW, SECONDS = "24h", 24 * 60 * 60
APIS: dict[str, Api] = {"/v1/chat/completions": "chat", "/v1/responses": "responses"}
"""The APIs that a batch may ask; the vendor has more."""


@dataclass
class EmulatedBatch:
    """A batch. number: how many were made before. done: lines that were worked on. output, errors: lines of results.

    steps: that it has got on by; they stand for time.
    """

    number: int
    input_file: str
    endpoint: str
    metadata: dict[str, str] | None
    lines: list[Line]
    faults: list[Fault]
    status: Status = "validating"
    done: int = 0
    output: list[bytes] = field(default_factory=list)
    errors: list[bytes] = field(default_factory=list)
    output_file: str | None = None
    error_file: str | None = None
    steps: int = 0
    _when: dict[str, int] = field(default_factory=dict)

    @property
    def id(self) -> str:
        """The server's name for it."""
        return f"batch_{self.number}"

    @property
    def ended(self) -> bool:
        """Whether nothing more comes."""
        return self.status in ENDED

    def become(self, status: Status) -> None:
        """Enter a status."""
        self.status = status
        self._when[f"{status}_at"] = CREATED + self.steps

    def listed(self) -> dict[str, Any]:
        """Return how the vendor describes it."""
        return {
            "id": self.id,
            "object": "batch",
            "endpoint": self.endpoint,
            "errors": {"object": "list", "data": list(map(asdict, self.faults))} if self.status == "failed" else None,
            "input_file_id": self.input_file,
            "completion_window": WINDOW,
            "status": self.status,
            "output_file_id": self.output_file,
            "error_file_id": self.error_file,
            "created_at": CREATED,
            "expires_at": CREATED + SECONDS,
            "request_counts": self._counts(),
            "metadata": self.metadata,
            **self._when,
        }

    def _counts(self) -> dict[str, int]:
        total = 0 if self.status in ("validating", "failed") else len(self.lines)
        return {"total": total, "completed": len(self.output), "failed": len(self.errors)}
