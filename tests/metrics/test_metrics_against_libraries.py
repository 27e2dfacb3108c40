from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from bbquery.metrics._hidden import HiddenCopies
from bbquery.metrics.infidelity import Infidelity, Squares
from bbquery.metrics.max_sensitivity import MaxSensitivity
from bbquery.metrics.mu_fidelity import MuFidelity
from bbquery.metrics.srg import DeletionInsertion
from bbquery.plan import Ask, replay
from bbquery.saliency.rise import Rise
from bbquery.types import FLOAT, Scores

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from numpy.typing import NDArray

    from bbquery.types import Image

SIDE = 9
RNG = np.random.default_rng(11)
PHOTO = RNG.uniform(0, 255, (SIDE, SIDE, 3))
WEIGHTS = RNG.normal(size=PHOTO.shape) / 500
GRADIENT = WEIGHTS + RNG.normal(size=PHOTO.shape) / 1000
EVIDENCE = RNG.normal(size=(SIDE, SIDE))
COPIES = 12


def score(image: Image) -> float:
    """A bent sum of pixels."""
    return float(np.tanh((WEIGHTS * image).sum()))


def answers(ask: Ask) -> Scores:
    """Answer each row with its score."""
    values = np.array([score(ask.images[row]) for row in range(len(ask.images))])
    return Scores(np.zeros(len(values), dtype=np.int8), values)


@pytest.fixture(scope="module")
def model() -> Any:
    """The same score as a torch model of one class, which takes channels first."""
    import torch

    class Bent(torch.nn.Module):
        def forward(self, x: Any) -> Any:
            weights = torch.as_tensor(channels_first(WEIGHTS))
            return torch.tanh((x.double() * weights[:, : x.shape[1]]).sum(dim=(1, 2, 3)))[:, None]

    return Bent().eval()


@pytest.fixture(scope="module")
def quantus() -> Any:
    """The library of metrics, which ships no types."""
    return pytest.importorskip("quantus")


def channels_first(image: NDArray[Any]) -> NDArray[Any]:
    """Return a batch of one image as torch has it."""
    return np.ascontiguousarray(image.transpose(2, 0, 1)[None])


def judged(metric: Any, model: Any, attribution: NDArray[Any], **options: Any) -> Any:
    """Return what a metric of quantus says of the photo."""
    found = metric(
        model=model, x_batch=channels_first(PHOTO), y_batch=np.array([0]), a_batch=attribution, softmax=False,
        channel_first=True, device="cpu", **options,
    )  # fmt: skip
    return np.asarray(found).squeeze()


def one_after_another(images: list[Image]) -> Callable[..., NDArray[Any]]:
    """A perturbation for quantus that gives these images, in turn and whatever it is asked for."""
    left: Iterator[Image] = iter(images)
    return lambda arr, **_: channels_first(next(left)).reshape(arr.shape)


def squares() -> HiddenCopies:
    """The copies that `Infidelity` asks for with seed 4."""
    return HiddenCopies(PHOTO, np.zeros_like(PHOTO), Squares((SIDE, SIDE), 0.25), copies=COPIES, key=(4, 0))


def test_deletion_is_pixel_flipping(model: Any, quantus: Any) -> None:
    """Pixel by pixel, the deletion curve is quantus' PixelFlipping, which leaves the whole photo out."""
    metric = DeletionInsertion(steps=SIDE * SIDE, deletion_fill=0.0)
    curves = replay(metric.plan(PHOTO, FLOAT, EVIDENCE, 0), answers)

    flipping = quantus.PixelFlipping(features_in_step=3, perturb_baseline=0.0, normalise=False, disable_warnings=True)
    theirs = judged(flipping, model, EVIDENCE[None, None])
    np.testing.assert_allclose(curves.deletion[1:], theirs, atol=1e-6)


def test_infidelity_of_a_gradient_agrees_with_quantus(model: Any, quantus: Any) -> None:
    """Of the same squares, and without rescaling the map, quantus' Infidelity is the same number."""
    metric = Infidelity(copies=COPIES, fill=0.0, scale="none")
    ours = replay(metric.plan(PHOTO, FLOAT, GRADIENT, 4), answers)

    copies = squares()
    theirs = quantus.Infidelity(
        perturb_patch_sizes=[SIDE],
        n_perturb_samples=COPIES,
        perturb_func=one_after_another([copies[row] for row in range(1, COPIES + 1)]),
        disable_warnings=True,
    )
    assert ours.infidelity == pytest.approx(float(judged(theirs, model, channels_first(GRADIENT))), rel=1e-5)


def test_infidelity_at_the_best_scale_agrees_with_captum(model: Any) -> None:
    """Of the same squares, captum's normalised infidelity is the same number."""
    import torch
    from captum.metrics import infidelity

    ours = replay(Infidelity(copies=COPIES, fill=0.0).plan(PHOTO, FLOAT, GRADIENT, 4), answers)

    copies = squares()
    sent = torch.as_tensor(np.concatenate([channels_first(copies[row]) for row in range(1, COPIES + 1)]))
    theirs = infidelity(
        model,
        lambda inputs: (inputs - sent, sent),
        torch.as_tensor(channels_first(PHOTO)),
        torch.as_tensor(channels_first(GRADIENT)),
        target=0,
        n_perturb_samples=COPIES,
        normalize=True,
    )
    assert ours.infidelity == pytest.approx(theirs.item(), rel=1e-9)


def test_max_sensitivity_agrees_with_quantus(model: Any, quantus: Any) -> None:
    """Of the same noisy photos, quantus' MaxSensitivity and AvgSensitivity are the same numbers."""
    method, metric = Rise(queries=30, cells=3), MaxSensitivity(noisy_copies=4, radius=40.0)
    ours = replay(metric.plan(PHOTO, FLOAT, method, 2), answers)

    def explained(image: Image) -> NDArray[np.float64]:
        return replay(method.plan(image, FLOAT, 2), answers).values[None, None]

    noisy = [metric.noisy(PHOTO, FLOAT, copy, 2) for copy in range(4)]
    for sensitivity, number in ((quantus.MaxSensitivity, ours.largest), (quantus.AvgSensitivity, ours.mean)):
        theirs = sensitivity(
            nr_samples=4, perturb_func=one_after_another(noisy), normalise=False, abs=False, disable_warnings=True
        )
        explain = {"explain_func": lambda inputs, **_: explained(np.asarray(inputs)[0].transpose(1, 2, 0))}
        assert number == pytest.approx(float(judged(theirs, model, explained(PHOTO), **explain)), rel=1e-6)


def test_mu_fidelity_is_faithfulness_correlation(model: Any, quantus: Any) -> None:
    """Of the same subsets, quantus' FaithfulnessCorrelation is the same number."""
    masks: list[NDArray[np.bool_]] = []

    def blacken(arr: NDArray[Any], indices: NDArray[Any], **_: Any) -> NDArray[Any]:
        masks.append(np.isin(np.arange(SIDE * SIDE), indices).reshape(SIDE, SIDE))
        return np.where(masks[-1].reshape(1, -1), 0.0, arr)

    metric = quantus.FaithfulnessCorrelation(
        nr_runs=20, subset_size=9, perturb_func=blacken, normalise=False, disable_warnings=True
    )
    theirs = metric(
        model=model, x_batch=PHOTO[None, None, ..., 0], y_batch=np.array([0]), a_batch=EVIDENCE[None, None],
        softmax=False, channel_first=True, device="cpu",
    )  # fmt: skip

    drawn = itertools.cycle(masks)
    copies = HiddenCopies(PHOTO, np.zeros_like(PHOTO), lambda _: next(drawn), copies=len(masks), key=(0, 0))
    values = np.array([np.tanh((WEIGHTS[..., 0] * copies[row][..., 0]).sum()) for row in range(len(copies))])
    foretold, lost = copies.losses(EVIDENCE, values)
    assert MuFidelity()._correlated(foretold, lost) == pytest.approx(float(np.asarray(theirs).squeeze()), abs=1e-6)
