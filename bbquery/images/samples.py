"""Sample photos: colour photos that scikit-image ships inside its package, read without a download."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

from bbquery.errors import BadImage, MissingExtra, UnknownName

PREFIX = "sample:"

FILES = {
    "astronaut": "astronaut.png",
    "cat": "chelsea.png",
    "coffee": "coffee.png",
    "galaxies": "hubble_deep_field.jpg",
    "motorcycle": "motorcycle_left.png",
    "retina": "retina.jpg",
    "rocket": "rocket.jpg",
}
"""What each sample is called here, and its file in skimage/data."""


def path(name: str) -> Path:
    """Return the file of the sample photo `name`, without its "sample:".

    scikit-image is looked up but not imported, and none of its functions is called: some of them download.

    Raises:
        UnknownName: no sample has this name.
        MissingExtra: scikit-image is not installed.
        BadImage: the installed scikit-image does not ship this photo.
    """
    if name not in FILES:
        raise UnknownName("sample photo", name, FILES)
    spec = find_spec("skimage")
    if spec is None or not spec.submodule_search_locations:
        raise MissingExtra("samples", f"the photo '{PREFIX}{name}'", "scikit-image")
    file = Path(spec.submodule_search_locations[0]) / "data" / FILES[name]
    if not file.is_file():
        raise BadImage(
            f"{PREFIX}{name}", f"the installed scikit-image has no file {file}: install another release of it"
        )
    return file
