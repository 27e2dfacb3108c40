"""Errors of the service as errors of `bbquery.errors`, by what they may have cost.

1. Refusals, whether of a call or of one image in it, were not billed. The vendor bills "each feature applied to an
   image", and to what it refuses for its form, its credentials or its quota it applies none. UNAUTHENTICATED, like 401
   elsewhere, is what every further call would meet.
2. RESOURCE_EXHAUSTED is a rate limit, after which one waits, or a quota of days, months or money, for which no waiting
   helps. The limit that the service names decides; one that it does not name is taken to be a rate.
3. Any other status (INTERNAL, UNAVAILABLE, DEADLINE_EXCEEDED, CANCELLED, UNKNOWN, DATA_LOSS, ABORTED) may come after
   the work was done. So may a status that gRPC itself makes up when a stream or a connection breaks, whatever its code.
4. Details that cannot be read say nothing: code and message stand without them.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from bbquery.errors import KeyRefused, OracleError, OutcomeUnknown, QuotaExceeded, RateLimited, Rejected
from oracles._google_vision.account import VARIABLE
from oracles._google_vision.vendor import DecodeError, error_details_pb2, grpc
from oracles._shared.texts import shortened

if TYPE_CHECKING:
    from oracles._google_vision.vendor import GoogleAPICallError

NAME = "google_vision"
MESSAGE_LENGTH = 300  # characters: Google's messages end with the address of the page that shows the quota
BROKEN_STREAM = re.compile(r"^Stream removed|\bRST_STREAM\b|\bGOAWAY\b")  # in gRPC's own statuses
TOO_LARGE = "larger than max"
REFUSED = frozenset({
    grpc.StatusCode.INVALID_ARGUMENT,
    grpc.StatusCode.FAILED_PRECONDITION,
    grpc.StatusCode.OUT_OF_RANGE,
    grpc.StatusCode.NOT_FOUND,
    grpc.StatusCode.UNIMPLEMENTED,
})  # fmt: skip
FORBIDDEN = frozenset({grpc.StatusCode.UNAUTHENTICATED, grpc.StatusCode.PERMISSION_DENIED})
CODES = {code.value[0]: code for code in grpc.StatusCode}
LONG_LIMIT = re.compile(
    r"\b(per[ _-]?(day|month)|daily|monthly|billing|credits?|spend(ing)?)\b|per(day|month)|\b1/(d|mo)\b", re.IGNORECASE
)


@dataclass(frozen=True)
class ServiceStatus:
    """A failure as the service states it: its code, a message for people, and Google's details of it."""

    code: grpc.StatusCode
    message: str
    details: tuple[Any, ...] = ()


def of_call(error: GoogleAPICallError | DecodeError | ValueError) -> ServiceStatus:
    """Return what was said of a call that failed as a whole; any other error is of details that cannot be read."""
    if isinstance(error, DecodeError | ValueError):
        status = error.__context__  # which the vendor's library was about to turn into an error of its own
        if isinstance(status, grpc.RpcError):
            return ServiceStatus(status.code(), status.details() or "")
        return ServiceStatus(grpc.StatusCode.UNKNOWN, f"the service's error cannot be read: {error}")
    code = error.grpc_status_code if error.grpc_status_code in CODES.values() else grpc.StatusCode.UNKNOWN
    return ServiceStatus(code, error.message or "", tuple(error.details))


def of_image(status: Any) -> ServiceStatus:
    """Return what a google.rpc.Status says of an image that failed alone."""
    kinds = (error_details_pb2.RetryInfo, error_details_pb2.QuotaFailure, error_details_pb2.ErrorInfo)
    details = [_unpacked(detail, kind) for detail in status.details for kind in kinds if detail.Is(kind.DESCRIPTOR)]
    known = tuple(detail for detail in details if detail is not None)
    return ServiceStatus(CODES.get(status.code, grpc.StatusCode.UNKNOWN), status.message, known)


def failure(status: ServiceStatus, what: str, hide: Callable[[str], str]) -> OracleError:
    """Return the error that says what became of the money. what: a call or an image. hide: takes secrets out."""
    message = f"{what} failed with {status.code.name}: {shortened(hide(status.message), MESSAGE_LENGTH)}"
    if BROKEN_STREAM.search(status.message):
        return OutcomeUnknown(message, oracle=NAME)
    if status.code is grpc.StatusCode.RESOURCE_EXHAUSTED:
        return _exhausted(status, message)
    if status.code in FORBIDDEN:
        advice = f"does {VARIABLE} name an account that may use the Vision API, with billing enabled?"
        refused = KeyRefused if status.code is grpc.StatusCode.UNAUTHENTICATED else Rejected
        return refused(f"{message}; {advice}", oracle=NAME)
    if status.code in REFUSED:
        return Rejected(message, oracle=NAME)
    return OutcomeUnknown(message, oracle=NAME, retry_after=_wait(status.details))


def _exhausted(status: ServiceStatus, message: str) -> OracleError:
    if TOO_LARGE in status.message:
        return Rejected(f"{message}; lower the option largest_batch, or give height and width", oracle=NAME)
    limits = " ".join((status.message, *_limits_named(status.details)))
    if "RESOURCE_QUOTA_EXCEEDED" in limits or LONG_LIMIT.search(limits):
        return QuotaExceeded(f"{message}; waiting does not help: raise the quota or go on later", oracle=NAME)
    return RateLimited(message, oracle=NAME, retry_after=_wait(status.details))


def _limits_named(details: Sequence[Any]) -> list[str]:
    """Return the words with which the details name the limit that was met."""
    words: list[str] = []
    for detail in details:
        if isinstance(detail, error_details_pb2.ErrorInfo):
            words += [detail.reason, *detail.metadata.values()]
        if isinstance(detail, error_details_pb2.QuotaFailure):
            words += [word for v in detail.violations for word in (v.description, v.quota_id, v.quota_metric)]
    return words


def _wait(details: Sequence[Any]) -> float | None:
    waits = [d.retry_delay for d in details if isinstance(d, error_details_pb2.RetryInfo)]
    return waits[0].seconds + waits[0].nanos / 1e9 if waits else None


def _unpacked(detail: Any, kind: Any) -> Any:
    """Return a detail as the message it is, None where it cannot be read."""
    message = kind()
    try:
        detail.Unpack(message)
    except DecodeError:
        return None
    return message
