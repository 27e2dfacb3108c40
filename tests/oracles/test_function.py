"""A Python function as an oracle: whatever it takes and returns, its answers are honest."""

from __future__ import annotations

import asyncio
import itertools
import threading
from typing import TYPE_CHECKING, Any, get_args

import numpy as np
import pytest

from bbquery.errors import UnknownName, UsageError
from bbquery.images.boxes import Box
from bbquery.oracle import Capabilities, Limits, Price, View
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
    Text,
    Vector,
)
from oracles import function
from oracles.function import Pixels, Takes
from tests.support.images import tiny_images

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

from tests.support.function_styles import Style, _answer, ask, plain, red_share, reply_to_one, styled

REPLIES: dict[AnswerKind, tuple[Callable[[NDArray[Any]], Any], Callable[[NDArray[Any]], Answer]]] = {
    "probabilities": (red_share, lambda image: Vector(np.array(red_share(image)))),
    "scores": (lambda image: image.sum(axis=(0, 1)) - 1e4, lambda image: Vector(image.sum(axis=(0, 1)) - 1e4)),
    "labels": (
        lambda image: [("cat", int(image[0, 0, 0])), "dog"],
        lambda image: Labels((Label("cat", float(image[0, 0, 0])), Label("dog"))),
    ),
    "text": (lambda image: f"red {int(image[0, 0, 0])}", lambda image: Text(f"red {int(image[0, 0, 0])}")),
}


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


BOX = Box.of(0, 0.25, 0.5, 1)


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
        ([Label("cat", 0.4, BOX)], [Label("cat", 0.4, BOX)]),
        ({"label": "cat", "score": 0.4, "box": np.array(BOX)}, [Label("cat", 0.4, BOX)]),
        ([{"label": "cat", "score": 0.4, "box": {"xmin": 3, "ymin": 5}}], [Label("cat", 0.4)]),
        ([{"label": "cat", "score": 0.4, "box": [0, 0, 224, 224]}], [Label("cat", 0.4)]),
    ],
)
async def test_labels_may_be_written_in_many_ways(returned: Any, labels: list[Label]) -> None:
    """A label, a list of labels, or of pairs with scores, in plain Python or NumPy; boxes in shares of the image."""
    assert await reply_to_one(lambda image: returned, answers="labels") == Labels(tuple(labels))


@pytest.mark.parametrize("answers", REPLIES)
async def test_none_is_a_refusal(answers: AnswerKind) -> None:
    """A function that returns None has looked and not answered; in a batch the others have."""
    assert await reply_to_one(lambda image: None, answers=answers) == NoAnswer("the function returned None")

    got = await ask(function.connect(lambda batch: [None, "cat"], takes="batch", answers="text"), list(tiny_images(2)))
    assert got == [NoAnswer("the function returned None"), Text("cat")]


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
            "function": "tests.support.function_styles.red_share",
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
