"""Labels out of a response: what each feature calls a label and its score."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from bbquery.types import Label, Labels, NoAnswer


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


def answer(response: Any, feature: str) -> Labels | NoAnswer:
    """Return the labels of an AnnotateImageResponse, best first, each name once with its best score.

    Entities of the web without a name are left out. Nothing found is an answer too, without labels: `NoAnswer`.
    """
    best: dict[str, float] = {}
    for name, score in READERS[feature](response):
        if name and not score <= best.get(name, float("-inf")):  # a NaN is kept, to be found malformed
            best[name] = score
    if not best:
        return NoAnswer(f"{feature} found nothing in the image", kind="empty")
    return Labels(tuple(Label(name, score) for name, score in sorted(best.items(), key=lambda pair: -pair[1])))
