"""Keys of templates, what they declare, and what is said of templates that will not do."""

from __future__ import annotations

import json
import re
import traceback
from typing import TYPE_CHECKING, Any

import pytest
from aiohttp import web

import oracles.http
from bbquery.errors import (
    OracleError,
    UnknownPrice,
    UsageError,
)
from bbquery.oracle import Limits, Quote, View
from bbquery.types import Classes, Text
from bbquery.units import Units
from tests.support.http_helpers import saying, serving
from tests.support.http_templates import MINIMAL, SNIPPETS, answer, ask, changed, connected, photos, request, snippet
from tests.support.template_servers import (
    HuggingFace,
    TorchServe,
)

if TYPE_CHECKING:
    from pathlib import Path

MARKER = "hf_marker-5eC12eT"


pytestmark = pytest.mark.usefixtures("hugging_face_token")


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


def in_json(content: Any, **keys: Any) -> dict[str, Any]:
    return changed(request={"body": "json", "json": content, **keys})


# --- templates that will not do ---


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


async def test_a_key_of_another_name_takes_the_templates_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """key_env names the variable of the one secret that a template sends; of two it is not known which is meant."""
    monkeypatch.setenv("MY_TOKEN", "hf_marker")
    monkeypatch.delenv("HF_TOKEN")
    async with connected(HuggingFace(), tmp_path, "huggingface.toml", key_env="MY_TOKEN") as oracle:
        (answer,) = await ask(oracle)
    assert answer.labels

    two = request(headers={"X-Key": "${ONE}", "Authorization": "Bearer ${TWO}"})
    with pytest.raises(UsageError, match="key_env names one secret, and the template has 2: ONE, TWO"):
        await oracles.http.connect(url="http://127.0.0.1:9", template=two, key_env="MY_TOKEN")
