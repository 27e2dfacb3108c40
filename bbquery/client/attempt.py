"""One request to an oracle, and honestly how it ended, whatever an adapter does.

A request is cancelled only while the oracle has it, when its time is over or by `abandon`, and goes on to be settled:
its outcome is unknown.

What cannot be read is paid for. Now and then that befalls any server, and its queries are asked again; many requests
one after another that brought nothing else mean that asking on would pay for nothing.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from bbquery.client.answer_checks import checked
from bbquery.errors import MalformedAnswer, OracleError, OutcomeUnknown, Rejected, UsageError, described
from bbquery.ledger.outcomes import above_hold
from bbquery.system.deadlines import Deadlines
from bbquery.telemetry import Requests

if TYPE_CHECKING:
    from bbquery.client.halt import Halt
    from bbquery.client.query import Query
    from bbquery.oracle import Oracle
    from bbquery.types import Reply

MOST_UNREADABLE = 20  # requests one after another: where every second one is unreadable, one run in a million meets it


class Attempts:
    """Makes attempts at an oracle, each within the oracle's time limit; what forbids further ones sets the halt."""

    def __init__(self, oracle: Oracle, halt: Halt) -> None:
        self._oracle, self._halt, self._capabilities = oracle, halt, oracle.capabilities
        self._telemetry = Requests(self._capabilities.name, self._capabilities.provider)
        self._asking = Deadlines(self._capabilities.limits.timeout)
        self._unreadable = 0  # requests that brought nothing else, since the last answer that could be read

    def abandon(self) -> None:
        """Wait no longer for what is in flight: its outcome becomes unknown."""
        self._asking.cancel(but=asyncio.current_task())  # who calls from inside an oracle is about to return

    def close(self) -> None:
        """Stop the timer, and close the telemetry."""
        self._asking.close()
        self._telemetry.close()

    async def make(self, queries: list[Query], request: asyncio.Task[Any]) -> list[Reply | OracleError]:
        """Make one attempt at these queries, in the task `request`; return how each ended.

        What makes asking on useless or unsafe has set the halt by then.
        """
        if self._telemetry.listening:
            results = await self._telemetry.request(len(queries), self._outcome(queries, request))
        else:
            results = await self._outcome(queries, request)
        failures = [result for result in results if isinstance(result, OracleError)]
        if failures:
            self._telemetry.failed(failures)
        for query, result in zip(queries, results, strict=True):
            if isinstance(result, OracleError) and not result.retryable:
                self._halt.set(result)
            elif (above := above_hold(query, result, self._capabilities.name)) is not None:
                self._halt.set(above)
        self._count_unreadable(results)
        return results

    def _count_unreadable(self, results: list[Reply | OracleError]) -> None:
        if not all(isinstance(result, OracleError) for result in results):
            self._unreadable = 0
        elif isinstance(last := results[-1], MalformedAnswer):
            self._unreadable += 1
            if self._unreadable == MOST_UNREADABLE:
                message = f"{MOST_UNREADABLE} requests in a row brought nothing that can be read, and count as paid"
                self._halt.set(OracleError(f"{message}, the last: {last}", oracle=self._capabilities.name))

    async def _outcome(self, queries: list[Query], request: asyncio.Task[Any]) -> list[Reply | OracleError]:
        name, timeout = self._capabilities.name, self._capabilities.limits.timeout
        failure: OracleError
        self._asking.begin(request)
        try:
            replies = await self._oracle.answer([query.payload for query in queries])
            return checked(replies, len(queries), self._capabilities)
        except asyncio.CancelledError:
            request.uncancel()  # too late, or abandoned: its outcome must still be settled
            late = self._asking.end(request)
            reason = f"no answer within {timeout:g} seconds" if late else "abandoned in flight"
            failure = OutcomeUnknown(reason, oracle=name)
        except OracleError as error:
            failure = error
        except GeneratorExit as error:
            if not request.get_loop().is_running():  # the loop was closed under us
                raise
            failure = OracleError(f"failed unexpectedly: {described(error)}", oracle=name)
        except UsageError as error:  # found by the oracle before it sent anything: a key that is not set
            self._halt.set(error)
            failure = Rejected(str(error), oracle=name)
            failure.__cause__ = error
        except Exception as error:  # noqa: BLE001 - whatever an adapter raises, the attempt must be settled
            failure = OracleError(f"failed unexpectedly: {described(error)}", oracle=name)
            failure.__cause__ = error
        finally:
            self._asking.end(request)
        return [failure] * len(queries)
