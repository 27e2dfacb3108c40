"""The loop that all estimators share: ask batch after batch of copies, and accumulate what is answered."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, Protocol, TypeVar

from bbquery.estimators import Gradient
from bbquery.estimators.statistics.pairs import PairedMoments
from bbquery.perturb.added import AddedCopies
from bbquery.perturb.noise import mirrored
from bbquery.plan import Ask, Stopped
from bbquery.types import batches

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    import numpy as np
    from numpy.typing import NDArray

    from bbquery.perturb.added import Change
    from bbquery.plan import Plan
    from bbquery.types import Domain, Image, Images

Copies = TypeVar("Copies", bound="Images")


class Evidence(Protocol):
    """Running sums over answered rows."""

    @property
    def answered(self) -> int:
        """Number of rows answered."""

    @property
    def mean_score(self) -> float:
        """Their mean score; NaN without an answer."""


def gather(sequences: Iterable[Copies], add: Callable[[Copies, NDArray[np.float64]], None]) -> Plan[None]:
    """Ask each sequence of copies and add it with its scores, NaN where unanswered; end when stopped."""
    for copies in sequences:
        try:
            scores = yield Ask(copies)
        except Stopped as stop:
            add(copies, stop.scores.value)  # every paid answer counts
            return
        add(copies, scores.value)


class Pairs(NamedTuple):
    """The rows of a batch: which batch it is, how many pairs are asked before it, and how many rows it has."""

    step: int
    first: int
    rows: int


def mirrored_batches(
    x: Image,
    domain: Domain,
    changes: Callable[[Pairs], Change],
    *,
    queries: int,
    batch: int,
    copies: type[AddedCopies] = AddedCopies,
) -> Iterator[AddedCopies]:
    """Yield copies of x in mirrored pairs, batch after batch; no pair is cut in two: an odd `batch` is one row larger.

    changes: of a batch, from a pair's place in it to what is added to the first of the pair, and taken from the second.
    """
    size = batch + batch % 2
    for step, rows in enumerate(batches(queries, size)):
        change = changes(Pairs(step, step * size // 2, rows))
        yield copies(x, domain, mirrored(change), rows=rows)


def gradient(values: NDArray[np.float64], queries: int, evidence: Evidence) -> Gradient:
    """Return a gradient that rests on this evidence."""
    return Gradient(values, queries, evidence.answered, evidence.mean_score)


def paired_gradient(
    copies: Iterable[AddedCopies], x: Image, domain: Domain, *, sigma: float, queries: int
) -> Plan[Gradient]:
    """Ask mirrored pairs and return the gradient at x (H, W, 3).

    Values of a perturbation must be uncorrelated with each other. sigma: their standard deviation; a float domain
    divides by its square, and uint8 by what was realised, value by value.
    """
    moments = PairedMoments(x.shape)
    yield from gather(copies, moments.add)
    exact = domain.dtype == "float64"
    return gradient(moments.weighted() / sigma**2 if exact else moments.slope(), queries, moments)
