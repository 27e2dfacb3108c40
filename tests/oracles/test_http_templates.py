"""The templates printed in docs/http.md, each against a server that speaks its format."""

from __future__ import annotations

import json
import re
import traceback
from contextlib import asynccontextmanager
from pathlib import Path
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
    UnknownPrice,
    UsageError,
)
from bbquery.oracle import Limits, Quote, View
from bbquery.specification import parse
from bbquery.types import Classes, Label, Labels, NoAnswer, Reply, Text, Vector
from bbquery.units import Units
from oracles._http.template.file import read_template
from oracles._http.template.slots import OF_A_REQUEST, OF_AN_IMAGE
from oracles._shared.preprocessing import preprocessing
from tests.support.http_helpers import always, saying, serving
from tests.support.paths import ROOT
from tests.support.replies import bare
from tests.support.template_servers import (
    ANIMALS,
    HuggingFace,
    KServe,
    Predictions,
    Server,
    TorchServe,
    shares,
    thousand,
)

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from numpy.typing import NDArray

    from bbquery.oracle import Oracle

PAGE = (ROOT / "docs" / "http.md").read_text(encoding="utf-8")
SNIPPETS = dict(re.findall(r"```toml\n# (\S+)\n(.*?)```", PAGE, re.DOTALL))
COMMANDS = re.findall(r"--oracle (\S+)", "\n".join(re.findall(r"```sh\n(.*?)```", PAGE, re.DOTALL)))
SIDE = 224
MARKER = "hf_marker-5eC12eT"

Case = tuple[type[Server], int]
CASES: dict[str, Case] = {
    "huggingface.toml": (HuggingFace, 1),
    "huggingface-all.toml": (HuggingFace, 1),
    "kserve.toml": (KServe, 3),
    "triton-binary.toml": (KServe, 3),
    "torchserve.toml": (TorchServe, 1),
    "torchserve-form.toml": (TorchServe, 1),
    "list.toml": (Predictions, 3),
}


def photos(count: int) -> list[NDArray[np.uint8]]:
    return list(np.random.default_rng(2).integers(0, 256, (count, SIDE, SIDE, 3), dtype=np.uint8))


def snippet(tmp_path: Path, name: str) -> str:
    """Write a snippet of the page to a file of its name, and return its path."""
    (tmp_path / name).write_text(SNIPPETS[name], encoding="utf-8")
    return str(tmp_path / name)


@asynccontextmanager
async def connected(server: Server, tmp_path: Path, name: str, **options: Any) -> AsyncIterator[Oracle]:
    """Serve, and connect with a snippet."""
    async with serving(server.handle) as url:
        oracle = await oracles.http.connect(url=url, template=snippet(tmp_path, name), **options)
        try:
            yield oracle
        finally:
            await oracle.aclose()


@pytest.fixture(autouse=True)
def _token(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_TOKEN", "hf_marker")


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
    return Labels(tuple(Label(animal, scored[animal]) for animal in sorted(scored, key=lambda a: -scored[a])))


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
    assert len(templates) == 3
    assert set(templates) <= set(SNIPPETS)


# --- what a server may do besides ---


async def ask(oracle: Oracle, count: int = 1) -> list[Any]:
    """Return what one attempt gives, bare of costs, or raises."""
    return bare(await oracle.answer([oracle.encode(image) for image in photos(count)]))


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


# --- keys ---


@pytest.mark.parametrize("status", [200, 302, 401, 402, 429, 500])
async def test_a_secret_of_the_headers_is_nowhere(
    tmp_path: Path, status: int, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """However a server says it back, no message, traceback, repr, log record, answer or identity shows it."""
    monkeypatch.setenv("HF_TOKEN", MARKER)
    caplog.set_level(0)
    said = [{"label": MARKER, "score": 0.5}]
    sent = []

    async def route(request: web.Request) -> web.Response:
        sent.append(request.headers["Authorization"])
        return web.json_response(said if status == 200 else {"error": MARKER}, status=status)

    async with serving(route) as url:
        oracle = await oracles.http.connect(url=url, template=snippet(tmp_path, "huggingface.toml"))
        try:
            (found,) = await oracle.answer([oracle.encode(image) for image in photos(1)])
        except OracleError as raised:
            found = raised
        await oracle.aclose()

    assert sent == [f"Bearer {MARKER}"]
    shown = [repr(found), repr(vars(found)), repr(oracle), repr(oracle.capabilities)]
    shown += ["".join(traceback.format_exception(found)) if isinstance(found, Exception) else ""]
    shown += [record.getMessage() for record in caplog.records]
    assert MARKER not in "".join(shown)
    assert "***" in "".join(shown)


async def test_connecting_and_quoting_need_no_key_and_no_server(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A dry run is possible before there is a key; the first query names what is missing, and sends nothing."""
    monkeypatch.delenv("HF_TOKEN")
    server = HuggingFace()
    async with connected(server, tmp_path, "huggingface.toml", usd_per_query="0.0001") as oracle:
        payload = oracle.encode(photos(1)[0])
        quote = oracle.quote(payload)
        with pytest.raises(UsageError, match=r"environment variable 'HF_TOKEN' \(request\.headers\) is unset or empty"):
            await oracle.answer([payload])

    assert quote == Quote(worst=Units(1, 0, 10**8), expected=Units(1, 0, 10**8))
    assert not server.headers


async def test_key_env_adds_a_bearer_token(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A template without headers is asked with the key of the option."""
    monkeypatch.setenv("COLOURS_KEY", MARKER)
    server = TorchServe()
    async with connected(server, tmp_path, "torchserve.toml", key_env="COLOURS_KEY") as oracle:
        await ask(oracle)

    assert server.headers[0]["Authorization"] == f"Bearer {MARKER}"


# --- what is declared ---


async def test_the_template_says_what_the_client_must_know(tmp_path: Path) -> None:
    """Name, kind, classes, view, limits, identity and price are those of the file; the options go before it."""
    path = snippet(tmp_path, "kserve.toml")
    url = "http://127.0.0.1:9"
    oracle = await oracles.http.connect(
        url=url, template=path, largest_batch=2, concurrency=3, requests_per_minute=600, timeout=7, usd_per_query=0.25
    )
    capabilities = oracle.capabilities

    assert (capabilities.name, capabilities.answers, len(capabilities.classes or ())) == (
        "kserve",
        "probabilities",
        1000,
    )
    assert capabilities.view == View(size=(224, 224), crop=0.875)
    assert capabilities.limits == Limits(largest_batch=2, concurrency=3, requests_per_minute=600, timeout=7)
    assert (capabilities.provider, capabilities.remote) == (f"http {url}/v2/models/resnet50/infer", True)
    assert capabilities.identity.keys() == {"oracle", "adapter", "encoder", "url", "template"}
    assert oracle.quote(b"").worst.picodollars == 25 * 10**10
    assert repr(oracle) == (
        f"oracles.http.connect(url={url!r}, template={path!r}, largest_batch=2, concurrency=3, "
        f"requests_per_minute=600, timeout=7, usd_per_query=0.25)"
    )


async def test_without_options_the_server_is_felt_out(tmp_path: Path) -> None:
    """The concurrency of a server that says nothing is found from below; the identity is the file's."""
    oracle = await oracles.http.connect(url="http://127.0.0.1:9", template=snippet(tmp_path, "huggingface.toml"))

    limits = oracle.capabilities.limits
    assert (limits.largest_batch, limits.adaptive) == (1, True)
    assert oracle.capabilities.identity["template.revision"] == "main"


@pytest.mark.parametrize(
    ("stated", "option", "picodollars"),
    [("", "0.5", 5 * 10**11), ('usd_per_query = "0.25"', None, 25 * 10**10), ("usd_per_query = 0", None, 0),
     ('usd_per_query = "0.25"', "0", 0)],
)  # fmt: skip
async def test_a_price_is_the_options_or_the_templates(
    tmp_path: Path, stated: str, option: str | None, picodollars: int
) -> None:
    """A server elsewhere is asked once its price is stated in one place or the other."""
    (tmp_path / "t.toml").write_text(f"{stated}\n{SNIPPETS['torchserve.toml']}", encoding="utf-8")

    oracle = await oracles.http.connect(
        url="https://model.invalid", template=str(tmp_path / "t.toml"), usd_per_query=option
    )

    assert oracle.quote(b"").worst.picodollars == picodollars
    assert not oracle.capabilities.price.free


async def test_a_price_elsewhere_must_be_stated(tmp_path: Path) -> None:
    """An unknown price is refused, with what to write."""
    with pytest.raises(UnknownPrice, match="usd_per_query=0 if nobody is paid"):
        await oracles.http.connect(url="https://model.invalid", template=snippet(tmp_path, "torchserve.toml"))


async def identity(template: Any) -> object:
    return (await oracles.http.connect(url="http://127.0.0.1:9", template=template)).capabilities.identity["template"]


async def test_the_identity_changes_with_what_decides_answers_and_with_nothing_else(tmp_path: Path) -> None:
    """Paths, bodies, pixels and headers do; names of secrets, limits, prices, comments and class names do not."""
    base = SNIPPETS["kserve.toml"].replace("[pixels]", 'headers = { Authorization = "Bearer ${A}" }\n[pixels]')
    same = [
        "largest_batch = 8>largest_batch = 4",
        "${A}>${OTHER}",
        '[request]>name = "x"\nusd_per_query = 1\n[request]',
    ]
    same += ["[request]># a comment\n[request]", "body =>not_ready = [503]\nbody =", 'classes = "imagenet"\n>']
    other = ["resnet50>resnet51", '"input">"in"', "size = 224>size = 225", "1/255>1/256", "[0]>[1]", "Bearer >Token "]

    def changed(change: str) -> str:
        old, new = change.split(">")
        assert old in base
        (tmp_path / "t.toml").write_text(base.replace(old, new), encoding="utf-8")
        return str(tmp_path / "t.toml")

    reference = await identity(changed("[request]>[request]"))

    assert {await identity(changed(change)) for change in same} == {reference}
    assert len({reference, *[await identity(changed(change)) for change in other]}) == 1 + len(other)


async def test_the_order_of_numbers_by_name_is_part_of_the_identity(tmp_path: Path) -> None:
    """Where the classes' names decide which number is whose, other names are other answers."""
    text = SNIPPETS["huggingface-all.toml"]
    found = []
    for number, order in enumerate(('["cat", "dog", "fox"]', '["dog", "cat", "fox"]')):
        path = tmp_path / f"{number}.toml"
        path.write_text(text.replace('["cat", "dog", "fox"]', order), encoding="utf-8")
        found.append(await identity(str(path)))

    assert found[0] != found[1]


MINIMAL: dict[str, Any] = {"request": {"body": "raw"}, "answer": {"kind": "text", "text": "$.caption"}}


async def test_a_template_may_be_given_as_a_mapping_or_as_json(tmp_path: Path) -> None:
    """From Python a template needs no file, and a file may be JSON; both are the same oracle."""
    (tmp_path / "captions.json").write_text(json.dumps(MINIMAL), encoding="utf-8")
    async with serving(saying({"caption": "a red square"})) as url:
        mapped = await oracles.http.connect(url=url, template=MINIMAL)
        filed = await oracles.http.connect(url=url, template=str(tmp_path / "captions.json"))
        answers = [*await ask(mapped), *await ask(filed)]
        await mapped.aclose()
        await filed.aclose()

    assert answers == [Text("a red square")] * 2
    assert mapped.capabilities.identity == filed.capabilities.identity
    assert "template=Ellipsis" in repr(mapped)
    assert (mapped.capabilities.name, filed.capabilities.name) == ("template", "captions")


async def test_classes_lie_beside_the_template(tmp_path: Path) -> None:
    """A file of names is looked for where the template is, not where the program runs."""
    (tmp_path / "colours.txt").write_text("red\ngreen\nblue\n", encoding="utf-8")
    text = SNIPPETS["list.toml"].replace('["red", "green", "blue"]', '"colours.txt"')
    (tmp_path / "list.toml").write_text(text, encoding="utf-8")

    oracle = await oracles.http.connect(url="http://127.0.0.1:9", template=str(tmp_path / "list.toml"))

    assert oracle.capabilities.classes == Classes((("red",), ("green",), ("blue",)))


# --- templates that will not do ---


def changed(**tables: Any) -> dict[str, Any]:
    """Return the smallest template with these tables or keys in place of its own."""
    return MINIMAL | tables


def request(**keys: Any) -> dict[str, Any]:
    return changed(request=MINIMAL["request"] | keys)


def answer(**keys: Any) -> dict[str, Any]:
    return changed(answer=keys)


def in_json(content: Any, **keys: Any) -> dict[str, Any]:
    return changed(request={"body": "json", "json": content, **keys})


@pytest.mark.parametrize(
    ("template", "fault"),
    [
        ({}, r"the template needs request\.body"),
        (changed(bogus=1), r"unknown key of the template 'bogus'; known: pixels, request, answer"),
        (changed(request=1), r"request must be a table, not 1"),
        (changed(name=1), r"name must be a text, not 1"),
        (changed(usd_per_query=[1]), r"usd_per_query must be a text or a number"),
        (changed(usd_per_query="much"), r"'much' is not an amount of dollars"),
        (changed(identity={"version": [1]}), r"identity\.version must be a text or a whole number or a number"),
        (changed(pixels={"size": [0, 1]}), r"pixels\.size must be \[height, width\]"),
        (changed(pixels={"size": [1]}), r"pixels\.size must be"),
        (changed(pixels={"size": "224"}), r"pixels\.size must be a list or a whole number"),
        (changed(pixels={"crop": 2}), r"crop is the share"),
        (changed(pixels={"scale": "x"}), r"scale must be a number or a fraction"),
        (changed(pixels={"layout": "HWC"}), r"unknown value of pixels\.layout 'HWC'; known: NCHW, NHWC"),
        (changed(pixels={"dtype": "uint8", "scale": "1/255"}), r"sent as they are"),
        (changed(pixels={"bogus": 1}), r"unknown key of pixels 'bogus'"),
        (request(body="form"), r"unknown value of request\.body 'form'; known: json, multipart, raw"),
        (request(method="GET"), r"unknown value of request\.method 'GET'; known: POST, PUT"),
        (request(path="predict"), r"request\.path must begin with /"),
        (request(path="/a b"), r"request\.path must begin with / and hold neither spaces"),
        (request(path=f"/a?v=1&api_key={MARKER}"), r"request\.path holds what may be a key \(not shown\)"),
        (request(headers={"A b": "1"}), r"request\.headers: 'A b' cannot be the name of a header"),
        (request(headers={"A": "1\r\n"}), r"request\.headers: A must be printable ASCII on one line"),
        (request(headers={"A": 1}), r"request\.headers\.A must be a text"),
        (request(headers={"X-Api-Key": MARKER}), r"put the secret of X-Api-Key into an environment variable"),
        (request(headers={"authorization": f"Bearer {MARKER}"}), r"put the secret of authorization"),
        (request(headers={"A": "${1}"}), r"request\.headers takes the name of an environment variable"),
        (request(headers={"content-type": "a/b"}), r"content-type follows from request\.body"),
        (request(largest_batch=2), r"largest_batch is 2, and the template's request carries one image"),
        (request(largest_batch=0), r"largest_batch must be at least 1, not 0"),
        (request(not_ready=[200]), r"request\.not_ready must be a list of statuses from 400 to 599"),
        (request(content_type='a"b'), r"request\.content_type must be printable ASCII without quotes"),
        (request(field="data"), r"unknown key of request 'field'"),
        (request(body="multipart"), r"the template needs request\.field"),
        (request(body="multipart", field=""), r"request\.field must be printable ASCII"),
        (request(body="multipart", field="a", fields={"b\r\n": "c"}), r"the name of a field must be printable ASCII"),
        (in_json("{"), r"request\.json is not JSON"),
        (in_json({"a": 1}), r"request\.json has no place for an image"),
        (in_json({"a": "${images_count}"}), r"request\.json has no place for an image"),
        (in_json({"a": "${image}"}), r"unknown place in request\.json '\$\{image\}'; known: \$\{image_base64\}"),
        (in_json({"a": "${image_base64"}), r"unknown place in request\.json"),
        (in_json({"a": "x ${image_floats}"}), r"\$\{image_floats\} must stand alone as a value"),
        (in_json({"${image_base64}": 1}), r"\$\{image_base64\} must stand alone as a value"),
        (in_json({"${each}": "${image_base64}", "a": 1}), r"an object with '\$\{each\}' has nothing else in it"),
        (in_json([{"${each}": {"${each}": "${image_base64}"}}]), r"'\$\{each\}' cannot stand within another"),
        (in_json([{"${each}": "${images_flat}"}]), r"unknown place in request\.json, within '\$\{each\}'"),
        (in_json({"a": {1, 2}}), r"request\.json must be plain JSON"),
        (in_json("${image_base64}", largest_batch=2), r"request\.json is not JSON"),
        (in_json(["${image_base64}"], largest_batch=2), r"the template's request carries one image"),
        (in_json(["${images_flat}"], largest_batch=2), r"the template's request carries one image"),
        (answer(), r"the template needs answer\.kind"),
        (answer(kind="guess"), r"unknown value of answer\.kind 'guess'"),
        (answer(kind="text"), r'answer\.kind = "text" takes text; the template gives none of them'),
        (answer(kind="labels", values="$"), r"takes mapping, or names and scores, or names; the template gives values"),
        (answer(kind="scores", names="$"), r"takes values, or mapping, or names and scores; the template gives names"),
        (answer(kind="scores", values="$", mapping="$"), r"the template gives mapping and values"),
        (answer(kind="scores", mapping="$"), r"numbers by name are put into the order of answer\.classes"),
        (answer(kind="text", text="caption"), r"answer\.text must be a JSON path that begins with \$"),
        (answer(kind="text", text="$.a b"), r"answer\.text: the path '\$\.a b' cannot be read from ' b' on"),
        (answer(kind="text", text="$", classes=["a"]), r'answer\.kind = "text" has none'),
        (answer(kind="scores", values="$", classes=[]), r"answer\.classes must be a list of names that is not empty"),
        (answer(kind="scores", values="$", classes="none.txt"), r"cannot read the labels in 'none\.txt'"),
        (answer(kind="scores", values="$", softmax=True), r'answer\.kind is "scores"'),
        (answer(kind="text", text="$", softmax="yes"), r"answer\.softmax must be true or false, not 'yes'"),
    ],
)  # fmt: skip
async def test_a_template_that_cannot_be_used_is_named(template: dict[str, Any], fault: str) -> None:
    """What is missing, misspelled or contradictory is found before anything is sent, and no key is echoed."""
    with pytest.raises(UsageError) as caught:
        await oracles.http.connect(url="http://127.0.0.1:9", template=template)

    assert re.search(fault, str(caught.value))
    assert MARKER not in "".join(traceback.format_exception(caught.value))


@pytest.mark.parametrize(
    ("name", "content", "fault"),
    [
        ("none.toml", None, r"cannot read the template '.*none\.toml': No such file"),
        ("a.toml", "[", r"the template '.*a\.toml': it is no TOML"),
        ("a.json", "[", r"the template '.*a\.json': it is no JSON"),
        ("a.json", "[]", r"the template must be a table, not \[\]"),
        ("a.toml", b"\xff", r"it is no text in UTF-8"),
    ],
)
async def test_a_file_that_is_no_template_is_named(tmp_path: Path, name: str, content: Any, fault: str) -> None:
    """An absent or unreadable file is a message, not a traceback."""
    if content is not None:
        (tmp_path / name).write_bytes(content if isinstance(content, bytes) else content.encode())

    with pytest.raises(UsageError, match=fault):
        await oracles.http.connect(url="http://127.0.0.1:9", template=str(tmp_path / name))


async def test_two_keys_are_refused(tmp_path: Path) -> None:
    """A header of the template and key_env cannot both be the Authorization."""
    with pytest.raises(UsageError, match="an Authorization of its own: leave out key_env"):
        await oracles.http.connect(
            url="http://127.0.0.1:9", template=snippet(tmp_path, "huggingface.toml"), key_env="COLOURS_KEY"
        )


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
    missing = [key for key in known if f"`{key}`" not in PAGE and f"`[{key}]`" not in PAGE]
    assert not missing
    assert not [place for place in (*OF_AN_IMAGE, *OF_A_REQUEST) if f'`"${{{place}}}"`' not in PAGE]


# --- labels in every form ---

BEST_FIRST = Labels((Label("dog", 0.6), Label("cat", 0.4)))
TABLE = {"cat": 0.4, "dog": 0.6}
PAIRS = [["cat", 0.4], ["dog", 0.6]]
OBJECTS = [{"label": "cat", "score": 0.4}, {"label": "dog", "score": 0.6}]


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

    (item,) = reader.split(json.dumps(content).encode(), 1)

    assert reader.answer(item) == BEST_FIRST


def test_names_without_scores_keep_their_order() -> None:
    """Also nested ones, and numbers of classes."""
    reader = read_template(
        {"request": {"path": "/", "body": "raw"}, "answer": {"kind": "labels", "names": "$.found"}}
    ).reader

    (item,) = reader.split(b'{"found": [["dog"], ["cat", 7]]}', 1)

    assert reader.answer(item) == Labels((Label("dog"), Label("cat"), Label("7")))


def test_a_label_without_a_score_stays_beside_those_that_have_one() -> None:
    """An element without the member loses its score, not the whole answer."""
    paths = {"kind": "labels", "names": "$[*].label", "scores": "$[*].score"}
    reader = read_template({"request": {"path": "/", "body": "raw"}, "answer": paths}).reader

    (item,) = reader.split(b'[{"label": "dog", "score": 0.6}, {"label": "cat"}]', 1)

    assert reader.answer(item) == Labels((Label("dog", 0.6), Label("cat")))
