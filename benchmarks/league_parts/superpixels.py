"""SHAP's and LIME's own libraries on a photo: each takes `ask`, from images to probabilities (n,), and gives a map."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Callable
from functools import lru_cache
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from . import aise, greedy, sensitivity
from .hiding import GREY, Copies

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from bbquery.types import Image

SEGMENTS = 50
BATCH = 50

Ask: TypeAlias = "Callable[[Any], NDArray[np.float64]]"


def lime(ask: Ask, x: Image, queries: int, seed: int) -> NDArray[np.float64]:
    """Return LIME's weights as it comes: quickshift 4/200/0.2, ridge, and each superpixel's own mean as its fill."""
    import lime.lime_image

    explainer = lime.lime_image.LimeImageExplainer(random_state=seed)
    with contextlib.redirect_stderr(io.StringIO()):  # its progress
        explained = explainer.explain_instance(
            x,
            lambda images: ask(images)[:, None],
            labels=(0,),
            top_labels=None,
            num_samples=queries,
            batch_size=BATCH,
            segmentation_fn=lambda image: _quickshift(image.tobytes(), image.shape),
        )
    values = np.zeros(x.shape[:2])
    for segment, weight in explained.local_exp[0]:
        values[explained.segments == segment] = weight
    return values


@lru_cache(maxsize=1)  # it takes seconds, and does not depend on the queries
def _quickshift(pixels: bytes, shape: tuple[int, ...]) -> Any:
    """Return LIME's default superpixels of uint8 pixels."""
    from skimage import segmentation

    quickshift: Any = segmentation.quickshift
    return quickshift(np.frombuffer(pixels, dtype=np.uint8).reshape(shape), kernel_size=4, max_dist=200, ratio=0.2)


def kernel_shap(ask: Ask, x: Image, queries: int, seed: int) -> NDArray[np.float64]:
    """Return KernelSHAP's values of about 50 SLIC superpixels, hidden by grey; two queries are its ends."""
    import shap
    from skimage.segmentation import slic

    segments = slic(x, n_segments=SEGMENTS, compactness=10, start_label=0)
    count = int(segments.max()) + 1

    def shown(visible: NDArray[np.float64]) -> NDArray[np.float64]:
        return ask(Copies(x, segments, np.asarray(visible) > 0.5))

    np.random.seed(seed % 2**32)  # noqa: NPY002 - shap draws from the global generator
    explainer = shap.KernelExplainer(shown, np.zeros((1, count)))
    found = explainer.shap_values(np.ones((1, count)), nsamples=queries - 2, l1_reg=False, silent=True)
    values: NDArray[np.float64] = np.asarray(found, dtype=np.float64).ravel()[segments]
    return values


def partition(ask: Ask, x: Image, queries: int, seed: int) -> NDArray[np.float64]:  # noqa: ARG001 - it draws nothing
    """Return the Owen values of shap's PartitionExplainer, over rectangles cut in half, hidden by grey."""
    import shap

    masker = shap.maskers.Image(np.full(x.shape, GREY), x.shape)
    explainer = shap.PartitionExplainer(lambda images: ask(np.asarray(images).astype(np.uint8))[:, None], masker)
    with contextlib.redirect_stderr(io.StringIO()):  # its progress
        found = explainer(x[None].astype(np.float64), max_evals=queries, batch_size=BATCH, silent=True)
    values: NDArray[np.float64] = np.asarray(found.values, dtype=np.float64).reshape(x.shape).sum(axis=-1)
    return values


LIBRARIES: dict[str, Callable[[Ask, Image, int, int], NDArray[np.float64]]] = {
    "LIME": lime,
    "KernelSHAP": kernel_shap,
    "Partition/Owen": partition,
    "Sobol": sensitivity.sobol,
    "HSIC": sensitivity.hsic,
    "greedy subset": greedy.greedy,
    "AISE": aise.aise,
}
