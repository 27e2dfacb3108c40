"""An oracle's answer in the vendor's terms: its top classes as labels, as objects or as entities of the web.

The names and scores are the oracle's own. The rest is what a client may expect to find beside them: identifiers made
from the oracle's own keys, topicality equal to the score, and for objects the outline of the whole image, since a
classifier says what is there and not where.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from bbquery.errors import UsageError
from bbquery.types import Labels, Vector
from oracles._google_vision.vendor import vision_v1

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bbquery.oracle import Capabilities
    from bbquery.types import Answer, Classes

DEFAULT_RESULTS = 10
CORNERS = ((0.0, 0.0), (1.0, 0.0), (1.0, 1.0), (0.0, 1.0))


@dataclass(frozen=True)
class Entity:
    """Something seen in an image. mid: its identifier in the vendor's style."""

    mid: str
    name: str
    score: float


def check_answers(capabilities: Capabilities) -> None:
    """See that the answers of an oracle can be given as labels.

    Raises:
        UsageError: they cannot.
    """
    if capabilities.answers == "labels" or (capabilities.answers == "probabilities" and capabilities.classes):
        return
    raise UsageError(
        f"{capabilities.name} answers {capabilities.answers}: Google Cloud Vision names things, with scores from 0 to "
        "1, so its emulator needs an oracle of labels, or of probabilities with the names of its classes"
    )


def entities(answer: Answer, classes: Classes | None) -> list[Entity]:
    """Return what an answer names, best first; nothing where there is no answer."""
    if isinstance(answer, Vector) and classes is not None:
        order = np.argsort(-answer.values, kind="stable")
        return [_of_class(classes, int(i), float(answer.values[i])) for i in order if answer.values[i] > 0]
    if isinstance(answer, Labels):
        return [Entity(_mid(label.name), label.name, _score(label.score)) for label in answer.labels]
    return []


def annotate(response: Any, feature: Any, found: Sequence[Entity]) -> None:
    """Fill an AnnotateImageResponse with what was found, as far as a feature asks for it."""
    shown = found[: feature.max_results or DEFAULT_RESULTS]
    _WRITERS[name_of(feature)](response, shown)


def name_of(feature: Any) -> str:
    """Return the vendor's name of a feature; of a number that stands for none, the number."""
    try:
        return str(vision_v1.Feature.Type(feature.type_).name)
    except ValueError:
        return str(feature.type_)


def _labels(response: Any, found: Sequence[Entity]) -> None:
    for entity in found:
        response.label_annotations.add(
            mid=entity.mid, description=entity.name, score=entity.score, topicality=entity.score
        )


def _objects(response: Any, found: Sequence[Entity]) -> None:
    for entity in found:
        annotation = response.localized_object_annotations.add(mid=entity.mid, name=entity.name, score=entity.score)
        for x, y in CORNERS:
            annotation.bounding_poly.normalized_vertices.add(x=x, y=y)


def _web(response: Any, found: Sequence[Entity]) -> None:
    for entity in found:
        response.web_detection.web_entities.add(entity_id=entity.mid, description=entity.name, score=entity.score)
    for entity in found[:1]:
        response.web_detection.best_guess_labels.add(label=entity.name, language_code="en")


_WRITERS: dict[str, Callable[[Any, Sequence[Entity]], None]] = {
    "LABEL_DETECTION": _labels,
    "OBJECT_LOCALIZATION": _objects,
    "WEB_DETECTION": _web,
}
FEATURES = tuple(_WRITERS)
"""The features that can be filled in."""


def _of_class(classes: Classes, index: int, score: float) -> Entity:
    return Entity(_mid(classes.keys[index] if classes.keys else str(index)), classes.show(index), score)


def _mid(key: str) -> str:
    return f"/m/{key.replace(' ', '_')}"


def _score(score: float | None) -> float:
    return 1.0 if score is None else score
