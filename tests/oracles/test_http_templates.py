"""The templates printed in docs/http.md, each against a server that speaks its format."""

from __future__ import annotations

import json
import re
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from aiohttp import web

import oracles.http
from bbquery.errors import (
    MalformedAnswer,
    OracleError,
    OutcomeUnknown,
    RateLimited,
    Rejected,
    UnknownName,
)
from bbquery.images.boxes import Box
from bbquery.specification import parse
from bbquery.types import Label, Labels, NoAnswer, Reply, Vector
from bbquery.units import Units
from oracles._http.template.boxes import Size
from oracles._http.template.file import read_template
from oracles._http.template.slots import OF_A_REQUEST, OF_AN_IMAGE
from oracles._shared.preprocessing import preprocessing
from tests.support.http_helpers import always, saying, serving
from tests.support.template_servers import (
    ANIMALS,
    HuggingFace,
    HuggingFaceObjects,
    KServe,
    Predictions,
    Server,
    TorchServe,
    shares,
    thousand,
)

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

from tests.support.http_templates import PAGE, SNIPPETS, answer, ask, connected, photos, snippet

COMMANDS = re.findall(r"--oracle (\S+)", "\n".join(re.findall(r"```sh\n(.*?)```", PAGE, re.DOTALL)))


Case = tuple[type[Server], int]


CASES: dict[str, Case] = {
    "huggingface.toml": (HuggingFace, 1),
    "huggingface-all.toml": (HuggingFace, 1),
    "huggingface-objects.toml": (HuggingFaceObjects, 1),
    "kserve.toml": (KServe, 3),
    "triton-binary.toml": (KServe, 3),
    "torchserve.toml": (TorchServe, 1),
    "torchserve-form.toml": (TorchServe, 1),
    "list.toml": (Predictions, 3),
}


pytestmark = pytest.mark.usefixtures("hugging_face_token")


def expected(name: str, image: NDArray[np.uint8]) -> Any:
    """Return what each server should answer about an image, computed here."""
    if name in ("kserve.toml", "triton-binary.toml"):
        numbers = (image / 255 - (0.485, 0.456, 0.406)) / (0.229, 0.224, 0.225)
        logits = thousand(np.moveaxis(numbers, -1, 0))
        return np.exp(logits) / np.exp(logits).sum()
    if name == "list.toml":
        return shares(image)
    scored = dict(zip(ANIMALS, shares(image), strict=True))
    if name == "huggingface-all.toml":
        return np.array([scored[animal] for animal in ("cat", "dog", "fox")])
    best = sorted(scored, key=lambda animal: -scored[animal])
    if name == "huggingface-objects.toml":
        ends = [place * image.shape[1] // len(best) / image.shape[1] for place in range(len(best) + 1)]
        boxes = [Box.of(left, 0, right, 1) for left, right in pairwise(ends)]
        return Labels(tuple(Label(animal, scored[animal], box) for animal, box in zip(best, boxes, strict=True)))
    return Labels(tuple(Label(animal, scored[animal]) for animal in best))


@pytest.mark.parametrize("name", CASES)
async def test_each_snippet_of_the_page_works(tmp_path: Path, name: str) -> None:
    """Copied as it is printed, a template asks its kind of server, and reads what it answers."""
    kind, count = CASES[name]
    images = photos(count)
    async with connected(kind(), tmp_path, name) as oracle:
        replies = await oracle.answer([oracle.encode(image) for image in images])

    assert len(replies) == count
    for reply, image in zip(replies, images, strict=True):
        assert isinstance(reply, Reply)
        wanted = expected(name, image)
        if isinstance(reply.answer, Vector):
            np.testing.assert_allclose(reply.answer.values, wanted, rtol=1e-4)
        else:
            assert reply.answer == wanted
        assert reply.served == ("3" if kind is KServe else None)
        assert reply.cost == Units(queries=1)


@pytest.mark.parametrize("name", CASES)
async def test_the_pixels_arrive_as_they_were_sent(tmp_path: Path, name: str) -> None:
    """PNG alters nothing, and numbers are those of the preprocessing to the last bit."""
    kind, count = CASES[name]
    server, images = kind(), photos(count)
    async with connected(server, tmp_path, name) as oracle:
        await oracle.answer([oracle.encode(image) for image in images])

    prepare = preprocessing(
        scale="1/255",
        mean=(0.485, 0.456, 0.406),
        std=(0.229, 0.224, 0.225),
        channels="RGB",
        layout="NCHW",
        dtype="float32",
    )
    sent = [prepare(image) if kind is KServe else image for image in images]
    assert [seen.tobytes() for seen in server.seen] == [image.tobytes() for image in sent]


def test_every_snippet_of_the_page_is_run() -> None:
    """No template is printed that is not tested, and commands name templates that are printed."""
    assert set(SNIPPETS) == set(CASES)
    templates = [parse(command)[1]["template"] for command in COMMANDS]
    assert len(templates) == 4
    assert set(templates) <= set(SNIPPETS)


# --- what a server may do besides ---


async def test_single_images_are_refused_and_fail_alone(tmp_path: Path) -> None:
    """In a request of several, each image has an outcome of its own."""
    async with connected(Predictions(refusing=0, failing=2), tmp_path, "list.toml") as oracle:
        refused, answered, failed = await ask(oracle, 3)

    assert refused == NoAnswer("indecent")
    assert isinstance(answered, Vector)
    assert isinstance(failed, OutcomeUnknown)
    assert str(failed).endswith("image 2 of the request failed: out of memory")


@pytest.mark.parametrize(
    ("server", "name", "kind"),
    [
        (HuggingFace(waking=1), "huggingface.toml", RateLimited),
        (TorchServe(busy=1), "torchserve.toml", RateLimited),
        (TorchServe(busy=1), "torchserve-form.toml", OutcomeUnknown),
    ],
)
async def test_a_server_that_is_not_ready_is_asked_again_without_cost_where_the_template_says_so(
    tmp_path: Path, server: Server, name: str, kind: type[OracleError]
) -> None:
    """503 of a server that is known to have done nothing releases the hold; of any other it does not."""
    async with connected(server, tmp_path, name) as oracle:
        with pytest.raises(OracleError) as caught:
            await ask(oracle)
        again = await ask(oracle)

    assert type(caught.value) is kind
    assert isinstance(again[0], Labels)


async def test_a_wrong_path_shows_the_servers_reason(tmp_path: Path) -> None:
    """What a server says of a request that it will never answer reaches the user."""
    path = snippet(tmp_path, "torchserve.toml")
    async with serving(TorchServe().handle) as url:
        oracle = await oracles.http.connect(url=f"{url}/prefix/", template=path)
        with pytest.raises(
            Rejected, match=r"POST /prefix/predictions/resnet-18 gave 404: Model not found; .* template"
        ):
            await ask(oracle)
        await oracle.aclose()


@pytest.mark.parametrize(
    ("name", "response", "fault"),
    [
        ("huggingface.toml", '[{"label": "cat"}]', r"\$\[\*\]\.score finds no member 'score' in \{'label': 'cat'\}"),
        ("huggingface.toml", '[{"label": "", "score": 1}]', r"a name must be a text that is not empty, not ''"),
        (
            "huggingface.toml",
            '[{"label": "cat", "score": "1"}]',
            r"score of the label 'cat' must be a finite number, not '1'",
        ),
        ("huggingface.toml", "<html>", r"the body is not JSON"),
        ("huggingface-all.toml", '[{"label": "cat", "score": 1}]', r"no number for 'dog' and 1 other classes"),
        ("huggingface-all.toml", '[{"label": "owl", "score": 1}]', r"'owl' is the name of 0 classes"),
        ("kserve.toml", '{"outputs": []}', r"finds no element 0 in \[\]"),
        ("kserve.toml", '{"outputs": [{"data": [1, 2]}]}', r"2 scores for 1000 classes"),
        ("kserve.toml", '{"outputs": [{"data": []}]}', r"must be a list of numbers"),
        ("torchserve.toml", '["cat"]', r"\$ must be scores by name, not \['cat'\]"),
        ("list.toml", '{"predictions": [{"probabilities": [0.5, 0.5, 1.5]}]}', r"must lie in 0 to 1"),
        ("list.toml", '{"predictions": []}', r"0 answers at \$\.predictions\[\*\] to 1 images"),
        ("list.toml", '{"predictions": 5}', r"finds no elements or members in 5"),
    ],
)
async def test_a_response_that_is_not_as_described_is_malformed(
    tmp_path: Path, name: str, response: str, fault: str
) -> None:
    """Answered, so paid, but without what the template promises: the message says what is where."""
    async with serving(always(lambda: web.Response(text=response, content_type="application/json"))) as url:
        oracle = await oracles.http.connect(url=url, template=snippet(tmp_path, name))
        try:
            (error,) = await ask(oracle)
        except OracleError as raised:
            error = raised
        await oracle.aclose()

    assert isinstance(error, MalformedAnswer)
    assert re.search(fault, str(error))


@pytest.mark.parametrize(
    ("keys", "response", "fault"),
    [
        ({"kind": "text", "text": "$.a"}, {"a": 5}, r"\$\.a must be a text, not 5"),
        ({"kind": "text", "text": "$[*]"}, ["a", "b"], r"the path \$\[\*\] finds 2 things where one is needed"),
        ({"kind": "text", "text": "$[*]"}, [], r"finds 0 things where one is needed"),
        ({"kind": "labels", "names": "$.a", "scores": "$.b"}, {"a": ["x", "y"], "b": [1]}, r"1 scores for 2 names"),
    ],
)
async def test_a_response_that_is_ambiguous_is_malformed(keys: dict[str, Any], response: Any, fault: str) -> None:
    """One text where one is needed, and a score for each name."""
    async with serving(saying(response)) as url:
        oracle = await oracles.http.connect(url=url, template=answer(**keys))
        (error,) = await ask(oracle)
        await oracle.aclose()

    assert isinstance(error, MalformedAnswer)
    assert re.search(fault, str(error))
    assert error.cost == Units(queries=1)


@pytest.mark.parametrize(
    ("keys", "response", "expected"),
    [
        ({"names": "$"}, "cat", [Label("cat")]),
        ({"names": "$.ids"}, {"ids": [7, 3]}, [Label("7"), Label("3")]),
        ({"names": "$.a", "scores": "$.b"}, {"a": ["x", "y"], "b": [None, 0.5]}, [Label("x"), Label("y", 0.5)]),
        ({"names": "$.a", "scores": "$.b"}, {"a": ["x", "y"], "b": [0.25, 0.5]}, [Label("y", 0.5), Label("x", 0.25)]),
        ({"mapping": "$.m"}, {"m": {"a": 1, "b": 3, "c": 1}}, [Label("b", 3.0), Label("a", 1.0), Label("c", 1.0)]),
        ({"names": "$[*]"}, [], []),
    ],
)
async def test_labels_are_read_in_the_forms_that_there_are(
    keys: dict[str, Any], response: Any, expected: list[Label]
) -> None:
    """One or many, with scores or without, best first where all have one; texts or indices."""
    async with serving(saying(response)) as url:
        oracle = await oracles.http.connect(url=url, template=answer(kind="labels", **keys))
        (found,) = await ask(oracle)
        await oracle.aclose()

    assert found == Labels(tuple(expected))


@pytest.mark.parametrize("count", [2, 3])
async def test_numbers_of_several_images_are_shared_evenly_or_not_at_all(tmp_path: Path, count: int) -> None:
    """A list that holds no whole number of answers an image is not cut somewhere."""
    response = {"outputs": [{"data": [[0.0] * 1000, [1.0] * 1000]}]}
    async with serving(saying(response)) as url:
        oracle = await oracles.http.connect(url=url, template=snippet(tmp_path, "kserve.toml"))
        if count == 2:
            found = await ask(oracle, 2)
            assert [answer.values.tolist() for answer in found] == [[0.001] * 1000] * 2
        else:
            with pytest.raises(MalformedAnswer, match="2000 numbers cannot be shared among 3 images"):
                await ask(oracle, 3)
        await oracle.aclose()


# --- the page ---


@pytest.mark.parametrize("section", ["", "request", "pixels", "answer"])
def test_every_key_is_on_the_page(tmp_path: Path, section: str) -> None:
    """The page names each key that a template may have, and each place that its JSON may have."""
    bodies = ['body = "json"\njson = "[]"\nlength_header = "a"', 'body = "raw"', 'body = "multipart"\nfield = "a"']
    known: set[str] = set()
    for number, body in enumerate(bodies):
        tables = {"request": body, "pixels": "", "answer": 'kind = "text"\ntext = "$"'}
        if section:
            tables[section] += "\nbogus = 1"
        top = "" if section else "bogus = 1\n"
        path = tmp_path / f"{number}.toml"
        path.write_text(top + "".join(f"[{name}]\n{lines}\n" for name, lines in tables.items()), encoding="utf-8")
        with pytest.raises(UnknownName, match="bogus") as caught:
            read_template(str(path))
        known |= set(caught.value.known)

    assert known
    missing = [key for key in known if f"`{key}`" not in PAGE and f"[{key}]" not in PAGE]
    assert not missing
    assert not [place for place in (*OF_AN_IMAGE, *OF_A_REQUEST) if f'`"${{{place}}}"`' not in PAGE]


BEST_FIRST = Labels((Label("dog", 0.6), Label("cat", 0.4)))
TABLE = {"cat": 0.4, "dog": 0.6}
PAIRS = [["cat", 0.4], ["dog", 0.6]]
OBJECTS = [{"label": "cat", "score": 0.4}, {"label": "dog", "score": 0.6}]


# --- labels in every form ---


@pytest.mark.parametrize(
    ("paths", "content"),
    [
        ({"mapping": "$"}, TABLE),
        ({"mapping": "$.found"}, {"found": TABLE}),
        ({"mapping": "$.found"}, {"found": PAIRS}),
        ({"mapping": "$.found"}, {"found": OBJECTS}),
        ({"names": "$.found"}, {"found": TABLE}),
        ({"names": "$.found"}, {"found": PAIRS}),
        ({"names": "$.found"}, {"found": OBJECTS}),
        ({"names": "$.found[*]"}, {"found": OBJECTS}),
        ({"names": "$[*].label", "scores": "$[*].score"}, OBJECTS),
        ({"names": "$[*][0]", "scores": "$[*][1]"}, PAIRS),
        ({"names": "$.names", "scores": "$.scores"}, {"names": ["cat", "dog"], "scores": [0.4, 0.6]}),
    ],
)
def test_labels_keep_their_scores_in_every_form(paths: dict[str, str], content: Any) -> None:
    """A mapping, pairs and objects are read alike, best first, whichever path leads to them."""
    reader = read_template({"request": {"path": "/", "body": "raw"}, "answer": {"kind": "labels"} | paths}).reader

    (item,) = reader.split(json.dumps(content).encode(), [Size(1, 1)])

    assert reader.answer(item) == BEST_FIRST


def test_names_without_scores_keep_their_order() -> None:
    """Also nested ones, and numbers of classes."""
    reader = read_template(
        {"request": {"path": "/", "body": "raw"}, "answer": {"kind": "labels", "names": "$.found"}}
    ).reader

    (item,) = reader.split(b'{"found": [["dog"], ["cat", 7]]}', [Size(1, 1)])

    assert reader.answer(item) == Labels((Label("dog"), Label("cat"), Label("7")))


def test_a_label_without_a_score_stays_beside_those_that_have_one() -> None:
    """An element without the member loses its score, not the whole answer."""
    paths = {"kind": "labels", "names": "$[*].label", "scores": "$[*].score"}
    reader = read_template({"request": {"path": "/", "body": "raw"}, "answer": paths}).reader

    (item,) = reader.split(b'[{"label": "dog", "score": 0.6}, {"label": "cat"}]', [Size(1, 1)])

    assert reader.answer(item) == Labels((Label("dog", 0.6), Label("cat")))


@pytest.mark.parametrize("names", ["$.found", "$.found[*]"])
def test_a_box_beside_a_name_is_kept(names: str) -> None:
    """In shares of the image; one in pixels, or of another form, is left out as any other member is."""
    reader = read_template(
        {"request": {"path": "/", "body": "raw"}, "answer": {"kind": "labels", "names": names}}
    ).reader
    boxes = [[0, 0.25, 0.5, 1], [0, 0, 224, 224], {"xmin": 3}]
    found = [{"label": f"dog {i}", "score": 1 - i / 8, "box": box} for i, box in enumerate(boxes)]

    (item,) = reader.split(json.dumps({"found": found}).encode(), [Size(1, 1)])

    assert reader.answer(item) == Labels(
        (Label("dog 0", 1.0, Box.of(0, 0.25, 0.5, 1)), Label("dog 1", 0.875), Label("dog 2", 0.75))
    )
