"""The file of a batch, checked as the vendor does before any line is worked on: its lines, or what is wrong with it.

The codes are those that the vendor's batches fail with: empty_file, too_many_tasks, invalid_json_line,
duplicate_custom_id, url_mismatch, model_mismatch and their kin.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from oracles._http.wire.fields import WireError, loads
from oracles.emulators._openai_models import BY_NAME

MOST_LINES = 50_000
MOST_BYTES = 200 * 10**6
FIELDS = {"custom_id": str, "method": str, "url": str, "body": dict}


@dataclass(frozen=True)
class Line:
    """A line that may be worked on. content: as it was sent."""

    custom_id: str
    content: bytes

    @property
    def body(self) -> dict[str, Any]:
        """The request."""
        body: dict[str, Any] = loads(self.content)["body"]
        return body


@dataclass(frozen=True)
class Fault:
    """Why a batch fails. line: number of the line, from 1; None where it is about the whole file."""

    code: str
    message: str
    line: int | None = None
    param: str | None = None


def read(content: bytes, url: str) -> tuple[list[Line], list[Fault]]:
    """Return the lines of a file that all ask for `url`, and everything that is wrong with them."""
    sent = [line for line in content.split(b"\n") if line.strip()]
    if not sent:
        return [], [Fault("empty_file", "The input file is empty. Please ensure that the batch contains requests.")]
    if len(sent) > MOST_LINES:
        return [], [Fault("too_many_tasks", f"The input file has {len(sent)} requests: at most {MOST_LINES}.")]
    if len(content) > MOST_BYTES:
        return [], [Fault("file_too_large", f"The input file has {len(content)} bytes: at most {MOST_BYTES}.")]
    checked = _Checked(url)
    for number, line in enumerate(sent, 1):
        checked.add(number, line)
    return checked.lines, checked.faults


class _Checked:
    """Lines so far, and what no two of them may share or differ in."""

    def __init__(self, url: str) -> None:
        self.lines: list[Line] = []
        self.faults: list[Fault] = []
        self._url, self._model = url, ""
        self._names: set[str] = set()

    def add(self, number: int, line: bytes) -> None:
        try:
            content = loads(line)
        except WireError:
            self.faults.append(Fault("invalid_json_line", "This line is not parseable as valid JSON.", number))
            return
        fault = self._missing(content, number) or self._wrong(content, number)
        if fault is not None:
            self.faults.append(fault)
            return
        self._names.add(content["custom_id"])
        self.lines.append(Line(content["custom_id"], line))

    def _missing(self, content: Mapping[str, Any], number: int) -> Fault | None:
        for name, kind in FIELDS.items():
            if not isinstance(content.get(name), kind) or not content[name]:
                said = f"Missing required parameter: '{name}'."
                return Fault("missing_required_parameter", said, number, name)
        return None

    def _wrong(self, content: Mapping[str, Any], number: int) -> Fault | None:
        name, model = content["custom_id"], content["body"].get("model")
        if name in self._names:
            said = f"The custom_id '{name}' is a duplicate: it must be unique for each request in a batch."
            return Fault("duplicate_custom_id", said, number, "custom_id")
        if content["method"] != "POST":
            return Fault("invalid_method", "The method must be POST.", number, "method")
        if content["url"] != self._url:
            said = f"The URL '{content['url']}' does not match the batch's endpoint '{self._url}'."
            return Fault("url_mismatch", said, number, "url")
        if not isinstance(model, str) or model not in BY_NAME:
            said = f"The provided model '{model}' is not supported by the EmulatedBatch API."
            return Fault("model_not_found", said, number, "body.model")
        self._model = self._model or model
        if model != self._model:
            said = f"All requests of a batch must ask the same model: '{self._model}', not '{model}'."
            return Fault("model_mismatch", said, number, "body.model")
        return None
