"""Every noun phrase of a text, each as the text has it."""

from __future__ import annotations

import pytest

from bbquery.scoring._noun_phrases import noun_phrases
from bbquery.scoring.mention import Mention
from bbquery.types import Text

SAID = {
    "The image most likely shows a tabby; it could also be a tiger cat or an Egyptian cat.": [
        "tabby", "tiger cat", "egyptian cat",
    ],
    "A tabby cat sleeping on a red sofa next to a lamp.": ["tabby cat", "red sofa", "lamp"],
    "Two dogs playing with a ball in the park, and a child watching them.": ["dogs", "ball", "park", "child"],
    "This is a photo of a black and white Border collie standing in a field. There is no cat.": [
        "black and white border collie", "field",
    ],
    "The image shows a large, fluffy cat with green eyes.": ["fluffy cat", "green eyes"],
    "- cat\n- dog\n- wedding cake": ["cat", "dog", "wedding cake"],
    "**Answer:** a bowl of fruit": ["bowl of fruit"],
    "tabby": ["tabby"],
    "I can't help with that.": [],
    "": [],
}  # fmt: skip


@pytest.mark.parametrize("text", SAID)
def test_every_noun_phrase_is_found_and_nothing_that_is_denied(text: str) -> None:
    """Phrases come in order, in lower case, without determiners, places and verbs."""
    assert noun_phrases(text) == SAID[text]


def test_a_phrase_is_mentioned_by_its_text() -> None:
    """So a map of it begins where it is said."""
    for text, phrases in SAID.items():
        for phrase in phrases:
            (decision,), _ = Mention().bind(Text(text), phrase, None)([Text(text)])
            assert decision == 1, phrase
