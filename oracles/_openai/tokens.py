"""Tokens before they are sent: what a request may take at most, and what it likely takes.

The published rules leave roundings open, and budgets of patches have changed within a year (1,536 to 6,144). `most` is
therefore above every reading: sides are rounded against us, and no budget of patches is relied on.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from oracles._openai.models import Tiles

if TYPE_CHECKING:
    from oracles._openai.models import ModelRules
    from oracles._openai.request import Detail

PATCH, LOW_SIDE = 32, 512  # pixels; in low detail a model is given at most 512 x 512 of them
TILE, TILED_LONG, TILED_SHORT = 512, 2048, 768
MOST_FRAMING = 32
"""Tokens around one message and its reply: the OpenAI cookbook counts 3 a message, 1 for its role, 3 for the reply."""
LIKELY_FRAMING = 8
BYTES_A_TOKEN = 4  # of English, by OpenAI's rule of thumb


def most_text(prompt: str) -> int:
    """Return the most tokens of a message with this text: no token stands for less than a byte of UTF-8."""
    return len(prompt.encode()) + MOST_FRAMING


def likely_text(prompt: str) -> int:
    """Return the likely tokens of a message with this text."""
    return _ceil(len(prompt.encode()), BYTES_A_TOKEN) + LIKELY_FRAMING


def most_image(model: ModelRules, height: int, width: int, detail: Detail) -> int:
    """Return the most tokens of an image of these sides, in pixels."""
    if isinstance(model.image, Tiles):
        return _tiled(model.image, height, width, detail)
    patches = _patches(height, width, model.image.longest)
    if detail == "low":  # whether it makes a small image larger is not published, so it may
        patches = max(patches, (LOW_SIDE // PATCH) ** 2)
    return patches * model.image.hundredths // 100 + 1  # 150 patches at 1.62 are 243, and 244 in floating point


def likely_image(model: ModelRules, height: int, width: int, detail: Detail) -> int:
    """Return the likely tokens of an image of these sides, in pixels."""
    if isinstance(model.image, Tiles):
        return most_image(model, height, width, detail)
    longest = LOW_SIDE if detail == "low" else model.image.longest
    return _ceil(_patches(height, width, longest) * model.image.hundredths, 100)


def _patches(height: int, width: int, longest: int | None) -> int:
    longer = max(height, width)
    if longest is not None and longer > longest:
        height, width = _ceil(height * longest, longer), _ceil(width * longest, longer)
    return _ceil(height, PATCH) * _ceil(width, PATCH)


def _tiled(image: Tiles, height: int, width: int, detail: Detail) -> int:
    if detail == "low":
        return image.base
    short, long = sorted((height, width))
    least = short  # of the shorter side, if it is rounded down: the longer one is then shrunk less
    if long > TILED_LONG:
        short, least, long = _ceil(short * TILED_LONG, long), short * TILED_LONG // long, TILED_LONG
    if least > TILED_SHORT:
        short, long = TILED_SHORT, _ceil(long * TILED_SHORT, least)
    return image.base + image.tile * _ceil(short, TILE) * _ceil(long, TILE)


def _ceil(dividend: int, divisor: int) -> int:
    return -(-dividend // divisor)
