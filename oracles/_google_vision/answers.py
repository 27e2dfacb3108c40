"""Labels out of a response: what each feature calls a label and its score, and which scores there can be."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from typing import Any

from bbquery.types import Label, Labels, NoAnswer
from oracles._shared.activation import ROUNDING


def _labels(response: Any) -> Iterable[tuple[str, float]]:
    return ((annotation.description, annotation.score) for annotation in response.label_annotations)


def _objects(response: Any) -> Iterable[tuple[str, float]]:
    return ((annotation.name, annotation.score) for annotation in response.localized_object_annotations)


def _web_entities(response: Any) -> Iterable[tuple[str, float]]:
    return ((entity.description, entity.score) for entity in response.web_detection.web_entities)


READERS: dict[str, Callable[[Any], Iterable[tuple[str, float]]]] = {
    "LABEL_DETECTION": _labels,
    "OBJECT_LOCALIZATION": _objects,
    "WEB_DETECTION": _web_entities,
}
HIGHEST = {"LABEL_DETECTION": 1.0, "OBJECT_LOCALIZATION": 1.0, "WEB_DETECTION": math.inf}


class ImpossibleScore(ValueError):
    """A score that the feature cannot give; the message names it."""


def answer(response: Any, feature: str) -> Labels | NoAnswer:
    """Return the labels of an AnnotateImageResponse, best first, each name once with its best score.

    Entities of the web without a name are left out. Nothing found is an answer too, without labels: `NoAnswer`.

    Raises:
        ImpossibleScore: a score is not finite, below 0, or above the feature's highest.
    """
    best: dict[str, float] = {}
    for name, score in READERS[feature](response):
        if not -ROUNDING <= score <= HIGHEST[feature] + ROUNDING or math.isinf(score):  # nor is a NaN
            range_ = "0 or more" if math.isinf(HIGHEST[feature]) else "0 to 1"
            raise ImpossibleScore(f"the score of {name[:80]!r} is {score:g}, and those of {feature} are {range_}")
        if name and score > best.get(name, -1.0):
            best[name] = score
    if not best:
        return NoAnswer(f"{feature} found nothing in the image", kind="empty")
    return Labels(tuple(Label(name, score) for name, score in sorted(best.items(), key=lambda pair: -pair[1])))
