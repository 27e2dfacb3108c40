"""The emulator of Google Cloud Vision: its protocol as Google's own client sees it, and where it listens."""

from __future__ import annotations

import asyncio
import socket
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from google.api_core import exceptions
from google.cloud import vision_v1

import oracles.efficientnet
import oracles.google_vision
from bbquery.errors import (
    MalformedAnswer,
    OracleError,
    OutcomeUnknown,
    QuotaExceeded,
    RateLimited,
    Rejected,
    UsageError,
)
from bbquery.images import reading
from bbquery.images.placement import fit
from bbquery.oracle import View
from bbquery.types import Classes, Label, Labels, NoAnswer, Reply, Text, Vector
from oracles.emulators.google_vision import Bill, GoogleVisionEmulator, serve
from tests.support.google_vision_helpers import ask_at, request_for, vendor_client
from tests.support.images import png, png_header_of, tiny_images
from tests.support.oracles import COLOURS, colour_oracle, share_of_colours

if TYPE_CHECKING:
    from bbquery.types import Answer
from tests.support.google_vision_requests import annotate, attempts

# --- the protocol ---


async def test_googles_own_client_is_answered() -> None:
    """The unmodified client gets identifiers, scores and topicality with the oracle's own classes, best first."""
    (image,) = tiny_images(1)
    async with GoogleVisionEmulator(colour_oracle(view=View())).running() as url:
        (response,) = await annotate(url, request_for(png(image)))

    shares = share_of_colours(image).values
    order = np.argsort(-shares)
    labels = response.label_annotations
    assert [label.description for label in labels] == [COLOURS.show(int(i)) for i in order]
    assert [label.mid for label in labels] == [f"/m/{COLOURS.keys[i]}" for i in order]
    assert [label.score for label in labels] == pytest.approx(shares[order], rel=1e-6)  # they travel as 32-bit floats
    assert [label.topicality for label in labels] == [label.score for label in labels]
    assert not response.error.code


async def test_objects_have_the_outline_of_the_image() -> None:
    """OBJECT_LOCALIZATION names the same classes, where the image differs from its border: of noise, all of it."""
    async with GoogleVisionEmulator(colour_oracle()).running() as url:
        (response,) = await annotate(
            url, request_for(png(tiny_images(1)[0]), feature="OBJECT_LOCALIZATION", max_results=1)
        )

    (found,) = response.localized_object_annotations
    assert found.name in {"red", "green", "blue"}
    corners = [(corner.x, corner.y) for corner in found.bounding_poly.normalized_vertices]
    assert corners == [(0, 0), (1, 0), (1, 1), (0, 1)]


async def test_web_entities_are_given_with_a_best_guess() -> None:
    """WEB_DETECTION names the same classes as entities; the first is the best guess."""
    async with GoogleVisionEmulator(colour_oracle()).running() as url:
        (response,) = await annotate(url, request_for(png(tiny_images(1)[0]), feature="WEB_DETECTION", max_results=2))

    entities = response.web_detection.web_entities
    assert len(entities) == 2
    assert [guess.label for guess in response.web_detection.best_guess_labels] == [entities[0].description]


async def test_several_features_are_answered_and_billed_each() -> None:
    """Each feature of an image is a unit, at its own price."""
    request = request_for(png(tiny_images(1)[0]))
    request.requests[0].features.append(vision_v1.Feature(type_=vision_v1.Feature.Type.WEB_DETECTION))
    emulator = GoogleVisionEmulator(colour_oracle())
    async with emulator.running() as url:
        (response,) = await annotate(url, request)

    assert response.label_annotations
    assert response.web_detection.web_entities
    assert emulator.bill.units == {"LABEL_DETECTION": 1, "WEB_DETECTION": 1}
    assert (emulator.bill.images_answered, emulator.bill.picodollars) == (1, 5_000_000_000)


@pytest.mark.parametrize(
    ("feature", "thousand"), [("LABEL_DETECTION", 1.50), ("OBJECT_LOCALIZATION", 2.25), ("WEB_DETECTION", 3.50)]
)
async def test_the_bill_is_by_the_published_prices(feature: Any, thousand: float) -> None:
    """Ten images cost a hundredth of what the vendor's page says of a thousand."""
    emulator = GoogleVisionEmulator(colour_oracle())
    async with emulator.running() as url:
        await ask_at(url, images=10, feature=feature)

    assert emulator.bill.picodollars == round(thousand * 10**12 / 100)


async def test_results_are_ten_unless_asked_otherwise() -> None:
    """As at Google, a client that names no number gets ten, and one that names it gets as many."""
    many = Classes(tuple((f"class {i}",) for i in range(30)))
    model = colour_oracle(lambda _: Vector(np.full(30, 1 / 30)), classes=many)
    async with GoogleVisionEmulator(model).running() as url:
        (ten,) = await annotate(url, request_for(png(tiny_images(1)[0])))
        (twelve,) = await annotate(url, request_for(png(tiny_images(1)[0]), max_results=12))

    assert [label.mid for label in ten.label_annotations] == [f"/m/{i}" for i in range(10)]
    assert len(twelve.label_annotations) == 12


async def test_photos_of_any_size_and_kind_are_taken() -> None:
    """The emulator fits what it is sent to what its oracle takes, as the vendor does."""
    model = colour_oracle(view=View())
    async with GoogleVisionEmulator(model).running() as url:
        await annotate(url, request_for(png(np.zeros((9, 20, 3), np.uint8)), png(np.zeros((12, 10), np.uint8))))

    assert [image.shape for image in model.shown] == [(9, 20, 3), (12, 10, 3)]


async def test_the_oracle_is_asked_in_batches_that_it_takes() -> None:
    """Sixteen images reach an oracle of four at once in four batches, and their answers come back in order."""
    model = colour_oracle(view=View())
    async with GoogleVisionEmulator(model).running() as url:
        answers = await ask_at(url, images=16)

    assert model.batch_sizes == [4, 4, 4, 4]
    best = [COLOURS.show(int(np.argmax(share_of_colours(image).values))) for image in tiny_images(16)]
    assert [reply.answer.labels[0].name for reply in answers] == best


@pytest.mark.parametrize(
    ("answer", "told"),
    [
        (Labels((Label("sea lion", 0.75), Label("rock"))), (("sea lion", 0.75, "/m/sea_lion"), ("rock", 1, "/m/rock"))),
        (NoAnswer("no"), ()),
    ],
)
async def test_an_oracle_of_labels_is_told_as_it_is(answer: Answer, told: Any) -> None:
    """Labels keep their order and scores, one without a score is certain, and a refusal names nothing."""
    async with GoogleVisionEmulator(colour_oracle(lambda _: answer, answers="labels", classes=None)).running() as url:
        (response,) = await annotate(url, request_for(png(tiny_images(1)[0])))

    assert tuple((label.description, label.score, label.mid) for label in response.label_annotations) == told


@pytest.mark.parametrize(("answers", "classes"), [("text", None), ("scores", COLOURS), ("probabilities", None)])
def test_an_oracle_that_names_nothing_cannot_be_served(answers: Any, classes: Any) -> None:
    """Texts, scores without a scale and classes without names are no labels, which is said at once."""
    with pytest.raises(UsageError, match="needs an oracle of labels, or of probabilities with the names"):
        GoogleVisionEmulator(colour_oracle(lambda _: Text("a cat"), answers=answers, classes=classes))


async def test_a_real_model_answers() -> None:
    """EfficientNet's ten best classes of a photo come back through Google's protocol, with their probabilities."""
    network = oracles.efficientnet.connect()
    assert network.capabilities.classes is not None
    pixels, _ = fit(reading.load("sample:cat"), network.capabilities.view, network.capabilities.domain)
    (direct,) = await network.answer([network.encode(pixels)])
    emulator = GoogleVisionEmulator(network)
    async with emulator.running() as url:
        oracle = oracles.google_vision.connect(endpoint=url)
        (reply,) = await oracle.answer([oracle.encode(reading.load("sample:cat"))])
        await oracle.aclose()
    await network.aclose()

    assert isinstance(direct, Reply)
    assert isinstance(reply, Reply)
    assert isinstance(direct.answer, Vector)
    assert isinstance(reply.answer, Labels)
    best = np.argsort(-direct.answer.values)[:10]
    assert [label.name for label in reply.answer.labels] == [network.capabilities.classes.show(int(i)) for i in best]
    scores = [label.score for label in reply.answer.labels]
    assert scores == pytest.approx(direct.answer.values[best], rel=1e-5)  # they travel as 32-bit floats


async def refused(request: Any, metadata: Any = ()) -> tuple[exceptions.GoogleAPICallError, Bill]:
    """Return how the unmodified client sees a refusal, and the bill."""
    emulator = GoogleVisionEmulator(colour_oracle())
    async with emulator.running() as url, vendor_client(url) as client:
        with pytest.raises(exceptions.GoogleAPICallError) as caught:
            await client.batch_annotate_images(request, retry=None, timeout=10, metadata=metadata)
    return caught.value, emulator.bill


# --- what is refused ---


@pytest.mark.parametrize(
    ("request_", "kind", "fault"),
    [
        (request_for(*[png(tiny_images(1)[0])] * 17), exceptions.InvalidArgument, "Too many images per request: 17"),
        (request_for(), exceptions.InvalidArgument, "at least one image"),
        (
            vision_v1.BatchAnnotateImagesRequest(requests=[vision_v1.AnnotateImageRequest()]),
            exceptions.InvalidArgument,
            "No feature",
        ),
        (request_for(b"", feature="CROP_HINTS"), exceptions.MethodNotImplemented, "not CROP_HINTS"),
    ],
)
async def test_a_wrong_request_is_told_why_and_not_billed(request_: Any, kind: Any, fault: str) -> None:
    """The status is Google's, the model is not asked, and nothing is owed."""
    error, bill = await refused(request_)

    assert isinstance(error, kind)
    assert fault in error.message
    assert bill == Bill(requests=1, rejected=1)


async def test_a_feature_unheard_of_is_told_by_its_number() -> None:
    """A client of a later version of the API is told what the emulator does not know."""
    request = request_for(b"")
    vision_v1.BatchAnnotateImagesRequest.pb(request).requests[0].features[0].type_ = 99

    error, _ = await refused(request)

    assert "not 99" in error.message


async def test_credentials_are_refused() -> None:
    """The emulator has given out none, so a client that sends some is told that they are bad."""
    error, bill = await refused(request_for(png(tiny_images(1)[0])), metadata=(("authorization", "Bearer bad"),))

    assert isinstance(error, exceptions.Unauthenticated)
    assert bill == Bill(requests=1, rejected=1)


@pytest.mark.parametrize(
    "content", [b"", b"GIF89a", b"%PDF", png(tiny_images(1)[0])[:60], png(np.zeros((3, 3, 3), np.uint8)),
     png_header_of(9000, 9000)],
)  # fmt: skip
async def test_an_image_that_cannot_be_read_fails_alone_and_is_free(content: bytes) -> None:
    """INVALID_ARGUMENT stands beside the answers of the other images, which alone are billed."""
    emulator = GoogleVisionEmulator(colour_oracle())
    async with emulator.running() as url:
        good, bad = await annotate(url, request_for(png(tiny_images(1)[0]), content))

    assert good.label_annotations
    assert (bad.error.code, bad.error.message) == (3, "Bad image data.")
    assert not bad.label_annotations
    assert (emulator.bill.images_received, emulator.bill.images_answered) == (2, 1)


async def test_an_image_that_the_oracle_fails_alone_is_free() -> None:
    """An error of the oracle at one image is told at that image, and is not billed."""
    both: list[Answer | OracleError] = [share_of_colours(tiny_images(1)[0]), OutcomeUnknown("lost")]
    replies = iter(both)
    emulator = GoogleVisionEmulator(colour_oracle(lambda _: next(replies)))
    async with emulator.running() as url:
        good, lost = await ask_at(url, images=2)

    assert isinstance(good.answer, Labels)
    assert isinstance(lost, OutcomeUnknown)
    assert emulator.bill.images_answered == 1


@pytest.mark.parametrize(
    ("raised", "seen", "retry_after", "count"),
    [
        (RateLimited("slow", retry_after=2.5), RateLimited, 2.5, "rate_limited"),
        (RateLimited("slow"), RateLimited, None, "rate_limited"),
        (QuotaExceeded("no credit"), QuotaExceeded, None, "quota"),
        (Rejected("no such model"), Rejected, None, "rejected"),
        (OutcomeUnknown("lost"), OutcomeUnknown, None, "server_errors"),
        (MalformedAnswer("junk"), OutcomeUnknown, None, "server_errors"),
    ],
)
async def test_a_failing_model_fails_as_honestly_here(
    raised: OracleError, seen: type[OracleError], retry_after: float | None, count: str
) -> None:
    """What the wrapped oracle raises is told in gRPC's terms, and a doubt about billing stays a doubt."""

    def fail(_: object) -> Vector:
        raise raised

    emulator = GoogleVisionEmulator(colour_oracle(fail))
    (error,) = await attempts(emulator, 1)

    assert type(error) is seen
    assert getattr(error, "retry_after", None) == retry_after
    expected = Bill(requests=1, images_received=1)
    setattr(expected, count, 1)
    assert emulator.bill == expected


# --- where it listens ---


async def test_it_is_served_until_cancelled() -> None:
    """`serve` tells its URL once it can be asked, and closes when it is cancelled."""
    told: asyncio.Future[str] = asyncio.get_running_loop().create_future()
    serving = asyncio.create_task(serve(colour_oracle(), port=0, ready=told.set_result))

    url = await told
    answers = await ask_at(url)
    serving.cancel()
    with pytest.raises(asyncio.CancelledError):
        await serving
    gone = await ask_at(url, timeout=1)

    assert isinstance(answers, list)
    assert type(gone).__name__ == "Unreachable"


async def test_it_is_served_without_anybody_being_told() -> None:
    """`ready` may be left out."""
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        port = one.getsockname()[1]
    serving = asyncio.create_task(serve(colour_oracle(), port=port))
    found: Any = None
    async with asyncio.timeout(10):
        while not isinstance(found, list):
            found = await ask_at(f"127.0.0.1:{port}")
    serving.cancel()
    with pytest.raises(asyncio.CancelledError):
        await serving

    assert len(found) == 1


def names_of_this_machine() -> list[str]:
    """Return hosts to listen on; not every machine has the sixth version of the internet protocol."""
    try:
        with socket.create_server(("::1", 0), family=socket.AF_INET6):
            return ["localhost", "::1"]
    except OSError:
        return ["localhost"]


@pytest.mark.parametrize("host", names_of_this_machine())
async def test_it_listens_on_any_name_of_this_machine(host: str) -> None:
    """The URL can be asked as it is told."""
    async with GoogleVisionEmulator(colour_oracle()).running(host=host) as url:
        answers = await ask_at(url)

    assert len(answers) == 1


@pytest.mark.parametrize("host", ["0.0.0.0", "example.com"])
async def test_others_cannot_reach_it(host: str) -> None:
    """Only this machine is listened on."""
    with pytest.raises(UsageError, match="this machine only"):
        await serve(colour_oracle(), port=0, host=host)


async def test_a_port_in_use_is_said() -> None:
    """The advice is another port."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        with pytest.raises(UsageError, match=r"port \d+ is in use: choose another"):
            await serve(colour_oracle(), port=taken.getsockname()[1])


@pytest.mark.parametrize(("port", "fault"), [(-1, "0 to 65535"), (65536, "0 to 65535")])
async def test_a_port_that_cannot_be_is_said(port: int, fault: str) -> None:
    """Numbers that are no ports are refused."""
    with pytest.raises(UsageError, match=fault):
        await serve(colour_oracle(), port=port)


async def test_another_failure_to_listen_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever the system says is passed on."""

    async def forbidden(*_: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(asyncio, "start_server", forbidden)

    with pytest.raises(UsageError, match=r"cannot listen on port 0 of 127\.0\.0\.1: Permission denied"):
        await serve(colour_oracle(), port=0)
