"""Exit codes of commands.

0 done, 1 storage, 2 usage, 3 the oracle, 4 the budget, 5 a gate of an audit, 6 answered but not written, 7 photos
of an audit that cannot be asked, 130 interrupted.
"""

from __future__ import annotations

from bbquery.client.halt import Interrupted
from bbquery.errors import BbqueryError, BudgetExhausted, NotWritten, OracleError, UsageError

EXIT_CODES: tuple[tuple[type[BbqueryError], int], ...] = (
    (UsageError, 2),
    (OracleError, 3),
    (BudgetExhausted, 4),
    (NotWritten, 6),
    (Interrupted, 130),
)


GATE_FAILED = 5  # of an audit that is whole otherwise: a gate is not met
NOT_ASKED = 7  # photos of an audit that is whole otherwise cannot be asked: damaged, say; its gates are met
EXPECTED = (BudgetExhausted, Interrupted)  # a cap that was reached, a person's stop: they end what lacks nothing too


def exit_code(error: BbqueryError | None) -> int:
    """Return the exit code of what ended a run, 0 for nothing."""
    if error is None:
        return 0
    return next((code for kind, code in EXIT_CODES if isinstance(error, kind)), 1)


def alarm(error: BbqueryError | None, *, partial: bool) -> BbqueryError | None:
    """Return the error that forbids further spending although a result is whole; None if there is none."""
    return None if partial or isinstance(error, EXPECTED) else error


def ended_by(error: BbqueryError | None, *, partial: bool) -> BbqueryError | None:
    """Return the error that decides the exit code of a run with a result; a whole one has none but an alarm."""
    return error if partial else alarm(error, partial=partial)


def alarms(error: BbqueryError | None, *, partial: bool, name: str = "") -> list[str]:
    """Return the line that says what forbids further spending, of a whole result; none if nothing does."""
    found = alarm(error, partial=partial)
    return [] if found is None else [f"ALARM: {name}{found}; nothing is missing from this result"]
