"""The sample photos."""

from __future__ import annotations

import socket
import subprocess
import sys
from importlib.machinery import ModuleSpec
from typing import TYPE_CHECKING

import numpy as np
import pytest

from bbquery.errors import BadImage, MissingExtra, UnknownName
from bbquery.images import reading, samples

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize("name", samples.FILES)
def test_every_sample_is_a_colour_photo_at_hand(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each sample is read without a connection, is in colour, and large enough for any model."""
    monkeypatch.setattr(socket, "socket", None)

    photo = reading.load(f"sample:{name}")

    assert min(photo.shape[:2]) >= 224
    assert np.ptp(photo.astype(int), axis=2).max() > 32


def test_scikit_image_is_not_imported() -> None:
    """Looking a sample up costs no import of scikit-image, whose functions may download."""
    code = (
        "import sys; from bbquery.images import reading; reading.load('sample:cat'); sys.exit('skimage' in sys.modules)"
    )

    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_an_unknown_sample_is_told_the_known_ones() -> None:
    """A misspelt sample is answered with all that exist."""
    with pytest.raises(UnknownName) as caught:
        samples.path("Cat")

    assert caught.value.known == tuple(samples.FILES)


def test_without_scikit_image_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where scikit-image is not installed, the person learns what to install."""
    monkeypatch.setitem(sys.modules, "skimage", None)

    with pytest.raises(MissingExtra, match=r"bbquery\[samples\]"):
        samples.path("cat")


def test_a_release_without_the_photo_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the installed scikit-image lacks the photo, it is not downloaded but named."""
    spec = ModuleSpec("skimage", None, is_package=True)
    spec.submodule_search_locations = [str(tmp_path)]
    monkeypatch.setattr(samples, "find_spec", lambda name: spec)

    with pytest.raises(BadImage, match=r"no file .*chelsea\.png"):
        samples.path("cat")
