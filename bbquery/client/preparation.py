"""Preparing rows: rendered, looked up and, unless all is stored, encoded and quoted. Runs on worker threads."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, NamedTuple

from bbquery.ledger import codec
from bbquery.ledger.store import ImageQuestion
from bbquery.units import Units

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from bbquery.client.halt import Halt
    from bbquery.client.rows import Asking
    from bbquery.ledger.ledger import Ledger
    from bbquery.oracle import Oracle
    from bbquery.types import Image, Reply


class Prepared(NamedTuple):
    """A prepared row: its questions, their stored answers, and what travels if one is missing."""

    questions: tuple[ImageQuestion, ...]
    stored: tuple[Reply | None, ...]
    payload: Any
    hold: Units


class Preparation:
    """Prepares rows for one oracle. Safe from several threads."""

    def __init__(self, oracle: Oracle, ledger: Ledger, halt: Halt) -> None:
        self._oracle, self._ledger, self._halt = oracle, ledger, halt
        self._fingerprint, identity = codec.fingerprint(oracle.capabilities.identity)
        ledger.remember_oracle(self._fingerprint, identity)

    def prepare(self, asking: Asking, rows: Sequence[int]) -> tuple[list[Prepared], float]:
        """Return these rows, prepared, and the seconds of CPU time that took."""
        began = time.thread_time()
        images = [asking.images[row] for row in rows]
        samples = [range(asking.first_sample, asking.first_sample + asking.repeats[row]) for row in rows]
        questions = [tuple(self._questions(*pair)) for pair in zip(images, samples, strict=True)]
        found = self._ledger.find([question.key for of_row in questions for question in of_row])
        prepared = [self._prepared(image, of_row, found) for image, of_row in zip(images, questions, strict=True)]
        return prepared, time.thread_time() - began

    def payers(self, image: Image, samples: range) -> dict[int, int | None]:
        """Return of those samples that are stored which budget paid for each; None: it came from a published store."""
        questions = list(self._questions(image, samples))
        found = self._ledger.payers([question.key for question in questions])
        return {question.sample: found[question.key] for question in questions if question.key in found}

    def _prepared(self, image: Image, questions: tuple[ImageQuestion, ...], found: dict[bytes, Reply]) -> Prepared:
        stored = tuple(found.get(question.key) for question in questions)
        if self._halt or None not in stored:
            return Prepared(questions, stored, None, Units())
        payload = self._oracle.encode(image)
        return Prepared(questions, stored, payload, self._oracle.quote(payload).worst)

    def _questions(self, image: Image, samples: range) -> Iterator[ImageQuestion]:
        digest = codec.image_digest(image)
        for sample in samples:
            yield ImageQuestion(codec.answer_key(self._fingerprint, digest, sample), self._fingerprint, digest, sample)
