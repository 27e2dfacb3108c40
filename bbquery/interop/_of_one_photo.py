"""Common part of the classifiers and models for other libraries' attacks: one photo, and what was found."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from typing import Self

    import numpy as np
    from numpy.typing import NDArray

    from bbquery.attacks import AttackResult
    from bbquery.interop.attacked import AttackedPhoto
    from bbquery.interop.session import Tally
    from bbquery.types import Image


class OfOnePhoto:
    """An oracle, asked about changed copies of one photo; `attacked` does so."""

    attacked: AttackedPhoto

    @property
    def x(self) -> NDArray[np.float32]:
        """The photo as the attack takes it: float32 of 0 to 1, a batch of one, (1, 3, H, W) or with channels last."""
        return self.attacked.start

    @property
    def label(self) -> int:
        """The class of the photo, an index of the columns."""
        return self.attacked.outputs.label

    @property
    def columns(self) -> tuple[str, ...]:
        """What each class is; none where the oracle does not name its classes."""
        return self.attacked.outputs.names

    @property
    def nearest(self) -> Image | None:
        """The nearest adversarial image that was asked, exactly as it was sent, (H, W, 3); None without one."""
        return self.attacked.found.best

    @property
    def found(self) -> AttackResult:
        """The nearest image, its distances, and the way to it; queries are those of the attack, without the photo's."""
        return self.attacked.found

    @property
    def tally(self) -> Tally:
        """What was asked, sent and spent so far; as a string, a line for people."""
        return self.attacked.tally

    def close(self) -> None:
        """Wait for what is in flight, keep its answers, and close. A second time does nothing."""
        self.attacked.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
