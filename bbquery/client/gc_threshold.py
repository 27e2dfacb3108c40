"""Python's cyclic garbage collector while queries are in flight.

It looks through the youngest objects whenever 700 more were made than freed. A query in flight is some 60 objects, and
queries start and end in groups, so that each group set it off; it found nothing, since what is in flight is in use, and
took about a tenth of the client's CPU time. So for as long as anybody asks it waits for as many as are in flight. It is
not turned off: cycles of garbage are still freed, a little later.
"""

from __future__ import annotations

import contextlib
import gc
import threading
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

YOUNGEST = 20_000  # objects: those of 260 rows in work, the window of 64 requests at once, and some more


class _Threshold:
    """The collector's threshold, raised while at least one asks. Used from any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._asking = 0
        self._before = gc.get_threshold()

    def begin(self) -> None:
        with self._lock:
            self._asking += 1
            if self._asking > 1:
                return
            self._before = gc.get_threshold()
            if 0 < self._before[0] < YOUNGEST:  # 0: somebody has turned it off
                gc.set_threshold(YOUNGEST, *self._before[1:])

    def end(self) -> None:
        with self._lock:
            self._asking -= 1
            if not self._asking and gc.get_threshold()[0] == YOUNGEST:  # else somebody has changed it meanwhile
                gc.set_threshold(*self._before)


_threshold = _Threshold()


@contextlib.contextmanager
def raised() -> Iterator[None]:
    """Have the collector run less often meanwhile; then it is as it was, unless somebody else has changed it."""
    _threshold.begin()
    try:
        yield
    finally:
        _threshold.end()
