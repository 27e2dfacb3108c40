"""Models of one's own to transfer an attack from: gradients of a torch classifier, or values of any function.

    with predict_fn("onnx:path=own.onnx", max_queries=20_000) as predict:
        attack = Mig(queries=10, surrogate_value=values_of(predict))     # a black box
    attack = Mig(queries=10, surrogate_gradient=gradient_of(network))    # a white box, with torch

Each is a function of an image and the clean image, and the value is the log-probability of the label that the surrogate
itself gives to the clean image: so one function serves every photo. It is bound to no target: for a targeted attack
give `Mig` a function of your own.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bbquery.errors import UsageError
from bbquery.interop.importing import importing

SMALLEST = 1e-12  # probability: below, its logarithm is mostly rounding

Array = NDArray[np.float64]


def gradient_of(model: Any, *, prepare: Callable[[Any], Any] | None = None) -> Callable[[Array, Array], Array]:
    """Return the gradient of a torch classifier's log-probability of its label, for `Mig.surrogate_gradient`.

    model: a torch module, in evaluation mode, from a batch to logits (n, classes). prepare: what becomes of pixels
    before it, from float32 (n, 3, H, W) in 0 to 1 to what the model takes, differentiable: resizing, normalisation.

    Raises:
        MissingExtra: torch is not installed.
    """
    with importing("torch", "a white-box surrogate"):
        import torch  # noqa: PLC0415 - an extra

    def log_probabilities(pixels: Any) -> Any:
        scaled = pixels.permute(2, 0, 1)[None] / 255
        return torch.log_softmax(model(scaled if prepare is None else prepare(scaled)), dim=1)[0]

    def gradient(image: Array, clean: Array) -> Array:
        with torch.no_grad():
            label = int(log_probabilities(torch.as_tensor(clean, dtype=torch.float32)).argmax())
        pixels = torch.tensor(image, dtype=torch.float32, requires_grad=True)
        (found,) = torch.autograd.grad(log_probabilities(pixels)[label], pixels)
        return np.asarray(found, dtype=np.float64)

    return gradient


def values_of(predict: Callable[[Any], Any]) -> Callable[[Array, Array], Array]:
    """Return the log-probability of a classifier's own label, for `Mig.surrogate_value`.

    predict: from images (n, H, W, 3) in grey levels to probabilities (n, classes), such as `predict_fn` opens.
    """

    def values(images: Array, clean: Array) -> Array:
        found = np.asarray(predict(np.concatenate([clean[None], images])), dtype=np.float64)
        if found.ndim != 2 or found.shape[1] < 2 or found.min() < 0:
            raise UsageError(f"a surrogate must give probabilities (n, classes), not numbers of shape {found.shape}")
        return np.log(np.maximum(found[1:, int(found[0].argmax())], SMALLEST))

    return values
