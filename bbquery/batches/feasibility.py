"""Checks of whether a run can be asked as batches, and estimates of their files and cost."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from bbquery.batch_oracle import BatchOracle
from bbquery.batches.limits import split
from bbquery.batches.questions import Wanted, asks, rows
from bbquery.batches.writer import line_name
from bbquery.errors import UsageError
from bbquery.ledger import codec
from bbquery.plan import Ask
from bbquery.specification import type_name
from bbquery.units import Units

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from bbquery.oracle import Oracle
    from bbquery.plan import Plan
    from bbquery.saliency import Method
    from bbquery.types import Image


def batch_oracle(oracle: Oracle, method: Method) -> BatchOracle:
    """Return the oracle as one that is asked in batches, all that a method asks at once.

    Raises:
        UsageError: the oracle takes no files, or what the method asks depends on answers.
    """
    name = oracle.capabilities.name
    if not isinstance(oracle, BatchOracle):
        raise UsageError(f"{name} takes no batches: leave out --batch, or choose an oracle that does, such as openai")
    if method.adaptive:
        raise UsageError(
            f"{type_name(method)} decides by answers what it asks next, and a batch takes all questions at once:"
            f" leave out --batch, or choose a method that does not adapt, such as designed:refine=false or rise"
        )
    return oracle


def wanted(plan: Plan[Any], clean: Image, checks: tuple[int, int]) -> Iterator[Wanted]:
    """Yield what a run asks as a batch: its plan, between repeats of the unperturbed image (H, W, 3).

    checks: how many of them stand at the start and at the end; the first sample of it is asked before any file.
    """
    first, last = checks
    if first:
        yield Wanted(Ask(clean[None], repeat=first), 1)
    for ask in asks(plan):
        yield Wanted(ask)
    if last:
        yield Wanted(Ask(clean[None], repeat=last), 1 + first)


@dataclass(frozen=True)
class Files:
    """Files of a batch run: their lines and bytes, what is held for them at worst, and the likely bill."""

    lines: int
    files: int
    bytes: int
    worst: Units
    expected: Units


def files(oracle: BatchOracle, asked: Iterable[Wanted]) -> Files:
    """Return what the files of these questions would be; every image is rendered and encoded, and none is kept.

    Raises:
        UsageError: a question is larger than any file may be.
    """
    total = _Total()
    count = -1
    for count in split(total.sizes(oracle, asked), oracle.batch_limits):  # noqa: B007 - the last one tells
        continue
    return Files(total.lines, count + 1, total.bytes, total.worst, total.expected)


class _Total:
    """Adds up lines while their sizes are read."""

    def __init__(self) -> None:
        self.lines = self.bytes = 0
        self.worst = self.expected = Units()

    def sizes(self, oracle: BatchOracle, asked: Iterable[Wanted]) -> Iterator[int]:
        """Yield the size of each distinct question's line."""
        fingerprint, _ = codec.fingerprint(oracle.capabilities.identity)
        seen: set[bytes] = set()
        for row in rows(asked, fingerprint):
            payload = oracle.encode(row.image)
            quote, size = oracle.batch_quote(payload), len(oracle.batch_line(payload, line_name(0)))
            for question in row.questions:
                if question.key in seen:
                    continue
                seen.add(question.key)
                self.lines, self.bytes = self.lines + 1, self.bytes + size
                self.worst, self.expected = self.worst.plus(quote.worst), self.expected.plus(quote.expected)
                yield size
