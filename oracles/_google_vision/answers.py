"""Answers out of a response: what each feature names, with which scores, and where.

1. LABEL_DETECTION and WEB_DETECTION name things that are somewhere in the image. Each name counts once, with its best
   score. Nothing named is `NoAnswer`.
2. OBJECT_LOCALIZATION, LANDMARK_DETECTION and LOGO_DETECTION give a label with its box for each thing found, so a name
   may come several times. FACE_DETECTION gives several for each face: its confidence under "face", its likelihoods
   under their names, all with the face's box. Nothing found is an answer: the image has none of them.
3. SAFE_SEARCH_DETECTION gives a likelihood for each of five categories. What Google calls UNKNOWN has no score.
4. TEXT_DETECTION and DOCUMENT_TEXT_DETECTION answer with the text that is read in the image, empty where there is none;
   or with its words, each a label with its box, and with its confidence as the score where Google gives one.

A likelihood is one of five steps, VERY_UNLIKELY to VERY_LIKELY, that Google does not define as numbers. Here they are
spread evenly over 0 to 1 (`LIKELIHOODS`), so that order and ends are kept.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from bbquery.images.boxes import Box
from bbquery.types import Answer, Label, Labels, NoAnswer, Text
from oracles._google_vision.features import CATEGORIES, EMOTIONS, FACE, TextForm
from oracles._shared.activation import ROUNDING

LIKELIHOODS = {1: 0.0, 2: 0.25, 3: 0.5, 4: 0.75, 5: 1.0}
"""By Google's numbers: VERY_UNLIKELY, UNLIKELY, POSSIBLE, LIKELY and VERY_LIKELY."""

UNKNOWN = 0
"""Google's number for a likelihood that it does not know."""


class Impossible(ValueError):
    """A score, likelihood or outline that the feature cannot give; the message names it."""


@dataclass(frozen=True)
class Sent:
    """The image that a response is about: its size in pixels, in which outlines may be given."""

    height: int
    width: int


def answer(response: Any, feature: str, sent: Sent, texts: TextForm = "whole") -> Answer:
    """Return the answer in an AnnotateImageResponse, labels best first. texts: how a text is answered.

    Raises:
        Impossible: a score is not finite, below 0, or above the feature's highest; a likelihood or outline is none.
    """
    read = _words if texts == "words" else READERS[feature]
    return read(response, feature, sent)


def is_nothing(found: Answer) -> bool:
    """Whether an answer holds nothing of the image, which may be because of an error that comes with it."""
    return isinstance(found, NoAnswer) or found in (Labels(()), Text(""))


# --- one reader for each kind of feature ---


def _names(response: Any, feature: str, _: Sent) -> Answer:
    best: dict[str, float] = {}
    for one in _annotations(response, feature):
        score = _score(one.description, one.score, feature)
        if one.description and score > best.get(one.description, -1.0):
            best[one.description] = score
    if not best:
        return NoAnswer(f"{feature} found nothing in the image", kind="empty")
    return _best_first(Label(name, score) for name, score in best.items())


def _things(response: Any, feature: str, sent: Sent) -> Answer:
    found = _annotations(response, feature)
    named = ((one.name if feature == "OBJECT_LOCALIZATION" else one.description, one) for one in found)
    return _best_first(
        Label(name, _score(name, one.score, feature), _box(name, one.bounding_poly, sent))
        for name, one in named
        if name
    )


def _faces(response: Any, feature: str, sent: Sent) -> Answer:
    return _best_first(label for face in response.face_annotations for label in _face(face, feature, sent))


def _face(face: Any, feature: str, sent: Sent) -> Iterator[Label]:
    box = _box(FACE, face.bounding_poly, sent)
    yield Label(FACE, _score(FACE, face.detection_confidence, feature), box)
    for name in EMOTIONS:
        yield Label(name, _likelihood(name, getattr(face, f"{name}_likelihood")), box)


def _categories(response: Any, feature: str, _: Sent) -> Answer:
    said = response.safe_search_annotation
    labels = [Label(name, _likelihood(name, getattr(said, name))) for name in CATEGORIES]
    if all(label.score is None for label in labels):
        return NoAnswer(f"{feature} knows no likelihood of this image", kind="empty")
    return _best_first(labels)


def _text(response: Any, _: str, __: Sent) -> Answer:
    whole = response.full_text_annotation.text or "".join(one.description for one in response.text_annotations[:1])
    return Text(whole.strip())


def _words(response: Any, feature: str, sent: Sent) -> Answer:
    """Return words, in the order of reading where none has a confidence: Google's 0 stands for none."""
    found = list(_structured(response.full_text_annotation))
    if not found:  # then the words follow the whole text, without confidences
        found = [(one.description, 0.0, one.bounding_poly) for one in response.text_annotations[1:]]
    scored = any(confidence for _, confidence, _ in found)
    return _best_first(
        Label(word, _score(word, confidence, feature) if scored else None, _box(word, outline, sent))
        for word, confidence, outline in found
        if word
    )


def _structured(annotation: Any) -> Iterator[tuple[str, float, Any]]:
    """Yield word, confidence and outline of each word of a TextAnnotation, in the order of reading."""
    for page in annotation.pages:
        for block in page.blocks:
            for paragraph in block.paragraphs:
                for word in paragraph.words:
                    yield "".join(symbol.text for symbol in word.symbols), word.confidence, word.bounding_box


READERS: dict[str, Callable[[Any, str, Sent], Answer]] = {
    "LABEL_DETECTION": _names,
    "WEB_DETECTION": _names,
    "OBJECT_LOCALIZATION": _things,
    "LANDMARK_DETECTION": _things,
    "LOGO_DETECTION": _things,
    "FACE_DETECTION": _faces,
    "SAFE_SEARCH_DETECTION": _categories,
    "TEXT_DETECTION": _text,
    "DOCUMENT_TEXT_DETECTION": _text,
}


# --- their parts ---


def _annotations(response: Any, feature: str) -> Iterable[Any]:
    found: Iterable[Any] = {
        "LABEL_DETECTION": response.label_annotations,
        "WEB_DETECTION": response.web_detection.web_entities,
        "OBJECT_LOCALIZATION": response.localized_object_annotations,
        "LANDMARK_DETECTION": response.landmark_annotations,
        "LOGO_DETECTION": response.logo_annotations,
    }[feature]
    return found


def _score(name: str, score: float, feature: str) -> float:
    highest = math.inf if feature == "WEB_DETECTION" else 1.0
    if not -ROUNDING <= score <= highest + ROUNDING or math.isinf(score):  # nor is a NaN
        range_ = "0 or more" if math.isinf(highest) else "0 to 1"
        raise Impossible(f"the score of {name[:80]!r} is {score:g}, and those of {feature} are {range_}")
    return score


def _likelihood(name: str, said: int) -> float | None:
    if said == UNKNOWN:
        return None
    if said not in LIKELIHOODS:
        raise Impossible(f"the likelihood of {name!r} is number {said}, and Google names 0 to {max(LIKELIHOODS)}")
    return LIKELIHOODS[said]


def _box(name: str, outline: Any, sent: Sent) -> Box | None:
    """Return the box around an outline, in shares of the image or in its pixels; None where there is none."""
    corners, height, width = outline.normalized_vertices, 1, 1
    if not corners:
        corners, height, width = outline.vertices, sent.height, sent.width
    if not corners:
        return None
    try:
        return Box.around([corner.x / width for corner in corners], [corner.y / height for corner in corners])
    except ValueError as fault:
        raise Impossible(f"the outline of {name[:80]!r} is none: {fault}") from None


def _best_first(labels: Iterable[Label]) -> Labels:
    """Return labels by their scores, equal ones as they came; what has no score comes last."""
    return Labels(tuple(sorted(labels, key=lambda label: math.inf if label.score is None else -label.score)))
