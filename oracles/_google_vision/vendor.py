"""Google's library, or the advice to install it: the one place where its names come from."""

from __future__ import annotations

from bbquery.errors import MissingExtra

try:
    import grpc  # type: ignore[import-untyped, unused-ignore]  # grpcio ships no types
    from google.api_core.client_options import ClientOptions
    from google.api_core.exceptions import GoogleAPICallError, ServiceUnavailable
    from google.auth import default as default_credentials
    from google.auth.exceptions import GoogleAuthError, TransportError
    from google.auth.transport.requests import Request as TokenRequest
    from google.cloud import vision_v1
    from google.cloud.vision_v1.services.image_annotator.transports import ImageAnnotatorGrpcAsyncIOTransport
    from google.oauth2 import service_account
    from google.protobuf.message import DecodeError  # type: ignore[import-untyped, unused-ignore]  # ships no types
    from google.rpc import error_details_pb2, status_pb2  # type: ignore[import-untyped, unused-ignore]  # nor these
except ImportError as error:
    raise MissingExtra("google", "asking Google Cloud Vision", "google-cloud-vision") from error

__all__ = [
    "ClientOptions",
    "DecodeError",
    "GoogleAPICallError",
    "GoogleAuthError",
    "ImageAnnotatorGrpcAsyncIOTransport",
    "ServiceUnavailable",
    "TokenRequest",
    "TransportError",
    "default_credentials",
    "error_details_pb2",
    "grpc",
    "service_account",
    "status_pb2",
    "vision_v1",
]
