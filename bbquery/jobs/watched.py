"""All that hears of one run: a caller's own watch, a progress bar, and whoever may stop the run."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, TypeAlias

from bbquery.client.halt import Interrupted
from bbquery.errors import BbqueryError, UsageError, described
from bbquery.jobs import progress_bar
from bbquery.jobs.counting import Counting
from bbquery.jobs.stopping import stop_of_this_run
from bbquery.jobs.watch import Watch
from bbquery.option_types import instance

if TYPE_CHECKING:
    from bbquery.batches.prefetch import Prefetch
    from bbquery.client.client import Client
    from bbquery.jobs.parts import Part
    from bbquery.oracle import Capabilities
    from bbquery.types import Answer

Progress: TypeAlias = "bool | Callable[[int, int], object] | None"
"""Whether a progress bar is shown, or who is told of progress instead, by (queries answered, queries in all).

None shows a bar in a notebook, and nothing elsewhere. A function is called on the thread of the run, with each answer;
whatever it raises, KeyboardInterrupt too, ends the run early, with a partial result. The queries in all are an estimate
while parts of the run are not begun.
"""


@contextlib.contextmanager
def watched(watch: Watch | None, progress: Progress) -> Iterator[Watch]:
    """Give one watch for all that hear of a run; the bar is closed with it.

    Raises:
        UsageError: one of them is none.
    """
    if watch is not None:
        instance("watch", watch, Watch)
    if not (progress is None or isinstance(progress, bool) or callable(progress)):
        raise UsageError(f"progress must be True, False or a function of two numbers, not {progress!r}")
    stop = stop_of_this_run()
    shown = progress_bar.in_notebook() if progress is None else progress
    with contextlib.ExitStack() as opened:
        tell = opened.enter_context(progress_bar.progress_bar()) if shown is True else shown
        yield Together(watch or Watch(), *([stop] if stop else []), *([Counting(tell)] if tell else []))


class Together(Watch):
    """Several watches as one: each hears everything, in their order."""

    def __init__(self, *watches: Watch) -> None:
        self._watches = watches

    def _each(self, tell: Callable[[Watch], None]) -> None:
        """Tell each. Whatever it raises, SystemExit too, ends the run in order, and not the event loop under it."""
        for watch in self._watches:
            try:
                tell(watch)
            except BbqueryError:
                raise
            except BaseException as error:
                raise Interrupted(f"a function that is told of progress ended the run: {described(error)}") from error

    def begins(self, part: Part) -> None:
        """Tell each."""
        self._each(lambda watch: watch.begins(part))

    def ends(self, part: Part) -> None:
        """Tell each."""
        self._each(lambda watch: watch.ends(part))

    def beside(self, part: Part) -> Watch:
        """Return what each has to hear of one part, as one."""
        return Together(*(watch.beside(part) for watch in self._watches))

    def started(self, client: Client, queries: int, rows: int) -> None:
        """Tell each."""
        self._each(lambda watch: watch.started(client, queries, rows))

    def measuring(self, client: Client, queries: int) -> None:
        """Tell each."""
        self._each(lambda watch: watch.measuring(client, queries))

    def seen(self, clean: Answer, capabilities: Capabilities) -> None:
        """Tell each."""
        self._each(lambda watch: watch.seen(clean, capabilities))

    def beware(self, text: str) -> None:
        """Tell each."""
        self._each(lambda watch: watch.beware(text))

    def progressed(self) -> None:
        """Tell each."""
        self._each(lambda watch: watch.progressed())

    def waiting(self, text: str) -> None:
        """Tell each."""
        self._each(lambda watch: watch.waiting(text))

    def batching(self, prefetch: Prefetch) -> None:
        """Tell each."""
        self._each(lambda watch: watch.batching(prefetch))

    def batch_news(self, text: str) -> None:
        """Tell each."""
        self._each(lambda watch: watch.batch_news(text))

    def batch_status(self, text: str) -> None:
        """Tell each."""
        self._each(lambda watch: watch.batch_status(text))
