"""Names of a run's parts, for their budgets and folders: after an image's file, after a method's name."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

from bbquery.images import samples
from bbquery.specification import parse

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bbquery.images.reading import Source


def names_of_images(images: Sequence[Source], reserved: Sequence[str] = ("index.html",)) -> list[str]:
    """Return a name for each image, for its budget and its folder: that of its file, without the suffix.

    Names that differ at most in case get ~2, ~3 and so on, in the order given. reserved: names of what is written
    beside the images' folders.
    """
    names: list[str] = []
    taken = set(reserved)
    for image in images:
        own, number = stem(image), 1
        name = own
        while name.casefold() in taken:
            number += 1
            name = f"{own}~{number}"
        taken.add(name.casefold())
        names.append(name)
    return names


def stem(image: Source) -> str:
    """Return what an image is called, in letters that people can read; "image" where it has no name."""
    if not isinstance(image, str) and not hasattr(image, "__fspath__"):
        return "image"
    own = Path(str(image).removeprefix(samples.PREFIX)).stem
    plain = "".join(letter if letter.isprintable() else "_" for letter in own)
    return "image" if re.fullmatch(r"[. ]*", plain) else plain


def names_of_specifications(specifications: Sequence[str]) -> list[str]:
    """Return a name for each specification: rise, and rise~2 for another form of it."""
    names: list[str] = []
    for specification in specifications:
        own = parse(specification)[0].replace(":", ".")
        taken = sum(name.partition("~")[0].casefold() == own.casefold() for name in names)
        names.append(f"{own}~{taken + 1}" if taken else own)
    return names
