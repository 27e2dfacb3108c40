"""First labels of answers, in words for people, and how often each was named."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import numpy as np

from bbquery.types import Labels, Text, Vector

if TYPE_CHECKING:
    from collections.abc import Iterable

    from bbquery.types import Answer, Classes, Reply

LONGEST = 200  # characters of a text


def first_label(answer: Answer, classes: Classes | None) -> str | None:
    """Return the label that an answer names first; a text's beginning; None where it names nothing."""
    match answer:
        case Labels((first, *_)):
            return first.name
        case Vector(values):
            top = int(np.argmax(values))
            return f"#{top}" if classes is None else classes.show(top)
        case Text():
            return answer.spoken.text[:LONGEST] or None
    return None


def first_labels(replies: Iterable[Reply | None], classes: Classes | None) -> dict[str, int]:
    """Return what replies name first, by how many of them, the most frequent first. None: one that never came."""
    named = (None if reply is None else first_label(reply.answer, classes) for reply in replies)
    return dict(Counter(name for name in named if name is not None).most_common())
