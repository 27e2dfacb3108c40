"""Other people's methods over k cells that are visible or hidden: SHAP's and LIME's own libraries, and RISE's formula.

Each takes `ask`, from sets of visible cells (n, k) to values (n,), and returns an effect of each cell, (k,). RISE's
masks are drawn cell by cell here: the product's are bilinear and shifted, which means nothing where a cell is a pixel.
"""

from __future__ import annotations

import contextlib
import io
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from . import greedy, sensitivity

if TYPE_CHECKING:
    from numpy.typing import NDArray

Ask: TypeAlias = "Callable[[NDArray[np.bool_]], NDArray[np.float64]]"
Peer: TypeAlias = "Callable[[Ask, tuple[int, int], int, int], NDArray[np.float64]]"
"""(ask, (H, W) of the cells, queries, seed) to effects (H * W,)."""


def rise_published(ask: Ask, size: tuple[int, int], queries: int, seed: int) -> NDArray[np.float64]:
    """Return the mean of scores times masks, half of the cells visible: S = sum f M / (N p)."""
    masks, scores = _drawn(ask, size, queries, seed)
    return np.asarray(scores @ masks) / (queries * 0.5)


def rise_centred(ask: Ask, size: tuple[int, int], queries: int, seed: int) -> NDArray[np.float64]:
    """Return the covariance of score and mask over the variance of a mask's cell."""
    masks, scores = _drawn(ask, size, queries, seed)
    return np.asarray((scores - scores.mean()) @ masks) / ((queries - 1) * 0.25)


def ridge(ask: Ask, size: tuple[int, int], queries: int, seed: int) -> NDArray[np.float64]:
    """Return the coefficients of a ridge regression, penalty 1, on masks drawn cell by cell."""
    masks, scores = _drawn(ask, size, queries, seed)
    centred = masks - masks.mean(axis=0)
    gram = centred.T @ centred + np.eye(masks.shape[1])
    return np.asarray(np.linalg.solve(gram, centred.T @ (scores - scores.mean())))


def _drawn(ask: Ask, size: tuple[int, int], queries: int, seed: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    visible = np.random.default_rng((seed, queries)).random((queries, size[0] * size[1])) < 0.5
    return visible.astype(np.float64), ask(visible)


def hsic(ask: Ask, size: tuple[int, int], queries: int, seed: int) -> NDArray[np.float64]:
    """Return HSIC of each cell and the score, unsigned."""
    return sensitivity.dependence(lambda shown: ask(shown > 0.5), size[0] * size[1], queries, seed)


def greedy_subset(ask: Ask, size: tuple[int, int], queries: int, seed: int) -> NDArray[np.float64]:  # noqa: ARG001 - it draws nothing
    """Return the order in which greedy subset selection takes the cells."""
    return greedy.ranked(ask, size[0] * size[1], queries)


def kernel_shap(ask: Ask, size: tuple[int, int], queries: int, seed: int) -> NDArray[np.float64]:
    """Return KernelSHAP's values (shap's, paired, without its selection of features); two queries are its ends."""
    import shap

    cells = size[0] * size[1]
    np.random.seed(seed)  # noqa: NPY002 - shap draws from the global generator
    explainer = shap.KernelExplainer(lambda shown: ask(np.asarray(shown) > 0.5), np.zeros((1, cells)))
    found = explainer.shap_values(np.ones((1, cells)), nsamples=queries - 2, l1_reg=False, silent=True)
    return np.asarray(found, dtype=np.float64).ravel()


def partition(ask: Ask, size: tuple[int, int], queries: int, seed: int) -> NDArray[np.float64]:  # noqa: ARG001 - it draws nothing
    """Return the Owen values of shap's PartitionExplainer, over rectangles of cells cut in half."""
    import shap

    shape = (*size, 1)
    masker = shap.maskers.Image(np.zeros(shape), shape)
    explainer = shap.PartitionExplainer(_of_images(ask, size), masker)
    found = explainer(np.ones((1, *shape)), max_evals=queries, silent=True)
    return np.asarray(found.values, dtype=np.float64).ravel()


def lime(ask: Ask, size: tuple[int, int], queries: int, seed: int) -> NDArray[np.float64]:
    """Return the coefficients of LIME's own image explainer, with each cell as a superpixel."""
    import lime.lime_image

    cells = np.arange(size[0] * size[1]).reshape(size)
    explainer = lime.lime_image.LimeImageExplainer(random_state=seed, verbose=False)
    with contextlib.redirect_stderr(io.StringIO()):  # its progress
        explained = explainer.explain_instance(
            np.ones((*size, 3)),
            _of_images(ask, size),
            labels=(0,),
            top_labels=None,
            hide_color=0,
            num_features=cells.size,
            num_samples=queries,
            segmentation_fn=lambda _image: cells,
            batch_size=queries,
        )
    weights = dict(explained.local_exp[0])
    return np.array([weights[cell] for cell in range(cells.size)], dtype=np.float64)


def _of_images(ask: Ask, size: tuple[int, int]) -> Callable[[Any], NDArray[np.float64]]:
    """Return a function of images (n, H, W, channels), 1 where visible, to (n, 1)."""
    return lambda images: ask(np.asarray(images)[..., 0].reshape(-1, size[0] * size[1]) > 0.5)[:, None]


PEERS: dict[str, Peer] = {
    "RISE, published": rise_published,
    "RISE, centred": rise_centred,
    "ridge, iid masks": ridge,
    "HSIC": hsic,
    "greedy subset": greedy_subset,
    "KernelSHAP": kernel_shap,
    "Partition/Owen": partition,
    "LIME": lime,
}
GRID_ONLY = frozenset({"Partition/Owen"})  # superpixels are not cut into rectangles
