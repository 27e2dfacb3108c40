"""An oracle as a classifier of ART (the Adversarial Robustness Toolbox)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from art.estimators.classification import BlackBoxClassifierNeuralNetwork

from bbquery.interop._of_one_photo import OfOnePhoto

if TYPE_CHECKING:
    from collections.abc import Callable

    from bbquery.interop.attacked import AttackedPhoto

CLIP = (0.0, 1.0)
"""Values of black and white: without them ART's attacks leave the range of photos."""


def classifier(ask: Callable[[Any], Any], shape: tuple[int, ...], classes: int) -> BlackBoxClassifierNeuralNetwork:
    """Return a classifier of images (n, *shape) of 0 to 1, channels first, that asks for columns (n, classes)."""
    return BlackBoxClassifierNeuralNetwork(ask, shape, classes, channels_first=True, clip_values=CLIP)


class OracleClassifier(OfOnePhoto, BlackBoxClassifierNeuralNetwork):  # type: ignore[misc] # ART is untyped
    """A classifier for ART's black-box attacks on one photo; `art_classifier` opens it."""

    def __init__(self, attacked: AttackedPhoto) -> None:
        """Wrap a photo that was asked already."""
        self.attacked = attacked
        super().__init__(
            attacked.ask,
            attacked.start.shape[1:],
            attacked.outputs.width,
            channels_first=attacked.channels_first,
            clip_values=CLIP,
        )
