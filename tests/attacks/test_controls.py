"""Controls: random changes of each kind, at the distance and for the queries that attacks have."""

from __future__ import annotations

import io
import typing
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from PIL import Image as Pillow
from scipy import ndimage

from bbquery.attacks import _control_kinds
from bbquery.attacks._control_kinds import Kind
from bbquery.attacks._controls import Control
from bbquery.plan import Ask, replay
from bbquery.types import UINT8, Decision, Scores

if TYPE_CHECKING:
    from collections.abc import Callable

KINDS: tuple[Kind, ...] = typing.get_args(Kind)


def photo() -> np.ndarray:
    """Return a photo (64, 80, 3) that is smooth and has edges, with black and white in it."""
    rng = np.random.default_rng(5)
    smooth = ndimage.gaussian_filter(rng.normal(size=(64, 80, 3)), (3, 3, 0))
    edges = np.where(np.arange(80)[None, :, None] < 40, 60.0, 0.0)
    pixels: np.ndarray = np.clip(np.rint(128 + 500 * smooth + edges), 0, 255).astype(np.uint8)
    return pixels


class Asked:
    """Every image that is asked; `changes` says whether one changes the label."""

    def __init__(self, changes: Callable[[np.ndarray], bool] = lambda _: False) -> None:
        self.changes, self.images = changes, list[np.ndarray]()

    def __call__(self, ask: Ask) -> Scores:
        rows = [ask.images[row] for row in range(len(ask.images))]
        self.images += rows
        decisions = [Decision.NOT_MET if self.changes(row) else Decision.MET for row in rows]
        return Scores(np.array(decisions, np.int8), np.zeros(len(rows)))

    def distances(self) -> np.ndarray:
        return np.array([distance(image) for image in self.images])


def distance(image: np.ndarray) -> float:
    return float(np.sqrt(np.mean((image.astype(float) - photo()) ** 2))) / 255


def run(kind: Kind, asked: Asked, seed: int = 0, queries: int = 120) -> Any:
    control = Control(queries=queries, kind=kind, distances=(0.05, 0.02, 0.08))
    return replay(control.plan(photo(), UINT8, seed), asked)


@pytest.mark.parametrize("kind", KINDS)
def test_as_many_are_asked_at_each_distance(kind: Kind) -> None:
    """A third of the queries at each of three distances, the smallest first, none beyond and hardly any below."""
    asked = Asked()

    found = run(kind, asked)

    shares = asked.distances().reshape(3, 40) / np.array([[0.02], [0.05], [0.08]])
    assert found.queries == 120
    assert shares.max() <= 1
    assert np.quantile(shares, 0.1) > 0.85
    assert np.median(shares) > 0.97


@pytest.mark.parametrize("kind", KINDS)
def test_changes_are_drawn_from_the_seed(kind: Kind) -> None:
    """The same seed asks the same bytes, another one asks others, and hardly any two of a run are alike."""
    one, again, other = Asked(), Asked(), Asked()
    run(kind, one)
    run(kind, again)
    run(kind, other, seed=1)

    assert np.array_equal(one.images, again.images)
    assert not np.array_equal(one.images, other.images)
    assert len({image.tobytes() for image in one.images}) > 110


@pytest.mark.parametrize("kind", KINDS)
def test_it_ends_where_the_label_changes(kind: Kind) -> None:
    """What changes the label at one distance has changed it within the larger ones, so those are not asked."""
    asked = Asked(lambda image: distance(image) > 0.03)

    found = run(kind, asked)

    assert 40 < found.queries < 80
    assert 0.03 < found.rmse <= 0.05
    assert [step.sigma / 255 for step in found.steps] == pytest.approx([0.02, 0.02, 0.02, 0.05])
    assert found.steps[-1].changed > 0.5


def test_fewer_queries_than_distances_ask_nothing_beyond_them() -> None:
    """The queries are the most that is asked, however few they are."""
    asked = Asked()

    assert run("gaussian", asked, queries=2).queries == len(asked.images) == 0


def test_compression_is_that_of_jpeg() -> None:
    """Where Pillow writes and reads a JPEG of quality 50 in full colour, the same pixels come out, but for rounding."""
    file = io.BytesIO()
    Pillow.fromarray(photo()).save(file, "JPEG", quality=50, subsampling=0)
    with Pillow.open(file) as image:
        expected = np.asarray(image.convert("RGB")).astype(float)

    found = np.clip(_control_kinds.compressed(photo().astype(float), 1.0), 0, 255)

    change = np.sqrt(np.mean((expected - photo()) ** 2))
    assert change > 4
    assert np.sqrt(np.mean((found - expected) ** 2)) < 0.2 * change


def test_blur_is_gaussian(monkeypatch: pytest.MonkeyPatch) -> None:
    """An even blur is SciPy's Gaussian filter with mirrored edges, of whichever width makes the distance."""
    monkeypatch.setattr(_control_kinds, "BLUR_RATIO", 1.0)
    x = photo().astype(float)

    found = _control_kinds.changes("blur", x, 10.0)(np.random.default_rng(0)).at(1.0)

    blurs = [ndimage.gaussian_filter(x, (sigma, sigma, 0), truncate=8) for sigma in np.linspace(0.8, 8, 721)]
    assert min(np.sqrt(np.mean((found - blur) ** 2)) for blur in blurs) < 0.1
    assert np.sqrt(np.mean((found - x) ** 2)) == pytest.approx(10.0 * _control_kinds.EXCESS, rel=0.01)


def test_signs_and_impulses_are_what_they_are_called() -> None:
    """A sign step is one of two neighbouring levels; an impulse makes a whole pixel black or white."""
    x = np.full((16, 16, 3), 100.0)
    rng = np.random.default_rng(0)

    signs = np.abs(_control_kinds.changes("random_sign", x, 2.5)(rng).at(1.0) - x)
    impulses = _control_kinds.changes("impulse", x, 20.0)(rng).at(1.0)

    assert set(np.unique(signs)) == {2.0, 3.0}
    changed = impulses[(impulses != x).any(axis=2)]
    assert len(changed) > 0
    assert np.isin(changed, (0.0, 255.0)).all()
    assert (changed == changed[:, :1]).all()
