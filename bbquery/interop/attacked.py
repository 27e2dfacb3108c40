"""One photo under attack by a library, within a budget: what the library is told, and the nearest image that it found.

Theory of operation.

1. What is asked is recorded as for `bbquery attack` (`bbquery.attacks._record`): every image counts, equal ones each
   time, and the nearest adversarial one that was asked is kept as it was sent.
2. At the end of the budget the images that still fit are asked and recorded, and then the library is interrupted by an
   error. It is never told what was not asked: loops that wait for a success would not end.
3. An image that was refused, or whose answer cannot be read, is told to be like the photo itself: not adversarial.
"""

from __future__ import annotations

import threading
import warnings
from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol

import numpy as np

from bbquery import load
from bbquery.attacks._record import Record
from bbquery.errors import BudgetExhausted
from bbquery.interop.pixels import Pixels
from bbquery.interop.reference import answer_to
from bbquery.jobs import targeting
from bbquery.plan import Stopped
from bbquery.scoring.base import score_rows
from bbquery.types import Decision, Scores, Vector

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from bbquery.attacks import AttackResult
    from bbquery.errors import BbqueryError
    from bbquery.interop.session import Session, Tally
    from bbquery.scoring.base import BoundScore, Score
    from bbquery.types import Answer, Image, Images

WHITE = 1.0
"""Value of white in the images of libraries of attacks."""

CHANNELS_LAST = (0, 2, 3, 1)
CHANNELS_FIRST = (0, 3, 1, 2)


class Outputs(Protocol):
    """A way to tell answers to a library."""

    @property
    def names(self) -> tuple[str, ...]:
        """What each column is of; none where the oracle does not name its classes."""

    @property
    def width(self) -> int:
        """How many columns."""

    @property
    def label(self) -> int:
        """The column that is highest for the photo itself."""

    def read(self, answers: Sequence[Answer | None]) -> tuple[NDArray[np.float32], Scores]:
        """Return the columns (n, columns) that the library sees, and the scores that are recorded."""


class AllNumbers:
    """The oracle's own vectors; adversarial is an image whose highest column is another than the photo's."""

    def __init__(self, names: tuple[str, ...], clean: Vector) -> None:
        self.names = names
        self._clean = clean.values.astype(np.float32)
        self.width, self.label = len(self._clean), int(self._clean.argmax())

    def read(self, answers: Sequence[Answer | None]) -> tuple[NDArray[np.float32], Scores]:
        """Return the vectors, the photo's own in place of an answer that is none."""
        there = np.array([isinstance(answer, Vector) for answer in answers])
        rows = [answer.values if isinstance(answer, Vector) else self._clean for answer in answers]
        values = np.stack(rows).astype(np.float32)
        stands = np.where(values.argmax(axis=1) == self.label, Decision.MET, Decision.NOT_MET)
        decision = np.where(there, stands, Decision.UNDECIDED).astype(np.int8)
        return values, Scores(decision, np.where(there, values[:, self.label].astype(np.float64), np.nan))


class OneHot:
    """1 in the target's column while the score's criterion stands, else in "other"; further columns stay 0."""

    label = 0

    def __init__(self, score: BoundScore, never: int) -> None:
        self._score = score
        self.names = (score.target, "other", *["never"] * never)
        self.width = len(self.names)

    def read(self, answers: Sequence[Answer | None]) -> tuple[NDArray[np.float32], Scores]:
        """Return one 1 a row."""
        scores = score_rows(self._score, [[answer] for answer in answers])
        adversarial = np.equal(scores.decision, Decision.NOT_MET)
        return np.eye(len(self.names), dtype=np.float32)[adversarial.astype(np.int64)], scores


class AttackedPhoto:
    """Asks for images that a library makes of one photo; at most `queries`, the photo's own first one among them.

    photo: as it is sent, (H, W, 3). channels_first: how the library gives images of 0 to 1: (n, 3, H, W) or
    (n, H, W, 3). never: columns after the target's and "other" that are never 1.
    """

    def __init__(
        self,
        session: Session,
        photo: str | Image,
        queries: int,
        target: str | None,
        score: Score | str | None,
        *,
        channels_first: bool,
        never: int = 0,
    ) -> None:
        """Ask the photo.

        Raises:
            UsageError: bad input, found before anything is sent. OracleError, BudgetExhausted: it was not answered.
        """
        capabilities = session.oracle.capabilities
        self._session, self.channels_first = session, channels_first
        self._pixels = Pixels(capabilities, WHITE, "exact")
        self.photo = self._pixels.fit(photo)
        self.outputs = _outputs(session, self.photo, target, score, never)
        self._record = Record(self.photo, capabilities.domain, queries - 1)
        self._error: BbqueryError = BudgetExhausted(
            session.budget.name, "queries", remaining=0, needed=1, cap=queries
        )  # where nothing worse ends it
        self._turn = threading.Lock()

    @property
    def start(self) -> NDArray[np.float32]:
        """The photo as the library takes it: one image of 0 to 1."""
        unit = (self.photo[None] / 255).astype(np.float32)
        return unit.transpose(CHANNELS_FIRST) if self.channels_first else unit

    def ask(self, batch: NDArray[np.floating]) -> NDArray[np.float32]:
        """Return the columns (n, columns) for a batch of images of 0 to 1.

        Raises:
            BudgetExhausted: not all of them could be asked; those that could are recorded.
            OracleError: the oracle failed for good. UsageError: the images cannot be used, or this is closed.
        """
        images = self._pixels.images(batch.transpose(CHANNELS_LAST) if self.channels_first else batch)
        with self._turn:
            return self._recorded(images)

    def _recorded(self, images: Images) -> NDArray[np.float32]:
        """Ask for images by the record's own plan, which stops at the last query."""
        plan = self._record.ask(images)
        try:
            fitting = next(plan).images
            answers, error = self._session.ask_what_fits(fitting)
            columns, scores = self.outputs.read(answers)
            if error is not None:
                self._error = error
                plan.throw(Stopped(str(error), scores))
            plan.send(scores)
        except StopIteration:
            return columns
        except Stopped:
            raise self._error from None
        raise AssertionError("a record asks once")

    @property
    def found(self) -> AttackResult:
        """The nearest adversarial image that was asked, its distances, and the way to it; so far."""
        return self._record.result()

    @property
    def tally(self) -> Tally:
        """What was asked, sent and spent so far; as a string, a line for people."""
        return self._session.tally

    def close(self) -> None:
        """Wait for what is in flight, keep its answers, and close. A second time does nothing."""
        self._session.close()


def _outputs(session: Session, photo: Image, target: str | None, score: Score | str | None, never: int) -> Outputs:
    """Ask the photo, and return what becomes of answers: an oracle's own numbers, unless a target or score is given."""
    capabilities, targets = session.oracle.capabilities, [] if target is None else [target]
    if target is None and score is None and capabilities.answers in ("probabilities", "scores"):
        classes, clean = capabilities.classes, answer_to(session, photo)
        assert isinstance(clean, Vector)  # noqa: S101 - the client checks that answers are what the oracle promises
        return AllNumbers(tuple(classes.show(i) for i in range(len(classes))) if classes else (), clean)
    wanted = load.score_for(capabilities, "label" if score is None else score)
    wanted.check(capabilities, targets)
    clean = answer_to(session, photo)
    bound = wanted.bind(clean, target, capabilities.classes)
    for line in targeting.beware(targets, [bound], clean, capabilities):
        warnings.warn(line, UserWarning, stacklevel=5)
    return OneHot(bound, never)
