"""Google Cloud Vision: labels, objects, faces, texts and more of a photo, through Google's own asynchronous client.

How an attempt works, and what holds:

1. One attempt is one gRPC call for up to 16 images, as PNG, answered in order. The retries of Google's client and of
   gRPC are off. The channel is connected before anything is sent, so that a failure to connect is known to be free.
2. Every image costs the price of the one feature that is asked for. The free units of a month are never counted on.
   What Google refuses for its form, credentials or quota is taken not to be billed, be it a call or one image in it:
   Google bills "each feature applied to an image". It does not say whether it bills an image that fails alone in any
   other way, so that one's hold stays, as after a time-out. Labels that come with an error are right, says Google, and
   are paid for.
3. Google allows 1,800 requests and 1,800 images of a feature a minute. Batches thus save calls, not quota: every image
   counts as a request against `requests_per_minute`, which keeps both.
4. Google names no version of its models, so drift shows in the answers alone.
5. What each feature answers is said in `oracles._google_vision.answers`. What it tells of a likelihood, VERY_UNLIKELY
   to VERY_LIKELY, is a score of 0, .25, .5, .75 or 1.

Credentials are those of the file that the environment variable GOOGLE_APPLICATION_CREDENTIALS names; it is read when
the first request is about to be sent. `oracles.emulators.google_vision` speaks the same protocol on this machine and is
asked without credentials.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, TypeAlias

from bbquery.errors import UsageError
from bbquery.money import picodollars, query_price
from bbquery.oracle import Capabilities, Limits, Price
from bbquery.units import Units
from oracles._google_vision.endpoint import LARGEST_BATCH, checked_endpoint
from oracles._google_vision.features import (
    ADAPTERS,
    TEXTS,
    Feature,
    TextForm,
    answers_of,
    classes_of,
    has_boxes,
)
from oracles._shared.options import check_at_least_one, check_choices, check_positive, view_of

if TYPE_CHECKING:
    from bbquery.oracle import Oracle, View
    from oracles._google_vision.endpoint import ServiceHost
    from oracles._google_vision.service import FeatureRequest

ModelVersion: TypeAlias = Literal["builtin/stable", "builtin/latest"]

ENCODER = "png"
VENDOR = "google_vision"
IMAGES_PER_MINUTE = 1800.0  # Google's quota for a project that has not asked for more


def connect(
    *,
    feature: Feature = "LABEL_DETECTION",
    texts: TextForm = "whole",
    max_results: int = 10,
    model: ModelVersion = "builtin/stable",
    endpoint: str | None = None,
    height: int | None = None,
    width: int | None = None,
    largest_batch: int = LARGEST_BATCH,
    concurrency: int = 16,
    requests_per_minute: float = IMAGES_PER_MINUTE,
    timeout: float = 60.0,
    usd_per_thousand: str | float | None = None,
) -> Oracle:
    """Return Google Cloud Vision as an oracle that answers as its feature does; nothing is sent yet.

    Most features answer with labels and scores, best first. Objects, faces, landmarks and logos have boxes.
    SAFE_SEARCH_DETECTION scores "adult", "spoof", "medical", "violence" and "racy"; FACE_DETECTION, of each face,
    "face", "joy", "sorrow", "anger", "surprise", "under_exposed", "blurred" and "headwear". TEXT_DETECTION and
    DOCUMENT_TEXT_DETECTION answer with the text that they read, or with its words, each with its box.

    Args:
        feature: what is asked of each image. Scores are 0 to 1, those of web entities any number above 0.
        texts: how TEXT_DETECTION and DOCUMENT_TEXT_DETECTION answer: whole, the text; words, a label with its box for
            each word, whose score is Google's confidence where it gives one.
        max_results: labels, objects or faces at most; texts and categories do not count; at least 1.
        model: which of Google's models.
        endpoint: Google's own (none), another of its hosts ("eu-vision.googleapis.com"), or an emulator on this
            machine ("127.0.0.1:8000"), which is asked without credentials and encryption.
        height: height that an image is resized to, in pixels; none leaves the photo's own; at least 1.
        width: width that an image is resized to, in pixels; none leaves the photo's own; at least 1.
        largest_batch: images in a request; 1 to 16.
        concurrency: requests at once, at most; at least 1.
        requests_per_minute: images that are started in a minute; above 0.
        timeout: seconds for one attempt; above 0.
        usd_per_thousand: your price of 1,000 images, in dollars; none takes that of the price table; at least
            0.

    Raises:
        UsageError: an option that cannot be used. UnknownName: an unknown feature or model.
        UnknownPrice: the price table does not know the feature.
        MissingExtra: google-cloud-vision is not installed.
    """
    from oracles._google_vision.service import FeatureRequest, GoogleVision  # noqa: PLC0415 - half a second of imports

    check_choices(feature=(feature, Feature), model=(model, ModelVersion), texts=(texts, TextForm))
    if texts == "words" and feature not in TEXTS:
        raise UsageError(f"texts=words is about what is read in a photo: take feature={' or feature='.join(TEXTS)}")
    check_at_least_one(max_results=max_results, height=height, width=width)
    limits = Limits(
        largest_batch=largest_batch, concurrency=concurrency, adaptive=True,
        requests_per_minute=requests_per_minute, timeout=timeout,
    )  # fmt: skip
    _check_limits(limits)
    where = checked_endpoint(endpoint)
    wanted = FeatureRequest(feature=feature, max_results=max_results, model=model, texts=texts)
    cost, price = _priced(feature, usd_per_thousand)
    return GoogleVision(where, wanted, _capabilities(where, wanted, limits, view_of(height, width), price), cost)


def _check_limits(limits: Limits) -> None:
    check_at_least_one(largest_batch=limits.largest_batch, concurrency=limits.concurrency)
    check_positive(requests_per_minute=limits.requests_per_minute, timeout=limits.timeout)
    if limits.largest_batch > LARGEST_BATCH:
        raise UsageError(f"largest_batch must be at most {LARGEST_BATCH}, which is what Google takes")


def _capabilities(where: ServiceHost, wanted: FeatureRequest, limits: Limits, view: View, price: Price) -> Capabilities:
    return Capabilities(
        name=VENDOR,
        answers=answers_of(wanted.feature, wanted.texts),
        classes=classes_of(wanted.feature),
        boxes=has_boxes(wanted.feature, wanted.texts),
        identity={
            "oracle": VENDOR, "adapter": ADAPTERS.get(wanted.feature, 1), "encoder": ENCODER, "endpoint": where.host,
            "feature": wanted.feature, "max_results": wanted.max_results, "model": wanted.model,
            **({} if wanted.texts == "whole" else {"texts": wanted.texts}),  # so that older answers are found
        },
        view=view,
        limits=limits,
        price=price,
        provider=f"{VENDOR} {where.host}",  # the quota of requests is one for all features
        remote=True,
    )  # fmt: skip


def _priced(feature: str, usd_per_thousand: str | float | None) -> tuple[Units, Price]:
    """Return what an image costs, and where that is from."""
    if usd_per_thousand is None:
        listed = query_price(VENDOR, feature)
        return Units(queries=1, picodollars=listed.query), Price(source=f"{listed.source}, {listed.date}")
    thousand = picodollars(str(usd_per_thousand))
    return Units(queries=1, picodollars=-(-thousand // 1000)), Price(source="the option usd_per_thousand")
