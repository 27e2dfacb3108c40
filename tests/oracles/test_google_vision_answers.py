"""The google_vision oracle: what it makes of responses, over real gRPC."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
import pytest
from google.cloud import vision_v1
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from PIL import Image as Pillow

import oracles.google_vision
from bbquery.errors import MalformedAnswer, OracleError, OutcomeUnknown, RateLimited, Rejected, UsageError
from bbquery.oracle import View
from bbquery.types import Label, Labels, NoAnswer, Reply
from bbquery.units import Units
from oracles._google_vision.vendor import grpc
from oracles.emulators.google_vision import GoogleVisionEmulator
from tests.support.google_vision_helpers import ImageResponse, Response, ask, ask_at, labelled, saying, serving, status
from tests.support.images import tiny_images
from tests.support.oracles import COLOURS, colour_oracle, share_of_colours

LABEL_COST = Units(queries=1, picodollars=1_500_000_000)  # $1.50 a thousand


def best(image: np.ndarray) -> str:
    return COLOURS.show(int(np.argmax(share_of_colours(image).values)))


def first_names(answers: list[Any]) -> list[str]:
    return [reply.answer.labels[0].name for reply in answers]


# --- what a response becomes ---


async def test_labels_come_best_first_and_cost_the_price() -> None:
    """Descriptions and scores, sorted by score, each name once with its best; the price of one image; no version."""
    annotations = [("dog", 0.25), ("cat", 0.75), ("dog", 0.5), ("animal", 0.5)]
    response = ImageResponse(
        label_annotations=[vision_v1.EntityAnnotation(description=n, score=s, topicality=0.1) for n, s in annotations]
    )
    async with serving(saying(response)) as url:
        (reply,) = await ask_at(url)

    assert reply.answer == Labels((Label("cat", 0.75), Label("dog", 0.5), Label("animal", 0.5)))
    assert (reply.cost, reply.served) == (LABEL_COST, None)


async def test_objects_are_named() -> None:
    """OBJECT_LOCALIZATION answers with the names of objects, at its own price."""
    found = [vision_v1.LocalizedObjectAnnotation(name="Cat", score=0.5)]
    async with serving(saying(ImageResponse(localized_object_annotations=found))) as url:
        (reply,) = await ask_at(url, feature="OBJECT_LOCALIZATION")

    assert reply.answer == Labels((Label("Cat", 0.5),))
    assert reply.cost == Units(queries=1, picodollars=2_250_000_000)


async def test_web_entities_are_named() -> None:
    """WEB_DETECTION answers with entities, whose scores may pass 1; those without a name are left out."""
    web = vision_v1.WebDetection(
        web_entities=[
            vision_v1.WebDetection.WebEntity(description="Tabby cat", score=1.25),
            vision_v1.WebDetection.WebEntity(entity_id="/m/0", score=9),
        ]
    )
    async with serving(saying(ImageResponse(web_detection=web))) as url:
        (reply,) = await ask_at(url, feature="WEB_DETECTION")

    assert reply.answer == Labels((Label("Tabby cat", 1.25),))
    assert reply.cost == Units(queries=1, picodollars=3_500_000_000)


@pytest.mark.parametrize("feature", ["LABEL_DETECTION", "WEB_DETECTION", "SAFE_SEARCH_DETECTION"])
async def test_nothing_found_is_an_answer_and_paid(feature: str) -> None:
    """An empty list is no failure: it is `NoAnswer` of the kind "empty", at the full price."""
    async with serving(saying(ImageResponse())) as url:
        (reply,) = await ask_at(url, feature=feature)

    assert isinstance(reply.answer, NoAnswer)
    assert reply.answer.kind == "empty"
    assert reply.cost is not None
    assert reply.cost.picodollars > 0


async def test_labels_that_come_with_an_error_are_an_answer() -> None:
    """Filled-in annotations are right even when an error is set, so they are taken and paid for."""
    response = labelled(cat=0.5)
    response.error = status("INTERNAL")
    async with serving(saying(response)) as url:
        (reply,) = await ask_at(url)

    assert reply.answer == Labels((Label("cat", 0.5),))
    assert reply.cost == LABEL_COST


@pytest.mark.parametrize("score", [float("nan"), float("inf"), float("-inf"), -0.5, 1e30, 1.01])
async def test_a_score_that_cannot_be_is_malformed(score: float) -> None:
    """A label's score is 0 to 1: any other is not drawn, the image is paid, and the others are answered."""
    async with serving(saying(labelled(cat=0.5), labelled(dog=0.9, cat=score))) as url:
        good, bad = await ask_at(url, images=2)

    assert good.answer == Labels((Label("cat", 0.5),))
    assert isinstance(bad, MalformedAnswer)
    assert bad.cost == LABEL_COST
    assert f"the score of 'cat' is {score:g}" in str(bad)


@pytest.mark.parametrize("score", [0.0, 1.0, 1.0000001])
async def test_the_ends_of_the_range_are_scores(score: float) -> None:
    """And numbers of 32 bits may stray by their last one."""
    async with serving(saying(labelled(cat=score))) as url:
        (reply,) = await ask_at(url)

    assert reply.answer.labels[0].score == pytest.approx(score)


@pytest.mark.parametrize(("score", "fine"), [(7.5, True), (0.0, True), (-1.0, False), (float("inf"), False)])
async def test_web_entities_have_scores_of_any_size(score: float, fine: bool) -> None:
    """Those have no highest; but none is below 0 or infinite."""
    entity = vision_v1.WebDetection.WebEntity(description="cat", score=score)
    response = ImageResponse(web_detection=vision_v1.WebDetection(web_entities=[entity]))
    async with serving(saying(response)) as url:
        (reply,) = await ask_at(url, feature="WEB_DETECTION")

    assert isinstance(reply, Reply if fine else MalformedAnswer)


def damaged(code: str) -> Any:
    """Return a google.rpc.Status whose detail says that it is a RetryInfo and is junk."""
    made = status(code, "oops")
    made.details.add(type_url="type.googleapis.com/google.rpc.RetryInfo", value=b"\xff\xff\xff\xff")
    return made


async def test_details_that_cannot_be_read_count_as_none() -> None:
    """Eight good answers of a batch are kept, and the ninth fails as its code says."""
    responses = [labelled(cat=0.5) for _ in range(8)]
    for code, kind in (("RESOURCE_EXHAUSTED", RateLimited), ("INTERNAL", OutcomeUnknown)):
        async with serving(saying(*responses, ImageResponse(error=damaged(code)))) as url:
            *good, failed = await ask_at(url, images=9)

        assert [reply.answer for reply in good] == [Labels((Label("cat", 0.5),))] * 8
        assert type(failed) is kind
        assert "oops" in str(failed)


@pytest.mark.parametrize("junk", [b"\xff\xff\xff\xff", damaged("RESOURCE_EXHAUSTED").SerializeToString()])
async def test_details_of_a_call_that_cannot_be_read_count_as_none(junk: bytes) -> None:
    """A call that fails as a whole is what its code says, too."""

    async def handler(request: Any, context: Any) -> Any:
        metadata = (("grpc-status-details-bin", junk),)
        await context.abort(grpc.StatusCode.RESOURCE_EXHAUSTED, "too many", trailing_metadata=metadata)

    async with serving(handler) as url:
        error = await ask_at(url)

    assert type(error) is RateLimited
    assert "too many" in str(error)


# --- batches ---


async def test_sixteen_images_are_one_call_answered_in_order() -> None:
    """The largest batch is one call, and each image gets the answer to itself."""
    emulator = GoogleVisionEmulator(colour_oracle(view=View()))
    async with emulator.running() as url:
        answers = await ask_at(url, images=16)

    assert first_names(answers) == [best(image) for image in tiny_images(16)]
    assert len(set(first_names(answers))) == 3
    assert (emulator.bill.requests, emulator.bill.images_answered) == (1, 16)


async def test_seventeen_images_are_refused_here() -> None:
    """The client does not look, so the oracle does: nothing is sent, and nobody is billed."""
    emulator = GoogleVisionEmulator(colour_oracle())
    async with emulator.running() as url:
        oracle = oracles.google_vision.connect(endpoint=url)
        with pytest.raises(UsageError, match="17 images in a request: Google takes at most 16"):
            await ask(oracle, images=17)
        await oracle.aclose()

    assert emulator.bill.requests == 0


async def test_an_image_fails_alone() -> None:
    """Per-image errors settle per image: the others are answered, and each error says what became of its money."""
    responses = [labelled(cat=0.5), ImageResponse(error=status("INTERNAL", "oops")), labelled(dog=0.5)]
    responses.append(ImageResponse(error=status("INVALID_ARGUMENT", "Bad image data.")))
    async with serving(saying(*responses)) as url:
        cat, lost, dog, bad = await ask_at(url, images=4)

    assert first_names([cat, dog]) == ["cat", "dog"]
    assert isinstance(lost, OutcomeUnknown)
    assert str(lost) == "google_vision: image 1 of the request failed with INTERNAL: oops"
    assert isinstance(bad, Rejected)
    assert "image 3 of the request failed with INVALID_ARGUMENT: Bad image data." in str(bad)


async def test_a_response_that_cannot_be_read_was_paid_for(caplog: pytest.LogCaptureFixture) -> None:
    """A success that is no message of the API is malformed; each image of it cost its price."""

    async def junk(request: Any, context: Any) -> bytes:
        return b"\xff\xff\xff\xff"

    async with serving(junk) as url:
        error = await ask_at(url, images=2)

    assert isinstance(error, MalformedAnswer)
    assert error.cost == LABEL_COST
    assert "deserializing" in caplog.text  # by grpc


async def test_too_few_answers_were_paid_for() -> None:
    """A response that does not hold one answer for each image is malformed; which is whose cannot be known."""
    async with serving(saying(labelled(cat=0.5))) as url:
        error = await ask_at(url, images=2)

    assert isinstance(error, MalformedAnswer)
    assert "1 answers to 2 images" in str(error)
    assert error.cost == LABEL_COST


# --- what is sent ---


@given(hnp.arrays(np.uint8, st.tuples(st.integers(1, 12), st.integers(1, 12), st.just(3))))
def test_what_travels_is_lossless_and_asks_what_was_asked(image: np.ndarray) -> None:
    """The request holds the very pixels in a PNG, and one feature with its limit and model."""
    oracle = oracles.google_vision.connect(endpoint="127.0.0.1:1", max_results=7, model="builtin/latest")

    request = vision_v1.BatchAnnotateImagesRequest.deserialize(oracle.encode(image))

    (one,) = request.requests
    (feature,) = one.features
    with Pillow.open(io.BytesIO(one.image.content)) as picture:
        assert picture.format == "PNG"
        assert np.array_equal(np.array(picture), image)
    assert (feature.type_.name, feature.max_results, feature.model) == ("LABEL_DETECTION", 7, "builtin/latest")


async def test_a_batch_larger_than_grpcs_own_limit_passes() -> None:
    """Sixteen images of noise, 5 MB and thus more than the 4 MB that gRPC takes by default, travel and are answered."""
    image = np.random.default_rng(0).integers(0, 256, (330, 330, 3), dtype=np.uint8)
    async with GoogleVisionEmulator(colour_oracle()).running() as url:
        oracle = oracles.google_vision.connect(endpoint=url)
        payload = oracle.encode(image)
        answers = await oracle.answer([payload] * 16)
        await oracle.aclose()

    assert len(payload) * 16 > 4 * 2**20
    assert all(isinstance(reply, Reply) for reply in answers)


async def test_a_response_larger_than_grpcs_own_limit_passes() -> None:
    """Four million bytes are gRPC's own limit for what is received; ours is that of every answer."""
    many = ImageResponse(label_annotations=[vision_v1.EntityAnnotation(description="x" * 5 * 2**20, score=1)])
    async with serving(saying(many), **{"grpc.max_send_message_length": -1}) as url:
        (reply,) = await ask_at(url)

    assert len(reply.answer.labels[0].name) == 5 * 2**20


@pytest.mark.parametrize(
    "image", [np.zeros((8, 8), np.uint8), np.zeros((8, 8, 3), np.float64), np.zeros((8, 8, 4), np.uint8)]
)
def test_only_eight_bit_colour_travels(image: np.ndarray) -> None:
    """Other shapes and types are refused before anything is sent."""
    with pytest.raises(UsageError, match="uint8"):
        oracles.google_vision.connect(endpoint="127.0.0.1:1").encode(image)


def test_an_image_that_google_would_refuse_is_refused_here(monkeypatch: pytest.MonkeyPatch) -> None:
    """Above 20 MB the oracle says which size it is and which option shrinks it."""
    monkeypatch.setattr("oracles._google_vision.service.LARGEST_IMAGE", 50)

    with pytest.raises(UsageError, match=r"8 × 8 pixels is a PNG of \d+ bytes, and Google takes 50: give the oracle"):
        oracles.google_vision.connect(endpoint="127.0.0.1:1").encode(tiny_images(1)[0])


# --- connections ---


async def test_one_oracle_serves_many_calls_over_one_connection() -> None:
    """The channel is kept from call to call."""
    peers = set()

    async def handler(request: Any, context: Any) -> Any:
        peers.add(context.peer())
        return Response(responses=[labelled(cat=0.5)])

    async with serving(handler) as url:
        oracle = oracles.google_vision.connect(endpoint=url)
        answers = [await ask(oracle) for _ in range(3)]
        await oracle.aclose()

    assert len(peers) == 1
    assert not any(isinstance(answer, OracleError) for answer in answers)


async def test_a_closed_oracle_opens_anew() -> None:
    """After aclose a later call works, and closing twice does no harm."""
    async with serving(saying(labelled(cat=0.5))) as url:
        oracle = oracles.google_vision.connect(endpoint=url)
        await ask(oracle)
        await oracle.aclose()
        (reply,) = await ask(oracle)
        await oracle.aclose()
        await oracle.aclose()

    assert first_names([reply]) == ["cat"]
