"""Features of the service: what each answers with, which names it can give, and whether it says where things are.

It needs nothing of Google's library, and so is known before that is imported.
"""

from __future__ import annotations

from typing import Literal, TypeAlias

from bbquery.types import AnswerKind, Classes

Feature: TypeAlias = Literal[
    "LABEL_DETECTION",
    "OBJECT_LOCALIZATION",
    "WEB_DETECTION",
    "SAFE_SEARCH_DETECTION",
    "FACE_DETECTION",
    "LANDMARK_DETECTION",
    "LOGO_DETECTION",
    "TEXT_DETECTION",
    "DOCUMENT_TEXT_DETECTION",
]

TextForm: TypeAlias = Literal["whole", "words"]
"""How a text is answered: as a text, or as its words, each a label at a place."""

FACE = "face"
EMOTIONS = ("joy", "sorrow", "anger", "surprise", "under_exposed", "blurred", "headwear")
CATEGORIES = ("adult", "spoof", "medical", "violence", "racy")
"""Names as in the vendor's messages: what may be likely of a face, and of an image."""

TEXTS = ("TEXT_DETECTION", "DOCUMENT_TEXT_DETECTION")
WITH_BOXES = ("OBJECT_LOCALIZATION", "FACE_DETECTION", "LANDMARK_DETECTION", "LOGO_DETECTION")
CLOSED = {"SAFE_SEARCH_DETECTION": CATEGORIES, "FACE_DETECTION": (FACE, *EMOTIONS)}

ADAPTERS = {"OBJECT_LOCALIZATION": 2}
"""Part of every answer's key, 1 where nothing stands here: raised when the same response is read differently.

2: boxes are kept, and each object is a label of its own.
"""


def answers_of(feature: str, texts: TextForm) -> AnswerKind:
    """Return the kind of a feature's answers."""
    return "text" if feature in TEXTS and texts == "whole" else "labels"


def has_boxes(feature: str, texts: TextForm) -> bool:
    """Whether a feature's answers say where things are."""
    return feature in WITH_BOXES or texts == "words"


def classes_of(feature: str) -> Classes | None:
    """Return all names that a feature can give; None where they are open."""
    names = CLOSED.get(feature)
    return None if names is None else Classes(tuple(_written(name) for name in names))


def _written(name: str) -> tuple[str, ...]:
    """Return a name as the vendor writes it, and as people do where that is another."""
    return tuple(dict.fromkeys((name, name.replace("_", " "))))
