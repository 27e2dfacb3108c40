"""The protocol of oracles, models that can only be asked: one asynchronous method, and capabilities as data.

An oracle knows nothing of budgets, stores, retries or pace: the client wraps those around it. It makes one attempt
per call, with its own library's retries switched off, and says honestly how an attempt failed (see `bbquery.errors`):
only what was provably not billed is `NotBilled`, everything doubtful is `OutcomeUnknown`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

from bbquery.types import UINT8, AnswerKind, Classes, Domain, Image, Reply
from bbquery.units import Units

if TYPE_CHECKING:
    from bbquery.errors import OracleError

ONE_QUERY = Units(queries=1)


UNNAMED = "unnamed"
"""Begins the version of a model whose state nobody named: another in each process, so that no answer is found again."""


def is_unnamed(identity: Mapping[str, Any]) -> bool:
    """Whether nobody named the state of this model, so that its answers are of use to no other run."""
    return str(identity.get("version")).partition(" ")[0] == UNNAMED


@dataclass(frozen=True, kw_only=True)
class Limits:
    """How hard an oracle may be pressed.

    largest_batch: images in one request. concurrency: requests in flight, at most. adaptive: whether concurrency is to
    be found by starting low and growing until the oracle objects; False where it is known. requests_per_minute,
    tokens_per_minute: None where unlimited or not yet known. timeout: seconds after which a request counts as lost.
    """

    largest_batch: int = 1
    concurrency: int = 8
    adaptive: bool = False
    requests_per_minute: float | None = None
    tokens_per_minute: float | None = None
    timeout: float = 120.0


@dataclass(frozen=True, kw_only=True)
class Price:
    """What stands behind an oracle's quotes.

    free: nothing is ever paid (in-process): attempts without an outcome are then void. source: where the price is
    from and of which date, for the record; empty where there is none.
    """

    free: bool = False
    source: str = ""


@dataclass(frozen=True, kw_only=True)
class Quote:
    """What one query may cost. worst: never less than the bill, so it is what is held. expected: the likely bill."""

    worst: Units = ONE_QUERY
    expected: Units = ONE_QUERY


@dataclass(frozen=True, kw_only=True)
class RateSeen:
    """What an oracle last said of its own limits; None where it said nothing.

    requests, tokens: allowed in a minute. requests_left, tokens_left: of them, now. requests_reset, tokens_reset:
    seconds until they are whole again.
    """

    requests: int | None = None
    tokens: int | None = None
    requests_left: int | None = None
    tokens_left: int | None = None
    requests_reset: float | None = None
    tokens_reset: float | None = None


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
    for or that a text is chosen from, None for open vocabularies. provider: whose rate limits count, such as endpoint,
    account and model; oracles with the same one share their pace. remote: whether the model may change behind our back,
    so that drift is watched. activation: what is made of the model's numbers before they are its answer ("softmax of
    …"), for people and records; empty where nothing is known of it. boxes: whether its labels may have boxes.
    """

    name: str
    answers: AnswerKind
    identity: Mapping[str, str | int | float | None]
    classes: Classes | None = None
    domain: Domain = UINT8
    view: View = field(default_factory=View)
    limits: Limits = field(default_factory=Limits)
    price: Price = field(default_factory=Price)
    provider: str = ""
    remote: bool = False
    activation: str = ""
    boxes: bool = False


class Oracle(Protocol):
    """A model that can only be asked."""

    @property
    def capabilities(self) -> Capabilities:
        """What it takes and gives; constant."""

    def encode(self, image: Image) -> Any:
        """Turn an image of its domain into what travels. Pure; called once per image, on a worker thread."""

    def quote(self, payload: Any) -> Quote:
        """Return what one query with this payload may cost. Pure; needs no key and no connection."""

    @property
    def rate_seen(self) -> RateSeen | None:
        """What it last said of its limits; None where it says nothing."""

    async def answer(self, payloads: Sequence[Any]) -> Sequence[Reply | OracleError]:
        """Make one attempt at a batch of encoded images; replies in order, an error for an item that failed alone.

        Raises:
            OracleError: the whole attempt failed.
        """

    async def aclose(self) -> None:
        """Release connections and threads; the oracle is not used again."""


@runtime_checkable
class KeyedOracle(Oracle, Protocol):
    """An oracle that is asked with a key, and can say without a request whether there is one."""

    def check_key(self) -> None:
        """See that its key or its credentials are set and can be sent; whether they are right, only the vendor knows.

        Raises:
            KeyMissing: they are not set. UsageError: they cannot be sent, or read.
        """
