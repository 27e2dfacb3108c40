"""What an oracle answered, for tests that do not mind what it cost."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bbquery.types import Reply

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bbquery.errors import OracleError
    from bbquery.types import Answer


def bare(replies: Sequence[Reply | OracleError]) -> list[Answer | OracleError]:
    """Return what was answered, without what it cost."""
    return [reply.answer if isinstance(reply, Reply) else reply for reply in replies]
