"""Code that asks for images by a plain call and waits for the answer, run step by step as a generator is.

Theory of operation.

1. It runs on a thread of its own, and only while `advance` waits for it: so of a plan and its code one computes at a
   time, and the order of what is asked is that of the code alone.
2. It has randomness of its own, in place while it computes. One such code computes at a time in a process, since there
   is one global randomness.
3. It ends with its plan: `close`, as of a `with` block, raises `Ended` at its question, which is no `Exception`, so
   that code which catches its own failures does not catch it; and waits until the thread is gone.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from queue import SimpleQueue
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from bbquery.interop.randomness import Randomness

if TYPE_CHECKING:
    from typing import Self

    from numpy.typing import NDArray

Question: TypeAlias = "Callable[[NDArray[np.floating]], NDArray[np.bool_]]"
"""Asks for images (n, ...) and returns which are adversarial (n,)."""

COMPUTING = threading.Lock()


class Ended(BaseException):
    """Ends the code at its question."""


class Failed(Exception):
    """The code raised something else; its cause says what."""


class SynchronousCode:
    """A function that is given a question to ask with; `with` sees to its end. Nothing runs before `advance`."""

    def __init__(self, run: Callable[[Question], object], seed: int) -> None:
        self._run, self._randomness = run, Randomness(seed)
        self._asked: SimpleQueue[Any] = SimpleQueue()  # images, or the end
        self._told: SimpleQueue[Any] = SimpleQueue()  # answers, or None to end
        self._ending = False
        self._thread = threading.Thread(target=self._work, name="bbquery-attack", daemon=True)

    def advance(self, answers: NDArray[np.bool_] | None = None) -> NDArray[np.floating] | None:
        """Answer the last question, none at first, and return the images of the next; None at the end.

        Raises:
            Failed: the code raised.
        """
        with COMPUTING, self._randomness:
            if answers is None:
                self._thread.start()
            else:
                self._told.put(answers)
            said = self._asked.get()
        if isinstance(said, BaseException):
            raise Failed from said
        images: NDArray[np.floating] | None = said
        return images

    def close(self) -> None:
        """End the code at its next question, and wait until its thread is gone."""
        self._ending = True
        self._told.put(None)  # where it waits at one already
        if self._thread.ident is not None:
            self._thread.join()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _work(self) -> None:
        end: BaseException | None = None
        try:
            self._run(self._ask)
        except BaseException as error:  # noqa: BLE001 - another library's code may raise anything
            end = error
        self._asked.put(end)

    def _ask(self, images: NDArray[np.floating]) -> NDArray[np.bool_]:
        if self._ending:
            raise Ended
        if not np.isfinite(images).all():
            raise FloatingPointError("it asks for images with NaN or infinite values")
        self._asked.put(images)
        answers: NDArray[np.bool_] | None = self._told.get()
        if answers is None:
            raise Ended
        return answers
