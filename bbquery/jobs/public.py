"""The boundary of the public calls: a result knows the call that made it, and errors speak of the call's arguments."""

from __future__ import annotations

import contextlib
import functools
import inspect
from collections.abc import AsyncGenerator, Callable, Coroutine, Iterator
from typing import TYPE_CHECKING, Any, ParamSpec, Protocol, TypeVar

from bbquery.errors import BbqueryError, did_you_mean
from bbquery.jobs.call_text import call_text
from bbquery.jobs.keywords import translate

if TYPE_CHECKING:
    from typing import Self


class Result(Protocol):
    """What a public call returns or gives."""

    @property
    def error(self) -> BbqueryError | None:
        """What ended it early."""

    def called(self, call: str) -> Self:
        """Return it with the text of the call that made it."""


P = ParamSpec("P")
R = TypeVar("R", bound=Result)

SUFFIX = "_async"


def public(asked: Callable[P, Coroutine[Any, Any, R]]) -> Callable[P, Coroutine[Any, Any, R]]:
    """Return a coroutine function, whose name ends in `_async`, as it is called from Python."""

    @functools.wraps(asked)
    async def form(*arguments: P.args, **options: P.kwargs) -> R:
        call = _Call(asked, arguments, options)
        with call.speaks():
            return call.finished(await asked(*arguments, **options))

    return form


def public_iterator(asked: Callable[P, AsyncGenerator[R, None]]) -> Callable[P, AsyncGenerator[R, None]]:
    """Return an asynchronous generator function, whose name ends in `_async`, as it is called from Python."""

    @functools.wraps(asked)
    async def form(*arguments: P.args, **options: P.kwargs) -> AsyncGenerator[R, None]:
        call = _Call(asked, arguments, options)
        with call.speaks():
            async with contextlib.aclosing(asked(*arguments, **options)) as results:
                async for result in results:
                    yield call.finished(result)
                    del result  # nothing is kept of what was given

    return form


def name_of(asked: Callable[..., object]) -> str:
    """Return what the synchronous form of a function is called."""
    return asked.__name__.removesuffix(SUFFIX)


def bound(asked: Callable[..., object], arguments: tuple[Any, ...], options: dict[str, Any]) -> dict[str, Any]:
    """Return the arguments of a call by name.

    Raises:
        TypeError: one is missing, or there is no such argument; says which was meant.
    """
    signature = inspect.signature(asked)
    try:
        return signature.bind(*arguments, **options).arguments
    except TypeError as error:
        unknown = next((name for name in options if name not in signature.parameters), "")
        meant = did_you_mean(unknown, signature.parameters)
        raise TypeError(f"bbquery.{name_of(asked)}: {error}{meant}") from None


class _Call:
    def __init__(self, asked: Callable[..., Any], arguments: tuple[Any, ...], options: dict[str, Any]) -> None:
        self._signature, self._name = inspect.signature(asked), name_of(asked)
        self._bound = bound(asked, arguments, options)

    @contextlib.contextmanager
    def speaks(self) -> Iterator[None]:
        """Let errors that are raised here speak of the call's arguments."""
        try:
            yield
        except BbqueryError as error:
            translate(error, self._signature.parameters)
            raise

    def finished(self, result: R) -> R:
        """Return a result that knows the call, and whose error speaks of its arguments."""
        if result.error is not None:
            translate(result.error, self._signature.parameters)
        return result.called(call_text(self._name, self._bound, self._signature))
