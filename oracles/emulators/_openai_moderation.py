"""Moderation as OpenAI answers it: scores of its categories, made of the served model's probabilities.

A category of images has the sum of the probabilities of every so manieth class of the model, so scores move with the
image as a model's do: it exercises the protocol, not the understanding of harm. Categories of texts alone have none.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from oracles.emulators._openai_request import Refused, needed, pixels_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import numpy as np
    from numpy.typing import NDArray

MODELS = {"omni-moderation-latest": "omni-moderation-2024-09-26", "omni-moderation-2024-09-26": None}
"""Models that take images, and the snapshot that answers under their name."""

OF_TEXTS = (
    "harassment", "harassment/threatening", "hate", "hate/threatening", "illicit", "illicit/violent", "sexual/minors",
)  # fmt: skip
OF_IMAGES = ("sexual", "self-harm", "self-harm/intent", "self-harm/instructions", "violence", "violence/graphic")
FLAGGED = 0.5  # from which score on a category is flagged; the vendor does not publish its own


def image_of(content: Mapping[str, Any]) -> NDArray[np.uint8]:
    """Return the uint8 (H, W, 3) pixels of the one image that is to be judged.

    Raises:
        Refused: the vendor would answer the request with an error.
    """
    name = content.get("model", "omni-moderation-latest")
    if name not in MODELS:
        raise Refused(404, f"The model `{name}` does not exist.", code="model_not_found")
    unknown = sorted(set(content) - {"model", "input"})
    if unknown:
        raise Refused(400, f"Unknown parameter: '{unknown[0]}'.", param=unknown[0], code="unknown_parameter")
    images = [part for part in needed(content, "input", list) if part.get("type") == "image_url"]
    if len(images) != 1:
        raise Refused(400, f"Invalid input: {len(images)} images; this model takes one a request.", param="input")
    match images[0]:
        case {"image_url": {"url": str(url)}}:
            return pixels_of(url, "input")
    raise Refused(400, "Invalid input: an image needs its url.", param="input", code="invalid_value")


def moderation(name: str, number: int, probabilities: Sequence[float]) -> dict[str, Any]:
    """Return the body of a success."""
    judged = {
        category: min(sum(probabilities[place :: len(OF_IMAGES)]), 1.0) for place, category in enumerate(OF_IMAGES)
    }
    scores = dict.fromkeys(OF_TEXTS, 0.0) | judged
    flags = {category: score >= FLAGGED for category, score in scores.items()}
    result = {
        "flagged": any(flags.values()),
        "categories": flags,
        "category_scores": scores,
        "category_applied_input_types": {name: ["image"] if name in OF_IMAGES else [] for name in scores},
    }
    return {"id": f"modr-{number}", "model": MODELS.get(name) or name, "results": [result]}
