"""The google_vision oracle: faces, unsafe content, landmarks, logos, objects and texts, over real gRPC.

What a response becomes is shown by responses of a test's own; what the emulator answers, by its oracle and its pixels.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, get_args

import numpy as np
import pytest
from google.cloud import vision_v1

import bbquery
import oracles.google_vision
from bbquery.client.answer_checks import checked
from bbquery.errors import MalformedAnswer, OutcomeUnknown
from bbquery.images.boxes import Box
from bbquery.oracle import View
from bbquery.types import Label, Labels, NoAnswer, Reply, Text, Vector
from bbquery.units import Units
from oracles import function
from oracles._google_vision.features import Feature
from oracles.emulators._google_vision_sight import Sight
from oracles.emulators.google_vision import GoogleVisionEmulator
from tests.support.google_vision_helpers import ImageResponse, ask_at, saying, serving, status
from tests.support.images import tiny_images
from tests.support.oracles import colour_oracle

if TYPE_CHECKING:
    from bbquery.ledger.ledger import Ledger

Likelihood = vision_v1.Likelihood
COST = Units(queries=1, picodollars=1_500_000_000)  # $1.50 a thousand
GREY = np.full((40, 60, 3), 128, np.uint8)
SKIN = (224, 172, 120)
QUARTER = Box.of(0.5, 0, 1, 0.5)


def polygon(*corners: tuple[float, float]) -> Any:
    """Return an outline in pixels, as the vendor gives it; of an image of 8 × 8."""
    return vision_v1.BoundingPoly(vertices=[vision_v1.Vertex(x=int(x), y=int(y)) for x, y in corners])


async def said(feature: Any, response: Any) -> Any:
    """Return the outcome of an attempt that is answered so."""
    async with serving(saying(response)) as url:
        (outcome,) = await ask_at(url, feature=feature)
    return outcome


async def seen(image: np.ndarray, feature: Feature, answer: Any = None) -> Any:
    """Return what the emulator answers to an image, its oracle having said `answer`."""
    kind: Any = {"answers": "labels"} if isinstance(answer, Labels) else {"classes": "dog|cat|sofa"}
    model = function.connect(lambda _: answer if answer is not None else [0.2, 0.7, 0.04], **kind)
    async with GoogleVisionEmulator(model).running() as url:
        oracle = oracles.google_vision.connect(endpoint=url, feature=feature)
        outcomes = await oracle.answer([oracle.encode(image)])
        await oracle.aclose()
    await model.aclose()
    (reply,) = checked(outcomes, 1, oracle.capabilities)
    assert isinstance(reply, Reply)
    return reply.answer


# --- likelihoods ---


async def test_a_likelihood_is_a_score() -> None:
    """VERY_UNLIKELY is 0, VERY_LIKELY 1, the three steps between lie evenly; best first, at the price of one image."""
    annotation = vision_v1.SafeSearchAnnotation(
        adult=Likelihood.VERY_UNLIKELY, spoof=Likelihood.UNLIKELY, medical=Likelihood.POSSIBLE,
        violence=Likelihood.VERY_LIKELY, racy=Likelihood.LIKELY,
    )  # fmt: skip
    reply = await said("SAFE_SEARCH_DETECTION", ImageResponse(safe_search_annotation=annotation))

    scores = [("violence", 1.0), ("racy", 0.75), ("medical", 0.5), ("spoof", 0.25), ("adult", 0.0)]
    assert reply.answer == Labels(tuple(Label(name, score) for name, score in scores))
    assert reply.cost == COST


async def test_an_unknown_likelihood_has_no_score() -> None:
    """It is neither 0 nor 1, and comes last; where all are unknown there is no answer, which is paid."""
    part = vision_v1.SafeSearchAnnotation(adult=Likelihood.UNKNOWN, violence=Likelihood.LIKELY)
    some = await said("SAFE_SEARCH_DETECTION", ImageResponse(safe_search_annotation=part))
    none = await said("SAFE_SEARCH_DETECTION", ImageResponse())

    assert some.answer.labels[0] == Label("violence", 0.75)
    assert {label.name for label in some.answer.labels[1:]} == {"adult", "spoof", "medical", "racy"}
    assert all(label.score is None for label in some.answer.labels[1:])
    assert (type(none.answer), none.answer.kind, none.cost) == (NoAnswer, "empty", COST)


async def test_a_likelihood_that_nobody_defined_is_malformed() -> None:
    """A step beyond VERY_LIKELY is not guessed."""
    annotation = vision_v1.SafeSearchAnnotation.pb()(adult=6)
    response = ImageResponse(safe_search_annotation=vision_v1.SafeSearchAnnotation.wrap(annotation))

    outcome = await said("SAFE_SEARCH_DETECTION", response)

    assert isinstance(outcome, MalformedAnswer)
    assert "the likelihood of 'adult' is number 6" in str(outcome)


# --- things with a place ---


async def test_each_face_keeps_its_likelihoods_and_its_box() -> None:
    """The score of "joy" is thus the largest over faces, and a target may be one face of several."""
    outlines = polygon((0, 0), (4, 0), (4, 8), (0, 8)), polygon((4, 4), (10, 4), (10, 8), (4, 8))
    faces = [
        vision_v1.FaceAnnotation(
            bounding_poly=outlines[0], detection_confidence=0.875, joy_likelihood=Likelihood.LIKELY
        ),
        vision_v1.FaceAnnotation(
            bounding_poly=outlines[1], detection_confidence=0.5, joy_likelihood=Likelihood.VERY_LIKELY,
            headwear_likelihood=Likelihood.VERY_UNLIKELY,
        ),
    ]  # fmt: skip
    reply = await said("FACE_DETECTION", ImageResponse(face_annotations=faces))

    left, right = Box.of(0, 0, 0.5, 1), Box.of(0.5, 0.5, 1, 1)  # what lies beyond the image is cut off
    known = [label for label in reply.answer.labels if label.score is not None]
    assert known == [
        Label("joy", 1.0, right),
        Label("face", 0.875, left),
        Label("joy", 0.75, left),
        Label("face", 0.5, right),
        Label("headwear", 0.0, right),
    ]
    assert len(reply.answer.labels) == 16  # a face and seven likelihoods each


@pytest.mark.parametrize(("feature", "field"), [("LANDMARK_DETECTION", "landmark"), ("LOGO_DETECTION", "logo")])
async def test_landmarks_and_logos_have_scores_and_boxes(feature: Any, field: str) -> None:
    """Each of them is a label, of which several may have one name; corners are pixels of the image that was sent."""
    found = [
        vision_v1.EntityAnnotation(
            description="Tower", score=0.25, bounding_poly=polygon((4, 0), (8, 0), (8, 4), (4, 4))
        ),
        vision_v1.EntityAnnotation(description="Tower", score=0.75),
        vision_v1.EntityAnnotation(score=0.9),
    ]
    reply = await said(feature, ImageResponse(**{f"{field}_annotations": found}))

    assert reply.answer == Labels((Label("Tower", 0.75), Label("Tower", 0.25, QUARTER)))
    assert reply.cost == COST


async def test_two_objects_of_one_name_are_two_labels() -> None:
    """Their boxes are in shares of the image, as Google gives them."""
    corners = [vision_v1.NormalizedVertex(x=x, y=y) for x, y in ((0.5, 0), (1, 0), (1, 0.5), (0.5, 0.5))]
    found = [
        vision_v1.LocalizedObjectAnnotation(name="Bicycle", score=0.5),
        vision_v1.LocalizedObjectAnnotation(
            name="Bicycle", score=0.75, bounding_poly=vision_v1.BoundingPoly(normalized_vertices=corners)
        ),
    ]
    reply = await said("OBJECT_LOCALIZATION", ImageResponse(localized_object_annotations=found))

    assert reply.answer == Labels((Label("Bicycle", 0.75, QUARTER), Label("Bicycle", 0.5)))


async def test_an_outline_without_numbers_is_malformed() -> None:
    """A box is not guessed; the image was paid."""
    outline = vision_v1.BoundingPoly(normalized_vertices=[vision_v1.NormalizedVertex(x=float("nan"), y=0)])
    found = [vision_v1.LocalizedObjectAnnotation(name="Cat", score=0.5, bounding_poly=outline)]

    outcome = await said("OBJECT_LOCALIZATION", ImageResponse(localized_object_annotations=found))

    assert isinstance(outcome, MalformedAnswer)
    assert "the outline of 'Cat' is none" in str(outcome)


@pytest.mark.parametrize(
    ("feature", "nothing"),
    [
        ("OBJECT_LOCALIZATION", Labels(())),
        ("FACE_DETECTION", Labels(())),
        ("LANDMARK_DETECTION", Labels(())),
        ("LOGO_DETECTION", Labels(())),
        ("TEXT_DETECTION", Text("")),
        ("DOCUMENT_TEXT_DETECTION", Text("")),
    ],
)
async def test_nothing_in_the_image_is_an_answer(feature: Any, nothing: Any) -> None:
    """A copy in which no face is found scores 0 and not nothing; an error that comes with nothing is one."""
    reply = await said(feature, ImageResponse())
    failed = await said(feature, ImageResponse(error=status("INTERNAL")))

    assert reply.answer == nothing
    assert reply.cost.picodollars > 0
    assert isinstance(failed, OutcomeUnknown)


# --- texts ---


async def test_a_text_is_answered_as_it_is_read() -> None:
    """The whole text, with its lines; the words that Google lists after it add nothing."""
    listed = [vision_v1.EntityAnnotation(description=text) for text in ("STOP\nHERE\n", "STOP", "HERE")]
    short = await said("TEXT_DETECTION", ImageResponse(text_annotations=listed))
    whole = vision_v1.TextAnnotation(text="A whole page.\n")
    page = await said("DOCUMENT_TEXT_DETECTION", ImageResponse(full_text_annotation=whole, text_annotations=listed))

    assert (short.answer, page.answer) == (Text("STOP\nHERE"), Text("A whole page."))
    assert (short.cost, page.cost) == (COST, COST)


# --- the emulator ---


@pytest.mark.parametrize("feature", get_args(Feature))
async def test_the_emulator_answers_every_feature_alike_each_time(feature: Any) -> None:
    """An answer of the promised kind that passes the client's checks, and the same when asked again."""
    image = np.array(tiny_images(1, side=48)[0])
    image[10:30, 20:40] = SKIN

    assert await seen(image, feature) == await seen(image, feature)


async def test_the_emulator_sees_where_an_image_differs_from_its_border() -> None:
    """An object's box is around that; a map by hiding thus has something to find."""
    image = GREY.copy()
    image[10:30, 30:60] = 240

    answer = await seen(image, "OBJECT_LOCALIZATION")

    assert [label.name for label in answer.labels] == ["cat", "dog", "sofa"]
    assert answer.labels[0].box == pytest.approx((0.5, 0.25, 1, 0.75), abs=0.06)
    assert (await seen(GREY, "OBJECT_LOCALIZATION")).labels[0].box == (0, 0, 1, 1)


@pytest.mark.parametrize("feature", ["OBJECT_LOCALIZATION", "LANDMARK_DETECTION", "LOGO_DETECTION"])
async def test_boxes_of_the_oracle_behind_it_come_through(feature: Any) -> None:
    """A detector that is served keeps its boxes, to a pixel where the vendor gives pixels."""
    boxes = Box.of(0.1, 0.2, 0.4, 0.8), Box.of(0.5, 0, 1, 0.5)
    answer = Labels((Label("bicycle", 0.75, boxes[0]), Label("bicycle", 0.5, boxes[1])))

    found = (await seen(GREY, feature, answer)).labels

    assert [(label.name, label.score) for label in found] == [("bicycle", 0.75), ("bicycle", 0.5)]
    assert np.array([label.box for label in found]) == pytest.approx(np.array(boxes), abs=0.5 / 40)


async def test_the_emulators_faces_are_patches_of_skin_colour() -> None:
    """Each has its place, its confidence and its likelihoods; hidden, it is gone."""
    image = GREY.copy()
    image[4:20, 3:15] = SKIN
    image[20:36, 40:58] = SKIN

    faces = [label for label in (await seen(image, "FACE_DETECTION")).labels if label.name == "face"]

    assert [face.box for face in faces] == [
        pytest.approx((40 / 60, 0.5, 58 / 60, 0.9)),
        pytest.approx((0.05, 0.1, 0.25, 0.5)),
    ]
    assert [face.score for face in faces] == [1, 1]
    assert (await seen(GREY, "FACE_DETECTION")) == Labels(())


async def test_the_emulators_violence_is_red() -> None:
    """The more of it, the likelier, in the vendor's five steps."""
    scores = []
    for rows in (0, 10, 20):
        image = GREY.copy()
        image[:rows] = (200, 10, 10)
        found = {label.name: label.score for label in (await seen(image, "SAFE_SEARCH_DETECTION")).labels}
        scores.append(found["violence"])

    assert scores == [0, 0.5, 1]


async def test_the_emulators_text_is_what_is_likely() -> None:
    """A line for each name of at least a twentieth, in capital letters."""
    assert await seen(GREY, "TEXT_DETECTION") == Text("CAT\nDOG")


async def test_several_results_are_bounded_for_faces_too() -> None:
    """max_results counts faces, not their labels."""
    image = GREY.copy()
    image[4:20, 3:15] = SKIN
    image[20:36, 40:58] = SKIN
    model = colour_oracle(lambda _: Vector(np.ones(3) / 3), view=View())
    async with GoogleVisionEmulator(model).running() as url:
        oracle = oracles.google_vision.connect(endpoint=url, feature="FACE_DETECTION", max_results=1)
        (reply,) = await oracle.answer([oracle.encode(image)])
        await oracle.aclose()

    assert isinstance(reply, Reply)
    assert isinstance(reply.answer, Labels)
    assert [label.name for label in reply.answer.labels].count("face") == 1


@pytest.mark.parametrize("shape", [(1, 1), (1, 500), (500, 1), (300, 200)])
def test_images_of_any_shape_are_seen(shape: tuple[int, int]) -> None:
    """A single pixel has an outline, faces and likelihoods too, all of them shares."""
    sight = Sight.of(np.full((*shape, 3), SKIN, np.uint8))

    assert sight.outline() == (0, 0, 1, 1)
    assert [face.box for face in sight.faces()] == [(0, 0, 1, 1)]
    assert all(0 <= share <= 1 for share in (*sight.unsafe().values(), *sight.faces()[0].moods.values()))


async def test_one_object_of_several_is_explained_through_googles_client_and_found_again_in_the_store(
    ledger: Ledger,
) -> None:
    """Boxes pass vendor's client, ledger and store: the second run sends nothing and finds the same map."""
    bright = GREY.copy()
    bright[:, 30:] = 220

    def two(image: np.ndarray) -> list[Label]:
        halves = image[:, :30], image[:, 30:]
        boxes = Box.of(0, 0, 0.5, 1), Box.of(0.5, 0, 1, 1)
        return [Label("bicycle", float(half.mean()) / 255, box) for half, box in zip(halves, boxes, strict=True)]

    async def explained(url: str) -> Any:
        oracle = oracles.google_vision.connect(endpoint=url, feature="OBJECT_LOCALIZATION")
        found = await bbquery.explain_async(
            bright, oracle, target="bicycle@left", score="box", method="rise", max_queries=60, max_usd="1",
            ledger=ledger,
        )  # fmt: skip
        await oracle.aclose()
        return found

    model = function.connect(two, answers="labels")
    emulator = GoogleVisionEmulator(model)
    async with emulator.running(port=0) as url:
        first = await explained(url)
        again = await explained(url)
    await model.aclose()

    (m,) = first.maps
    assert m.values[:, :30].mean() > abs(m.values[:, 30:].mean()) * 3
    assert np.array_equal(m.values, again.maps[0].values)
    assert emulator.bill.images_answered == first.queries.sent
    assert emulator.bill.picodollars == first.budget.posted.picodollars == 2_250_000_000 * first.queries.sent
