"""What a metric puts where it hides: a named filling, or one grey level."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias, get_args

import numpy as np

from bbquery.errors import UnknownName
from bbquery.perturb.baselines import Fill, filling
from bbquery.perturb.checks import grey_level

if TYPE_CHECKING:
    from bbquery.types import Domain, Image

AnyFill: TypeAlias = Fill | float
"""A named filling (see `bbquery.perturb.baselines.filling`), or a grey level from 0 to 255."""


def checked_fill(option: str, fill: AnyFill) -> None:
    """Check that `fill` is a known name or a grey level.

    Raises:
        UnknownName: no filling has this name. UsageError: not a grey level.
    """
    if not isinstance(fill, str):
        grey_level(option, fill)
    elif fill not in get_args(Fill):
        raise UnknownName(option, fill, get_args(Fill))


def filled(fill: AnyFill, x: Image, domain: Domain, seed: int) -> Image:
    """Return what replaces x (H, W, 3), of its shape, as `domain` sends it."""
    pixels = filling(fill, x, seed) if isinstance(fill, str) else np.full(x.shape, float(fill))
    return domain.realise(pixels)
