"""Picture of an explained map, in every size: `NAME.png`, thumbnails, notebooks and pages show the same colours.

Places whose 90 % interval includes 0 are pale where the method knows errors, and a map that is no evidence is pale
everywhere and stamped. The box of a target that is one object is outlined. Sentences are those of
`bbquery.report.sentence`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from bbquery.report import sentence
from bbquery.report.overlay import overlaid, overlay_png
from bbquery.specification import type_name

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from bbquery.images.boxes import Box
    from bbquery.jobs.explain.result import Explanation, TargetMap


def map_png(explanation: Explanation, m: TargetMap) -> bytes:
    """Return a PNG of the photo and the map on it, with what is seen, what the model said, and what a value is.

    Raises:
        MissingExtra: matplotlib is not installed.
    """
    return overlay_png(
        explanation.photo,
        m.values,
        signed=m.sent.signed,
        title=sentence.caption(explanation, m),
        caption=below_photo(explanation),
        unit=sentence.plain_unit(m),
        half=m.half_width,
        stamp=sentence.stamp(explanation, m),
        box=box_of(explanation, m),
    )


def map_pixels(explanation: Explanation, m: TargetMap, longest: int) -> NDArray[np.uint8]:
    """Return the map on the photo, (h, w, 3) uint8, no side longer than `longest`.

    Raises:
        MissingExtra: matplotlib is not installed.
    """
    return overlaid(
        explanation.photo, m.values, signed=m.sent.signed, longest=longest, half=m.half_width,
        stamp=sentence.stamp(explanation, m), box=box_of(explanation, m),
    )  # fmt: skip


def box_of(explanation: Explanation, m: TargetMap) -> Box | None:
    """Return the box of a target that is one object, in shares of the photo; None of any other."""
    found = m.score.about.object
    return None if found is None else explanation.placement.box_on_photo(found.box)


def below_photo(explanation: Explanation) -> str:
    """Return what stands below the photo: the model's first answer to it, the method and the model."""
    made = f"Method: {type_name(explanation.method)}. Model: {explanation.oracle.name}."
    first = sentence.ended(f"The model's first answer to the whole photo: {sentence.first_answer(explanation)}")
    return f"{first} {made}"
