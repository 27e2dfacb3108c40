"""Surrogates to transfer attacks from: gradients of torch beside finite differences, and values of any function."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from bbquery.errors import MissingExtra, UsageError
from bbquery.interop import gradient_of, values_of

CLEAN = np.random.default_rng(0).uniform(50, 200, (6, 6, 3))


def network() -> Any:
    """Return a small convolutional network with known weights, as torch and in evaluation mode."""
    torch = pytest.importorskip("torch")
    torch.manual_seed(0)
    layers = [torch.nn.Conv2d(3, 4, 3), torch.nn.Tanh(), torch.nn.Flatten(), torch.nn.Linear(64, 5)]
    return torch.nn.Sequential(*layers).eval()


def log_probability(model: Any, image: Any) -> Any:
    import torch

    with torch.no_grad():
        logits = model.double()(torch.as_tensor(2 * image / 255 - 1).permute(2, 0, 1)[None])
    return torch.log_softmax(logits, dim=1)[0].numpy()


def test_the_gradient_is_that_of_the_clean_labels_log_probability() -> None:
    """At another image than the clean one it equals central differences in grey levels, with the clean one's label."""
    found = gradient_of(network(), prepare=lambda pixels: 2 * pixels - 1)(CLEAN + 5, CLEAN)

    model = network()
    label = int(log_probability(model, CLEAN).argmax())
    for place in [(0, 0, 0), (2, 3, 1), (5, 5, 2)]:
        step = np.zeros(CLEAN.shape)
        step[place] = 0.01
        up, down = (log_probability(model, CLEAN + 5 + sign * step)[label] for sign in (1, -1))
        assert found[place] == pytest.approx((up - down) / 0.02, rel=1e-3, abs=1e-9)


def test_without_torch_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where torch is not installed the message says what to install."""
    monkeypatch.setitem(__import__("sys").modules, "torch", None)

    with pytest.raises(MissingExtra, match=r"bbquery\[torch\]"):
        gradient_of(object())


def test_values_are_the_log_probability_of_the_clean_label() -> None:
    """The column is the one that is largest for the clean image; a probability of zero stays finite."""

    def predict(images: Any) -> Any:
        bright = images.mean(axis=(1, 2, 3)) > 128
        return np.where(bright[:, None], [[0.1, 0.9, 0.0]], [[1.0, 0.0, 0.0]])

    images = np.stack([np.full((2, 2, 3), 200.0), np.full((2, 2, 3), 10.0)])

    values = values_of(predict)(images, images[0])

    assert values[0] == pytest.approx(np.log(0.9))
    assert np.isfinite(values[1])
    assert values[1] < -20


@pytest.mark.parametrize("numbers", [np.zeros(3), np.zeros((3, 1)), np.full((3, 2), -1.0)], ids=str)
def test_what_gives_no_probabilities_is_refused(numbers: Any) -> None:
    """One number an image, or numbers below zero, are no probabilities of classes."""
    with pytest.raises(UsageError, match="probabilities"):
        values_of(lambda _: numbers)(np.zeros((2, 2, 2, 3)), np.zeros((2, 2, 3)))
