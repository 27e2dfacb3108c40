"""What a client was answered, as numbers."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bbquery.types import Reply, Vector
from tests.support.oracles import brightness

if TYPE_CHECKING:
    import numpy as np


def values(rows: list[list[Reply | None]]) -> list[float | None]:
    answers = [None if reply is None else reply.answer for row in rows for reply in row]
    return [answer.values[0] if isinstance(answer, Vector) else None for answer in answers]


def expected(images: np.ndarray) -> list[float]:
    return [float(brightness(image).values[0]) for image in images]
