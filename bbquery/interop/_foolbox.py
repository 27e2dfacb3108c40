"""An oracle as a model of Foolbox."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import eagerpy
from foolbox.models import Model
from foolbox.types import Bounds

from bbquery.interop._of_one_photo import OfOnePhoto

if TYPE_CHECKING:
    from collections.abc import Callable

    from bbquery.interop.attacked import AttackedPhoto


class CalledModel(Model):  # type: ignore[misc] # seen as untyped, installed or not
    """A model whose outputs are asked by a function of NumPy arrays: images of 0 to 1, (n, ...) to (n, classes)."""

    def __init__(self, ask: Callable[[Any], Any], *, channels_first: bool = True) -> None:
        self._ask = ask
        self.data_format = "channels_first" if channels_first else "channels_last"

    @property
    def bounds(self) -> Bounds:
        """Values of black and white."""
        return Bounds(0, 1)

    def __call__(self, inputs: Any) -> Any:
        """Return the outputs (n, classes) in the framework of the inputs, and on their device."""
        images, as_given = eagerpy.astensor_(inputs)
        return as_given(eagerpy.from_numpy(images, self._ask(images.numpy())))


class OracleModel(OfOnePhoto, CalledModel):
    """A model for Foolbox's decision-based attacks on one photo; `foolbox_model` opens it."""

    def __init__(self, attacked: AttackedPhoto) -> None:
        """Wrap a photo that was asked already."""
        self.attacked = attacked
        super().__init__(attacked.ask, channels_first=attacked.channels_first)
