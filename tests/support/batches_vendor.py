"""A vendor that takes files, for tests: its state is a folder, so it survives the death of whoever asks it.

It answers by `tests.support.models.sides`, bills every line it answers, and can be told to fail in every way that
matters.
"""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from bbquery.batch_oracle import BatchLimits, BatchState
from bbquery.errors import NotBilled, OracleError, Rejected
from bbquery.oracle import Capabilities, Price, Quote, RateSeen, View
from bbquery.types import Classes, Reply, Vector
from bbquery.units import Units
from tests.support.models import sides

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Sequence

    from bbquery.types import Image

SIDE = 8
FULL, HALF = 3_000_000_000, 1_500_000_000  # picodollars: what is held for a query now, and for one in a batch
LIMITS = BatchLimits(lines=1000, bytes=10**6)
BILL, HALF_BILL = 2_000_000_000, 1_000_000_000  # what it costs


def told_nothing(_: str) -> None:
    """Where nobody listens."""


def never(_: str) -> OracleError | None:
    """No fault."""
    return None


@dataclass
class Vendor:
    """An oracle over a folder. looks: how often a batch is looked at before it has ended.

    at: called at each named moment, where a test may kill. fate: of a line, by its index in its file: None for an
    answer, or an error. silent: lines that no result speaks of. reason: why every batch fails as a whole. lag: how
    often a batch is not listed though it is there. submit_fault, after: raised before or after it is accepted.
    """

    folder: Path
    limits: BatchLimits = LIMITS
    looks: int = 1
    lag: int = 0
    reason: str = ""
    remote: bool = False
    half_bill: int = HALF_BILL
    at: Callable[[str], None] = told_nothing
    fate: Callable[[int], OracleError | None] = lambda _: None
    silent: frozenset[int] = frozenset()
    submit_fault: Callable[[str], OracleError | None] = never
    fault_after: Callable[[str], OracleError | None] = never
    state_fault: Callable[[str], OracleError | None] = never
    results_fault: Callable[[str], OracleError | None] = never
    asked_now: int = 0
    looked: int = 0
    listed: int = 0
    encoded: int = 0
    modes: list[int] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)

    @property
    def capabilities(self) -> Capabilities:
        return Capabilities(
            name="vendor",
            answers="probabilities",
            identity={"oracle": "vendor", "version": "1"},
            classes=Classes((("left",), ("right",))),
            view=View(size=(SIDE, SIDE)),
            price=Price(source="a test"),
            remote=self.remote,
        )

    @property
    def batch_limits(self) -> BatchLimits:
        return self.limits

    @property
    def rate_seen(self) -> RateSeen | None:
        return None

    def encode(self, image: Image) -> bytes:
        self.encoded += 1
        return image.tobytes()

    def quote(self, payload: bytes) -> Quote:
        return Quote(worst=Units(1, 0, FULL), expected=Units(1, 0, BILL))

    def batch_quote(self, payload: bytes) -> Quote:
        return Quote(worst=Units(1, 0, HALF), expected=Units(1, 0, HALF_BILL))

    def batch_line(self, payload: bytes, line: str) -> bytes:
        return json.dumps({"name": line, "pixels": payload.hex()}).encode() + b"\n"

    async def answer(self, payloads: Sequence[bytes]) -> list[Reply | OracleError]:
        self.asked_now += len(payloads)
        self._bill([BILL] * len(payloads), "now")
        return [Reply(_seen(payload), Units(1, 0, BILL), "v1") for payload in payloads]

    async def submit(self, lines: Path, batch: str) -> str:
        self.modes.append(lines.stat().st_mode & 0o777)
        self.at("before the vendor accepts")
        if (fault := self.submit_fault(batch)) is not None:
            raise fault
        number = len(list(self.folder.glob("submission-*")))
        (self.folder / f"submission-{number}").write_text(batch)
        (self.folder / f"vendor-{number}.lines").write_bytes(lines.read_bytes())
        self.at("after the vendor accepted")
        if (fault := self.fault_after(batch)) is not None:
            raise fault
        return f"vendor-{number}"

    async def submitted(self, batch: str) -> str | None:
        self.listed += 1
        if self.listed <= self.lag:
            return None
        return next((vendor for vendor, name in self.submissions().items() if name == batch), None)

    async def batch_state(self, vendor: str) -> BatchState:
        self.at("while polling")
        self.looked += 1
        if (fault := self.state_fault(vendor)) is not None:
            raise fault
        lines = self.lines(vendor)
        if self.looked < self.looks:
            return BatchState(ended=False, status="in_progress", total=len(lines), answered=0, failed=0)
        if self.reason:
            return BatchState(ended=True, status="failed", total=0, answered=0, failed=0, reason=self.reason)
        failed = sum(self.fate(i) is not None for i in range(len(lines)))
        return BatchState(ended=True, status="completed", total=len(lines), answered=len(lines) - failed, failed=failed)

    async def batch_results(self, vendor: str) -> AsyncIterator[tuple[str, Reply | OracleError]]:
        lines = self.lines(vendor)
        self._work_on(vendor, lines)
        for index, line in reversed(list(enumerate(lines))):
            await asyncio.sleep(0)
            if index == len(lines) // 2:
                self.at("in the middle of collecting")
                if (fault := self.results_fault(vendor)) is not None:
                    raise fault
            if index in self.silent:
                continue
            reply = Reply(_seen(bytes.fromhex(line["pixels"])), Units(1, 0, self.half_bill), "v1")
            yield line["name"], self.fate(index) or reply

    async def cancel_batch(self, vendor: str) -> None:
        raise NotImplementedError

    async def aclose(self) -> None:
        return

    # --- what the vendor knows ---

    def submissions(self) -> dict[str, str]:
        """Return our names of all batches, by the vendor's."""
        files = sorted(self.folder.glob("submission-*"), key=lambda path: int(path.name.rpartition("-")[2]))
        return {f"vendor-{i}": path.read_text() for i, path in enumerate(files)}

    def lines(self, vendor: str) -> list[dict[str, Any]]:
        return [json.loads(line) for line in (self.folder / f"{vendor}.lines").read_bytes().splitlines()]

    def questions(self) -> list[str]:
        """Return the pixels of every line that was ever submitted."""
        return [line["pixels"] for vendor in self.submissions() for line in self.lines(vendor)]

    @property
    def bill(self) -> int:
        """Picodollars that the vendor charges."""
        return sum(int(path.read_text()) for path in self.folder.glob("bill-*"))

    def _work_on(self, vendor: str, lines: list[dict[str, Any]]) -> None:
        answered = sum(self.fate(i) is None for i in range(len(lines)))
        (self.folder / f"bill-{vendor}").write_text(str(answered * self.half_bill))

    def _bill(self, amounts: list[int], what: str) -> None:
        path = self.folder / f"bill-{what}"
        before = int(path.read_text()) if path.exists() else 0
        path.write_text(str(before + sum(amounts)))


def _seen(payload: bytes) -> Vector:
    return Vector(np.array(sides(np.frombuffer(payload, np.uint8).reshape(SIDE, SIDE, 3))))


def expired() -> OracleError:
    """A line that the vendor did not work on in time."""
    return NotBilled("expired before it was worked on", oracle="vendor")


def bad_request() -> OracleError:
    return Rejected("no such thing", oracle="vendor")


def connect(folder: str, lines: int = 1000, looks: int = 1, half_bill: int = HALF_BILL) -> Vendor:
    """Connect, for a command line."""
    return Vendor(Path(folder), BatchLimits(lines=lines, bytes=10**6), looks=looks, half_bill=half_bill)
