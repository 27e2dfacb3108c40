"""What travels between the http oracle and a server that behaves, and comes back unchanged."""

from __future__ import annotations

import asyncio
import json
import threading
from contextlib import contextmanager
from http.server import ThreadingHTTPServer
from typing import TYPE_CHECKING, Any, get_type_hints

import numpy as np
import pytest
from aiohttp import web
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

import oracles.http
from bbquery.errors import MalformedAnswer, OutcomeUnknown, UsageError
from bbquery.images.boxes import Box
from bbquery.oracle import View
from bbquery.types import FLOAT, UINT8, Label, Labels, NoAnswer, Reply, Text, Vector
from oracles._http.wire.answers import pack_answers, split_answers, unpack_answer
from oracles._http.wire.images import join_images, pack_image, unpack_image
from oracles.emulators.http import HttpEmulator
from tests.support.http_helpers import MODEL, answering, names, saying, serving
from tests.support.images import tiny_images
from tests.support.oracles import COLOURS, FakeOracle, colour_oracle, share_of_colours, strongest_colour
from tests.support.replies import bare

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from numpy.typing import NDArray

    from bbquery.errors import OracleError
    from bbquery.oracle import Oracle
    from bbquery.types import Answer


async def ask(oracle: Oracle, images: Iterable[NDArray[np.uint8]]) -> Sequence[Answer | OracleError]:
    try:
        return bare(await oracle.answer([oracle.encode(image) for image in images]))
    finally:
        await oracle.aclose()


async def ask_through(fake: FakeOracle, images: Iterable[NDArray[np.uint8]]) -> Sequence[Answer | OracleError]:
    async with HttpEmulator(fake).running() as url:
        return await ask(await oracles.http.connect(url=url), images)


async def test_vectors_are_those_of_the_model_in_this_process_bit_for_bit() -> None:
    """A model answers with the same float64 bits over HTTP as in this process."""
    images = tiny_images(4)

    remote = await ask_through(colour_oracle(), images)

    here = [share_of_colours(image).values.tobytes() for image in images]
    assert [answer.values.tobytes() for answer in remote if isinstance(answer, Vector)] == here


@settings(deadline=None)
@given(arrays(np.float64, 3, elements=st.floats(allow_nan=False, allow_infinity=False)))
def test_every_finite_number_survives(values: NDArray[np.float64]) -> None:
    """Any finite float64, subnormal and negative zero included, comes back with the same bits."""
    body = pack_answers([Reply(Vector(values))], "scores")

    answer = unpack_answer(split_answers(body, 1)[0], "scores", COLOURS)

    assert isinstance(answer, Vector)
    assert answer.values.tobytes() == values.tobytes()


@settings(deadline=None)
@given(arrays(np.uint8, st.tuples(st.integers(1, 9), st.integers(1, 9), st.just(3))))
def test_every_image_survives(image: NDArray[np.uint8]) -> None:
    """Any uint8 RGB image is unpacked to the pixels that were packed."""
    (packed,) = json.loads(pack_image(image))["images"]

    assert np.array_equal(unpack_image(packed), image)


@given(st.lists(st.integers(0, 255), min_size=1, max_size=5))
def test_a_request_for_several_images_holds_each_of_them(levels: list[int]) -> None:
    """Bodies packed one by one are joined into one body, in order."""
    packed = [pack_image(np.full((2, 2, 3), level, np.uint8)) for level in levels]

    images = json.loads(join_images(packed))["images"]

    assert [int(unpack_image(image)[0, 0, 0]) for image in images] == levels


async def test_the_model_is_given_the_very_pixels_that_were_encoded() -> None:
    """Nothing between here and the model alters a pixel."""
    fake, images = colour_oracle(), tiny_images(3)

    await ask_through(fake, images)

    assert all(np.array_equal(seen, image) for seen, image in zip(fake.shown, images, strict=True))


async def test_a_view_of_a_larger_array_is_sent_as_it_looks() -> None:
    """Strided and reversed images need not be contiguous."""
    fake, image = colour_oracle(), np.repeat(tiny_images(1)[0], 2, axis=0)[::-2]

    await ask_through(fake, [image])

    assert np.array_equal(fake.shown[0], image)


async def test_a_large_request_is_sent_without_a_warning() -> None:
    """A body of several MiB, as of a batch of noisy photos, arrives whole."""
    noise = np.random.default_rng(0).integers(0, 256, (700, 700, 3), dtype=np.uint8)
    fake = colour_oracle(view=View())

    await ask_through(fake, [noise, noise])

    assert np.array_equal(fake.shown[1], noise)


async def test_a_float_model_is_given_floats() -> None:
    """A model of the float domain is served too: it is given the sent pixels in its own dtype."""
    fake = colour_oracle(domain=FLOAT)

    await ask_through(fake, tiny_images(1))

    assert fake.shown[0].dtype == np.float64


async def test_probabilities_may_round_past_one() -> None:
    """A float32 softmax that reaches 1.0000001 is no fault."""
    values = [float(np.nextafter(np.float32(1), np.float32(2))), 0.0, -1e-9]
    async with answering(saying({"answers": [{"probabilities": values}]})) as url:
        (answer,) = await ask(await oracles.http.connect(url=url), tiny_images(1))

    assert isinstance(answer, Vector)
    assert answer.values.tolist() == values


async def test_answers_keep_the_order_of_the_images() -> None:
    """Answer i is for image i."""
    images = tiny_images(4)
    fake = colour_oracle(lambda image: Labels((Label(strongest_colour(image), 0.5), Label("none"))), answers="labels")

    answers = await ask_through(fake, images)

    assert names(answers) == [strongest_colour(image) for image in images]


@pytest.mark.parametrize(
    ("kind", "answer"),
    [
        ("labels", Labels((Label("red", 0.25), Label("blue")))),
        ("labels", Labels(())),
        ("text", Text("a “red” square\n")),
        ("text", Text("")),
        ("text", NoAnswer("filtered")),
    ],
)
async def test_each_kind_of_answer_travels(kind: Any, answer: Answer) -> None:
    """Labels with and without scores, text and refusals come back equal."""
    assert await ask_through(colour_oracle(lambda _: answer, answers=kind), tiny_images(1)) == [answer]


async def test_a_refusal_may_stand_in_for_a_vector() -> None:
    """A model of probabilities may refuse an image without losing the others."""
    first, second = tiny_images(2)
    fake = colour_oracle(lambda image: NoAnswer("no") if np.array_equal(image, first) else share_of_colours(image))

    refused, answered = await ask_through(fake, [first, second])

    assert refused == NoAnswer("no")
    assert isinstance(answered, Vector)


async def test_an_item_that_failed_alone_is_an_unknown_outcome_in_its_place() -> None:
    """One failed image does not lose the answers that were paid for beside it."""
    first, second = tiny_images(2)
    fake = colour_oracle(
        lambda image: OutcomeUnknown("lost") if np.array_equal(image, first) else share_of_colours(image)
    )

    failed, answered = await ask_through(fake, [first, second])

    assert isinstance(failed, OutcomeUnknown)
    assert "lost" in str(failed)
    assert isinstance(answered, Vector)


async def test_an_item_that_cannot_be_read_is_malformed_in_its_place() -> None:
    """One unreadable answer does not lose those beside it."""
    good = {"probabilities": [0.5, 0.25, 0.25]}
    async with answering(saying({"answers": [good, {"probabilities": [0.5]}]}), largest_batch=2) as url:
        answered, malformed = await ask(await oracles.http.connect(url=url), tiny_images(2))

    assert isinstance(answered, Vector)
    assert isinstance(malformed, MalformedAnswer)
    assert "answer 1" in str(malformed)


async def test_the_model_describes_itself() -> None:
    """Name, kind, classes, view and limits are the server's; pixels are uint8 and nothing is free."""
    async with HttpEmulator(colour_oracle()).running() as url:
        oracle = await oracles.http.connect(url=url)

    theirs, ours = colour_oracle().capabilities, oracle.capabilities
    assert (ours.name, ours.answers, ours.classes, ours.view) == (theirs.name, "probabilities", COLOURS, theirs.view)
    assert (ours.limits.largest_batch, ours.limits.concurrency, ours.limits.timeout) == (4, 2, 120.0)
    assert ours.domain == UINT8
    assert not ours.price.free


async def test_a_model_may_say_little() -> None:
    """Without classes, size, crop and limits the defaults hold."""
    little = {"name": "captions", "identity": {}, "answers": "text"}
    async with serving(saying(little)) as url:
        capabilities = (await oracles.http.connect(url=url)).capabilities

    assert capabilities.classes is None
    assert (capabilities.view.size, capabilities.view.crop) == (None, None)
    assert (capabilities.limits.largest_batch, capabilities.limits.concurrency) == (1, 8)


async def test_identity_is_the_endpoint_the_servers_identity_the_encoder_and_the_adapter() -> None:
    """All that decides an answer is part of its key."""
    async with HttpEmulator(colour_oracle()).running() as url:
        identity = (await oracles.http.connect(url=f"{url}//")).capabilities.identity

    assert identity == {
        "oracle": "http",
        "adapter": 1,
        "encoder": "png",
        "url": url,
        "server.oracle": "colours",
        "server.version": "1",
        "server.layers": 3,
        "server.temperature": 1.5,
        "server.prompt": None,
    }


async def test_a_server_cannot_pass_for_another_endpoint() -> None:
    """What a server calls "url" in its identity does not hide where it is."""
    async with serving(saying(MODEL | {"identity": {"url": "http://elsewhere"}})) as url:
        identity = (await oracles.http.connect(url=url)).capabilities.identity

    assert identity["url"] == url


async def test_options_override_the_servers_limits_and_show_in_the_repr() -> None:
    """largest_batch, concurrency and timeout are the user's to set; the repr is the call that connects again."""
    async with HttpEmulator(colour_oracle()).running() as url:
        oracle = await oracles.http.connect(
            url=url, largest_batch=2, concurrency=1, requests_per_minute=90.0, timeout=9.5, usd_per_query="0.0015"
        )

    limits = oracle.capabilities.limits
    assert (limits.largest_batch, limits.concurrency, limits.timeout) == (2, 1, 9.5)
    assert repr(oracle) == (
        f"oracles.http.connect(url={url!r}, largest_batch=2, concurrency=1, requests_per_minute=90.0, timeout=9.5, "
        "usd_per_query='0.0015')"
    )


async def test_requests_carry_the_key_and_nothing_of_the_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    """Both requests carry the key of key_env as a bearer token; a proxy of the environment is not used."""
    monkeypatch.setenv("COLOURS_KEY", "marker-key ")
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    seen = []

    async def handler(request: web.Request) -> web.Response:
        seen.append(request.headers["Authorization"])
        return web.json_response(MODEL if request.method == "GET" else {"answers": [{"refused": "no"}]})

    async with serving(handler) as url:
        await ask(await oracles.http.connect(url=url, key_env="COLOURS_KEY"), tiny_images(1))

    assert seen == ["Bearer marker-key"] * 2


@pytest.mark.parametrize(
    "image",
    [np.zeros((8, 8, 3)), np.zeros((8, 8), np.uint8), np.zeros((8, 8, 4), np.uint8), np.zeros((0, 8, 3), np.uint8)],
)
def test_only_uint8_rgb_images_travel(image: NDArray[Any]) -> None:
    """An image that PNG would alter or cannot hold is refused before it is sent."""
    with pytest.raises(UsageError, match="only uint8"):
        pack_image(image)


async def test_closing_before_any_attempt_is_fine() -> None:
    """An oracle that was never asked has nothing to close, and can be asked afterwards."""
    emulator = HttpEmulator(colour_oracle())
    async with emulator.running() as url:
        oracle = await oracles.http.connect(url=url)
        await oracle.aclose()
        await ask(oracle, tiny_images(1))
        await oracle.aclose()

    assert emulator.bill.images_answered == 1


async def test_a_closed_oracle_opens_new_connections() -> None:
    """An oracle that was closed at the end of one run serves the next."""
    async with HttpEmulator(colour_oracle()).running() as url:
        oracle = await oracles.http.connect(url=url)
        await ask(oracle, tiny_images(1))

        again = await ask(oracle, tiny_images(1))

    assert isinstance(again[0], Vector)


def test_options_can_be_read_from_the_signature() -> None:
    """Annotations of connect resolve at run time, so that a command line can turn text into each type."""
    hints = get_type_hints(oracles.http.connect)

    assert hints["largest_batch"] == int | None
    assert hints["timeout"] is float


@contextmanager
def documented_server() -> Iterator[str]:
    """Run the server printed in the documentation of oracles.http on a free port."""
    _, _, example = (oracles.http.__doc__ or "").partition("::\n\n")
    code = "\n".join(line[4:] for line in example.splitlines() if line.startswith("    ") or not line)
    scope: dict[str, Any] = {"__name__": "example"}
    exec(code, scope)
    scope["Handler"].log_message = lambda *_: None
    with ThreadingHTTPServer(("127.0.0.1", 0), scope["Handler"]) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


async def test_the_server_in_the_documentation_works() -> None:
    """A user's first server can be copied from the documentation."""
    images = [np.full((32, 32, 3), level, np.uint8) for level in (0, 51, 255)]
    with documented_server() as url:
        answers = await ask(await oracles.http.connect(url=url), images)

    assert [answer.values.tolist() for answer in answers if isinstance(answer, Vector)] == [[0, 1], [0.2, 0.8], [1, 0]]


def test_an_oracle_outlives_its_event_loop() -> None:
    """Two synchronous runs, each with a loop of its own, may share an oracle that was not closed between."""
    with documented_server() as url:
        oracle = asyncio.run(oracles.http.connect(url=url))
        payload = oracle.encode(np.zeros((32, 32, 3), np.uint8))
        asyncio.run(oracle.answer([payload]))

        (answer,) = bare(asyncio.run(oracle.answer([payload])))

    assert isinstance(answer, Vector)


@pytest.mark.parametrize(
    "given",
    [
        {"green": 0.4, "red": 0.6},
        [["green", 0.4], ["red", 0.6]],
        [{"label": "green", "score": 0.4}, {"label": "red", "score": 0.6}],
        [{"name": "green", "score": 0.4}, {"name": "red", "score": 0.6}],
    ],
)
def test_labels_of_the_protocol_may_be_written_in_every_form(given: Any) -> None:
    """With their scores, and best first."""
    assert unpack_answer({"labels": given}, "labels", None) == Labels((Label("red", 0.6), Label("green", 0.4)))


def test_boxes_travel_with_labels() -> None:
    """What a served oracle says of where a thing is reaches whoever asks the server."""
    answer = Labels((Label("cat", 0.75, Box.of(0, 0.25, 0.5, 1)), Label("dog", 0.5)))

    (item,) = split_answers(pack_answers([Reply(answer)], "labels"), 1)

    assert unpack_answer(item, "labels", None) == answer
