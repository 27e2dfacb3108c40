"""What becomes of a library's arrays: shapes, ranges, rounding, sizes, tensors."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bbquery.errors import UsageError
from bbquery.images.placement import fit
from bbquery.interop import predict_fn
from bbquery.interop.pixels import Pixels
from bbquery.oracle import View
from tests.support.counted import Counted
from tests.support.interop import by_hand, images, oracle

if TYPE_CHECKING:
    from bbquery.ledger.ledger import Ledger


def sent(batch: Any, *, white: float = 255.0, sizes: Any = "exact", **options: Any) -> list[Any]:
    """Return the images that an oracle is sent for a batch."""
    made = Pixels(oracle(**options).capabilities, white, sizes).images(batch)
    return [made[row] for row in range(len(made))]


@given(st.integers(0, 2**32 - 1), st.sampled_from([1.0, 255.0, 100.0]), st.sampled_from([np.float32, np.float64]))
def test_floats_are_rounded_to_the_nearest_grey_level(seed: int, white: float, dtype: Any) -> None:
    """Whatever is white, a pixel is sent as the 8-bit level nearest to it, never further than half a level."""
    levels = np.random.default_rng(seed).uniform(0, 255, (2, 4, 4, 3))
    batch = (levels / 255 * white).astype(dtype)

    found = np.stack(sent(batch, white=white))

    assert found.dtype == np.uint8
    assert np.abs(found - batch.astype(np.float64) * (255 / white)).max() <= 0.5


@pytest.mark.parametrize("dtype", [np.uint8, np.int64, np.uint16])
def test_integers_are_grey_levels(dtype: Any) -> None:
    """Integers of any size are sent as they are."""
    assert np.array_equal(np.stack(sent(images(3).astype(dtype))), images(3))


def test_an_oracle_of_floats_is_sent_floats() -> None:
    """A function that takes floating point gets it neither rounded nor clipped, scaled to grey levels."""
    batch = np.linspace(-0.25, 1.25, 2 * 4 * 4 * 3).reshape(2, 4, 4, 3)

    found = np.stack(sent(batch, white=1.0, pixels="float64"))

    assert np.allclose(found, batch * 255)


def test_clipping_is_told_once(ledger: Ledger) -> None:
    """Values out of range are clipped, and a warning says so the first time."""
    batch = images(1).astype(float)
    batch[0, 0, 0] = (-20, 300, 100)

    with predict_fn(oracle(), max_queries=9, ledger=ledger) as predict:
        with pytest.warns(UserWarning, match="-20 to 300 are clipped to 0 to 255") as told:
            first = predict(batch)
        second = predict(batch)

    assert told[0].filename == __file__
    assert np.array_equal(first, by_hand(np.clip(batch, 0, 255).astype(np.uint8)))
    assert np.array_equal(first, second)


@pytest.mark.parametrize("excess", [0.0, 0.4])
def test_half_a_level_is_no_clipping(excess: float) -> None:
    """What rounding alone does to a value beyond the range is not worth a warning."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        pixels = sent(np.full((1, 4, 4, 3), 255.0 + excess))

    assert (np.asarray(pixels) == 255).all()


@pytest.mark.parametrize(
    ("batch", "white", "said"),
    [
        (np.zeros((4, 4, 3)), 255, r"batch\[None\]"),
        (np.zeros((2, 3, 4, 4)), 255, "predict.torch"),
        (np.zeros((2, 4, 4, 4)), 255, "RGB"),
        (np.zeros((2, 4, 4)), 255, "RGB"),
        (np.zeros((0, 4, 4, 3)), 255, "not .0, 4, 4, 3."),
        (np.full((1, 4, 4, 3), np.nan), 255, "NaN"),
        (np.full((1, 4, 4, 3), np.inf), 255, "infinite"),
        (np.full((1, 4, 4, 3), 0.7), 255, "say white=1"),
        (np.full((1, 4, 4, 3), 128.0), 1, "say which value is white"),
        (np.full((1, 4, 4, 3), -2.1), 1, "undo their normalisation"),
        (np.linspace(-1, 1, 48).reshape(1, 4, 4, 3), 255, r"run from -1 to 1, .* give \(x \+ 1\) / 2 and say white=1"),
        (np.linspace(-1, 1, 48).reshape(1, 4, 4, 3), 1, r"run from -1 to 1, .* give \(x \+ 1\) / 2;"),
        (np.linspace(-2.1, 2.6, 48).reshape(1, 4, 4, 3), 255, r"undo .* give x \* std \+ mean and say white=1"),
        (np.linspace(-2.1, 2.6, 48).reshape(1, 4, 4, 3), 1, r"undo .* give x \* std \+ mean$"),
        (np.linspace(0, 1, 48).reshape(1, 4, 4, 3).astype(np.uint8), 255, "before they became whole"),
        (np.full((1, 4, 4, 3), 128), 1, "integers are grey levels"),
        (np.full((1, 4, 4, 3), True), 255, "bool"),
    ],
)  # fmt: skip
def test_arrays_that_cannot_be_meant_are_refused(ledger: Ledger, batch: Any, white: float, said: str) -> None:
    """A wrong shape, type or scale says what to do, and nothing is sent."""
    shown = Counted()

    with (
        predict_fn(oracle(shown), white=white, max_queries=9, ledger=ledger) as predict,
        pytest.raises(UsageError, match=said),
    ):
        predict(batch)

    assert shown.shown == []


@pytest.mark.parametrize("pixels", ["uint8", "float64"])
def test_a_black_batch_shows_no_scale(ledger: Ledger, pixels: Any) -> None:
    """SHAP's and Captum's baselines come first: a black one lets nothing on another scale pass after it."""
    shown = Counted()
    normalised = np.linspace(-2.1, 2.6, 8 * 12 * 3).reshape(1, 8, 12, 3)

    with predict_fn(oracle(shown, pixels=pixels), max_queries=9, ledger=ledger) as predict:
        predict(np.zeros((1, 8, 12, 3)))
        with pytest.raises(UsageError, match="undo their normalisation"):
            predict(normalised)

    assert len(shown.shown) == 1


@pytest.mark.parametrize("deviation", [0.05, 0.15])
def test_noise_on_a_dark_photo_is_no_other_scale(deviation: float) -> None:
    """A library that adds noise to what it explains goes below black: that is clipped with a warning, not refused."""
    rng = np.random.default_rng(0)
    dark = rng.uniform(0, 0.2, (2, 8, 12, 3)) + rng.normal(0, deviation, (2, 8, 12, 3))

    with pytest.warns(UserWarning, match="are clipped"):
        assert len(sent(dark, white=1.0)) == 2


def test_a_dark_batch_is_not_taken_for_another_scale_later() -> None:
    """Once images were seen whose white is 255, nearly black ones are what they are."""
    pixels = Pixels(oracle().capabilities, 255.0, "exact")
    pixels.images(np.full((1, 4, 4, 3), 200.0))

    dark = pixels.images(np.full((1, 4, 4, 3), 0.7))

    assert np.array_equal(dark[0], np.ones((4, 4, 3), np.uint8))


def test_the_size_must_be_the_oracles(ledger: Ledger) -> None:
    """Images of another size are refused with both sizes and what to do; the fitted photo is accepted."""
    with predict_fn(oracle(height=6, width=4), max_queries=9, ledger=ledger) as predict:
        with pytest.raises(UsageError, match=r"sent images of \(6, 4\), and these are \(8, 12\): .*predict.fit"):
            predict(images(1))
        values = predict(predict.fit(images(1)[0])[None])

    assert predict.size == (6, 4)
    assert values.shape == (1, 2)


def test_any_size_is_fitted_where_asked() -> None:
    """Each image is cropped and resized exactly as a photo of the oracle's would be."""
    batch = images(2, shape=(20, 30))

    found = sent(batch, sizes="fitted", height=6, width=6, crop=0.5)

    view = View(size=(6, 6), crop=0.5)
    expected = [fit(image, view, oracle().capabilities.domain)[0] for image in batch]
    assert np.array_equal(np.stack(found), np.stack(expected))


def test_the_librarys_array_is_not_changed(ledger: Ledger) -> None:
    """A model that writes into what it is shown does not reach the library's own array."""

    def scribbles(image: Any) -> list[float]:
        image[:] = 0
        return [0.5, 0.5]

    batch = images(2)
    with predict_fn(oracle(scribbles), max_queries=9, ledger=ledger) as predict:
        predict(batch)

    assert np.array_equal(batch, images(2))


@pytest.mark.parametrize("dtype", ["float32", "float64", "uint8", "bfloat16"])
def test_tensors_go_in_and_come_out(ledger: Ledger, dtype: str) -> None:
    """A tensor with channels first has the numbers of its images, as a tensor without gradient."""
    torch = pytest.importorskip("torch")
    batch = np.stack([images(1)[0] // 2 * 2, np.full((8, 12, 3), 64, np.uint8)])
    tensor = torch.tensor(batch).permute(0, 3, 1, 2).to(getattr(torch, dtype))

    with predict_fn(oracle(), max_queries=9, ledger=ledger) as predict:
        values = predict.torch(tensor.requires_grad_() if dtype == "float32" else tensor)

    expected = by_hand(tensor.detach().float().permute(0, 2, 3, 1).numpy())
    assert values.shape == (2, 2)
    assert values.dtype == (torch.float32 if dtype == "uint8" else getattr(torch, dtype))
    assert not values.requires_grad
    assert np.allclose(values.float().numpy(), expected, atol=1e-2 if dtype == "bfloat16" else 1e-6)


def test_a_tensor_with_channels_last_is_refused(ledger: Ledger) -> None:
    """The other order of dimensions is told by its shape."""
    torch = pytest.importorskip("torch")

    with (
        predict_fn(oracle(), max_queries=9, ledger=ledger) as predict,
        pytest.raises(UsageError, match=r"\(n, 3, height, width\), not \(1, 8, 12, 3\)"),
    ):
        predict.torch(torch.tensor(images(1)))
