"""An oracle's answer in the vendor's terms: its top classes as labels, objects, entities of the web, and more.

The names and scores are the oracle's own. So are the boxes of labels that have them; else an object, landmark or logo
is where the image differs from its border, since a classifier says what is there and not where. Texts are the names of
what is likely, a line each, in the name's box, or one below the other where the image differs; documents have the
scores as confidences. Faces and unsafe content are no oracle's: they are guessed from the pixels. The rest is what a
client may expect beside them: identifiers made from the oracle's own keys, topicality equal to the score.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from bbquery.errors import UsageError
from bbquery.types import Labels, Vector
from oracles._google_vision.vendor import vision_v1
from oracles.emulators._google_vision_layout import lines, words
from oracles.emulators._google_vision_sight import step_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from bbquery.images.boxes import Box
    from bbquery.oracle import Capabilities
    from bbquery.types import Answer, Classes
    from oracles.emulators._google_vision_sight import Sight

DEFAULT_RESULTS = 10
LEGIBLE = 0.05  # the score from which on a name is written on the image, for those who look for texts


@dataclass(frozen=True)
class Entity:
    """Something seen in an image. mid: its identifier in the vendor's style. box: None where the oracle gave none."""

    mid: str
    name: str
    score: float
    box: Box | None = None


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
        return [Entity(_mid(label.name), label.name, _score(label.score), label.box) for label in answer.labels]
    return []


def annotate(response: Any, feature: Any, found: Sequence[Entity], sight: Sight) -> None:
    """Fill an AnnotateImageResponse with what was found and seen, as far as a feature asks for it."""
    _WRITERS[name_of(feature)](response, found, sight, feature.max_results or DEFAULT_RESULTS)


def name_of(feature: Any) -> str:
    """Return the vendor's name of a feature; of a number that stands for none, the number."""
    try:
        return str(vision_v1.Feature.Type(feature.type_).name)
    except ValueError:
        return str(feature.type_)


def _labels(response: Any, found: Sequence[Entity], _: Sight, most: int) -> None:
    for entity in found[:most]:
        response.label_annotations.add(
            mid=entity.mid, description=entity.name, score=entity.score, topicality=entity.score
        )


def _objects(response: Any, found: Sequence[Entity], sight: Sight, most: int) -> None:
    for entity in found[:most]:
        annotation = response.localized_object_annotations.add(mid=entity.mid, name=entity.name, score=entity.score)
        for x, y in _corners(entity.box or sight.outline()):
            annotation.bounding_poly.normalized_vertices.add(x=x, y=y)


def _web(response: Any, found: Sequence[Entity], _: Sight, most: int) -> None:
    for entity in found[:most]:
        response.web_detection.web_entities.add(entity_id=entity.mid, description=entity.name, score=entity.score)
    for entity in found[:1]:
        response.web_detection.best_guess_labels.add(label=entity.name, language_code="en")


def _landmarks(response: Any, found: Sequence[Entity], sight: Sight, most: int) -> None:
    _placed(response.landmark_annotations, found[:most], sight)


def _logos(response: Any, found: Sequence[Entity], sight: Sight, most: int) -> None:
    _placed(response.logo_annotations, found[:most], sight)


def _placed(annotations: Any, found: Sequence[Entity], sight: Sight) -> None:
    for entity in found:
        annotation = annotations.add(mid=entity.mid, description=entity.name, score=entity.score)
        _outline(annotation.bounding_poly, entity.box or sight.outline(), sight)


def _faces(response: Any, _: Sequence[Entity], sight: Sight, most: int) -> None:
    for face in sight.faces()[:most]:
        likelihoods = {f"{name}_likelihood": step_of(share) for name, share in face.moods.items()}
        annotation = response.face_annotations.add(detection_confidence=face.confidence, **likelihoods)
        _outline(annotation.bounding_poly, face.box, sight)


def _safe_search(response: Any, _: Sequence[Entity], sight: Sight, __: int) -> None:
    for name, share in sight.unsafe().items():
        setattr(response.safe_search_annotation, name, step_of(share))


def _texts(response: Any, found: Sequence[Entity], sight: Sight, _: int) -> None:
    _written(response, [replace(entity, score=0.0) for entity in _legible(found)], sight)


def _document(response: Any, found: Sequence[Entity], sight: Sight, _: int) -> None:
    _written(response, _legible(found), sight)


def _legible(found: Sequence[Entity]) -> list[Entity]:
    return [entity for entity in found if entity.score >= LEGIBLE]


def _written(response: Any, found: Sequence[Entity], sight: Sight) -> None:
    """Write names as lines of one page, each a block, with their scores as confidences of words; 0 says nothing."""
    if not found:
        return
    whole = "\n".join(entity.name.upper() for entity in found)
    response.full_text_annotation.text = whole
    _outline(response.text_annotations.add(description=whole).bounding_poly, sight.outline(), sight)
    page = response.full_text_annotation.pages.add(width=sight.width, height=sight.height)
    for entity, line in zip(found, lines([entity.box for entity in found], sight.outline()), strict=True):
        paragraph = page.blocks.add().paragraphs.add()
        for text, place in words(entity.name.upper(), line):
            word = paragraph.words.add(confidence=entity.score)
            for symbol in text:
                word.symbols.add(text=symbol)
            _outline(word.bounding_box, place, sight)
            _outline(response.text_annotations.add(description=text).bounding_poly, place, sight)


_WRITERS: dict[str, Callable[[Any, Sequence[Entity], Sight, int], None]] = {
    "LABEL_DETECTION": _labels,
    "OBJECT_LOCALIZATION": _objects,
    "WEB_DETECTION": _web,
    "LANDMARK_DETECTION": _landmarks,
    "LOGO_DETECTION": _logos,
    "FACE_DETECTION": _faces,
    "SAFE_SEARCH_DETECTION": _safe_search,
    "TEXT_DETECTION": _texts,
    "DOCUMENT_TEXT_DETECTION": _document,
}
FEATURES = tuple(_WRITERS)
"""The features that can be filled in."""


def _outline(polygon: Any, box: Box, sight: Sight) -> None:
    """Write the corners of a box in pixels, as the vendor does where it does not write shares."""
    for x, y in _corners(box):
        polygon.vertices.add(x=round(x * sight.width), y=round(y * sight.height))


def _corners(box: Box) -> Iterator[tuple[float, float]]:
    left, top, right, bottom = box
    yield from ((left, top), (right, top), (right, bottom), (left, bottom))


def _of_class(classes: Classes, index: int, score: float) -> Entity:
    return Entity(_mid(classes.keys[index] if classes.keys else str(index)), classes.show(index), score)


def _mid(key: str) -> str:
    return f"/m/{key.replace(' ', '_')}"


def _score(score: float | None) -> float:
    return 1.0 if score is None else score
