from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import PIL.Image
import pytest

from bbquery.errors import BadImage, UsageError
from bbquery.images.placement import fit
from bbquery.jobs.evaluate.montage import Photo, cells, load
from bbquery.metrics import Given
from bbquery.metrics._making import Making
from bbquery.metrics.grid_pointing import GridPointing, montage
from bbquery.oracle import Capabilities, View
from bbquery.saliency.rise import Rise

if TYPE_CHECKING:
    from pathlib import Path

MADE = Making(Rise(queries=7))


def photos(count: int) -> list[Any]:
    return list(np.random.default_rng(3).integers(0, 256, (count, 40, 52, 3), dtype=np.uint8))


def capabilities(view: View) -> Capabilities:
    return Capabilities(name="fake", answers="probabilities", identity={}, view=view)


def shown(count: int, view: View) -> Any:
    """The montage of so many photos."""
    first, *rest = photos(count)
    x, _ = fit(first, view, capabilities(view).domain)
    return montage(cells([first, *rest], x.shape, capabilities(view)))


def test_each_photo_has_a_cell_of_what_is_sent() -> None:
    """The central square of each, shrunk by Pillow to a half of the side, in rows; the photo itself at the top left."""
    cells = []
    for pixels in photos(4):
        image = PIL.Image.fromarray(pixels).resize((12, 12), PIL.Image.Resampling.BICUBIC, box=(11.0, 5.0, 41.0, 35.0))
        cells.append(np.array(image))

    found = shown(4, View(size=(24, 24), crop=0.75))

    np.testing.assert_array_equal(found, np.block([[[cells[0]], [cells[1]]], [[cells[2]], [cells[3]]]]))


def test_an_oracle_without_a_size_is_sent_about_the_photos_own() -> None:
    """Cells are equal, so up to two rows and columns are lost."""
    assert shown(9, View()).shape == (39, 51, 3)


def test_a_size_that_cells_do_not_divide_is_refused() -> None:
    """A model that takes 224 pixels cannot be shown three photos side by side."""
    with pytest.raises(UsageError, match="224 × 224 pixels, which 3 × 3 photos"):
        shown(9, View(size=(224, 224)))


@pytest.mark.parametrize("others", [0, 1, 2, 4, 7, 15])
def test_a_montage_is_a_square_of_four_or_nine(others: int) -> None:
    """Another number of photos is refused before anything is asked."""
    with pytest.raises(UsageError, match="3 others or 8"):
        GridPointing().question(Given(made=MADE, montage=tuple(Photo("p", pixels) for pixels in photos(others))))


def test_a_montage_is_known_by_its_pixels() -> None:
    """What a run is called depends on the other photos, not on what their files are called alone."""
    one, other, *_ = photos(4)

    assert repr(Photo("a", one)) == repr(Photo("a", one.copy())) != repr(Photo("a", other))


def test_a_montage_is_one_map(tmp_path: Path) -> None:
    """It asks what the method asks, once."""
    PIL.Image.fromarray(photos(1)[0]).save(tmp_path / "a.png")
    others = (load(str(tmp_path / "a.png")),) * 3

    assert GridPointing().question(Given(made=MADE, montage=others)).queries == 7


def test_a_photo_that_cannot_be_read_is_refused(tmp_path: Path) -> None:
    """The refusal names the file."""
    with pytest.raises(BadImage, match="nobody"):
        load(str(tmp_path / "nobody.jpg"))
