"""What an explanation tells while it runs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from bbquery.batches.prefetch import Prefetch
    from bbquery.client.client import Client
    from bbquery.jobs.explain.job import Job
    from bbquery.oracle import Capabilities
    from bbquery.types import Answer


@dataclass(frozen=True)
class Part:
    """Which image of several is next. place: from 0, of count. name: its own. budget: the run's, of all together."""

    place: int
    count: int
    name: str
    budget: int


class Watch:
    """What an explanation tells while it runs; override what you want to hear."""

    def begins(self, part: Part) -> None:
        """One image of several is next; not called where there is but one."""

    def measuring(self, client: Client, queries: int) -> None:
        """A map is there, and is measured with at most so many queries through this client."""

    def started(self, client: Client, job: Job) -> None:
        """The client is open and will ask; `client.halt.set` stops the run."""

    def seen(self, clean: Answer, capabilities: Capabilities) -> None:
        """The unperturbed image was answered."""

    def beware(self, text: str) -> None:
        """Something must be known before the budget goes; `client.halt.set` stops the run."""

    def progressed(self) -> None:
        """A query was answered."""

    def waiting(self, text: str) -> None:
        """The oracle asks to be left alone, and the run waits; `client.halt.set` stops it."""

    def batching(self, prefetch: Prefetch) -> None:
        """The questions go by the file; `prefetch.abandon` waits no longer, once `client.halt` is set."""

    def batch_news(self, text: str) -> None:
        """A batch was submitted or collected."""

    def batch_status(self, text: str) -> None:
        """How batches stand; replaces what was said before."""
