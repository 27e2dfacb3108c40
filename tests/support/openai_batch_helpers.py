"""What the tests of OpenAI's batches share: an oracle at an emulator, a file of questions, and polls until the end."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

from bbquery.batch_oracle import BatchOracle
from oracles.emulators.openai import Faults, OpenAIEmulator
from tests.support.openai_helpers import connected, image
from tests.support.oracles import colour_oracle
from tests.support.silence import limits_end_in_silence

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence
    from pathlib import Path

    from bbquery.batch_oracle import BatchState
    from bbquery.errors import OracleError
    from bbquery.types import Reply

LONGEST = 50  # looks at a batch: more than any of these takes


@asynccontextmanager
async def at(url: str, **options: Any) -> AsyncIterator[BatchOracle]:
    """Connect an oracle that takes batches."""
    async with connected(url, **options) as oracle:
        assert isinstance(oracle, BatchOracle)
        yield oracle


@asynccontextmanager
async def rehearsed(
    *, batch_lines: int = 100, options: dict[str, Any] | None = None, **faults: Any
) -> AsyncIterator[tuple[OpenAIEmulator, BatchOracle]]:
    """Give an emulator with these faults, and an oracle that asks it."""
    emulator = OpenAIEmulator(colour_oracle(), Faults(**faults), batch_lines=batch_lines)
    with limits_end_in_silence():
        async with emulator.running() as url, at(url, **(options or {})) as oracle:
            yield emulator, oracle


def names(count: int) -> list[str]:
    """Return names of lines."""
    return [f"attempt-{number}" for number in range(count)]


def written(oracle: BatchOracle, folder: Path, lines: Sequence[str]) -> Path:
    """Return a file that asks about one random image a line."""
    asked = (oracle.batch_line(oracle.encode(image(seed=seed)), name) for seed, name in enumerate(lines))
    path = folder / "lines"
    path.write_bytes(b"".join(asked))
    return path


async def ended(oracle: BatchOracle, vendor: str) -> BatchState:
    """Look at a batch until it has ended."""
    for _ in range(LONGEST):
        state = await oracle.batch_state(vendor)
        if state.ended:
            return state
    raise AssertionError(f"{vendor} has not ended")


async def collected(oracle: BatchOracle, vendor: str) -> dict[str, Reply | OracleError]:
    """Return the results of a batch, each line once."""
    found: dict[str, Reply | OracleError] = {}
    async for name, result in oracle.batch_results(vendor):
        assert name not in found
        found[name] = result
    return found


async def answered(oracle: BatchOracle, folder: Path, count: int) -> dict[str, Reply | OracleError]:
    """Submit a batch of so many lines, wait for its end and return its results."""
    vendor = await oracle.submit(written(oracle, folder, names(count)), "ours")
    await ended(oracle, vendor)
    return await collected(oracle, vendor)
