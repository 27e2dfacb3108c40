"""OpenAI's moderation of images: how likely each kind of harm is, as a number from 0 to 1, free of charge.

One image a request, as a PNG in a data URL, through the `openai` package. The classes are the categories that the
vendor judges images by; its others are of texts alone. Each number is a probability for itself: they do not add up to
1. What the vendor flags is a threshold of its own, so its flags are not read.

The price is that of the table, nothing; where a gateway charges, its price belongs into your prices.toml.

`oracles.emulators.openai` speaks the same protocol on this machine, with faults, to rehearse.
"""

from __future__ import annotations

from bbquery import money
from bbquery.errors import MissingExtra, UsageError
from bbquery.oracle import Capabilities, Limits, Oracle, Price
from bbquery.types import Classes
from oracles._shared.activation import activation_text
from oracles._shared.key import Key
from oracles._shared.options import check_at_least_one, check_positive, view_of

try:
    from oracles._http.url import checked_url
except MissingExtra as error:  # one extra brings all of it
    raise MissingExtra("openai", "asking OpenAI's moderation", "openai") from error

ADAPTER = 1  # part of every answer's key: raise it when the same reply would be read differently
ENCODER = "png"
OPENAI = "https://api.openai.com/v1"
SIDE = 224  # pixels: small enough for thousands of queries, as large as most classifiers see
VENDOR = "openai_moderation"  # in tables of prices
IMAGE_CATEGORIES = (
    "self-harm", "self-harm/instructions", "self-harm/intent", "sexual", "violence", "violence/graphic",
)  # fmt: skip
"""By which images are judged: developers.openai.com/api/docs/guides/moderation, "Content classifications", 2026-11."""


def connect(
    *,
    model: str = "omni-moderation-latest",
    base_url: str = OPENAI,
    key_env: str | None = "OPENAI_API_KEY",
    height: int | None = SIDE,
    width: int | None = SIDE,
    crop: float | None = None,
    concurrency: int = 16,
    requests_per_minute: float | None = None,
    timeout: float = Limits.timeout,
) -> Oracle:
    """Return OpenAI's moderation of images. Nothing is sent, and no key is read, before the first query.

    Args:
        model: its name at the vendor; a dated one, such as omni-moderation-2024-09-26, does not change.
        base_url: where the API begins.
        key_env: environment variable with the key; none sends none.
        height: height that an image is resized to, in pixels; none leaves the photo's own; at least 1.
        width: width that an image is resized to, in pixels; none leaves the photo's own; at least 1.
        crop: central share of the photo's shorter side that is sent; none sends all; above 0, at most 1.
        concurrency: requests at once, at most; at least 1.
        requests_per_minute: your account's limit; learned from the answers if not given; above 0.
        timeout: seconds for an attempt; above 0.

    Raises:
        MissingExtra: the package `openai` is not installed. UnknownPrice: nobody stated that the model is free, or what
            it costs. UsageError: an option that cannot be used.
    """
    url, key = checked_url(base_url), None if key_env is None else Key(key_env)
    check_at_least_one(concurrency=concurrency)
    check_positive(requests_per_minute=requests_per_minute, timeout=timeout)
    if not model.strip():
        raise UsageError("model is empty: give the name of a model, such as omni-moderation-latest")
    price = money.query_price(VENDOR, model)
    capabilities = Capabilities(
        name=f"openai {model}",
        answers="probabilities",
        identity={"oracle": "openai_moderation", "adapter": ADAPTER, "encoder": ENCODER, "url": url, "model": model},
        classes=Classes(tuple((name,) for name in IMAGE_CATEGORIES)),
        view=view_of(height, width, crop),
        limits=Limits(concurrency=concurrency, adaptive=True, requests_per_minute=requests_per_minute, timeout=timeout),
        price=Price(source=f"{price.source} {price.date}".strip()),
        provider=f"openai {url} {key_env or 'no key'} {model}",
        activation=activation_text("none", "the vendor's scores", separate=True),
        remote=True,
    )
    return _oracle(url, key, capabilities, model, price.query)


def _oracle(url: str, key: Key | None, capabilities: Capabilities, model: str, picodollars: int) -> Oracle:
    """Import the vendor's package, which takes a second, and only now."""
    try:
        from oracles._openai.endpoint import OpenAIEndpoint  # noqa: PLC0415 - listing oracles must not import it
        from oracles._openai.moderation import ModerationOracle  # noqa: PLC0415 - likewise
    except ModuleNotFoundError as error:
        raise MissingExtra("openai", "asking OpenAI's moderation", error.name or "openai") from error
    limits = capabilities.limits
    endpoint = OpenAIEndpoint(url, key, limits.timeout, limits.concurrency, capabilities.name, model)
    return ModerationOracle(endpoint, capabilities, model, picodollars)
