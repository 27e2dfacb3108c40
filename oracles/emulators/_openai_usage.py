"""Tokens as the OpenAI emulator counts them: images by the published rules, text in pieces of its own.

The image rules are written from the vendor's guide ("Images and vision", "Calculating costs") step by step, in floating
point, without a look at the oracle's: where the two differ, one is wrong. Pieces of text stand in for the vendor's
tokens.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from oracles.emulators._phrases import pieces

if TYPE_CHECKING:
    from oracles.emulators._openai_models import Served

A_MESSAGE, A_ROLE, THE_REPLY = 3, 1, 3  # tokens around messages, as the OpenAI cookbook counts them
PATCH_SIDE = 32
LOW_SIDE = 512
LONGEST_SIDE = 2048
TILE_SIDE = 512
SHORT_SIDE = 768


def text_tokens(messages: list[str]) -> int:
    """Return the tokens of messages, given the text of each."""
    return sum(len(pieces(text)) + A_MESSAGE + A_ROLE for text in messages) + THE_REPLY


def image_tokens(served: Served, width: int, height: int, detail: str) -> int:
    """Return the tokens of one image; detail "auto" is taken as high."""
    if served.factor is not None:
        longest = LOW_SIDE if detail == "low" else LONGEST_SIDE
        return math.ceil(patches(width, height, served.budget, longest) * served.factor)
    if detail == "low":
        return served.base
    return served.base + served.tile * tiles(width, height)


def patches(width: float, height: float, budget: int, longest: int) -> int:
    """Return the squares of 32 pixels that cover an image, shrunk to `longest` and then into the budget."""
    fit = min(1.0, longest / max(width, height))
    width, height = width * fit, height * fit
    if _cover(width, height, PATCH_SIDE) <= budget:
        return _cover(width, height, PATCH_SIDE)
    shrink = math.sqrt(PATCH_SIDE**2 * budget / (width * height))
    across, down = width * shrink / PATCH_SIDE, height * shrink / PATCH_SIDE
    shrink *= min(max(1, math.floor(across)) / across, max(1, math.floor(down)) / down)
    return min(budget, _cover(int(width * shrink), int(height * shrink), PATCH_SIDE))


def tiles(width: float, height: float) -> int:
    """Return the squares of 512 pixels that cover an image, fitted into 2,048 and then to 768 on its shorter side."""
    fit = min(1.0, LONGEST_SIDE / max(width, height))
    width, height = width * fit, height * fit
    fit = min(1.0, SHORT_SIDE / min(width, height))
    return _cover(int(width * fit), int(height * fit), TILE_SIDE)


def _cover(width: float, height: float, side: int) -> int:
    return max(1, math.ceil(width / side)) * max(1, math.ceil(height / side))
