"""Semantic distance: cosine between the embeddings of an answer and of a reference sentence.

Zhang et al., "Forward Learning for Gradient-based Black-box Saliency Map Generation", section 3.4, "semantic distance":
the answer and the ground truth are embedded by an open model and their cosine is the score. The target is the reference
sentence; without one it is the answer to the unperturbed image. With `away`, the contrastive form: cos(answer,
reference) - cos(answer, away), which is blind to what both have in common (topic, length, manner).

A list of labels is embedded as the sentence of its names, best first, with commas between: "Cat, Whiskers, Fur".
Vectors are refused: numbers are no text.
"""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from bbquery.errors import UsageError
from bbquery.scoring.base import About
from bbquery.scoring.embeddings.folder import MINILM
from bbquery.scoring.embeddings.opening import Backend, opened
from bbquery.types import Answer, Classes, Decision, Labels, Text

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from bbquery.oracle import Capabilities
    from bbquery.scoring.base import BoundScore
    from bbquery.scoring.embeddings.base import Embedder

NOTHING_SAID = "no words"


@dataclass(frozen=True, kw_only=True)
class Similarity:
    """The cosine of an answer's embedding with the reference's, less that with `away`'s where one is given.

    Of all-MiniLM-L6-v2, paraphrases mostly lie above 0.6 and unrelated sentences below 0.2.

    Args:
        away: a sentence that answers should be far from: its cosine is subtracted.
        threshold: the cosine from which the criterion is met; with away it is met where the answer is nearer to
            the reference, and the threshold does not count; -1 to 1.
        backend: sentence-transformers (with torch) or onnx (without, BERT-like models alone).
        model: name of the embedding, or the path of a folder.
    """

    away: str | None = None
    threshold: float = 0.5
    backend: Backend = "sentence-transformers"
    model: str = MINILM

    def __post_init__(self) -> None:
        if not -1 <= self.threshold <= 1:
            raise UsageError(f"threshold must be a cosine, -1 to 1, not {self.threshold}")
        if self.away is not None and not self.away.strip():
            raise UsageError("away is empty: give the sentence that answers should be far from")

    def check(self, capabilities: Capabilities, targets: Sequence[str]) -> None:
        """Check, before anything is sent, that the answers are words and the backend is here.

        Raises:
            MissingExtra: the backend is not installed. UsageError: the answers are numbers; a target is empty or
                equals `away`; the model is not here.
        """
        if capabilities.answers not in ("text", "labels"):
            raise UsageError(
                f"{capabilities.name} answers {capabilities.answers}; the score 'text' needs text or labels"
            )
        for target in targets:
            self._check_reference(target)
        opened(self.backend, self.model)

    def _check_reference(self, reference: str) -> None:
        if not reference.strip():
            raise UsageError("the reference sentence is empty: say with --target what the answer should be near to")
        if reference == self.away:
            raise UsageError(f"the reference and away are both {reference!r}: their difference is always 0")

    def bind(self, clean: Answer, target: str | None, classes: Classes | None) -> BoundScore:  # noqa: ARG002 - as every score
        """Fix the reference sentence; None takes what the clean answer says.

        Raises:
            MissingExtra, UsageError: as `check`; or the clean answer has no words.
        """
        reference = sentence(clean) if target is None else target
        self._check_reference(reference)
        embedder = opened(self.backend, self.model)
        return BoundSimilarity(target=reference, away=self.away, threshold=self.threshold, embedder=embedder)


@dataclass(frozen=True, kw_only=True)
class BoundSimilarity:
    """`Similarity` to the sentence `target`."""

    target: str
    away: str | None
    threshold: float
    embedder: Embedder = field(repr=False)

    @property
    def about(self) -> About:
        """Meaning of the values."""
        contrasted = self.away is not None
        return About(
            unit="cosine to the reference less cosine to the alternative" if contrasted else "cosine to the reference",
            direction="higher",
            low=-2.0 if contrasted else -1.0,
            high=2.0 if contrasted else 1.0,
            criterion=(
                f"nearer to the reference than to {self.away!r}"
                if contrasted
                else f"a cosine of {self.threshold:g} or more"
            ),
            no_information=0.0 if contrasted else math.nan,  # unrelated sentences have no cosine of their own
        )

    def __call__(self, answers: Sequence[Answer]) -> tuple[NDArray[np.int8], NDArray[np.float64]]:
        """Return decisions and values, (n,) each; undecided and NaN where there are no words.

        Raises:
            UsageError: an answer is neither a text nor labels.
        """
        said = [sentence(answer) for answer in answers]
        worded = [i for i, text in enumerate(said) if text]
        decisions = np.full(len(said), Decision.UNDECIDED, dtype=np.int8)
        values = np.full(len(said), np.nan)
        cosines = self._cosines([said[i] for i in worded])
        values[worded] = cosines @ ([1.0] if self.away is None else [1.0, -1.0])
        least = self.threshold if self.away is None else np.nextafter(0.0, 1.0)
        decisions[worded] = np.where(values[worded] >= least, Decision.MET, Decision.NOT_MET)
        return decisions, values

    def _cosines(self, texts: Sequence[str]) -> NDArray[np.float64]:
        """Return the cosine of each text to the reference and, where there is one, to `away`: (n, 1 or 2)."""
        against = [self.target] if self.away is None else [self.target, self.away]
        vectors = self.embedder.embed([*against, *texts]).astype(np.float64)
        cosines: NDArray[np.float64] = np.clip(vectors[len(against) :] @ vectors[: len(against)].T, -1, 1)
        return cosines

    def unread(self, answers: Sequence[Answer]) -> Counter[str]:
        """Return how many answers have no words."""
        return Counter(NOTHING_SAID for answer in answers if not sentence(answer))

    def steps(self, answer: Answer) -> list[str]:
        """Return what the score does to an answer, a line a step."""
        said = sentence(answer)
        first = f"embedded by {self.embedder.identity}: {said!r}"
        if not said:
            return [first, f"not read: {NOTHING_SAID}"]
        cosines = self._cosines([said])[0]
        named = [
            f"cosine to {name!r}: {cosine:.4f}" for name, cosine in zip((self.target, self.away), cosines, strict=False)
        ]
        ((decision,), (value,)) = self([answer])
        return [first, *named, f"value {value:.4f}; {self.about.criterion}: {'met' if decision else 'not met'}"]


def sentence(answer: Answer) -> str:
    """Return what an answer says: its text, or its labels with commas between; empty where there are no words.

    Raises:
        UsageError: it is neither.
    """
    if isinstance(answer, Labels):
        return ", ".join(label.name for label in answer.labels if label.name.strip())
    if not isinstance(answer, Text):
        raise UsageError(f"the score 'text' needs text or labels; this oracle answered {answer!s:.200}")
    said = answer.spoken.text.strip()
    return said if any(map(str.isalnum, said)) else ""


SCORE = Similarity
