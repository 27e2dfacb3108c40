"""An oracle as the plain function that LIME, SHAP, Captum and similar libraries explain.

The function takes a batch of images and returns a row of numbers for each. Behind it work the budget, the answer store
and the concurrent client, so that a library that knows nothing of cost cannot overspend, and a second run is free.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

import numpy as np

from bbquery.errors import UnknownName, UsageError
from bbquery.interop.columns import AllNumbers, Columns, Scored
from bbquery.interop.pixels import Pixels, Sizes
from bbquery.interop.reference import Unanswered, answer_to
from bbquery.interop.session import Session, Tally
from bbquery.ledger.records import Cap
from bbquery.types import Answer, NoAnswer

if TYPE_CHECKING:
    import os
    from decimal import Decimal
    from typing import Self

    from numpy.typing import NDArray

    from bbquery.ledger.ledger import Ledger
    from bbquery.oracle import Oracle
    from bbquery.scoring.base import Score
    from bbquery.types import Image

WhenUnanswered: TypeAlias = Literal["error", "nan"]


def predict_fn(
    oracle: Oracle | str,
    *,
    max_queries: int,
    max_tokens: int | None = None,
    max_usd: str | Decimal | None = None,
    targets: str | Sequence[str] | None = None,
    score: Score | str | None = None,
    reference: str | os.PathLike[str] | Image | None = None,
    white: float = 255.0,
    sizes: Sizes = "exact",
    unanswered: WhenUnanswered = "error",
    name: str | None = None,
    project: str | None = None,
    ledger: Ledger | None = None,
    longest_wait: float | None = None,
) -> Predict:
    """Open an oracle as a plain function of images, within a budget; use it in a `with` block, or close it.

    oracle: an object, which stays open, or a specification such as "http:url=http://127.0.0.1:8000". max_queries,
    max_tokens, max_usd: caps, which nothing that is sent may pass; the last two None for none. targets: a class or
    several, a column for each; None gives all numbers of an oracle that answers vectors. score: how an answer becomes a
    number, an object or a specification such as "soft:form=log_odds"; None takes the number of the class or label, and
    of a text whether it mentions the target. reference: the photo that is explained, of any size; asked once when this
    opens (a query, which the library's own is then free of). Without targets its top is explained, and scores are bound
    to its answer; else they are bound to the first answer that comes.

    white: the value of white in floating-point images, 255 for grey levels or 1 for images of 0 to 1; integers are grey
    levels. sizes: "exact" takes images of the oracle's size only, "fitted" crops and resizes each. unanswered: what
    becomes of a refusal and of an answer that cannot be read: an "error", or "nan" in its row. name: of a budget that
    later runs with the same name resume; None makes a new one. project: a budget, made before, that this one counts in
    too. ledger: holds budgets and answers; None opens the default one. longest_wait: seconds that a call waits for an
    oracle that asks to be left alone, 900 by default; a longer wait raises, like a used-up quota.

    Raises:
        UsageError: bad input, found before anything is sent.
        OracleError, BudgetExhausted: the reference was not answered.
    """
    if unanswered not in ("error", "nan"):
        raise UnknownName("way with what is unanswered", unanswered, ("error", "nan"))
    cap = Cap.stated(max_queries, max_tokens, max_usd)
    wanted = [targets] if isinstance(targets, str) else list(targets or ())
    session = Session(oracle, cap, ledger, name, project, longest_wait=longest_wait)
    try:
        pixels = Pixels(session.oracle.capabilities, white, sizes)
        columns = _columns(session, pixels, score, wanted, reference)
    except BaseException:
        session.close()
        raise
    return Predict(session, pixels, columns, unanswered)


def _columns(session: Session, pixels: Pixels, score: Any, targets: list[str], reference: Any) -> Columns:
    """Return what becomes of answers: all numbers, or scores, bound to the reference where there is one."""
    if reference is None and score is None and not targets:
        return AllNumbers(session.oracle.capabilities)
    if reference is None and not targets:
        raise UsageError("a score needs a target: name targets, or give a reference whose top is explained")
    columns = Scored(session.oracle.capabilities, score, targets)
    if reference is not None:
        answer = answer_to(session, pixels.fit(reference))
        columns.bind(answer)
        for line in columns.beware(answer):
            warnings.warn(line, UserWarning, stacklevel=4)
    return columns


class Predict:
    """Images in, numbers out: a function that any number of threads may call. `predict_fn` makes it.

    What is sent is what the oracle takes: floating-point images are scaled by `white`, rounded to 8 bits and clipped
    (clipping beyond half a grey level warns once), unless the oracle takes floating point. Equal images are one query.
    """

    def __init__(self, session: Session, pixels: Pixels, columns: Columns, unanswered: WhenUnanswered) -> None:
        self._session, self._pixels, self._columns, self._unanswered = session, pixels, columns, unanswered

    def __call__(self, batch: Any) -> NDArray[np.float64]:
        """Return the numbers, float64 (n, columns), for a batch of images (n, height, width, 3).

        Raises:
            UsageError: the images cannot be used, or this is closed; nothing was sent.
            BudgetExhausted: a cap does not allow all of them; those that it allowed are answered, and kept.
            OracleError: the oracle failed for good. Unanswered: it refused, and `unanswered` is "error".
            Interrupted: an earlier call was stopped by Ctrl-C, and nothing more is sent.
        """
        answers = self._session.ask(self._pixels.images(batch))
        values = self._columns.values(answers)
        if self._unanswered == "error":
            self._refuse_gaps(values, answers)
        return values

    def torch(self, batch: Any) -> Any:
        """Return the numbers as a tensor (n, columns) for one of images (n, 3, height, width), as Captum gives it.

        They are of the batch's floating type and on its device, and carry no gradient. Raises as a plain call does.
        """
        if batch.ndim != 4 or batch.shape[1] != 3:
            raise UsageError(f"predict.torch takes a tensor (n, 3, height, width), not {tuple(batch.shape)}")
        given = batch.detach().cpu()
        images = (given.double() if given.is_floating_point() else given).permute(0, 2, 3, 1).numpy()
        like = batch if batch.is_floating_point() else batch.float()
        return like.new_tensor(self(images))

    def fit(self, photo: str | os.PathLike[str] | Image) -> Image:
        """Return what the oracle is sent of a photo, (height, width, 3): cropped and resized. Give this to explainers.

        photo: a path, "sample:NAME" or an array (H, W, 3) in grey levels.

        Raises:
            BadImage: it cannot be used.
        """
        return self._pixels.fit(photo)

    @property
    def size(self) -> tuple[int, int] | None:
        """(height, width) of the images that are sent; None where the oracle takes any."""
        return self._pixels.size

    @property
    def columns(self) -> tuple[str, ...]:
        """What each column is of; none where the oracle does not name its classes."""
        return self._columns.names

    @property
    def tally(self) -> Tally:
        """What was asked, sent and spent so far; as a string, a line for people."""
        return self._session.tally

    def close(self) -> None:
        """Wait for what is in flight, keep its answers, and close. A second time does nothing."""
        self._session.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _refuse_gaps(self, values: NDArray[np.float64], answers: Sequence[Answer]) -> None:
        gaps = np.flatnonzero(np.isnan(values).any(axis=1))
        if not len(gaps):
            return
        first = answers[gaps[0]]
        message = first.reason if isinstance(first, NoAnswer) else f"the score cannot read {first!s:.160}"
        raise Unanswered(
            f"{len(gaps)} of {len(answers)} images have no number, row {gaps[0]} because: {message}. They are paid, "
            "and what the model said is kept. Hide less of the photo, or take unanswered='nan' where the library can "
            "do with NaN",
            oracle=self._session.oracle.capabilities.name,
        )
