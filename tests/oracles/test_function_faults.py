"""What a function may do wrong as an oracle, and what it may cost."""

from __future__ import annotations

import functools
import re
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from bbquery.errors import MalformedAnswer, OracleError, OutcomeUnknown, RateLimited, Rejected, UsageError
from bbquery.oracle import Price, Quote
from bbquery.types import (
    AnswerKind,
    Domain,
    Reply,
    Text,
    Vector,
)
from bbquery.units import Units
from oracles import function
from tests.support.images import tiny_images

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from numpy.typing import NDArray

    from oracles.function import Pixels, Takes

from tests.support.function_styles import Style, _answer, ask, plain, red_share, reply_to_one, styled


class Unreadable:
    """Like a tensor that still belongs to a graph."""

    def __array__(self, *_: object, **__: object) -> NDArray[Any]:
        raise RuntimeError("call detach first")


# --- what a function may do wrong ---


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
