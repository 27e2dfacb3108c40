"""The google_vision oracle: words of a text, each a label at a place, over real gRPC."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from google.cloud import vision_v1

import bbquery
import oracles.google_vision
from bbquery.errors import MalformedAnswer, OutcomeUnknown, UsageError
from bbquery.images.boxes import Box
from bbquery.types import Label, Labels, Reply, Text
from oracles import function
from oracles.emulators._google_vision_layout import lines, words
from oracles.emulators.google_vision import GoogleVisionEmulator
from tests.support.google_vision_helpers import ImageResponse, ask_at, saying, serving, status

if TYPE_CHECKING:
    from bbquery.ledger.ledger import Ledger

FEATURES = ("TEXT_DETECTION", "DOCUMENT_TEXT_DETECTION")
GREY = np.full((40, 60, 3), 128, np.uint8)
WHOLE = Box.of(0, 0, 1, 1)
LEFT, RIGHT = Box.of(0, 0, 0.5, 1), Box.of(0.5, 0, 1, 1)


def outline(left: int, top: int, right: int, bottom: int) -> Any:
    """Return an outline in pixels; of an image of 8 × 8."""
    corners = ((left, top), (right, top), (right, bottom), (left, bottom))
    return vision_v1.BoundingPoly(vertices=[vision_v1.Vertex(x=x, y=y) for x, y in corners])


def a_word(text: str, confidence: float, *edges: int) -> Any:
    symbols = [vision_v1.Symbol(text=letter) for letter in text]
    return vision_v1.Word(symbols=symbols, confidence=confidence, bounding_box=outline(*edges))


def a_page(*read: Any) -> Any:
    """Return a response with these words, each in a block of its own."""
    blocks = [vision_v1.Block(paragraphs=[vision_v1.Paragraph(words=[word])]) for word in read]
    return ImageResponse(full_text_annotation=vision_v1.TextAnnotation(pages=[vision_v1.Page(blocks=blocks)]))


async def said(response: Any, feature: Any = "DOCUMENT_TEXT_DETECTION") -> Any:
    """Return the outcome of an attempt whose words are asked for, and that is answered so."""
    async with serving(saying(response)) as url:
        (outcome,) = await ask_at(url, feature=feature, texts="words")
    return outcome


@pytest.mark.parametrize("feature", FEATURES)
async def test_words_keep_their_boxes_and_confidences(feature: Any) -> None:
    """Best first; a word of one name may come twice; the whole text and a word without letters are no labels."""
    response = a_page(a_word("STOP", 0.5, 0, 0, 4, 8), a_word("", 0.9, 0, 0, 1, 1), a_word("STOP", 0.75, 4, 0, 8, 8))
    response.full_text_annotation.text = "STOP STOP"

    reply = await said(response, feature)

    assert reply.answer == Labels((Label("STOP", 0.75, RIGHT), Label("STOP", 0.5, LEFT)))
    assert reply.cost.picodollars == 1_500_000_000


async def test_words_without_confidences_stay_in_the_order_of_reading() -> None:
    """A confidence of 0 that all words have is one that was not given; beside others it is one."""
    none = await said(a_page(a_word("NO", 0, 4, 0, 8, 8), a_word("WAY", 0, 0, 0, 4, 8)))
    some = await said(a_page(a_word("NO", 0, 4, 0, 8, 8), a_word("WAY", 0.5, 0, 0, 4, 8)))

    assert none.answer == Labels((Label("NO", None, RIGHT), Label("WAY", None, LEFT)))
    assert some.answer == Labels((Label("WAY", 0.5, LEFT), Label("NO", 0.0, RIGHT)))


async def test_words_are_found_where_google_lists_them_alone() -> None:
    """Behind the whole text, where no page is given."""
    listed = [
        vision_v1.EntityAnnotation(description=text, bounding_poly=outline(*edges))
        for text, edges in (("STOP\nHERE", (0, 0, 8, 8)), ("STOP", (0, 0, 4, 8)), ("HERE", (4, 0, 8, 8)))
    ]
    reply = await said(ImageResponse(text_annotations=listed), "TEXT_DETECTION")

    assert reply.answer == Labels((Label("STOP", None, LEFT), Label("HERE", None, RIGHT)))


async def test_no_word_is_an_answer() -> None:
    """A copy in which nothing is read scores 0; an error that comes with nothing is one."""
    reply = await said(ImageResponse())
    failed = await said(ImageResponse(error=status("INTERNAL")))

    assert reply.answer == Labels(())
    assert isinstance(failed, OutcomeUnknown)


@pytest.mark.parametrize("confidence", [float("nan"), 1.5, -0.5])
async def test_a_confidence_that_cannot_be_is_malformed(confidence: float) -> None:
    """It is 0 to 1; the message names the word."""
    outcome = await said(a_page(a_word("STOP", confidence, 0, 0, 8, 8)))

    assert isinstance(outcome, MalformedAnswer)
    assert f"the score of 'STOP' is {confidence:g}" in str(outcome)


def test_words_are_another_question_and_whole_texts_the_same_as_ever() -> None:
    """So that texts which an older version paid for are found, and never taken for words."""
    whole, read = (
        oracles.google_vision.connect(feature="TEXT_DETECTION", texts=texts).capabilities
        for texts in ("whole", "words")
    )  # fmt: skip

    assert "texts" not in whole.identity
    assert read.identity == {**whole.identity, "texts": "words"}
    assert (whole.answers, whole.boxes, read.answers, read.boxes) == ("text", False, "labels", True)


def test_words_are_of_texts_alone() -> None:
    """Of other features they are refused before anything is sent."""
    with pytest.raises(UsageError, match="texts=words is about what is read in a photo: take feature=TEXT_DETECTION"):
        oracles.google_vision.connect(texts="words")


def test_its_repr_asks_for_words_again() -> None:
    """The repr says how to make it again."""
    oracle = oracles.google_vision.connect(feature="TEXT_DETECTION", texts="words")

    assert "texts='words'" in repr(oracle)


# --- the emulator ---


def test_lines_lie_one_below_the_other_unless_they_have_places() -> None:
    """A line without a place gets an equal share of the outline; its words are as wide as they are long."""
    first, second = lines([None, RIGHT], WHOLE)

    assert (first, second) == (Box.of(0, 0, 1, 0.5), RIGHT)
    assert list(words("AB  C", WHOLE)) == [("AB", Box.of(0, 0, 0.5, 1)), ("C", Box.of(0.75, 0, 1, 1))]


@pytest.mark.parametrize(("feature", "scores"), [("TEXT_DETECTION", [None] * 3), (FEATURES[1], [0.75, 0.75, 0.5])])
async def test_the_emulator_gives_boxes_of_words(feature: Any, scores: list[float | None]) -> None:
    """In pixels, within the box of the name that a word is of; documents have confidences, other texts none."""
    named = Labels((Label("no way", 0.75, LEFT), Label("out", 0.5, RIGHT)))
    model = function.connect(lambda _: named, answers="labels")
    async with GoogleVisionEmulator(model).running() as url:
        oracle = oracles.google_vision.connect(endpoint=url, feature=feature, texts="words")
        (reply,) = await oracle.answer([oracle.encode(GREY)])
        whole = oracles.google_vision.connect(endpoint=url, feature=feature)
        (text,) = await whole.answer([whole.encode(GREY)])
        await oracle.aclose()
        await whole.aclose()
    await model.aclose()

    assert isinstance(reply, Reply)
    assert isinstance(text, Reply)
    assert isinstance(reply.answer, Labels)
    assert [(label.name, label.score) for label in reply.answer.labels] == [
        (name, score) for name, score in zip(("NO", "WAY", "OUT"), scores, strict=True)
    ]
    boxes = [(0, 0, 1 / 6, 1), (1 / 4, 0, 1 / 2, 1), (1 / 2, 0, 1, 1)]
    assert np.array([label.box for label in reply.answer.labels]) == pytest.approx(np.array(boxes), abs=0.5 / 40)
    assert text.answer == Text("NO WAY\nOUT")


async def test_one_word_of_several_is_explained_and_found_again_in_the_store(ledger: Ledger) -> None:
    """Words pass Google's client, ledger and store: the map is about the word at the left, and a second run is free."""

    def two(image: np.ndarray) -> list[Label]:
        return [
            Label("stop", float(image[:, half].mean()) / 255, box)
            for half, box in ((slice(0, 30), LEFT), (slice(30, 60), RIGHT))
        ]

    async def explained(url: str) -> Any:
        oracle = oracles.google_vision.connect(endpoint=url, feature="DOCUMENT_TEXT_DETECTION", texts="words")
        found = await bbquery.explain_async(
            GREY, oracle, target="STOP@left", score="box", method="rise", max_queries=60, max_usd="1", ledger=ledger
        )
        await oracle.aclose()
        return found

    model = function.connect(two, answers="labels")
    emulator = GoogleVisionEmulator(model)
    async with emulator.running() as url:
        first, again = await explained(url), await explained(url)
    await model.aclose()

    (m,) = first.maps
    assert m.values[:, :30].mean() > abs(m.values[:, 30:].mean()) * 3
    assert np.array_equal(m.values, again.maps[0].values)
    assert emulator.bill.images_answered == first.queries.sent
    assert emulator.bill.picodollars == first.budget.posted.picodollars == 1_500_000_000 * first.queries.sent
