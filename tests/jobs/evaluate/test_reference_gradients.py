from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from scipy.spatial.distance import cosine

from bbquery.errors import UsageError
from bbquery.images.placement import Placement, gradient_as_sent
from bbquery.jobs.evaluate.reference import Reference, read
from bbquery.metrics.gradient_cosine import among, seen_cosine

if TYPE_CHECKING:
    from pathlib import Path

TRUE = np.random.default_rng(0).normal(size=(4, 5, 3))
PLACEMENT = Placement(photo=(9, 9), box=(0.0, 0.0, 9.0, 9.0), size=(4, 5))


def test_the_cosine_is_scipys() -> None:
    """The angle of two gradients, whatever their scale."""
    other = np.random.default_rng(1).normal(size=(4, 5, 3)) + TRUE

    assert seen_cosine(3 * other, Reference(TRUE)) == pytest.approx(1 - cosine(TRUE.ravel(), other.ravel()))


def test_what_the_oracle_did_not_see_does_not_count() -> None:
    """A map in the photo's coordinates is NaN beyond what was sent."""
    known = TRUE[..., 0].copy()
    known[0] = np.nan

    assert seen_cosine(known, Reference(TRUE[..., 0])) == pytest.approx(1.0)


def test_the_form_of_the_same_pixels_is_compared() -> None:
    """Of a map as sent and in the photo's coordinates, that of the reference's shape is taken."""
    sent, photo = -np.ones((4, 5)), -np.ones((9, 9))

    assert among(Reference(TRUE[..., 0]), (sent, photo)) is sent
    assert among(Reference(np.eye(9)), (sent, photo)) is photo


def test_another_shape_is_refused() -> None:
    """The refusal says both shapes."""
    with pytest.raises(UsageError, match=r"\(4, 5, 3\), but the estimated one \(4, 5\) or \(9, 9\)"):
        among(Reference(TRUE), (np.zeros((4, 5)), np.zeros((9, 9))))


def test_magnitudes_have_no_direction() -> None:
    """A map that is nowhere negative, where the gradient is, has lost its signs; one that may be a gradient has not."""
    with pytest.raises(UsageError, match="magnitudes"):
        among(Reference(TRUE), (np.abs(TRUE),))

    assert among(Reference(np.abs(TRUE)), (np.abs(TRUE),)).min() >= 0


@pytest.mark.parametrize(
    "values",
    [np.zeros((4, 5)), np.full((4, 5), np.nan), np.full((4, 5), np.inf), np.ones(4), np.ones((4, 5, 4)),
     np.ones((1, 4, 5, 3)), np.array([["a"]])],
)  # fmt: skip
def test_what_is_no_gradient_is_refused(values: Any) -> None:
    """Another shape, no numbers, or numbers that point nowhere."""
    with pytest.raises(UsageError, match="no gradient"):
        Reference(values)


def test_a_gradient_is_read_from_its_file(tmp_path: Path) -> None:
    """What was saved is what is compared, and the file is named."""
    np.save(tmp_path / "true.npy", TRUE)

    found = read(tmp_path / "true.npy")

    np.testing.assert_array_equal(found.values, TRUE)
    assert found.source == str(tmp_path / "true.npy")
    assert repr(found) != repr(Reference(2 * TRUE, found.source))


def test_files_that_hold_no_array_are_refused(tmp_path: Path) -> None:
    """Missing, foreign, or an archive of several."""
    (tmp_path / "text.npy").write_text("no array")
    np.savez(tmp_path / "several.npz", a=TRUE)

    for name, told in (("nobody.npy", "No such"), ("text.npy", "cannot read"), ("several.npz", "of one array")):
        with pytest.raises(UsageError, match=told):
            read(tmp_path / name)


def test_a_gradient_of_what_is_sent_is_taken_as_it_is() -> None:
    """With its channels, in float64."""
    found = gradient_as_sent(TRUE.astype(np.float32), PLACEMENT)

    np.testing.assert_array_equal(found, TRUE.astype(np.float32).astype(np.float64))
    assert found.dtype == np.float64


@pytest.mark.parametrize(("values", "told"), [(np.zeros((9, 9, 3)), "shape"), (np.full((4, 5, 3), np.nan), "NaN")])
def test_a_gradient_of_other_pixels_is_refused(values: Any, told: str) -> None:
    """Gradients are of the pixels that are sent, all of them."""
    with pytest.raises(UsageError, match=told):
        gradient_as_sent(values, PLACEMENT)
