"""What is asked of an ONNX file."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from bbquery.types import Reply, Vector

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from bbquery.oracle import Oracle

IMAGENET_MEAN, IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


def noise(count: int, height: int = 8, width: int = 6) -> list[NDArray[np.uint8]]:
    return list(np.random.default_rng(1).integers(0, 256, (count, height, width, 3), dtype=np.uint8))


def softmax(values: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray(np.exp(values) / np.exp(values).sum())


async def ask(oracle: Oracle, images: list[NDArray[np.uint8]]) -> list[NDArray[np.float64]]:
    """Return the values of one batch, and close the oracle."""
    try:
        replies = await oracle.answer([oracle.encode(image) for image in images])
    finally:
        await oracle.aclose()
    return [reply.answer.values for reply in replies if isinstance(reply, Reply) and isinstance(reply.answer, Vector)]
