"""Questions of a plan that does not adapt, row by row, without an answer to any."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING

from bbquery.ledger import codec
from bbquery.ledger.store import ImageQuestion
from bbquery.plan import Yielded, step
from bbquery.types import Scores

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from typing import Any

    from bbquery.plan import Ask, Plan
    from bbquery.types import Image


@dataclass(frozen=True)
class Wanted:
    """Images to ask. first_sample: the index of each one's first repeat, as in `Client.ask`."""

    ask: Ask
    first_sample: int = 0


@dataclass(frozen=True, eq=False)
class Row:
    """An image, and each repeat of it as a question."""

    image: Image
    questions: tuple[ImageQuestion, ...]


def asks(plan: Plan[Any]) -> Iterator[Ask]:
    """Yield all that a plan asks, where that does not depend on answers: it is sent none."""
    sent: Scores | None = None
    while isinstance(state := step(plan, sent), Yielded):
        yield state.ask
        sent = Scores.blank(len(state.ask.images))


def rows(wanted: Iterable[Wanted], oracle: str) -> Iterator[Row]:
    """Render row after row, as questions to the oracle of this fingerprint."""
    for want in wanted:
        for place, repeat in enumerate(want.ask.repeats):
            image = want.ask.images[place]
            digest = codec.image_digest(image)
            samples = range(want.first_sample, want.first_sample + repeat)
            yield Row(
                image, tuple(ImageQuestion(codec.answer_key(oracle, digest, n), oracle, digest, n) for n in samples)
            )


def chunks(found: Iterator[Row], size: int) -> Iterator[list[Row]]:
    """Yield so many rows at a time."""
    while chunk := list(islice(found, size)):
        yield chunk
