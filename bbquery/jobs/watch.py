"""Watching a run: callbacks for its progress, warnings and waits."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from bbquery.batches.prefetch import Prefetch
    from bbquery.client.client import Client
    from bbquery.jobs.parts import Part
    from bbquery.oracle import Capabilities
    from bbquery.types import Answer


class Watch:
    """Callbacks of a run, which do nothing here: override those you want. Any verb takes one as `watch`."""

    def begins(self, part: Part) -> None:
        """One image or method of several is next; not called where there is but one."""

    def ends(self, part: Part) -> None:
        """One attack of several is done; called where they run side by side."""

    def had(self, part: Part) -> None:
        """One of several is whole since an earlier run, and nothing is asked; called where they run side by side."""

    def beside(self, part: Part) -> Watch:  # noqa: ARG002 - for those that override it
        """Return what hears of one part of a run whose parts run side by side: this one, if nothing else is said."""
        return self

    def started(self, client: Client, queries: int, rows: int) -> None:
        """The client is open and will ask at most so many queries; `client.halt.set` stops the run.

        rows: how often `progressed` will be called at most: once for each target that shares a query. Where facts are
        verified, once more for each that is asked again.
        """

    def measuring(self, client: Client, queries: int) -> None:
        """There is a map or a find, which is measured or verified with at most so many queries through this client."""

    def seen(self, clean: Answer, capabilities: Capabilities) -> None:
        """The unperturbed image was answered."""

    def beware(self, text: str) -> None:
        """Something must be known before the budget goes; `client.halt.set` stops the run."""

    def progressed(self) -> None:
        """A query was answered."""

    def waiting(self, text: str) -> None:
        """The oracle asks to be left alone, and the run waits; `client.halt.set` stops it."""

    def batching(self, prefetch: Prefetch) -> None:
        """The questions go as a batch; `prefetch.abandon` waits no longer, once `client.halt` is set."""

    def batch_news(self, text: str) -> None:
        """A batch was submitted or collected."""

    def batch_status(self, text: str) -> None:
        """How batches stand; replaces what was said before."""
