"""Explain a function of your own: which pixels make it say what it says?"""

import numpy as np

import bbquery
from oracles import function


def redness(image: np.ndarray) -> list[float]:
    """Answer how red an image (H, W, 3) is, as two probabilities."""
    share = float(image[..., 0].sum() / max(image.sum(), 1))
    return [share, 1 - share]


photo = np.full((96, 128, 3), 128, dtype=np.uint8)
photo[32:64, 80:112] = (220, 20, 20)  # a red square

oracle = function.connect(redness, answers="probabilities", classes=["red", "other"])
explanation = bbquery.explain(photo, oracle, target="red", max_queries=300)

values = explanation.maps[0].values
row, column = np.unravel_index(values.argmax(), values.shape)
print(f"strongest evidence for red at row {row}, column {column}, from {explanation.queries.sent} queries")
print(*explanation.facts, sep="\n")
