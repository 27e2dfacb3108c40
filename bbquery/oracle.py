"""What a model that can only be asked looks like to bbquery: one asynchronous protocol and its capabilities as data.

An oracle knows nothing of budgets, stores, retries or pace: the client wraps those around it. It makes one attempt
per call, with its own library's retries switched off, and says honestly how an attempt failed (see `bbquery.errors`):
only what was provably not billed is `NotBilled`, everything doubtful is `OutcomeUnknown`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

from bbquery.types import UINT8, Answer, AnswerKind, Classes, Domain, Image

if TYPE_CHECKING:
    from bbquery.errors import OracleError


@dataclass(frozen=True, kw_only=True)
class Limits:
    """How hard an oracle may be pressed.

    largest_batch: images in one request. concurrency: requests in flight. requests_per_second: None where unlimited.
    timeout: seconds after which a request counts as lost.
    """

    largest_batch: int = 1
    concurrency: int = 8
    requests_per_second: float | None = None
    timeout: float = 120.0


@dataclass(frozen=True, kw_only=True)
class Price:
    """What a query may cost. free: nothing, ever (in-process): attempts without an outcome are then void."""

    free: bool = False


@dataclass(frozen=True, kw_only=True)
class View:
    """What an oracle sees of a photo.

    size: (height, width) in pixels of the image it is sent; None for the photo's own size.
    crop: the central share of the photo's shorter side that is sent, as a square; None sends the whole photo.
    """

    size: tuple[int, int] | None = None
    crop: float | None = None


@dataclass(frozen=True, kw_only=True)
class Capabilities:
    """What an oracle takes and gives.

    name: for people. identity: everything that decides its answers (model, version, endpoint, parameters); part of
    every answer's key, so it must change when the answers may. classes: the closed set that a vector's numbers stand
    for, None for open vocabularies.
    """

    name: str
    answers: AnswerKind
    identity: Mapping[str, str | int | float | None]
    classes: Classes | None = None
    domain: Domain = UINT8
    view: View = field(default_factory=View)
    limits: Limits = field(default_factory=Limits)
    price: Price = field(default_factory=Price)


class Oracle(Protocol):
    """A model that can only be asked."""

    @property
    def capabilities(self) -> Capabilities:
        """What it takes and gives; constant."""

    def encode(self, image: Image) -> Any:
        """Turn an image of its domain into what travels. Pure; called once per image, on a worker thread."""

    async def answer(self, payloads: Sequence[Any]) -> Sequence[Answer | OracleError]:
        """Make one attempt at a batch of encoded images; answers in order, an error for an item that failed alone.

        Raises:
            OracleError: the whole attempt failed.
        """

    async def aclose(self) -> None:
        """Release connections and threads; the oracle is not used again."""
