"""Refusals of Google: a gRPC status, with the details that tell a rate limit from a quota."""

from __future__ import annotations

import math
from typing import Any

from oracles._google_vision.vendor import error_details_pb2, grpc, status_pb2

SERVICE = "vision.googleapis.com"
DETAILS = "grpc-status-details-bin"  # the trailing metadata that carry a google.rpc.Status
MICRO = 10**6
MOST_WAIT = 10**9  # seconds, about 30 years


class Refusal(Exception):
    """A call that ends with a status. details: messages of google.rpc."""

    def __init__(self, code: grpc.StatusCode, message: str, *details: Any) -> None:
        self.code, self.message, self.details = code, message, details
        super().__init__(message)

    def tell(self, context: grpc.aio.ServicerContext) -> bytes:
        """Set this status, and return the empty response that goes with it."""
        status = status_pb2.Status(code=self.code.value[0], message=self.message)
        for detail in self.details:
            status.details.add().Pack(detail)
        context.set_code(self.code)
        context.set_details(self.message)
        context.set_trailing_metadata(((DETAILS, status.SerializeToString()),) if self.details else ())
        return b""


def invalid(message: str) -> Refusal:
    """Return the refusal of a call that is wrong in itself."""
    return Refusal(grpc.StatusCode.INVALID_ARGUMENT, message)


def rate_limited(retry_after: float | None) -> Refusal:
    """Return the refusal of a call that came too soon. retry_after: seconds to wait; None says nothing of it."""
    details = [_limit("RequestsPerMinutePerProject")]
    if retry_after is not None and math.isfinite(retry_after):
        retry = error_details_pb2.RetryInfo()
        retry.retry_delay.FromMicroseconds(math.ceil(min(retry_after, MOST_WAIT) * MICRO))
        details.append(retry)
    return Refusal(grpc.StatusCode.RESOURCE_EXHAUSTED, _exceeded("minute"), *details)


def quota_exceeded() -> Refusal:
    """Return the refusal of a call beyond what the account may ask in a day."""
    failure = error_details_pb2.QuotaFailure()
    failure.violations.add(subject="project_number:0", description="Requests per day")
    return Refusal(grpc.StatusCode.RESOURCE_EXHAUSTED, _exceeded("day"), _limit("RequestsPerDayPerProject"), failure)


def _exceeded(period: str) -> str:
    return (
        f"Quota exceeded for quota metric 'Requests' and limit 'Requests per {period}' of service '{SERVICE}' "
        "for consumer 'project_number:0'."
    )


def _limit(name: str) -> Any:
    metadata = {"service": SERVICE, "consumer": "projects/0", "quota_metric": f"{SERVICE}/requests"}
    return error_details_pb2.ErrorInfo(
        reason="RATE_LIMIT_EXCEEDED", domain="googleapis.com", metadata=metadata | {"quota_limit": name}
    )
