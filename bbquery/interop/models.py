"""An oracle inside the attacks of ART and Foolbox, with its budget, store, pace and ledger behind.

Each is opened for one photo, which is asked first. The attack is theirs, unchanged; at the end of the budget it is
interrupted by `BudgetExhausted`, and the nearest adversarial image that was asked is there all the same:

with art_classifier("efficientnet", "photo.jpg", max_queries=1000) as classifier:
    with suppress(BudgetExhausted):
        HopSkipJump(classifier).generate(classifier.x)
    print(classifier.found.rmse, classifier.tally)
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

from bbquery.interop.attacked import AttackedPhoto
from bbquery.interop.importing import importing
from bbquery.interop.session import Session
from bbquery.ledger.records import Cap

if TYPE_CHECKING:
    import os
    from collections.abc import Callable
    from decimal import Decimal

    from bbquery.interop._art import OracleClassifier
    from bbquery.interop._foolbox import OracleModel
    from bbquery.ledger.ledger import Ledger
    from bbquery.oracle import Oracle
    from bbquery.scoring.base import Score
    from bbquery.types import Image

T = TypeVar("T")


def art_classifier(
    oracle: Oracle | str,
    photo: str | os.PathLike[str] | Image,
    *,
    max_queries: int,
    max_tokens: int | None = None,
    max_usd: str | Decimal | None = None,
    target: str | None = None,
    score: Score | str | None = None,
    channels_first: bool = True,
    name: str | None = None,
    project: str | None = None,
    ledger: Ledger | None = None,
    longest_wait: float | None = None,
) -> OracleClassifier:
    """Open an oracle as a classifier of ART for attacks on one photo; use it in a `with` block, or close it.

    Only for models that you own or are authorised to test. oracle: an object, which stays open, or a specification.
    photo: a path, "sample:NAME" or an array (H, W, 3) in grey levels, of any size; asked once when this opens.
    max_queries: images that may be asked, that of the photo among them; equal ones count each time, though they are
    sent once. max_tokens, max_usd: caps on what is sent, None for none. target, score: what must be lost, and how an
    answer tells that. Without them an oracle of probabilities or scores gives the classifier all its numbers; else the
    classes are the target, "other" and one that never is, and the score is whether the target is on top ("label").
    channels_first: whether the attack's images are (n, 3, H, W) or (n, H, W, 3), of 0 to 1. name, project, ledger,
    longest_wait: as of `predict_fn`.

    Raises:
        UsageError: bad input, found before anything is sent. MissingExtra: ART is not installed.
        OracleError, BudgetExhausted: the photo was not answered.
    """
    with importing("art", "a classifier of ART"):
        from bbquery.interop import _art  # noqa: PLC0415 - imports ART, which takes seconds
    cap = Cap.stated(max_queries, max_tokens, max_usd)
    return _opened(
        _art.OracleClassifier, Session(oracle, cap, ledger, name, project, longest_wait=longest_wait),
        photo, max_queries, target, score, channels_first=channels_first, never=1,
    )  # fmt: skip


def foolbox_model(
    oracle: Oracle | str,
    photo: str | os.PathLike[str] | Image,
    *,
    max_queries: int,
    max_tokens: int | None = None,
    max_usd: str | Decimal | None = None,
    target: str | None = None,
    score: Score | str | None = None,
    channels_first: bool = True,
    name: str | None = None,
    project: str | None = None,
    ledger: Ledger | None = None,
    longest_wait: float | None = None,
) -> OracleModel:
    """Open an oracle as a model of Foolbox for attacks on one photo; use it in a `with` block, or close it.

    The options, and what it raises, are those of `art_classifier`; the extra is "foolbox". The model takes tensors of
    any framework of EagerPy (PyTorch, NumPy and others) and answers in the same; of labels it has two classes.
    """
    with importing("foolbox", "a model of Foolbox"):
        from bbquery.interop import _foolbox  # noqa: PLC0415 - imports Foolbox, and SciPy with it
    cap = Cap.stated(max_queries, max_tokens, max_usd)
    return _opened(
        _foolbox.OracleModel, Session(oracle, cap, ledger, name, project, longest_wait=longest_wait),
        photo, max_queries, target, score, channels_first=channels_first, never=0,
    )  # fmt: skip


def _opened(made: Callable[[AttackedPhoto], T], session: Session, *what: Any, **how: Any) -> T:
    """Ask the photo and wrap the rest; close the session where that fails."""
    try:
        return made(AttackedPhoto(session, *what, **how))
    except BaseException:
        session.close()
        raise
