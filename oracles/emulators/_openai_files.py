"""The files that the OpenAI emulator keeps, in memory: what batches are made of, and their results."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from oracles.emulators._openai_reply import CREATED
from oracles.emulators._openai_request import Refused

ENDING = ".jsonl"
PURPOSES = {"batch": "file", "batch_output": "output"}


@dataclass(frozen=True)
class File:
    """A file. purpose: "batch" or "batch_output"."""

    id: str
    name: str
    purpose: str
    content: bytes

    def listed(self) -> dict[str, Any]:
        """Return how the vendor describes it."""
        return {
            "id": self.id,
            "object": "file",
            "bytes": len(self.content),
            "created_at": CREATED,
            "filename": self.name,
            "purpose": self.purpose,
            "status": "processed",
            "status_details": None,
        }


class Files:
    """Files by the name that the server gave them."""

    def __init__(self) -> None:
        self._kept: dict[str, File] = {}

    def upload(self, name: str | None, purpose: str | None, content: bytes | None) -> File:
        """Keep what a client sent.

        Raises:
            Refused: there is no file, or none that a batch can be made of.
        """
        if name is None or content is None:
            raise Refused(400, "Missing required parameter: 'file'.", param="file", code="missing_required_parameter")
        if purpose != "batch":
            raise Refused(400, f"This emulator takes files for batches only, not for {purpose!r}.", param="purpose")
        if not name.endswith(ENDING):
            raise Refused(400, f"Invalid file format for Batch API. Must be {ENDING}")
        return self.keep(name, purpose, content)

    def keep(self, name: str, purpose: str, content: bytes) -> File:
        """Keep a file."""
        file = File(f"{PURPOSES[purpose]}-{len(self._kept)}", name, purpose, content)
        self._kept[file.id] = file
        return file

    def get(self, identifier: str) -> File:
        """Return a file.

        Raises:
            Refused: there is none of that name (404).
        """
        if identifier not in self._kept:
            raise Refused(404, f"No such File object: {identifier}", param="id")
        return self._kept[identifier]
