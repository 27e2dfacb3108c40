"""Stamp across a map that is no evidence: dark letters with a light edge, without colour."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
import PIL.Image
import PIL.ImageDraw
import PIL.ImageFont

if TYPE_CHECKING:
    from numpy.typing import NDArray

INK, EDGE = (34, 34, 34, 255), (255, 255, 255, 255)
FILLED = 0.92  # of the picture's width or height, whichever the letters reach first
DRAWN = 100  # pixels: the letters' size, before they are brought to the picture's
LARGEST = 0.13  # of the picture's longer side: the letters' height at most
STEEPEST, STEP = 90, 5  # degrees
LEAST = 160
"""Pixels: a smaller picture is enlarged, or a stamp on it could not be read."""


def stamped(pixels: NDArray[np.uint8], text: str) -> NDArray[np.uint8]:
    """Return a picture (H, W, 3) with a text across it, enlarged by a whole factor where it is small."""
    factor = -(-LEAST // max(pixels.shape[:2]))
    large = pixels.repeat(factor, axis=0).repeat(factor, axis=1)
    height, width = large.shape[:2]
    page = PIL.Image.fromarray(large).convert("RGBA")
    page.alpha_composite(PIL.Image.fromarray(layer(text, width, height)))
    return np.asarray(page.convert("RGB"))


def layer(text: str, width: int, height: int) -> NDArray[np.uint8]:
    """Return a text on a clear picture, (height, width, 4) RGBA, at the angle at which it is largest."""
    letters = _letters(text)
    size, angle = max((_size(letters.size, width, height, angle), angle) for angle in range(0, STEEPEST + 1, STEP))
    fitted = letters.resize((max(1, round(letters.width * size)), max(1, round(letters.height * size))))
    turned = fitted.rotate(angle, PIL.Image.Resampling.BICUBIC, expand=True)
    page = PIL.Image.new("RGBA", (width, height), (255, 255, 255, 0))
    page.paste(turned, ((width - turned.width) // 2, (height - turned.height) // 2))
    return np.asarray(page)


def _letters(text: str) -> PIL.Image.Image:
    """Return a text as large letters on a clear picture that they fill."""
    font = PIL.ImageFont.load_default(DRAWN)
    left, top, right, bottom = font.getbbox(text, stroke_width=DRAWN // 10)
    drawn = PIL.Image.new("RGBA", (math.ceil(right - left), math.ceil(bottom - top)), (255, 255, 255, 0))
    pen = PIL.ImageDraw.Draw(drawn)
    for stroke, colour in ((DRAWN // 10, EDGE), (DRAWN // 30, INK)):
        pen.text((-left, -top), text, font=font, fill=colour, stroke_width=stroke, stroke_fill=colour)
    return drawn


def _size(letters: tuple[int, int], width: int, height: int, angle: int) -> float:
    """Return by how much letters (width, height) can be enlarged so that, turned by an angle, they fit the picture."""
    sine, cosine = math.sin(math.radians(angle)), math.cos(math.radians(angle))
    across = letters[0] * cosine + letters[1] * sine
    down = letters[0] * sine + letters[1] * cosine
    return min(FILLED * width / across, FILLED * height / down, LARGEST * max(width, height) / letters[1])
