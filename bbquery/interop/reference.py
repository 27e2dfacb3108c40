"""The photo that a library is about to explain or attack, asked once before it begins."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bbquery.errors import OracleError
from bbquery.types import NoAnswer

if TYPE_CHECKING:
    from bbquery.interop.session import Session
    from bbquery.types import Answer, Image


class Unanswered(OracleError):
    """The oracle refused an image, or its answer cannot be read, and the library has to have a number for it."""

    outcome = "posted"


def answer_to(session: Session, photo: Image) -> Answer:
    """Ask a photo, as it is sent.

    Raises:
        Unanswered: the oracle refused it. OracleError, BudgetExhausted: it was not asked.
    """
    (answer,) = session.ask(photo[None])
    if isinstance(answer, NoAnswer):
        message = f"gave no answer to the reference: {answer.reason}"
        raise Unanswered(message, oracle=session.oracle.capabilities.name)
    return answer
