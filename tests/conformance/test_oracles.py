"""What every oracle promises, whoever answers: each new file is tested without being asked.

Oracles are taken from `load.names("oracle")`. How each is connected on this machine, without a key or a network, is
its recipe in RECIPES.
"""

from __future__ import annotations

import asyncio
import dataclasses
import importlib
import inspect
import json
import pickle
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias, get_args

import numpy as np
import pytest

from bbquery import load
from bbquery.client.answer_checks import checked
from bbquery.errors import BbqueryError, OracleError, UsageError
from bbquery.oracle import Quote
from bbquery.types import Answer, AnswerKind, Domain, Labels, Reply, Text, Vector
from bbquery.units import Units
from oracles import efficientnet, function, http
from oracles._http.template import shipped
from oracles.emulators.http import HttpEmulator
from tests.support.paths import ROOT

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from bbquery.oracle import Oracle

NAMES = list(load.names("oracle"))

# Packages that take long to import or that not everybody has, and the oracles that bring one along.
HEAVY = frozenset(
    {"torch", "openai", "google", "nltk", "onnxruntime", "onnx", "aiohttp", "matplotlib", "skimage", "transformers"}
)
OWN_LIBRARY = {"http": {"aiohttp"}}

Connecting: TypeAlias = Callable[[], Awaitable["Oracle"]]
Recipe: TypeAlias = Callable[[], AbstractAsyncContextManager[Connecting]]


# --- recipes: a context in which the oracle can be connected, and how it is connected then ---


def shares(batch: NDArray[Any]) -> NDArray[np.float64]:
    """Return the shares of the colours in each image of a batch: irrational numbers, so that every bit counts."""
    colours = np.sqrt(batch.reshape(len(batch), -1, 3).mean(axis=1, dtype=np.float64) + 1)
    found: NDArray[np.float64] = colours / colours.sum(axis=1, keepdims=True)
    return found


@asynccontextmanager
async def a_network() -> AsyncIterator[Connecting]:
    """EfficientNet as it is."""

    async def connect() -> Oracle:
        return efficientnet.connect()

    yield connect


@asynccontextmanager
async def a_function() -> AsyncIterator[Connecting]:
    """A function of this module."""

    async def connect() -> Oracle:
        return function.connect(shares, takes="batch", largest_batch=4, height=8, width=12, version="1")

    yield connect


@asynccontextmanager
async def a_model() -> AsyncIterator[Oracle]:
    """That function with names for its classes, to be served."""
    model = function.connect(
        shares, takes="batch", largest_batch=4, concurrency=2, height=8, width=12, version="1", classes="r|g|b"
    )
    yield model
    await model.aclose()


@asynccontextmanager
async def a_server() -> AsyncIterator[Connecting]:
    """That model behind the emulator of our own protocol."""

    async def connect() -> Oracle:
        return await http.connect(url=url)

    async with a_model() as model, HttpEmulator(model).running() as url:
        yield connect


@asynccontextmanager
async def a_file() -> AsyncIterator[Connecting]:
    """A file with a small network."""
    from oracles import onnx
    from tests.support.onnx_models import classifier

    async def connect() -> Oracle:
        return onnx.connect(model=path, scale="1/255")

    with tempfile.TemporaryDirectory() as folder:
        path = classifier(Path(folder) / "model.onnx")
        yield connect


@asynccontextmanager
async def a_chat() -> AsyncIterator[Connecting]:
    """That model behind the emulator of OpenAI's protocol, asked without a key."""
    from oracles import openai
    from oracles.emulators.openai import OpenAIEmulator

    async def connect() -> Oracle:
        return openai.connect(model="gpt-4o-mini", base_url=url, key_env=None, height=8, width=12)

    async with a_model() as model, OpenAIEmulator(model).running() as url:
        yield connect


def by_template(name: str, protocol: str, **options: Any) -> Recipe:
    """Return a recipe: that model behind the emulator of a vendor, asked by the template of this name."""

    @asynccontextmanager
    async def served() -> AsyncIterator[Connecting]:
        module = importlib.import_module(load.names("emulator")[protocol])
        emulator = next(made for called, made in vars(module).items() if called in module.__all__ and "Emul" in called)

        async def connect() -> Oracle:
            return await http.connect(template=name, url=url, size=8, key_env="REHEARSAL_KEY", **options)

        async with a_model() as model, emulator(model).running() as url:
            yield connect

    return served


@asynccontextmanager
async def a_moderation() -> AsyncIterator[Connecting]:
    """That model's probabilities as the moderation of images behind the same emulator."""
    from oracles import openai_moderation
    from oracles.emulators.openai import OpenAIEmulator

    async def connect() -> Oracle:
        return openai_moderation.connect(base_url=url, key_env=None, height=8, width=12)

    async with a_model() as model, OpenAIEmulator(model).running() as url:
        yield connect


@asynccontextmanager
async def a_label_service() -> AsyncIterator[Connecting]:
    """That model behind the emulator of Google's protocol, asked without credentials."""
    from oracles import google_vision
    from oracles.emulators.google_vision import GoogleVisionEmulator

    async def connect() -> Oracle:
        return google_vision.connect(endpoint=url.removeprefix("http://"), height=8, width=12)

    async with a_model() as model, GoogleVisionEmulator(model).running() as url:
        yield connect


RECIPES: dict[str, Recipe] = {
    "efficientnet": a_network,
    "function": a_function,
    "google_vision": a_label_service,
    "http": a_server,
    "onnx": a_file,
    "openai": a_chat,
    "openai_moderation": a_moderation,
}
TEMPLATES: dict[str, Recipe] = {
    "@anthropic-messages": by_template("@anthropic-messages", "anthropic", model="claude-haiku-4-5"),
    "@gemini": by_template("@gemini", "gemini", model="gemini-2.5-flash-lite"),
    "@hugging-face": by_template("@hugging-face", "hugging_face"),
    "@ollama": by_template("@ollama", "ollama", model="llava"),
}
"""How each template that comes with bbquery is asked here."""


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A cache that lasts for the module, so that a model is built once."""
    return tmp_path_factory.mktemp("models")


@pytest.fixture
def recipe(request: pytest.FixtureRequest, models: Path, monkeypatch: pytest.MonkeyPatch) -> Recipe:
    monkeypatch.setenv("BBQUERY_HOME", str(models))
    monkeypatch.setenv("REHEARSAL_KEY", "any")
    name: str = request.param
    found = (RECIPES | TEMPLATES).get(name)
    if found is None:
        pytest.fail(f"{name!r} is new: say in RECIPES or TEMPLATES of {__file__} how to connect it here, without a key")
    return found


@pytest.fixture
async def oracle(recipe: Recipe) -> AsyncIterator[Oracle]:
    async with recipe() as connect:
        connected = await connect()
        yield connected
        await connected.aclose()


each_oracle = pytest.mark.parametrize("recipe", [*NAMES, *shipped.names()], indirect=True)


def images(oracle: Oracle, count: int, *, grow: int = 0) -> list[NDArray[Any]]:
    """Return distinct images of an oracle's domain and size, or of a size that is not its own."""
    height, width = oracle.capabilities.view.size or (8, 8)
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 256, (count, height + grow, width + grow, 3))
    return list(oracle.capabilities.domain.realise(pixels))


async def answers(oracle: Oracle, batch: Sequence[NDArray[Any]]) -> list[Answer]:
    """Ask for a batch in one attempt; every image must be answered as promised."""
    replies = await oracle.answer([oracle.encode(image) for image in batch])
    found = checked(replies, len(batch), oracle.capabilities)
    failed = [reply for reply in found if isinstance(reply, OracleError)]
    assert failed == []
    return [reply.answer for reply in found if isinstance(reply, Reply)]


def bits(answer: Answer) -> object:
    """Return an answer as something of which every bit is compared."""
    return answer.values.tobytes() if isinstance(answer, Vector) else answer


def parameters(name: str) -> list[inspect.Parameter]:
    connect = importlib.import_module(load.names("oracle")[name]).connect
    return list(inspect.signature(connect).parameters.values())


# --- the module ---


def test_there_are_oracles_and_every_recipe_has_one() -> None:
    """The enumeration finds what is there, and no recipe outlives its oracle."""
    assert {"efficientnet", "function", "http"} <= set(NAMES)
    assert set(RECIPES) <= set(NAMES)
    assert set(TEMPLATES) <= set(shipped.names())


@pytest.mark.parametrize("name", NAMES)
def test_an_oracle_is_a_documented_connect(name: str) -> None:
    """The module says what it is, `connect` says what it does, and one of them explains every option by name."""
    module = importlib.import_module(load.names("oracle")[name])
    of_module, of_connect = module.__doc__ or "", inspect.getdoc(module.connect) or ""

    assert of_module.partition("\n")[0].endswith(".")
    assert of_connect.partition("\n")[0].endswith(".")
    assert [option.name for option in parameters(name) if option.name not in of_module + of_connect] == []


@pytest.mark.parametrize("name", NAMES)
def test_options_are_given_by_name(name: str) -> None:
    """`connect` takes at most one thing by position; all else is an option with a name and a type."""
    by_position = [p for p in parameters(name) if p.kind is not p.KEYWORD_ONLY]

    assert len(by_position) <= 1
    assert all(p.kind is p.POSITIONAL_OR_KEYWORD for p in by_position)
    assert all(p.annotation is not p.empty for p in parameters(name))


@pytest.mark.parametrize("name", NAMES)
def test_importing_an_oracle_brings_no_foreign_package(name: str) -> None:
    """An oracle that is looked at, but not connected, imports nothing heavy, save its own vendor's library."""
    code = f"import sys, {load.names('oracle')[name]}; print(*{{module.partition('.')[0] for module in sys.modules}})"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)

    assert (set(done.stdout.split()) & HEAVY) <= OWN_LIBRARY.get(name, set())


# --- capabilities ---


@each_oracle
async def test_capabilities_are_constant_and_frozen(oracle: Oracle) -> None:
    """What an oracle takes and gives is the same before and after it was asked, and nobody can change it."""
    before = oracle.capabilities

    await answers(oracle, images(oracle, 1))

    assert oracle.capabilities == before
    with pytest.raises(dataclasses.FrozenInstanceError):
        before.name = "another"  # type: ignore[misc] # that is the point


@each_oracle
async def test_capabilities_make_sense(oracle: Oracle) -> None:
    """There is a name, a kind of answer, a domain and limits that let something be sent."""
    capabilities = oracle.capabilities
    limits = capabilities.limits

    assert capabilities.name
    assert capabilities.answers in get_args(AnswerKind)
    assert capabilities.domain in (Domain("uint8"), Domain("float64"))
    assert min(limits.largest_batch, limits.concurrency) >= 1
    assert limits.timeout > 0
    if capabilities.classes is not None:
        keys = capabilities.classes.keys
        assert len(keys) in (0, len(capabilities.classes))
        assert len(set(keys)) == len(keys)


@each_oracle
async def test_the_identity_is_stable_and_can_be_written_down(recipe: Recipe) -> None:
    """Two connections to the same model have the same identity, and it survives JSON: answers are stored under it."""
    async with recipe() as connect:
        first, second = [await connect(), await connect()]
        identities = [oracle.capabilities.identity for oracle in (first, second)]
        await asyncio.gather(first.aclose(), second.aclose())

    assert identities[0] == identities[1] == json.loads(json.dumps(dict(identities[0])))
    assert identities[0]


# --- asking ---


@each_oracle
async def test_encoding_is_pure(oracle: Oracle) -> None:
    """The same image is the same payload, now, later and on another thread, and is not touched."""
    (image,) = images(oracle, 1)
    before = image.copy()

    first, later = oracle.encode(image), oracle.encode(image)
    elsewhere = await asyncio.to_thread(oracle.encode, image)

    assert pickle.dumps(first) == pickle.dumps(later) == pickle.dumps(elsewhere)
    assert np.array_equal(image, before)


@each_oracle
async def test_answers_are_of_the_promised_kind(oracle: Oracle) -> None:
    """A full batch is answered in full, each answer as the capabilities say."""
    kinds = {"probabilities": Vector, "scores": Vector, "labels": Labels, "text": Text}

    found = await answers(oracle, images(oracle, oracle.capabilities.limits.largest_batch))

    assert all(isinstance(answer, kinds[oracle.capabilities.answers]) for answer in found)


@each_oracle
async def test_an_answer_does_not_depend_on_its_batch(oracle: Oracle) -> None:
    """Alone, in a full batch or in that batch backwards, an image gets the same answer, to the bit and in its place."""
    batch = images(oracle, oracle.capabilities.limits.largest_batch)

    alone = [bits((await answers(oracle, [image]))[0]) for image in batch]
    together = [bits(answer) for answer in await answers(oracle, batch)]
    backwards = [bits(answer) for answer in await answers(oracle, batch[::-1])]

    assert alone == together == backwards[::-1]
    assert len(set(alone)) == len(batch)


@each_oracle
async def test_attempts_may_run_side_by_side(oracle: Oracle) -> None:
    """As many attempts at once as the oracle allows, and each gets its own answer."""
    each = images(oracle, oracle.capabilities.limits.concurrency)

    at_once = await asyncio.gather(*(answers(oracle, [image]) for image in each))

    assert [bits(found[0]) for found in at_once] == [bits((await answers(oracle, [image]))[0]) for image in each]


@each_oracle
async def test_a_query_has_a_price_before_it_is_sent(oracle: Oracle) -> None:
    """A quote is pure and counts the query; what is likely does not exceed the worst; a free oracle asks no money."""
    payload = oracle.encode(images(oracle, 1)[0])

    quote = oracle.quote(payload)

    assert isinstance(quote, Quote)
    assert oracle.quote(payload) == quote
    assert quote.worst.queries == quote.expected.queries == 1
    assert all(0 <= getattr(quote.expected, unit) <= getattr(quote.worst, unit) for unit in vars(Units()))
    assert not (oracle.capabilities.price.free and quote.worst.picodollars)


@each_oracle
async def test_a_bill_stays_within_its_quote(oracle: Oracle) -> None:
    """What an oracle says that an answer cost is no more than the worst case that was held for it."""
    (image,) = images(oracle, 1)

    (reply,) = await oracle.answer([oracle.encode(image)])

    assert isinstance(reply, Reply)
    worst = oracle.quote(oracle.encode(image)).worst
    assert reply.cost is None or all(getattr(reply.cost, unit) <= getattr(worst, unit) for unit in vars(worst))


async def outcome(oracle: Oracle, image: NDArray[Any]) -> BbqueryError | Answer:
    """Return what becomes of an image: its answer, or the error it meets on its way."""
    try:
        replies = await oracle.answer([oracle.encode(image)])
    except BbqueryError as error:
        return error
    (reply,) = checked(replies, 1, oracle.capabilities)
    return reply.answer if isinstance(reply, Reply) else reply


@each_oracle
async def test_an_image_of_the_wrong_size_is_refused_or_answered(oracle: Oracle) -> None:
    """Pixels that no view would produce are the caller's mistake, the oracle's final refusal, or just an image."""
    (image,) = images(oracle, 1, grow=3)

    found = await outcome(oracle, image)

    assert isinstance(found, Answer | UsageError | OracleError)
    assert not (isinstance(found, OracleError) and found.retryable)


@each_oracle
async def test_closing_twice_is_closing_once(recipe: Recipe) -> None:
    """An oracle is closed after use, unused, or again, without a complaint."""
    async with recipe() as connect:
        used, unused = await connect(), await connect()
        await answers(used, images(used, 1))

        complaints: list[BaseException | None] = []
        for oracle in (used, unused, used, unused):
            complaints += await asyncio.gather(oracle.aclose(), return_exceptions=True)

    assert complaints == [None] * 4
