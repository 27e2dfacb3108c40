"""A small function in every style in which people write one, and what it answers."""

from __future__ import annotations

import asyncio
import functools
from typing import TYPE_CHECKING, Any, Literal

from bbquery.client.answer_checks import checked
from bbquery.types import (
    Answer,
    Reply,
    Vector,
)
from oracles import function
from tests.support.images import tiny_images
from tests.support.replies import bare

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from bbquery.errors import OracleError
    from bbquery.oracle import Oracle


Style = Literal["function", "coroutine", "partial of a coroutine", "object with an async call"]


def red_share(image: NDArray[Any]) -> list[float]:
    """Return two shares that anyone can check by hand."""
    share = float(image[..., 0].mean()) / 255
    return [share, 1 - share]


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


async def _answer(oracle: Oracle) -> Reply | OracleError:
    return (await oracle.answer([oracle.encode(tiny_images(1)[0])]))[0]
