"""A Python function as an oracle: whatever it takes and returns, its answers are honest."""

from __future__ import annotations

import asyncio
import functools
import itertools
import re
import threading
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, Literal, get_args

import numpy as np
import pytest

from bbquery.client.answer_checks import checked
from bbquery.errors import MalformedAnswer, OracleError, OutcomeUnknown, RateLimited, Rejected, UnknownName, UsageError
from bbquery.oracle import Capabilities, Limits, Price, Quote, View
from bbquery.types import (
    FLOAT,
    UINT8,
    Answer,
    AnswerKind,
    Classes,
    Domain,
    Label,
    Labels,
    NoAnswer,
    Reply,
    Text,
    Vector,
)
from bbquery.units import Units
from oracles import function
from oracles.function import Pixels, Takes
from tests.support.images import tiny_images
from tests.support.replies import bare

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from bbquery.oracle import Oracle

Style = Literal["function", "coroutine", "partial of a coroutine", "object with an async call"]


def red_share(image: NDArray[Any]) -> list[float]:
    """Return two shares that anyone can check by hand."""
    share = float(image[..., 0].mean()) / 255
    return [share, 1 - share]


REPLIES: dict[AnswerKind, tuple[Callable[[NDArray[Any]], Any], Callable[[NDArray[Any]], Answer]]] = {
    "probabilities": (red_share, lambda image: Vector(np.array(red_share(image)))),
    "scores": (lambda image: image.sum(axis=(0, 1)) - 1e4, lambda image: Vector(image.sum(axis=(0, 1)) - 1e4)),
    "labels": (
        lambda image: [("cat", int(image[0, 0, 0])), "dog"],
        lambda image: Labels((Label("cat", float(image[0, 0, 0])), Label("dog"))),
    ),
    "text": (lambda image: f"red {int(image[0, 0, 0])}", lambda image: Text(f"red {int(image[0, 0, 0])}")),
}


def styled(call: Callable[[NDArray[Any]], Any], style: Style) -> Callable[..., Any]:
    """Return the same function in one of the ways that people write one."""

    async def coroutine(argument: NDArray[Any], _: int = 0) -> Any:
        await asyncio.sleep(0)
        return call(argument)

    class Model:
        async def __call__(self, argument: NDArray[Any]) -> Any:
            return await coroutine(argument)

    styles: dict[Style, Callable[..., Any]] = {
        "function": call,
        "coroutine": coroutine,
        "partial of a coroutine": functools.partial(coroutine, _=1),
        "object with an async call": Model(),
    }
    return styles[style]


def plain(answer: Answer | Reply | OracleError) -> Any:
    """Return an answer as something that can be compared."""
    if isinstance(answer, Reply):
        return plain(answer.answer)
    return answer.values.tolist() if isinstance(answer, Vector) else answer


async def ask(oracle: Oracle, images: Sequence[NDArray[Any]]) -> list[Answer | OracleError]:
    """Ask in one attempt, check the answers as the client does, and close the oracle."""
    try:
        replies = await oracle.answer([oracle.encode(image) for image in images])
    finally:
        await oracle.aclose()
    return bare(checked(replies, len(images), oracle.capabilities))


async def reply_to_one(call: Callable[..., Any], **options: Any) -> Answer | OracleError:
    """Ask about one image."""
    (answer,) = await ask(function.connect(call, **options), list(tiny_images(1)))
    return answer


# --- what a function may look like ---


@pytest.mark.parametrize(
    ("style", "takes", "pixels", "answers"),
    list(itertools.product(get_args(Style), get_args(Takes), get_args(Pixels), get_args(AnswerKind))),
)
async def test_every_form_of_function_gives_the_same_answers(
    style: Style, takes: Takes, pixels: Pixels, answers: AnswerKind
) -> None:
    """Synchronous or not, of an image or a batch, on bytes or floats: its answers come back in order, as promised."""
    seen: list[NDArray[Any]] = []
    reply, expected = REPLIES[answers]

    def call(argument: NDArray[Any]) -> Any:
        seen.append(argument)
        return [reply(image) for image in argument] if takes == "batch" else reply(argument)

    images = list(Domain(pixels).realise(tiny_images(3 if takes == "batch" else 1)))
    oracle = function.connect(styled(call, style), takes=takes, pixels=pixels, answers=answers)

    got = await ask(oracle, images)

    assert [plain(answer) for answer in got] == [plain(expected(image)) for image in images]
    (argument,) = seen
    assert (argument.dtype, argument.shape[-3:]) == (np.dtype(pixels), (8, 8, 3))
    assert oracle.capabilities.domain == (UINT8 if pixels == "uint8" else FLOAT)


def tensor(rows: list[list[float]]) -> Any:
    import torch

    return torch.tensor(rows)


@pytest.mark.parametrize("as_batch", [np.asarray, tuple, iter, tensor])
async def test_a_batch_may_come_back_in_any_sequence(as_batch: Callable[[Any], Any]) -> None:
    """Arrays, tuples, iterators and tensors of rows are all read row by row."""
    rows = [[0.25, 0.75], [0.5, 0.5]]
    oracle = function.connect(lambda batch: as_batch(rows), takes="batch")

    got = await ask(oracle, list(tiny_images(2)))

    assert [plain(answer) for answer in got] == rows


@pytest.mark.parametrize(
    ("returned", "labels"),
    [
        ("cat", [Label("cat")]),
        (["cat", "dog"], [Label("cat"), Label("dog")]),
        ([("cat", 0.75), ("dog", 1)], [Label("dog", 1.0), Label("cat", 0.75)]),
        (("cat", 0.75), [Label("cat", 0.75)]),
        ({"cat": 0.4, "dog": 0.6}, [Label("dog", 0.6), Label("cat", 0.4)]),
        ([{"label": "cat", "score": 0.4}, {"label": "dog", "score": 0.6}], [Label("dog", 0.6), Label("cat", 0.4)]),
        ({"name": "cat", "confidence": 0.4}, [Label("cat", 0.4)]),
        ([Label("cat", 0.4), Label("dog", 0.6)], [Label("dog", 0.6), Label("cat", 0.4)]),
        (Labels((Label("cat"),)), [Label("cat")]),
        ([("cat", 0.4), ("dog", None)], [Label("cat", 0.4), Label("dog")]),
        ([("cat", 0.4), ("dog", float("nan"))], [Label("cat", 0.4), Label("dog")]),
        ([["cat", 0.4]], [Label("cat", 0.4)]),
        ([7, 3], [Label("7"), Label("3")]),
        (np.array(["cat", "dog"]), [Label("cat"), Label("dog")]),
        ([("cat", np.float32(0.5))], [Label("cat", 0.5)]),
        ([], []),
    ],
)
async def test_labels_may_be_written_in_many_ways(returned: Any, labels: list[Label]) -> None:
    """A label, a list of labels, or of pairs with scores, in plain Python or NumPy."""
    assert await reply_to_one(lambda image: returned, answers="labels") == Labels(tuple(labels))


@pytest.mark.parametrize("answers", REPLIES)
async def test_none_is_a_refusal(answers: AnswerKind) -> None:
    """A function that returns None has looked and not answered; in a batch the others have."""
    assert await reply_to_one(lambda image: None, answers=answers) == NoAnswer("the function returned None")

    got = await ask(function.connect(lambda batch: [None, "cat"], takes="batch", answers="text"), list(tiny_images(2)))
    assert got == [NoAnswer("the function returned None"), Text("cat")]


# --- what a function may do wrong ---


class Unreadable:
    """Like a tensor that still belongs to a graph."""

    def __array__(self, *_: object, **__: object) -> NDArray[Any]:
        raise RuntimeError("call detach first")


@pytest.mark.parametrize(
    ("answers", "returned", "said"),
    [
        ("probabilities", [0.5, float("nan")], "the number of class 1 is nan"),
        ("probabilities", [0.2, 0.3, 0.5], "an answer has 3 numbers for 2 classes"),
        ("probabilities", [-3.0, 4.0], r"run from -3 to 4, .*activation=sigmoid if they are logits, .*answers=scores"),
        ("probabilities", [94.0, 6.0], "they add up to 100: say activation=percent"),
        ("probabilities", 0.75, "an answer has 1 numbers for 2 classes"),
        ("probabilities", 1, "a whole number is the index of a class and not a score: say answers=labels and return"),
        ("scores", np.int64(1), "a whole number is the index of a class"),
        ("probabilities", [[0.5, 0.5]], r"an answer of shape \(1, 2\)"),
        ("probabilities", "cat", "promised probabilities, returned 'cat'"),
        ("scores", {"cat": 1.0}, "promised scores, returned {'cat': 1.0}"),
        ("scores", Unreadable(), "call detach first"),
        ("labels", 3, "promised labels, returned 3"),
        ("labels", [("cat", 0.75, 1)], "promised labels, returned"),
        ("labels", [("", 0.75)], "a name must be a text"),
        ("labels", [("cat",)], "promised labels, returned"),
        ("labels", [("cat", "high")], "promised labels, returned"),
        ("labels", [("cat", float("inf"))], "the score of the label 'cat' must be a finite number, not inf"),
        ("text", ["a", "cat"], "promised text, returned .*: not a string"),
        ("text", b"a cat", "promised text, returned"),
    ],
)
@pytest.mark.parametrize("takes", ["image", "batch"])
async def test_an_answer_that_breaks_its_promise_is_malformed(
    answers: AnswerKind, returned: Any, said: str, takes: Takes
) -> None:
    """The error says what was promised and what came; its neighbour in a batch keeps its answer."""
    good: Any = {"probabilities": [0.25, 0.75], "scores": [1.0, 2.0], "labels": "cat", "text": "cat"}[answers]
    rows = [good, returned] if takes == "batch" else [returned]
    classes = "cat|dog" if answers == "probabilities" else None
    call = functools.partial(lambda what, _: what, rows if takes == "batch" else returned)
    oracle = function.connect(call, takes=takes, answers=answers, classes=classes)

    *others, last = await ask(oracle, list(tiny_images(len(rows))))

    assert isinstance(last, MalformedAnswer)
    assert re.search(said, str(last))
    assert not any(isinstance(answer, OracleError) for answer in others)


@pytest.mark.parametrize(
    ("returned", "options", "values"),
    [
        ([0.94, 0.94], {}, [0.94, 0.94]),
        ([1, 0], {}, [1.0, 0.0]),
        (0.94, {}, [0.94]),
        (np.float32(0.5), {}, [0.5]),
        (True, {}, [1.0]),
        (-3.5, {"answers": "scores"}, [-3.5]),
        ([0.0, np.log(3)], {"activation": "softmax"}, [0.25, 0.75]),
        ([0.0, np.log(3)], {"activation": "sigmoid"}, [0.5, 0.75]),
        (-1000.0, {"activation": "sigmoid"}, [0.0]),
        ([94, 6], {"activation": "percent"}, [0.94, 0.06]),
    ],
)
@pytest.mark.parametrize("takes", ["image", "batch"])
async def test_numbers_become_what_is_said(
    returned: Any, options: dict[str, Any], values: list[float], takes: Takes
) -> None:
    """Nothing is guessed: several yes or no stay what they are, and a number alone is the score of one class."""
    oracle = function.connect(lambda _: [returned] if takes == "batch" else returned, takes=takes, **options)

    (answer,) = await ask(oracle, list(tiny_images(1)))

    assert isinstance(answer, Vector)
    np.testing.assert_allclose(answer.values, values, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({}, "the function's numbers as they are"),
        ({"activation": "sigmoid"}, "sigmoid of the function's numbers, each a probability for itself"),
        ({"activation": "percent"}, "the function's numbers, which are percentages, divided by 100"),
        ({"answers": "labels"}, ""),
    ],
)
def test_what_is_made_of_numbers_is_said(options: dict[str, Any], said: str) -> None:
    """A sentence for people and records; only what is applied changes the key of answers."""
    plain = function.connect(lambda _: [0.5], version="1").capabilities.identity

    capabilities = function.connect(lambda _: [0.5], version="1", **options).capabilities

    assert capabilities.activation == said
    assert "activation" not in plain
    assert capabilities.identity.get("activation") == options.get("activation")


def test_an_activation_of_labels_is_refused() -> None:
    """Only numbers become probabilities."""
    with pytest.raises(UsageError, match="activation=softmax makes probabilities, and the answers are labels"):
        function.connect(lambda _: "cat", answers="labels", activation="softmax")


async def test_what_was_returned_is_shown_only_in_part() -> None:
    """A model that returns a megabyte of nonsense does not fill the screen."""
    answer = await reply_to_one(lambda image: "x" * 10**6, answers="probabilities")

    assert len(str(answer)) < 500


@pytest.mark.parametrize(("rows", "said"), [([], "0 answers to 2 images"), (["a"] * 3, "3 answers to 2 images")])
async def test_a_batch_of_the_wrong_length_spoils_all(rows: list[str], said: str) -> None:
    """Nobody can say which row belongs to which image."""
    oracle = function.connect(lambda batch: rows, takes="batch", answers="text")

    got = await ask(oracle, list(tiny_images(2)))

    assert [str(answer).endswith(said) for answer in got] == [True, True]


@pytest.mark.parametrize("returned", [None, 0.5, "ab"])
async def test_what_is_no_batch_is_malformed(returned: Any) -> None:
    """A single value where a batch was asked for is not taken for its rows; a string of two letters neither."""
    oracle = function.connect(lambda batch: returned, takes="batch", answers="text")

    with pytest.raises(MalformedAnswer, match="promised a batch of answers, returned"):
        await ask(oracle, list(tiny_images(2)))


@pytest.mark.parametrize("style", ["function", "coroutine"])
@pytest.mark.parametrize(("price", "kind", "outcome"), [(None, Rejected, "voided"), (Price(), OracleError, "unknown")])
async def test_an_error_of_the_function_is_the_oracles(
    style: Style, price: Price | None, kind: type[OracleError], outcome: str
) -> None:
    """What a free function raises cost nothing; one that pays for something may have paid. Neither is asked again."""

    def fails(image: NDArray[Any]) -> Any:
        raise MemoryError("no room")

    with pytest.raises(OracleError, match=r"fails.*: the function raised MemoryError: no room") as caught:
        await ask(function.connect(_named("fails", styled(fails, style)), price=price), list(tiny_images(1)))

    assert type(caught.value) is kind
    assert (caught.value.outcome, caught.value.retryable) == (outcome, False)
    assert isinstance(caught.value.__cause__, MemoryError)


def _named(name: str, call: Callable[..., Any]) -> Callable[..., Any]:
    call.__qualname__ = name
    return call


async def test_a_batch_that_fails_while_it_is_read_is_an_error_of_the_function() -> None:
    """A function that yields its rows may fail at any of them."""

    def rows(batch: NDArray[Any]) -> Iterator[list[float]]:
        yield [0.5, 0.5]
        raise MemoryError("no room")

    with pytest.raises(Rejected, match="the function raised MemoryError: no room"):
        await ask(function.connect(rows, takes="batch"), list(tiny_images(2)))


@pytest.mark.parametrize("error", [RateLimited("slow down", retry_after=3.0), OutcomeUnknown("lost")])
async def test_an_oracle_error_of_the_function_passes_as_it_is(error: OracleError) -> None:
    """A function that asks somebody else can say how that failed: for a whole attempt, or for one item."""

    def fails(batch: NDArray[Any]) -> Any:
        raise error

    with pytest.raises(type(error)) as caught:
        await ask(function.connect(fails, takes="batch"), list(tiny_images(2)))
    got = await ask(function.connect(lambda batch: ["cat", error], takes="batch", answers="text"), list(tiny_images(2)))

    assert caught.value is error
    assert got == [Text("cat"), error]


@pytest.mark.parametrize(("takes", "pixels"), [("image", "float64"), ("batch", "float64"), ("image", "uint8")])
async def test_a_function_may_spoil_its_argument(takes: Takes, pixels: Pixels) -> None:
    """A function that works in place gets pixels of its own: the photo stays, and so does the answer of a retry."""

    def in_place(argument: NDArray[Any]) -> Any:
        level = float(argument.mean())
        argument[:] = 0
        return [[level]] if takes == "batch" else [level]

    image = Domain(pixels).realise(tiny_images(1)[0])
    before = image.copy()
    oracle = function.connect(in_place, takes=takes, pixels=pixels, answers="scores")
    payload = oracle.encode(image)

    first, again = [plain((await oracle.answer([payload]))[0]) for _ in range(2)]
    await oracle.aclose()

    assert first == again == [before.mean()]
    assert np.array_equal(image, before)


@pytest.mark.parametrize("takes", ["image", "batch"])
async def test_a_function_may_use_its_result_again(takes: Takes) -> None:
    """An answer stays what it was when the function writes into the same array at the next call."""
    buffer = np.zeros((1, 2))

    def reusing(argument: NDArray[Any]) -> NDArray[np.float64]:
        buffer[:] = buffer + 1
        return buffer if takes == "batch" else buffer[0]

    oracle = function.connect(reusing, takes=takes, answers="scores")
    payload = oracle.encode(tiny_images(1)[0])
    first = (await oracle.answer([payload]))[0]
    await oracle.answer([payload])
    await oracle.aclose()

    assert plain(first) == [1.0, 1.0]


# --- money ---


@pytest.mark.parametrize("usd", ["0.0015", 0.0015])
async def test_a_stated_price_is_quoted_and_charged(usd: str | float) -> None:
    """Dollars for an image are what a query may cost, and what it did cost: answered, refused or unreadable."""
    returned = iter(["cat", None, 5])
    oracle = function.connect(lambda _: next(returned), answers="text", usd_per_query=usd)
    payload = oracle.encode(tiny_images(1)[0])
    price = Units(queries=1, picodollars=1_500_000_000)

    replies = [(await oracle.answer([payload]))[0] for _ in range(3)]
    await oracle.aclose()

    assert oracle.quote(payload) == Quote(worst=price, expected=price)
    assert not oracle.capabilities.price.free
    assert isinstance(replies[2], MalformedAnswer)
    assert [reply.cost for reply in replies if isinstance(reply, Reply | MalformedAnswer)] == [price] * 3


async def test_without_a_price_a_function_is_free() -> None:
    """A query is counted, and nothing is paid."""
    oracle = function.connect(red_share)
    reply = await _answer(oracle)
    await oracle.aclose()

    assert oracle.capabilities.price == Price(free=True)
    assert isinstance(reply, Reply)
    assert oracle.quote(reply).worst == reply.cost == Units(queries=1)


@pytest.mark.parametrize("usd", ["some", "-1", "", float("nan")])
def test_a_price_that_is_none_is_refused(usd: str | float) -> None:
    """An amount is dollars from 0 on."""
    with pytest.raises(UsageError, match="dollars"):
        function.connect(red_share, usd_per_query=usd)


@pytest.mark.parametrize("takes", ["image", "batch"])
async def test_a_reply_of_the_function_passes_as_it_is(takes: Takes) -> None:
    """A function that asks somebody else can say what an answer cost and who gave it."""
    reply = Reply(Text("cat"), cost=Units(queries=1, tokens=7, picodollars=3), served="model-2")
    oracle = function.connect(lambda _: [reply] if takes == "batch" else reply, takes=takes, answers="text")

    got = await _answer(oracle)
    await oracle.aclose()

    assert got is reply


# --- threads ---


@pytest.mark.parametrize("concurrency", [1, 3])
async def test_a_synchronous_function_runs_on_threads_of_its_own(concurrency: int) -> None:
    """As many calls at once as `concurrency`, none of them on the event loop's thread."""
    together = threading.Barrier(concurrency)
    threads: set[int] = set()

    def call(image: NDArray[Any]) -> list[float]:
        together.wait(timeout=30)
        threads.add(threading.get_ident())
        return [1.0]

    oracle = function.connect(call, concurrency=concurrency)
    await asyncio.gather(*(oracle.answer([image]) for image in tiny_images(concurrency)))
    await oracle.aclose()

    assert len(threads) == concurrency
    assert threading.get_ident() not in threads
    assert oracle.capabilities.limits.concurrency == concurrency


async def test_closing_does_not_hold_up_the_loop() -> None:
    """While a slow call is waited for, other work on the loop goes on."""
    started, finish = threading.Event(), threading.Event()

    def slow(image: NDArray[Any]) -> list[float]:
        started.set()
        return [float(finish.wait(timeout=5))]

    oracle = function.connect(slow)
    answering = asyncio.create_task(_answer(oracle))
    while not started.is_set():
        await asyncio.sleep(0)
    closing = asyncio.create_task(oracle.aclose())
    await asyncio.sleep(0)
    finish.set()
    await asyncio.gather(closing, answering)

    assert plain(answering.result()) == [1.0]


async def _answer(oracle: Oracle) -> Reply | OracleError:
    return (await oracle.answer([oracle.encode(tiny_images(1)[0])]))[0]


# --- connect ---


def test_options_become_capabilities() -> None:
    """What the caller says of the function is what the client is told."""
    oracle = function.connect(
        red_share, answers="scores", takes="batch", pixels="float64", height=224, width=192, crop=0.875,
        classes="cat|dog", version="3", largest_batch=64, concurrency=2, price=Price(free=False),
    )  # fmt: skip

    assert oracle.capabilities == Capabilities(
        name="red_share",
        answers="scores",
        identity={
            "oracle": "function",
            "function": f"{__name__}.red_share",
            "version": "3",
            "answers": "scores",
            "takes": "batch",
        },
        classes=Classes((("cat",), ("dog",))),
        domain=FLOAT,
        view=View(size=(224, 192), crop=0.875),
        limits=Limits(largest_batch=64, concurrency=2),
        price=Price(free=False),
        activation="the function's numbers as they are",
    )


def test_little_needs_to_be_said() -> None:
    """A function of one uint8 image that returns probabilities is an oracle as it is: free, one call at a time."""
    capabilities = function.connect(red_share).capabilities

    assert (capabilities.answers, capabilities.classes, capabilities.domain) == ("probabilities", None, UINT8)
    assert (capabilities.view, capabilities.limits) == (View(), Limits(largest_batch=1, concurrency=1))
    assert capabilities.price == Price(free=True)
    assert function.connect(red_share, takes="batch").capabilities.limits.largest_batch == 16


def test_class_names_may_be_a_list() -> None:
    """From Python, names need not be joined, and may then hold a bar."""
    capabilities = function.connect(red_share, classes=["cat|kitten", "dog"]).capabilities

    assert capabilities.classes == Classes((("cat|kitten",), ("dog",)))


def test_answers_outlive_a_run_only_with_a_version() -> None:
    """A function may change unseen, so without a version every connection is another model."""
    first, second = (function.connect(red_share).capabilities.identity for _ in range(2))
    named = [function.connect(red_share, version="1").capabilities.identity for _ in range(2)]

    assert first != second
    assert named[0] == named[1]


@pytest.mark.parametrize("options", [{"version": "2"}, {"answers": "scores"}, {"takes": "batch"}])
def test_what_changes_answers_changes_the_identity(options: dict[str, Any]) -> None:
    """Answers are stored under the identity, so another reading of the same function is another oracle."""
    one = function.connect(red_share, version="1").capabilities.identity
    other = function.connect(red_share, **({"version": "1"} | options)).capabilities.identity

    assert one != other


async def test_a_function_is_found_by_its_path() -> None:
    """On a command line a function is named as Python would import it."""
    oracle = function.connect("tests.support.models.sides")

    (answer,) = await ask(oracle, [np.full((8, 8, 3), 9, np.uint8)])

    assert plain(answer) == [0.5, 0.5]
    assert oracle.capabilities.name == "sides"


@pytest.mark.parametrize(
    ("call", "said"),
    [
        ("no_such_module.f", "cannot import 'f' from 'no_such_module': neither the current folder"),
        ("tests.support.models.no_such", "it has no such name"),
        ("sides", "write package.module.function"),
        (".sides", "write package.module.function"),
        ("", "write package.module.function"),
        ("tests.support.models", "is not a function"),
        (3, "3 is not a function"),
        (None, "None is not a function"),
    ],
)
def test_what_is_no_function_is_refused(call: Any, said: str) -> None:
    """A wrong path says what was not found and how paths are written."""
    with pytest.raises(UsageError) as caught:
        function.connect(call)

    assert said in str(caught.value)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"height": 8}, "give height and width, or neither"),
        ({"width": 8}, "give height and width, or neither"),
        ({"largest_batch": 4}, "say takes=batch"),
        ({"takes": "batch", "largest_batch": 0}, "largest_batch must be at least 1, not 0"),
        ({"concurrency": 0}, "concurrency must be at least 1, not 0"),
    ],
)
def test_options_that_contradict_each_other_are_refused(options: dict[str, Any], said: str) -> None:
    """A contradiction is found before anything is asked, and the way out is named."""
    with pytest.raises(UsageError, match=said):
        function.connect(red_share, **options)


@pytest.mark.parametrize("option", ["answers", "takes", "pixels"])
def test_a_choice_that_does_not_exist_lists_those_that_do(option: str) -> None:
    """A misspelt choice is not silently another one."""
    options: dict[str, Any] = {option: "imagse"}

    with pytest.raises(UnknownName, match=f"unknown value of {option} 'imagse'; known: "):
        function.connect(red_share, **options)
