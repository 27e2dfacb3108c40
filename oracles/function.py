"""Any Python function as an oracle: the shortest way to explain a model of your own."""

from __future__ import annotations

import asyncio
import inspect
import uuid
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, Literal, TypeAlias, cast

import numpy as np

from bbquery.errors import MalformedAnswer, OracleError, Rejected, UsageError, described
from bbquery.oracle import UNNAMED, Capabilities, Limits, Price, Quote
from bbquery.system.forks import OneProcess
from bbquery.system.imports import imported
from bbquery.types import Answer, AnswerKind, Classes, Domain, Image, Labels, NoAnswer, Reply, Text, Vector
from oracles._shared.activation import Applied, activation_text, apply, are_shares, check_probabilities
from oracles._shared.options import check_at_least_one, check_choices, class_names, view_of
from oracles._shared.price import STATED, cost_of_query
from oracles._shared.scored_labels import labels_of, scored_of

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from bbquery.oracle import Oracle
    from bbquery.units import Units

Takes: TypeAlias = Literal["image", "batch"]
Pixels: TypeAlias = Literal["uint8", "float64"]


def connect(
    call: Callable[..., Any] | str,
    *,
    answers: AnswerKind = "probabilities",
    activation: Applied = "none",
    takes: Takes = "image",
    pixels: Pixels = "uint8",
    height: int | None = None,
    width: int | None = None,
    crop: float | None = None,
    classes: str | Sequence[str] | None = None,
    version: str | None = None,
    largest_batch: int | None = None,
    concurrency: int = 1,
    usd_per_query: str | float | None = None,
    price: Price | None = None,
) -> Oracle:
    """Wrap `call`, a function or its path `package.module.function`, which may be asynchronous.

    It takes one image (H, W, 3), or with takes="batch" several (n, H, W, 3), in grey levels 0 to 255 (uint8, or
    float64, which is neither rounded nor clipped), and returns for each image, as `answers` says:

    - "probabilities" or "scores": one number for each class; a number alone is the score of one class.
    - "labels": a label, or labels with their scores: a list of labels (best first), a mapping of scores by label, a
      list of (label, score) pairs or of {"label": ..., "score": ...}, where "box": [left, top, right, bottom] may
      stand beside them, in shares of the image (0 to 1).
    - "text": a string.

    None stands for a refusal to answer.

    The function may also return a `Reply`, which says what an answer cost and which model served it, and return or
    raise an `OracleError`, which says how an attempt failed; both pass as they are.

    Args:
        call: the function, or its path package.module.function.
        answers: what it returns, as above.
        activation: what makes probabilities of the numbers: softmax or sigmoid of logits, percent of
            percentages; none takes them as they are.
        takes: image, one at a time (H, W, 3), or batch, several at once (n, H, W, 3).
        pixels: grey levels of 0 to 255: uint8, or float64, which is neither rounded nor clipped.
        height: height that an image is resized to, in pixels; none leaves the photo's own; at least 1.
        width: width that an image is resized to, in pixels; none leaves the photo's own; at least 1.
        crop: central share of the photo's shorter side that is sent; none sends all; above 0, at most 1.
        classes: names in the order of the numbers, separated by "|" in a string.
        version: names the state of the function: answers are kept for later runs only where it is given, since
            a function may change unseen.
        largest_batch: images in a call, with takes=batch; none takes 16; at least 1.
        concurrency: calls at once; leave it at 1 unless the function is safe from several threads; at least 1.
        usd_per_query: dollars for an image, where the function pays for something; without it the function is
            free; at least 0.
        price: in place of the one that follows from usd_per_query.

    Raises:
        UsageError: the function cannot be imported or called, or options contradict each other.
        UnknownName: answers, activation, takes or pixels is none of its choices.
    """
    function = _imported(call) if isinstance(call, str) else call
    if not callable(function):
        raise UsageError(f"{call!r} is not a function")
    check_choices(
        answers=(answers, AnswerKind), activation=(activation, Applied), takes=(takes, Takes), pixels=(pixels, Pixels)
    )
    if activation != "none" and answers != "probabilities":
        raise UsageError(f"activation={activation} makes probabilities, and the answers are {answers}: leave one out")
    check_at_least_one(largest_batch=largest_batch, concurrency=concurrency)
    view = view_of(height, width, crop)
    if largest_batch is not None and takes == "image":
        raise UsageError("largest_batch needs a function that takes a batch: say takes=batch")
    names = class_names(classes)
    numeric = answers in ("probabilities", "scores")
    name = getattr(function, "__qualname__", type(function).__name__)
    capabilities = Capabilities(
        name=name,
        answers=answers,
        identity={
            "oracle": "function",
            "function": f"{getattr(function, '__module__', '')}.{name}",
            "version": version or f"{UNNAMED} {uuid.uuid4().hex}",
            "answers": answers,
            "takes": takes,
        }
        | ({} if activation == "none" else {"activation": activation}),
        classes=Classes(tuple((n,) for n in names)) if names else None,
        domain=Domain(pixels),
        view=view,
        limits=Limits(largest_batch=largest_batch or (16 if takes == "batch" else 1), concurrency=concurrency),
        price=price or (Price(free=True) if usd_per_query is None else STATED),
        activation=activation_text(activation, "the function's numbers") if numeric else "",
        boxes=answers == "labels",
    )
    return FunctionOracle(function, takes, capabilities, cost_of_query(usd_per_query), activation)


class _Raised(Exception):
    """Stands for what a function raised, its cause."""


class FunctionOracle:
    """A Python function behind the protocol; synchronous ones run on threads of their own."""

    def __init__(
        self, call: Callable[..., Any], takes: Takes, capabilities: Capabilities, cost: Units, activation: Applied
    ) -> None:
        self._call, self._takes, self._cost, self._activation = call, takes, cost, activation
        self.capabilities = capabilities
        self._process = OneProcess(f"the oracle {capabilities.name}")
        self._threads = ThreadPoolExecutor(capabilities.limits.concurrency, thread_name_prefix="bbquery-function")

    def encode(self, image: Image) -> Image:
        """Return the image: nothing travels."""
        return image

    def quote(self, payload: Image) -> Quote:  # noqa: ARG002 - every image costs the same
        """Return what one query costs."""
        return Quote(worst=self._cost, expected=self._cost)

    @property
    def rate_seen(self) -> None:
        """Nothing: a function says nothing of its limits."""

    async def answer(self, payloads: Sequence[Image]) -> Sequence[Reply | OracleError]:
        """Call the function once, with pixels of its own that it may change.

        Raises:
            OracleError: what the function raises; its own `OracleError` passes as it is. MalformedAnswer: it takes a
                batch and did not return one. UsageError: this is a forked child of the process that connected it.
        """
        self._process.check()
        pixels = np.stack(payloads) if self._takes == "batch" else payloads[0].copy()
        try:
            rows = self._rows(await self._returned(pixels))
        except OracleError:
            raise
        except (Exception, GeneratorExit, KeyboardInterrupt, SystemExit) as error:  # noqa: BLE001 - it is raised as what it means
            # nobody can say whether a function that pays for something had paid before it failed
            kind = Rejected if self.capabilities.price.free else OracleError
            cause = error.__cause__ if isinstance(error, _Raised) else error
            assert cause is not None  # noqa: S101 - that is what it is raised for
            raise kind(f"the function raised {described(cause)}", oracle=self.capabilities.name) from cause
        return [self._read(row) for row in rows]

    async def aclose(self) -> None:
        """Release the threads."""
        await asyncio.to_thread(self._threads.shutdown)

    async def _returned(self, argument: Image) -> Any:
        if inspect.iscoroutinefunction(self._call):
            return await self._call(argument)
        returned = await asyncio.get_running_loop().run_in_executor(self._threads, self._called, argument)
        return await returned if inspect.isawaitable(returned) else returned  # an object with an async __call__

    def _called(self, argument: Image) -> Any:
        """Call the function, on a thread: what a future or an event loop gives a meaning of its own stays in there."""
        try:
            return self._call(argument)
        except OracleError:
            raise
        except BaseException as error:
            raise _Raised from error

    def _rows(self, returned: Any) -> list[Any]:
        if self._takes == "image":
            return [returned]
        if isinstance(returned, Iterable) and not isinstance(returned, str):
            return list(returned)
        raise self._malformed("a batch of answers", returned, f"a single {type(returned).__name__}")

    def _read(self, row: Any) -> Reply | OracleError:
        if row is None:
            return Reply(NoAnswer("the function returned None"), cost=self._cost)
        if isinstance(row, Reply | OracleError):
            return row
        try:
            return Reply(self._answer(row), cost=self._cost)
        except Exception as error:  # noqa: BLE001 - whatever reading it raises, it is not what was promised
            return self._malformed(self.capabilities.answers, row, error)

    def _answer(self, row: Any) -> Answer:
        kind = self.capabilities.answers
        if kind == "probabilities":
            return Vector(_shares(_numbers(row), self._activation))
        return _READERS[kind](row)

    def _malformed(self, promised: str, returned: Any, fault: object) -> MalformedAnswer:
        said = f"promised {promised}, returned {returned!r:.80}: {fault!s:.240}"
        return MalformedAnswer(said, oracle=self.capabilities.name, cost=self._cost)


def _numbers(row: Any) -> NDArray[np.float64]:
    """Return one number for each class; a number alone is of one class.

    Raises:
        ValueError: it is the index of a class. TypeError, ValueError: it is none.
    """
    given = np.asarray(row)
    if given.ndim == 0 and np.issubdtype(given.dtype, np.integer):
        advice = "say answers=labels and return the name of that class, or return a score as a float"
        raise ValueError(f"a whole number is the index of a class and not a score: {advice}")
    return np.atleast_1d(np.array(given, dtype=np.float64))  # a copy: the function may use its array again


def _shares(numbers: NDArray[np.float64], activation: Applied) -> NDArray[np.float64]:
    """Return probabilities made of numbers.

    Raises:
        UsageError: they are none; says what they may be.
    """
    if numbers.ndim != 1 or not numbers.size or not np.isfinite(numbers).all():
        return numbers  # which breaks the promise, as the client says
    if activation == "none" and are_shares(numbers, 100.0):
        raise UsageError("they add up to 100: say activation=percent")
    made = apply(activation, numbers)
    check_probabilities(made, "they")
    return made


def _vector(row: Any) -> Vector:
    return Vector(_numbers(row))


def _labels(row: Any) -> Labels:
    return labels_of(scored_of(row))


def _text(row: Any) -> Text:
    if not isinstance(row, str):
        raise TypeError("not a string")
    return Text(row)


_READERS: dict[AnswerKind, Callable[[Any], Answer]] = {
    "scores": _vector,
    "labels": _labels,
    "text": _text,
}


def _imported(path: str) -> Callable[..., Any]:
    module, _, name = path.rpartition(".")
    if not module or not name:
        raise UsageError(f"cannot import the function {path!r}: write package.module.function")
    return cast("Callable[..., Any]", imported(module, name))
