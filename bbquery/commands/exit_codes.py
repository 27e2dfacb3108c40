"""What a command's exit code says.

0 done, 1 storage, 2 usage, 3 the oracle, 4 the budget, 6 answered but not written, 130 interrupted.
"""

from __future__ import annotations

from bbquery.errors import BbqueryError, BudgetExhausted, NotWritten, OracleError, UsageError
from bbquery.halt import Interrupted

EXIT_CODES: tuple[tuple[type[BbqueryError], int], ...] = (
    (UsageError, 2),
    (OracleError, 3),
    (BudgetExhausted, 4),
    (NotWritten, 6),
    (Interrupted, 130),
)


def exit_code(error: BbqueryError | None) -> int:
    """Return the exit code of what ended a run, 0 for nothing."""
    if error is None:
        return 0
    return next((code for kind, code in EXIT_CODES if isinstance(error, kind)), 1)
